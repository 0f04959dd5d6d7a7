"""Everything that a report shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenarai.records.evaluation import (
    Change,
    Decision,
    Disputed,
    Explanation,
    InboxReading,
    Misreading,
    PairedCounts,
    RegressionCase,
    Score,
    StyleHint,
    Suspect,
)
from tenarai.records.images import Filed, Rejection, SyncResult
from tenarai.records.models import Curves, SnapshotInfo


@dataclass(frozen=True)
class NightReport:
    """Everything that `report.json` holds and the report shows. Pictures are fetched from the store by sha256.

    Attributes:
        run: Name of the night, also of its folder under `reports/`.
        created: ISO 8601, by the clock of where it was run.
        source, store: Addresses.
        decision: Verdict and reason.
        champion: Id of the champion before the night; `reigning` the one after it.
        challenger: Id, or empty.
        snapshot: The snapshot, or None when nothing could be frozen.
        champion_score, challenger_score: On the same images; None where not examined.
        pairs: The paired counts behind the decision.
        disputed: The images behind `pairs` that only one of the two reads right, those that the challenger lost first.
        confusion: (K, K) counts of the examined model, true label by row, over `confusion_labels`.
        fresh: Champion's score on tonight's new labelled images before training (test-then-train).
        regression: One case an image.
        inbox, rejections: As read and found tonight.
        withheld: Paths kept out of training as near-duplicates of regression images.
        curves: Learning curves, or None.
        recipe, notes: What trained the challenger and why.
        sync: What the sync did.
        device: What trained, or what would have.
        seconds: Seconds by stage.
        num_images: Usable images of the source, inbox included.
        newly_found: Tonight's labelled images that the champion misread.
        suspects: Files that their owner should look at.
        changes: What differs between what champion and challenger were made from.
        write_next: In which styles to write more; empty where that is not shown to pay.
        sheet: File name of the next practice sheet beside the report; empty where none was asked for.
        filed: Inbox images that their owner filed since last night.
        explanations: Of misread regression images, why they are read so.
        history: Earlier nights, oldest first: `{"run", "verdict", "champion", "accuracy", "num_images", "fresh_right",
            "fresh_images"}`.
    """

    run: str
    created: str
    source: str
    store: str
    decision: Decision
    champion: str
    reigning: str
    challenger: str
    snapshot: SnapshotInfo | None
    sync: SyncResult
    champion_score: Score | None = None
    challenger_score: Score | None = None
    pairs: PairedCounts | None = None
    disputed: tuple[Disputed, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    confusion_labels: tuple[str, ...] = ()
    fresh: Score | None = None
    regression: tuple[RegressionCase, ...] = ()
    inbox: tuple[InboxReading, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    withheld: tuple[str, ...] = ()
    curves: Curves | None = None
    recipe: str = ""
    notes: tuple[str, ...] = ()
    device: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    num_images: int = 0
    newly_found: tuple[Misreading, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    changes: tuple[Change, ...] = ()
    write_next: tuple[StyleHint, ...] = ()
    sheet: str = ""
    filed: tuple[Filed, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    history: tuple[dict[str, object], ...] = ()
