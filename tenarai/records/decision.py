"""What the gate decides, and the one table that words its causes: in the report, the log and the Prefect UI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tenarai.locale import Message, _

N_ = str  # marks a template for `make messages`


class Cause(NamedTuple):
    """How a cause is worded.

    Attributes:
        state: Name of the finished run's state in Prefect. Automations match it, so it is English.
        reason: Template of the sentence for people, with the decision's facts as fields.
        several: The same where the fact `num_more` is not 0.
    """

    state: str
    reason: str
    several: str = ""


VERDICTS = (N_("promoted"), N_("kept"), N_("nothing new"))

CAUSES = {
    "first": Cause(
        "promoted, the first to read these labels",
        N_("first to read these labels (won {won}, lost {lost} of {num_images} images, p = {p:.2g})"),
    ),
    "better": Cause(
        "promoted",
        N_("better on images neither was trained on (won {won}, lost {lost} of {num_images} images, p = {p:.2g})"),
    ),
    "grown": Cause(
        "promoted, having learned from more",
        N_(
            "not shown to be worse, and learned from {num_learned} images instead of {num_learned_before} "
            "(won {won}, lost {lost} of {num_images} images, p = {p:.2g})"
        ),
    ),
    "bold": Cause(
        "promoted, though unsure",
        N_(
            "not shown to be worse, and promoting when unsure is set "
            "(won {won}, lost {lost} of {num_images} images, p = {p:.2g})"
        ),
    ),
    "loses": Cause(
        "kept, a regression image would be lost",
        N_(
            "loses regression image {path}, read as {read_as} "
            "(won {won}, lost {lost} of {num_images} images, p = {p:.2g})"
        ),
        N_(
            "loses regression image {path}, read as {read_as} and {num_more} more "
            "(won {won}, lost {lost} of {num_images} images, p = {p:.2g})"
        ),
    ),
    "worse": Cause(
        "kept, the challenger is worse",
        N_("worse (won {won}, lost {lost} of {num_images} images, p = {p:.2g})"),
    ),
    "unsure": Cause(
        "kept, not enough evidence",
        N_("not enough evidence (won {won}, lost {lost} of {num_images} images, p = {p:.2g})"),
    ),
    "rolled back": Cause(
        "kept, the challenger was rolled back by hand",
        N_("{model} was rolled back by hand; only a person can promote it again"),
    ),
    "resumed": Cause("promoted", N_("{model} was promoted before its night was interrupted")),
    "unchanged": Cause("nothing new", N_("no image or setting changed since last night")),
    "reads already": Cause("nothing new", N_("{model} was trained before and is the champion already")),
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
    def summary(self) -> Message:
        """Verdict and reason in one line."""
        return _("{verdict}: {reason}", verdict=_(self.verdict), reason=self.reason)

    @property
    def state(self) -> str:
        """Name of the finished run's state: the verdict, with its cause where that says more."""
        return f"Completed: {CAUSES[self.cause].state}"
