"""What models read, and what the exam and the gate make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Self

Z95 = 1.959964  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model reads in one image.

    Attributes:
        label: The most probable label.
        probability: Its probability, 0 to 1.
        unsure: Whether the probability lies below the model's threshold.
    """

    label: str
    confidence: float
    unsure: bool


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers of a number of images, with the 95 % Wilson interval of the share; all shares 0 to 1."""

    num_right: int
    num_images: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """Share of right answers; 0.0 of no images."""
        return self.num_right / self.num_images if self.num_images else 0.0

    @classmethod
    def of(cls, num_right: int, num_images: int) -> Self:
        """Right answers with their 95 % interval (Wilson, 1927); of no images the interval is 0 to 1."""
        if num_images == 0:
            return cls(0, 0, 0.0, 1.0)
        share, z2 = num_right / num_images, Z95**2
        middle = (share + z2 / (2 * num_images)) / (1 + z2 / num_images)
        half = Z95 * sqrt(share * (1 - share) / num_images + z2 / (4 * num_images**2)) / (1 + z2 / num_images)
        return cls(int(num_right), int(num_images), max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Champion and challenger on the same images, as numbers of images.

    `won`: champion wrong, challenger right. `lost`: champion right, challenger wrong.
    """

    won: int
    lost: int
    both_right: int
    both_wrong: int

    @property
    def num_images(self) -> int:
        """Images compared."""
        return self.won + self.lost + self.both_right + self.both_wrong


@dataclass(frozen=True, slots=True)
class CaseStory:
    """The life of a regression image over the nights.

    Attributes:
        state: `open` (never read right since it was filed), `fixed`, or `relapsed` (was fixed, is misread again).
        since: Night in which that state began.
        model: Id of the model whose reading began it.
        num_right, num_seeds: In how many of tonight's seeds the challenger reads it right; 0 of 0 where not tried.
    """

    state: str
    since: str
    model: str
    num_right: int = 0
    num_seeds: int = 0


@dataclass(frozen=True, slots=True)
class RegressionCase:
    """One previously misread image tonight.

    Attributes:
        path: Where it lies in the source.
        sha256: Digest of the original.
        label: What was written.
        champion, challenger: What each reads; challenger is None on a night without one.
        status: `fixed` (champion wrong, challenger right), `still misread`, `newly misread` (champion right,
            challenger wrong), `read` (both right).
        was_read_as: What it was misread as when it was filed, as its file name tells; empty if it tells nothing.
        story: Its life so far; None before anyone kept it.
    """

    path: str
    sha256: str
    label: str
    champion: Prediction
    challenger: Prediction | None
    status: str
    was_read_as: str = ""
    story: CaseStory | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        verdict: `promoted`, `kept` or `nothing new`.
        reason: One sentence for people, in English.
        p_value: One-sided mid-p of the paired counts; None where no test was made.
        cause: The reason as a word that reports in other languages go by: `better`, `worse`, `loses`, `unsure`,
            `grown` (promoted though unsure, having learned from more), `bold` (promoted though unsure), `first`,
            `rolled back`, `unchanged`, `unlabelled`.
        facts: What the sentence mentions, by name, such as won, lost, num_images, p, path, read_as, num_more.
    """

    verdict: str
    reason: str
    p_value: float | None = None
    cause: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InboxReading:
    """One unlabelled image and what the champion reads in it."""

    path: str
    sha256: str
    reading: Prediction


@dataclass(frozen=True, slots=True)
class Misreading:
    """A labelled image that the champion misread when it came; it is trained on all the same.

    `label` is what was written.
    """

    path: str
    sha256: str
    label: str
    reading: Prediction


@dataclass(frozen=True, slots=True)
class Disputed:
    """A compared image that only one of the two reads right; `label` is what was written."""

    path: str
    sha256: str
    label: str
    champion: Prediction
    challenger: Prediction

    @property
    def outcome(self) -> str:
        """For the challenger: `won` or `lost`."""
        return "won" if self.challenger.label == self.label else "lost"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A file that its owner should look at; nothing is done to it.

    Attributes:
        path, sha256, label: The file, and the label of its folder.
        kind: `label` (probably filed under the wrong one), `duplicate` (near copy of another file), `outlier`
            (unlike everything of its label).
        read_as: What models that never saw it read in it; empty where that is not the point.
        probability: How sure they are of that, 0 to 1.
        other_path, other_sha256: The file it is a copy of; empty for other kinds.
    """

    path: str
    sha256: str
    label: str
    kind: str
    read_as: str = ""
    confidence: float = 0.0
    other_path: str = ""
    other_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between what the champion and what the challenger were made from.

    Attributes:
        kind: `added`, `gone`, `relabelled` (images), `setting` or `version`.
        name: Label, setting or package; empty where the kind says it all.
        before, after: Values, as text; counts of images for images.
    """

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class StyleHint:
    """Write more characters that look like this one: a misread image whose style is rare in the training images."""

    path: str
    sha256: str
    label: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a regression image is read as it is.

    Attributes:
        sha256: The image.
        nearest: sha256 and label of the training images most like it to the model, nearest first.
        heat: 196 bytes, (14, 14) uint8 row by row: how much the reading depends on each part, 255 the most.
    """

    sha256: str
    nearest: tuple[tuple[str, str], ...]
    heat: bytes
