"""The stages of a night: each opens what it needs, calls one room after the other, and returns a small record.

The functions are plain; the thin Prefect tasks stand at the end of the file. A task exists where something can be
retried or is worth seeing in the UI: never one an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.train import challenger_id, hand_out_training
from tasks.send import send_night
from tenarai.dataset import freeze, save_snapshot
from tenarai.errors import TenaraiError
from tenarai.evaluate import promote
from tenarai.evaluate.champion import champion_id
from tenarai.evaluate.examine import examine_challenger, examine_quietly
from tenarai.evaluate.explain import explain_misread
from tenarai.evaluate.readings import read_inbox_with
from tenarai.locale import dump
from tenarai.night import Night
from tenarai.orchestration.notices import announce_expiry, announce_night
from tenarai.prepare import NORMALISER_VERSION, are_near, decode, prepare_images
from tenarai.records import (
    Case,
    Decision,
    Evaluation,
    FreezeResult,
    PairedCounts,
    PrepareResult,
    Role,
    SheetsResult,
    SyncResult,
)
from tenarai.report.describe import (
    describe_night,
    describe_sheets,
    describe_snapshot,
    describe_sync,
    remember_night,
)
from tenarai.report.filed import find_filed
from tenarai.report.outcome import Outcome
from tenarai.report.sheet import SHEET, draw_next_sheet
from tenarai.sheets import MAX_SIDE, collect_cells
from tenarai.sync import sync

_P = ParamSpec("_P")
_R = TypeVar("_R")


def sync_night(night: Night) -> SyncResult:
    """Bring originals and catalogue up to date with the source."""
    with night.stage("sync") as say, night.catalogue() as catalogue:
        result = sync(
            night.settings.source,
            night.store,
            catalogue,
            night.run,
            night.settings,
            on_progress=say,
            allow_mass_deletion=night.allow_mass_deletion,
        )
        say(describe_sync(result))
        return result


def cut_night(night: Night) -> SheetsResult:
    """Cut what was written on new practice sheets into labelled images."""
    with night.stage("sheets") as say, night.catalogue() as catalogue:
        settings = night.settings
        read = partial(
            decode, max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels, max_side=MAX_SIDE
        )
        result = collect_cells(night.store, catalogue, settings.source, night.run, decode=read, say=say)
        if result.num_cut or result.num_new or result.num_gone:
            say(describe_sheets(result))
        return result


def prepare_night(night: Night) -> PrepareResult:
    """Normalise every original that has no digit yet."""
    with night.stage("prepare") as say, night.catalogue() as catalogue:
        result = prepare_images(night.store, catalogue, night.settings.source, night.settings, on_progress=say)
        say(f"{result.num_prepared} prepared, {result.num_rejected} rejected")
        return result


def freeze_night(night: Night) -> FreezeResult:
    """Freeze tonight's snapshot and find out whether it is new."""
    with night.stage("freeze") as say, night.catalogue() as catalogue:
        source = night.settings.source
        images = catalogue.images(source)
        digits = catalogue.fingerprints(NORMALISER_VERSION)
        rejections = catalogue.rejections(source, NORMALISER_VERSION)
        num_images = sum(1 for image in images if image.sha256 in digits)
        if not any(image.role in {Role.DIGITS, Role.MISREAD} for image in images):
            say("nothing is labelled yet")
            return FreezeResult(None, False, night.fingerprint(""), (), tuple(rejections), num_images)
        frozen = freeze(
            images,
            digits,
            partial(catalogue.pixels, NORMALISER_VERSION),
            normaliser=NORMALISER_VERSION,
            test_share=night.evaluation.test_share,
            near=are_near,
        )
        save_snapshot(night.store, frozen.snapshot)
        fingerprint = night.fingerprint(frozen.snapshot.info.id)
        nights = catalogue.nights(source)
        is_new = night.force or not nights or nights[-1].get("fingerprint") != fingerprint
        say(describe_snapshot(frozen, is_new))
        return FreezeResult(
            frozen.snapshot.info,
            is_new,
            fingerprint,
            frozen.withheld,
            (*rejections, *frozen.conflicts),
            num_images,
        )


def train_challenger(night: Night, frozen: FreezeResult) -> str:
    """Train a challenger on what is new, on the GPU pool when its worker is there, else here.

    Returns:
        The challenger's id; empty when nothing is new.
    """
    if frozen.info is None or not frozen.is_new:
        return ""
    with night.stage("train") as say:
        with night.catalogue() as catalogue:
            num_nights = len(catalogue.nights(night.settings.source))
        training = night.training
        if night.force:  # another seed each time, or a forced night would repeat the last one to the bit
            training = training.model_copy(update={"seed": training.seed + num_nights})
        model = challenger_id(frozen.info.id, training)
        if night.store.exists("models", model, "model.json"):
            say(f"{model} was trained before; going on with it")
            return model
        hand_out_training(night.store.address, frozen.info.id, model, training, say)
        return model


def examine_night(night: Night, frozen: FreezeResult, challenger: str) -> Evaluation:
    """Champion and challenger on the same images, the regression set, and the champion on tonight's new ones."""
    with night.stage("examine") as say, night.catalogue() as catalogue:
        if not challenger or frozen.info is None:
            return examine_quietly(night, catalogue)
        return examine_challenger(night, catalogue, frozen.info, challenger, say)


