"""What a night found out, put into one record for the report, a few values for later nights, and lines for the log."""

from __future__ import annotations

from dataclasses import replace

from tenarai.dataset import Frozen
from tenarai.evaluate import new_stories, tell_stories
from tenarai.evaluate.champion import champion_id
from tenarai.night import Night
from tenarai.records import (
    Case,
    Decision,
    Evaluation,
    Explanation,
    FreezeResult,
    NightReport,
    SheetsResult,
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
    regression = tell_stories(
        evaluation.regression,
        nights,
        run=night.run,
        champion=evaluation.champion,
        challenger=evaluation.challenger,
        promoted=decision.verdict == "promoted",
        seeds=evaluation.seeds,
    )
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


def describe_sync(result: SyncResult) -> str:
    """What the sync did, in a line of the log."""
    counts = {
        "added": result.num_added,
        "changed": result.num_changed,
        "moved": result.num_moved,
        "relabelled": result.num_relabelled,
        "gone": result.num_gone,
        "back": result.num_back,
        "rejected": result.num_rejected,
    }
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    return f"{result.num_seen} files, {told or 'nothing new'}"


def describe_sheets(result: SheetsResult) -> str:
    """What was made of the practice sheets, in a line of the log."""
    counts = f"{result.num_photos} photos, {result.num_cut} of them new"
    refused = f", {result.num_refused} refused" if result.num_refused else ""
    return f"{counts}{refused}; {result.num_new} characters added, {result.num_gone} gone"


def describe_snapshot(frozen: Frozen, is_new: bool) -> str:
    """What there is to learn from, in a line of the log."""
    info = frozen.snapshot.info
    counts = f"{info.num_train} to train on, {info.num_test} held out, {info.num_regression} once misread"
    return f"{counts} ({len(info.labels)} labels)" if is_new else "nothing new"
