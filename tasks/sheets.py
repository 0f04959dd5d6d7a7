"""sheets: cut what was written on photos of practice sheets into labelled images."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.locale import _
from tenarai.night import Night
from tenarai.records import SheetsResult
from tenarai.sheets import collect_cells


@task(name="sheets", task_run_name="sheets", cache_policy=NO_CACHE)
def cut_sheets(night: Night) -> SheetsResult:
    """Cut what was written on new photos of practice sheets into labelled images."""
    with night.step("sheets") as log, night.catalogue() as catalogue:
        result = collect_cells(night.store, catalogue, night.settings, night.run, log.info)
        if result.num_cut or result.num_new or result.num_gone:
            log.info(
                _(
                    "{photos} photos, {cut} new, {refused} refused; {new} characters added, {gone} gone",
                    photos=result.num_photos,
                    cut=result.num_cut,
                    refused=result.num_refused,
                    new=result.num_new,
                    gone=result.num_gone,
                )
            )
        return result
