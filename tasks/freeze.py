"""freeze: save tonight's snapshot, and find out whether there is anything new to learn from."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai import dataset
from tenarai.errors import DatasetError
from tenarai.evaluate.holdout import find_chosen
from tenarai.locale import _
from tenarai.night import Night
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import FreezeResult, Role


@task(name="freeze", task_run_name="freeze", cache_policy=NO_CACHE)
def freeze(night: Night) -> FreezeResult:
    """Save tonight's snapshot, and find out whether there is anything new to learn from.

    Too few labelled images are no failure: the night goes on without training.
    """
    source = night.settings.source
    with night.step(_("freeze")) as log, night.catalogue() as catalogue:
        images = catalogue.images(source)
        digits = catalogue.fingerprints(NORMALISER_VERSION)
        rejections = catalogue.rejections(source, NORMALISER_VERSION)
        num_images = sum(image.sha256 in digits for image in images)
        if not any(image.role in {Role.DIGITS, Role.MISREAD} for image in images):
            log.info(_("nothing is labelled yet"))
            return FreezeResult(None, False, night.fingerprint(""), rejections=tuple(rejections), num_images=num_images)
        try:
            frozen = dataset.freeze(
                images,
                digits,
                partial(catalogue.pixels, NORMALISER_VERSION),
                normaliser=NORMALISER_VERSION,
                test_share=night.evaluation.test_share,
                chosen=find_chosen(catalogue, source),
            )
        except DatasetError as error:
            log.warning(error.what)
            missing = {"what": error.what, "received": error.received, "fix": error.fix}
            return FreezeResult(None, False, night.fingerprint(""), (), tuple(rejections), num_images, missing)
        dataset.save_snapshot(night.store, frozen.snapshot)
        info = frozen.snapshot.info
        fingerprint = night.fingerprint(info.id)
        nights = catalogue.nights(source)
        is_new = night.force or not nights or nights[-1].get("fingerprint") != fingerprint
        sizes = {"train": info.num_train, "test": info.num_test, "misread": info.num_regression}
        log.info(
            _("{train} images to train on, {test} held out, {misread} in the regression set", **sizes)
            if is_new
            else _("nothing new")
        )
        rejections += frozen.conflicts
        return FreezeResult(info, is_new, fingerprint, frozen.withheld, tuple(rejections), num_images)
