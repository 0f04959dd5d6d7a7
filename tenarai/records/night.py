"""Everything that a night found out; the report is made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tenarai.records.decision import Decision
from tenarai.records.evaluation import Case, Evaluation, Explanation
from tenarai.records.images import Rejection, SyncResult
from tenarai.records.models import SnapshotInfo


@dataclass(frozen=True, slots=True)
class FreezeResult:
    """What there is to learn from tonight.

    Attributes:
        info: The snapshot; None when there is too little to train on.
        missing: What is missing then, and what to do; empty if nothing is labelled at all.
        is_new: Whether it differs from what the last finished night learned from, or the night is forced.
        fingerprint: Names snapshot and settings; kept with the night to find "nothing new" tomorrow.
        withheld: Paths of near-duplicates of regression images, which are not trained on.
        rejections: Files that cannot be used, and why.
        num_images: Usable images of the source, inbox included.
    """

    info: SnapshotInfo | None
    is_new: bool
    fingerprint: str
    withheld: tuple[str, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    num_images: int = 0
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NightReport:
    """What each step of a night found. Images are fetched from the store by sha256.

    Attributes:
        run: Name of the night, also of its folder under `reports/`.
        created: ISO 8601, by the clock that the settings name.
        source, store: Addresses.
        champion: Id of the model that reads from now on.
        sync: What the sync did.
        frozen: What there is to learn from.
        evaluation: Champion and challenger compared; its `champion` is the one before the night.
        decision: Verdict and cause.
        inbox: Unlabelled images, the ones that are worth most when they are filed first.
        filed: Inbox images that their owner filed since the last night.
        explanations: Of misread regression images, why they are read so.
        history: Records of earlier nights, oldest first.
        sheet: File name of the practice sheet beside the report; empty without one.
        seconds: Seconds by step.
    """

    run: str
    created: str
    source: str
    store: str
    champion: str
    sync: SyncResult
    frozen: FreezeResult
    evaluation: Evaluation
    decision: Decision
    inbox: tuple[Case, ...] = ()
    filed: tuple[Case, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    history: tuple[dict[str, Any], ...] = ()
    sheet: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the `nightly` flow.

    Attributes:
        run: Name of the night.
        verdict: promoted, kept or nothing new.
        message: The verdict and its reason in one line.
        state: What the run's state is called in the UI, such as "Completed: nothing new".
        report: Where the report can be opened.
        problems: What went wrong without stopping the night, such as a report that could not be sent to Drive.
    """

    run: str
    verdict: str
    message: str
    state: str
    report: str
    problems: tuple[str, ...] = ()
