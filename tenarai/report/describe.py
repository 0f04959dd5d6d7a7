"""What a night found out, put into one record for the report and a few values for later nights."""

from __future__ import annotations

from dataclasses import replace

from tenarai.evaluate.predictions import champion_id
from tenarai.evaluate.regression import new_stories, tell_stories
from tenarai.night import Night
from tenarai.records import (
    Case,
    Decision,
    Evaluation,
    Explanation,
    FreezeResult,
    NightReport,
    SyncResult,
)


def describe_night(
    night: Night,
    nights: list[dict[str, object]],
    synced: SyncResult,
    frozen: FreezeResult,
    evaluation: Evaluation,
    decision: Decision,
    inbox: tuple[Case, ...],
    filed: tuple[Case, ...] = (),
    explanations: tuple[Explanation, ...] = (),
) -> NightReport:
    """Put everything that the report shows into one record."""
    regression = tell_stories(evaluation, nights, night.run, promoted=decision.verdict == "promoted")
    return NightReport(
        run=night.run,
        created=night.created,
        source=night.settings.source,
        store=night.settings.store,
        champion=champion_id(night.store),
        sync=synced,
        frozen=frozen,
        evaluation=replace(evaluation, regression=regression),
        decision=decision,
        inbox=inbox,
        filed=filed,
        explanations=explanations,
        history=tuple(nights[-60:]),
        seconds=dict(night.seconds),
    )


def remember_night(report: NightReport) -> dict[str, object]:
    """What later nights need to know of this one."""
    evaluation = report.evaluation
    score = evaluation.challenger_score if report.decision.verdict == "promoted" else evaluation.champion_score
    return {
        "run": report.run,
        "created": report.created,
        "fingerprint": report.frozen.fingerprint,
        "snapshot": report.frozen.info.id if report.frozen.info else "",
        "verdict": report.decision.verdict,
        "cause": report.decision.cause,
        "champion": report.champion,
        "challenger": evaluation.challenger,
        "accuracy": score.accuracy if score and score.num_images else None,
        "num_images": score.num_images if score else 0,
        "fresh_right": evaluation.fresh.num_right if evaluation.fresh else 0,
        "fresh_images": evaluation.fresh.num_images if evaluation.fresh else 0,
        "stories": new_stories(evaluation.regression, report.run),
    }
