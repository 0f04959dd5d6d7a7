"""sync: bring originals and catalogue up to date with the source."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.catalogue.repair import fetch_again, find_bad_originals
from tenarai.errors import TenaraiError
from tenarai.evaluate.predictions import known_labels
from tenarai.locale import Message, _, join, plural
from tenarai.night import Night
from tenarai.records import SyncResult
from tenarai.sync import open_source

CHECKED_IN = 30  # nights, in which the bytes of every original are read once


def is_passing(_task: Any, _run: Any, state: Any) -> bool:
    """Retry what may pass, such as a network that is down; never what a person has to fix."""
    error = state.data if isinstance(state.data, BaseException) else state.result(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, TenaraiError)


@task(
    name="sync",
    task_run_name="sync",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=is_passing,
)
def sync(night: Night) -> SyncResult:
    """Bring originals and catalogue up to date with the source."""
    with night.step(_("sync")) as log, night.catalogue() as catalogue:
        source = open_source(night.settings)
        day = date.fromisoformat(night.created[:10]).toordinal()
        bad = find_bad_originals(night.store, catalogue, part=day % CHECKED_IN, parts=CHECKED_IN)
        if bad:
            log.warning(
                plural("{n} damaged original is fetched again", "{n} damaged originals are fetched again", len(bad))
            )
            fetch_again(night.store, catalogue, bad)
        labels = known_labels(night.store)
        result = source.sync(night.store, catalogue, night.run, labels=labels, accept_changes=night.accept_changes)
        log.info(_summarise(result))
        return result


def _summarise(result: SyncResult) -> Message:
    counts = [
        (result.num_added, _("{n} added", n=result.num_added)),
        (result.num_changed, _("{n} changed", n=result.num_changed)),
        (result.num_moved, _("{n} moved", n=result.num_moved)),
        (result.num_relabelled, _("{n} relabelled", n=result.num_relabelled)),
        (result.num_gone, _("{n} gone", n=result.num_gone)),
        (result.num_back, _("{n} back", n=result.num_back)),
        (result.num_rejected, _("{n} rejected", n=result.num_rejected)),
    ]
    changes = join([text for number, text in counts if number] or [_("nothing new")])
    return plural("{n} file: {changes}", "{n} files: {changes}", result.num_seen, changes=changes)
