"""decide: the gate (`tenarai/evaluate/gate.py`) promotes the challenger or keeps the champion."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate.promotions import settle
from tenarai.locale import _
from tenarai.night import Night
from tenarai.records import Decision, Evaluation, FreezeResult


@task(name="decide", task_run_name="decide", cache_policy=NO_CACHE)
def decide(night: Night, frozen: FreezeResult, evaluation: Evaluation) -> Decision:
    """Let the gate decide, and promote the challenger if it says so."""
    if frozen.missing:
        return Decision("nothing new", "too few", dict(frozen.missing))
    if not evaluation.challenger:
        return Decision("nothing new", "unchanged" if frozen.info else "unlabelled")
    with night.step(_("decide")) as log, night.catalogue() as catalogue:
        night.check_lock()
        decision = settle(night.store, catalogue.nights(night.settings.source), evaluation, night.gate)
        log.info(decision.summary)
        return decision
