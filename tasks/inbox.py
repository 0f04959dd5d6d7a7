"""inbox: read the unlabelled images with the champion."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate import inbox
from tenarai.locale import _
from tenarai.night import Night
from tenarai.records import Case


@task(name="inbox", task_run_name="inbox", cache_policy=NO_CACHE)
def read_inbox(night: Night) -> tuple[Case, ...]:
    """Read the unlabelled images with the champion. Predictions are kept, so a quiet night loads no model."""
    with night.step(_("inbox")) as log, night.catalogue() as catalogue:
        cases = inbox.read_inbox(night.store, catalogue, night.settings.source)
        num_unsure = sum(case.champion.unsure for case in cases if case.champion)
        if cases:
            log.info(_("{num} read, {unsure} of them unsure", num=len(cases), unsure=num_unsure))
        return cases