def decide_night(night: Night, frozen: FreezeResult, examined: Evaluation) -> Decision:
    """Let the gate decide, and make the winner champion."""
    with night.stage("decide") as say:
        if not examined.challenger:
            if frozen.info is None:
                return Decision("nothing new", "unlabelled")
            return Decision("nothing new", "unchanged")
        if promote.is_rolled_back(night.store, examined.challenger, examined.snapshot):
            return Decision("kept", "rolled back", {"model": examined.challenger})
        decision = promote.decide(
            examined.pairs or PairedCounts(0, 0, 0, 0),
            examined.regression,
            night.gate,
            learned=examined.num_learned,
            is_first=examined.is_first,
        )
        if examined.challenger == champion_id(night.store):
            return _tell_who_reigns(night, examined, decision)
        if decision.verdict == "promoted":
            action = "first" if decision.cause == "first" else "promoted"
            promote.promote(
                night.store,
                examined.challenger,
                why=dump(decision.reason),
                by="gate",
                snapshot=examined.snapshot,
                action=action,
            )
        say(f"{decision.verdict}: {decision.reason}")
        return decision


def _tell_who_reigns(night: Night, examined: Evaluation, decision: Decision) -> Decision:
    """The challenger reigns already: its night was killed after it was crowned, or old settings are tried once more."""
    with night.catalogue() as catalogue:
        was_told = any(
            record.get("challenger") == examined.challenger for record in catalogue.nights(night.settings.source)
        )
    if was_told:
        return Decision("nothing new", "reads already", {"model": examined.challenger})
    return (
        decision if decision.verdict == "promoted" else Decision("promoted", "resumed", {"model": examined.challenger})
    )


def read_inbox(night: Night) -> tuple[Case, ...]:
    """What the reigning champion reads in the inbox; readings are kept, so a quiet night needs no model."""
    with night.stage("inbox") as say, night.catalogue() as catalogue:
        readings = read_inbox_with(night, catalogue)
        if readings:
            num_unsure = sum(case.champion is not None and case.champion.unsure for case in readings)
            say(f"{len(readings)} read, {num_unsure} of them unsure")
        return readings


def publish_night(
    night: Night,
    synced: SyncResult,
    frozen: FreezeResult,
    examined: Evaluation,
    decision: Decision,
    inbox: tuple[Case, ...],
) -> Outcome:
    """Write the report, show it in the UI, and only then count the night as finished."""
    from tenarai.orchestration.artifacts import name_run, publish_artifacts
    from tenarai.report import build_report, pictured, write_report
    from tenarai.report.store_pictures import StorePictures

    with night.stage("report") as say, night.catalogue() as catalogue:
        nights = catalogue.nights(night.settings.source)
        filed = find_filed(catalogue, night.settings.source, nights[-1] if nights else {})
        why = explain_misread(night, examined)
        record = describe_night(night, nights, synced, frozen, examined, decision, inbox, filed, why)
        if sheet := draw_next_sheet(night.settings, night.store, catalogue):
            night.store.write(sheet, "reports", night.run, SHEET)
            record = replace(record, sheet=SHEET)
        pictures = StorePictures(night.store, catalogue.digits(NORMALISER_VERSION, pictured(record)))
        report = build_report(record, pictures, language=night.settings.language)
        write_report(night.store, night.run, report)
        publish_artifacts(record, report.markdown)
        name_run(record)
        catalogue.put_night(night.run, night.settings.source, remember_night(record))
        place = f"{night.store.root}/reports/{night.run}/report.html"
        say(place)
        announce_night(record, nights, place, night.settings.language)
        announce_expiry(night.settings.drive_credentials.get_secret_value(), datetime.now(UTC), night.settings.language)
        message = f"{decision.verdict}: {decision.reason}"
        return Outcome(night.run, decision.verdict, message, decision.state, place)


def _is_passing(_: object, __: object, state: State) -> bool:
    """Retry what may pass by itself, such as a network that is down; never what a person has to mend."""
    try:
        state.result()
    except TenaraiError:
        return False
    except OSError:
        return True
    except Exception:  # noqa: BLE001 - whatever else it is, trying again does not mend it; Prefect raises it further
        return False
    return False


def _task(function: Callable[_P, _R], *, name: str, **options: Any) -> Callable[_P, _R]:
    # nothing is cached: every stage finds out by itself what is done already
    decorate = task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)
    return cast(Callable[_P, _R], decorate(function))


TASKS: dict[Callable[..., Any], Callable[..., Any]] = {
    sync_night: _task(sync_night, name="sync", retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=_is_passing),
    cut_night: _task(cut_night, name="cut sheets"),
    prepare_night: _task(prepare_night, name="prepare"),
    freeze_night: _task(freeze_night, name="freeze"),
    examine_night: _task(examine_night, name="examine"),
    decide_night: _task(decide_night, name="decide"),
    read_inbox: _task(read_inbox, name="read inbox"),
    publish_night: _task(publish_night, name="publish"),
    send_night: _task(send_night, name="send"),
}
"""The Prefect task of each stage; training is a flow of its own."""
