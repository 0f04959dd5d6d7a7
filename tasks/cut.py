"""cut: cut practice sheets, PDFs and photos of several characters into one image each."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.cut import cut_files
from tenarai.locale import _
from tenarai.night import Night
from tenarai.records import CutResult


@task(name="cut", task_run_name="cut", cache_policy=NO_CACHE)
def cut(night: Night) -> CutResult:
    """Cut practice sheets, PDFs and photos of several characters into one image each, and prepare these."""
    with night.step(_("cut")) as log, night.catalogue() as catalogue:
        result = cut_files(night.store, catalogue, night.settings, night.run, log.info)
        if result.num_cut or result.num_new or result.num_gone:
            log.info(
                _(
                    "{files} files in parts, {cut} of them new, {refused} refused; {new} parts added, {gone} gone",
                    files=result.num_files,
                    cut=result.num_cut,
                    refused=result.num_refused,
                    new=result.num_new,
                    gone=result.num_gone,
                )
            )
        return result
