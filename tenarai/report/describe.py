"""What a night found out, put into one record for the report, a few values for later nights, and lines for the log."""

from __future__ import annotations

from dataclasses import dataclass

from tenarai.dataset import Frozen
from tenarai.evaluate import new_stories, tell_stories
from tenarai.evaluate.champion import champion_id
from tenarai.evaluate.examine import Evaluation
from tenarai.night import Night
from tenarai.records import (
    Decision,
    Explanation,
    Filed,
    InboxReading,
    NightReport,
    Rejection,
    SheetsResult,
    SnapshotInfo,
    SyncResult,
)


@dataclass(frozen=True, slots=True)
class FrozenNight:
    """What there is to learn from tonight.

    Attributes:
        info: The snapshot; None when nothing is labelled yet.
        is_new: Whether it differs from what the last finished night learned from, or the night was forced.
        fingerprint: Names snapshot and settings; kept with the night to find "nothing new" tomorrow.
        withheld: Paths of near-duplicates of regression images.
        rejections: Files that cannot be used, and why.
        num_images: Usable images, inbox included.
    """

    info: SnapshotInfo | None
    is_new: bool
    fingerprint: str
    withheld: tuple[str, ...]
    rejections: tuple[Rejection, ...]
    num_images: int


def describe_night(
    night: Night,
    nights: list[dict[str, object]],
    synced: SyncResult,
    frozen: FrozenNight,
    examined: Evaluation,
    decision: Decision,
    inbox: tuple[InboxReading, ...],
    filed: tuple[Filed, ...] = (),
    explanations: tuple[Explanation, ...] = (),
) -> NightReport:
    """Put everything that the report shows into one record."""
    return NightReport(
        run=night.run,
        created=night.created,
        source=night.settings.source,
        store=night.settings.store,
        decision=decision,
        champion=examined.champion,
        reigning=champion_id(night.store),
        challenger=examined.challenger,
        snapshot=frozen.info,
        sync=synced,
        champion_score=examined.champion_score,
        challenger_score=examined.challenger_score,
        pairs=examined.pairs if examined.challenger else None,
        disputed=examined.disputed,
        confusion=examined.confusion,
        confusion_labels=examined.confusion_labels,
        fresh=examined.fresh,
        regression=tell_stories(
            examined.regression,
            nights,
            run=night.run,
            champion=examined.champion,
            challenger=examined.challenger,
            promoted=decision.verdict == "promoted",
            seeds=examined.seeds,
        ),
        inbox=inbox,
        rejections=frozen.rejections,
        withheld=frozen.withheld,
        curves=examined.curves,
        recipe=examined.recipe,
        notes=examined.notes,
        device=examined.device,
        seconds=dict(night.seconds),
        num_images=frozen.num_images,
        newly_found=examined.newly_found,
        suspects=examined.suspects,
        changes=examined.changes,
        write_next=examined.write_next,
        filed=filed,
        explanations=explanations,
        history=tuple(nights[-60:]),
    )


def remember_night(report: NightReport, fingerprint: str) -> dict[str, object]:
    """What later nights need to know of this one."""
    score = report.challenger_score if report.decision.verdict == "promoted" else report.champion_score
    return {
        "run": report.run,
        "created": report.created,
        "fingerprint": fingerprint,
        "snapshot": report.snapshot.id if report.snapshot else "",
        "verdict": report.decision.verdict,
        "reason": report.decision.reason,
        "champion": report.reigning,
        "challenger": report.challenger,
        "accuracy": score.accuracy if score and score.num_images else None,
        "num_images": score.num_images if score else 0,
        "fresh_right": report.fresh.num_right if report.fresh else 0,
        "fresh_images": report.fresh.num_images if report.fresh else 0,
        "stories": new_stories(report.regression, report.run),
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
