"""decide: the gate promotes the challenger or keeps the champion."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate import promote
from tenarai.evaluate.champion import champion_id
from tenarai.locale import dump
from tenarai.night import Night
from tenarai.records import Decision, Evaluation, FreezeResult, PairedCounts


@task(name="decide", cache_policy=NO_CACHE)
def decide(night: Night, frozen: FreezeResult, evaluation: Evaluation) -> Decision:
    """Let the gate decide, and promote the challenger if it says so."""
    with night.step("decide") as log:
        if not evaluation.challenger:
            return Decision("nothing new", "unchanged" if frozen.info else "unlabelled")
        if promote.is_rolled_back(night.store, evaluation.challenger, evaluation.snapshot):
            return Decision("kept", "rolled back", {"model": evaluation.challenger})
        decision = promote.decide(
            evaluation.pairs or PairedCounts(0, 0, 0, 0),
            evaluation.regression,
            night.gate,
            learned=evaluation.num_learned,
            is_first=evaluation.is_first,
        )
        if evaluation.challenger == champion_id(night.store):
            return _resume(night, evaluation, decision)
        if decision.verdict == "promoted":
            night.check_lock()
            promote.promote(
                night.store,
                evaluation.challenger,
                why=dump(decision.reason),
                by="gate",
                snapshot=evaluation.snapshot,
                action="first" if decision.cause == "first" else "promoted",
            )
        log.info(decision.summary)
        return decision


def _resume(night: Night, evaluation: Evaluation, decision: Decision) -> Decision:
    """The challenger is champion already: its night was killed after the promotion, or old settings are used again."""
    with night.catalogue() as catalogue:
        nights = catalogue.nights(night.settings.source)
    if any(record.get("challenger") == evaluation.challenger for record in nights):
        return Decision("nothing new", "reads already", {"model": evaluation.challenger})
    if decision.verdict == "promoted":
        return decision
    return Decision("promoted", "resumed", {"model": evaluation.challenger})
