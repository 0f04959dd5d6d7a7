"""prepare: normalise every original that has no digit yet."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.locale import _
from tenarai.night import Night
from tenarai.prepare import prepare_images
from tenarai.records import PrepareResult


@task(name="prepare", task_run_name="prepare", cache_policy=NO_CACHE)
def prepare(night: Night) -> PrepareResult:
    """Normalise every original that has no digit yet."""
    with night.step(_("prepare")) as log, night.catalogue() as catalogue:
        result = prepare_images(night.store, catalogue, night.settings.source, night.settings, on_progress=log.info)
        log.info(_("{ok} prepared, {rejected} rejected", ok=result.num_prepared, rejected=result.num_rejected))
        return result
