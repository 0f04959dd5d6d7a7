"""What a night decides, the one table that words why, and everything that its report is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tenarai.locale import Message, _
from tenarai.records.evaluation import Case, Evaluation, Explanation, SnapshotInfo
from tenarai.records.images import Rejection, SyncResult

N_ = str  # marks a template for `make messages`


class Cause(NamedTuple):
    """How a cause is worded.

    Attributes:
        state: Name of the finished run's state in Prefect. Automations match it, so it is English.
        reason: Template of the sentence for people, with the decision's facts as fields.
        several: The same where the fact `num_more` is not 0.
        promise: Template of what the verdict promises, for people who look at the numbers; empty for most.
    """

    state: str
    reason: str
    several: str = ""
    promise: str = ""


VERDICTS = (N_("promoted"), N_("kept"), N_("nothing new"), N_("stopped"))

CAUSES = {
    "first": Cause("promoted, the first to read these labels", N_("it is the first to read these labels")),
    "better": Cause(
        "promoted",
        N_("it won {won} and lost {lost} of {num_images} images, each read by models that were not trained on it"),
        promise=N_(
            "Better. In this collection's whole life, the chance that even one promotion with this word is wrong is at "
            "most {risk:.0%}; this was look {look}."
        ),
    ),
    "grown": Cause(
        "promoted, having learned from more",
        N_("it learned from {num_learned} images instead of {num_learned_before} and is not shown to be worse"),
        promise=N_(
            "Not proven better: it won {won} and lost {lost} of {num_images} images, each read by models that were not "
            "trained on it, and is at most {bound:.1%} worse (95 % sure)."
        ),
    ),
    "doubled": Cause(
        "promoted, having learned from more",
        N_(
            "no proof, but it learned from {num_learned} images instead of {num_learned_before}, and is behind by at "
            "most one of {num_images} images (won {won}, lost {lost})"
        ),
    ),
    "bold": Cause(
        "promoted, though unsure",
        N_("no proof, but it won {won} and lost {lost} of {num_images} images, and the settings ask for no more"),
    ),
    "loses": Cause(
        "kept, a regression image would be lost",
        N_("the new model would misread {path}, which the champion reads: it reads {read_as}"),
        N_("the new model would misread {path}, which the champion reads, and {num_more} more: it reads {read_as}"),
    ),
    "forgets": Cause(
        "kept, labels would be lost",
        N_("the new model cannot read {labels}, which still has images and which the champion reads"),
    ),
    "worse": Cause(
        "kept, the challenger is worse",
        N_("the new model is worse: it won {won} and lost {lost} of {num_images} images"),
    ),
    "unsure": Cause(
        "kept, not enough evidence",
        N_("not enough evidence: the new model won {won} and lost {lost} of {num_images} images"),
    ),
    "rolled back": Cause(
        "kept, the challenger was rolled back by hand",
        N_("{model} was rolled back by hand; only a person can promote it again"),
    ),
    "resumed": Cause("promoted", N_("{model} was promoted by a night that was interrupted")),
    "unchanged": Cause("nothing new", N_("nothing to train on and no setting changed since last night")),
    "reads already": Cause("nothing new", N_("{model} was trained before and is the champion already")),
    "too few": Cause("nothing new, too few labelled images", N_("nothing was trained: {what} ({received}); {fix}")),
    "unusual changes": Cause("stopped, the source changed in an unusual way", N_("{what}. {fix}")),
    "unlabelled": Cause("nothing new, nothing is labelled yet", N_("no labelled images yet")),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        verdict: One of `VERDICTS`.
        cause: A key of `CAUSES`.
        facts: What the cause's sentence mentions, by name.
    """

    verdict: str
    cause: str
    facts: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def reason(self) -> Message:
        """Why, in one sentence."""
        cause = CAUSES[self.cause]
        is_several = cause.several and self.facts.get("num_more")
        return _(cause.several if is_several else cause.reason, **self.facts)

    @property
    def promise(self) -> Message | str:
        """What the verdict promises; empty where it promises nothing."""
        template = CAUSES[self.cause].promise
        return _(template, **self.facts) if template else ""

    @property
    def summary(self) -> Message:
        """Verdict and reason in one line."""
        return _("{verdict}: {reason}", verdict=_(self.verdict), reason=self.reason)

    @property
    def state(self) -> str:
        """Name of the finished run's state: the verdict, with its cause where that says more."""
        return f"Completed: {CAUSES[self.cause].state}"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at whether a challenger is better. Looks are counted over the whole life of a collection.

    Attributes:
        number: 1 for the first.
        level: Level of its test; the levels of all looks sum to the gate's `alpha`.
        champion, challenger: Ids of the models compared.
        num_images: Images of the collection that nobody chose by looking at a model.
        recipe: How the challenger was trained.
    """

    number: int
    level: float
    champion: str
    challenger: str
    num_images: int
    recipe: str


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
