"""What models are, what they read, and what the evaluation of a night finds out from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Self

Z95 = 1.959964  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """Id and counts of a snapshot; its arrays are in the store.

    Attributes:
        id: Hash of the content; the same images, labels and splits always give the same id.
        labels: Class names in the order of the model's outputs.
        num_train, num_test, num_regression: Images in each split.
        num_withheld: Near-duplicates of regression images, left out of the snapshot.
        normaliser: Version of the normaliser behind the pixels.
    """

    id: str
    labels: tuple[str, ...]
    num_train: int
    num_test: int
    num_regression: int
    num_withheld: int
    normaliser: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """`model.json`: what a model is, how it was trained and what was measured.

    Attributes:
        id: Name of its folder under `models/`.
        labels: Class names in the order of its outputs.
        normaliser: Version of the normaliser it was trained with.
        recipe: How it was trained: mlp, cnn, transfer or base.
        epochs: Epochs of the final fit.
        epochs_by_fold: The best epoch of each fold; empty where no split was possible.
        snapshot: Id of the snapshot; empty for the base model.
        parameters: The training settings, as given.
        versions: Versions of Keras, its backend, NumPy and Tenarai.
        metrics: Named numbers, such as the cross-validated accuracy and its number of images.
        created: ISO 8601 in UTC.
        device: What it was trained on.
        unsure_below: Calibrated confidence below which a prediction is called unsure; 0 to 1.
        notes: Sentences for people: why this recipe, why these epochs.
        digests: sha256 of each file of the model by name; checked whenever a file is read.
    """

    id: str
    labels: tuple[str, ...]
    normaliser: int
    recipe: str
    epochs: int
    epochs_by_fold: tuple[int, ...] = ()
    snapshot: str = ""
    parameters: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    created: str = ""
    device: str = ""
    unsure_below: float = 0.8
    notes: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of a challenger, as `history.json` holds them.

    Attributes:
        folds: For each fold `loss`, `accuracy`, `val_loss`, `val_accuracy`, lists over epochs.
        refit: `loss` and `accuracy` of the final fit on all images.
    """

    folds: tuple[dict[str, list[float]], ...]
    refit: dict[str, list[float]]

    @property
    def best_epochs(self) -> tuple[int, ...]:
        """The epoch of each fold with the lowest held-out loss, from 1."""
        return tuple(fold["val_loss"].index(min(fold["val_loss"])) + 1 for fold in self.folds)

    @property
    def chosen_epoch(self) -> int:
        """Epochs of the final fit."""
        return len(self.refit.get("loss", ()))


@dataclass(frozen=True, slots=True)
class Promotion:
    """One line of the champion's history.

    Attributes:
        model: Model id.
        since: ISO 8601 in UTC.
        why: One sentence.
        by: `gate`, or who overrode it.
        action: `first`, `promoted`, `rolled back`.
        snapshot: Snapshot whose exam decided, if any.
    """

    model: str
    since: str
    why: str
    by: str
    action: str
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model reads in one image.

    Attributes:
        label: The most probable label.
        confidence: Its probability, 0 to 1.
        unsure: Whether the confidence is below the model's threshold.
    """

    label: str
    confidence: float
    unsure: bool

    @classmethod
    def join(cls, characters: Sequence[Prediction]) -> Prediction:
        """The characters of an image as one reading, with the probability that all are right."""
        return cls(
            "".join(character.label for character in characters),
            prod(character.confidence for character in characters),
            any(character.unsure for character in characters),
        )


@dataclass(frozen=True, slots=True)
class Score:
    """Correct predictions out of a number of images, with the 95 % Wilson interval of the share, 0 to 1."""

    num_right: int
    num_images: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """Share of correct predictions; 0.0 without images."""
        return self.num_right / self.num_images if self.num_images else 0.0

    @classmethod
    def of(cls, num_right: int, num_images: int) -> Self:
        """Compute the interval (Wilson, 1927); without images it is 0 to 1."""
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
        state: `open` (never read correctly since it was filed), `fixed`, or `relapsed` (was fixed, is misread again).
        since: Run in which that state began.
        model: Id of the model whose prediction began it.
    """

    state: str
    since: str
    model: str


@dataclass(frozen=True, slots=True)
class Case:
    """One image and what models read in it.

    Attributes:
        path: Path inside the source.
        sha256: Digest of the original.
        label: True label; empty for an image of the inbox.
        champion, challenger: Predictions; None where that model did not read the image.
        status: Regression set: `fixed` (champion wrong, challenger right), `still misread`, `newly misread` (champion
            right, challenger wrong) or `read` (both right). Compared images: `won` or `lost`. Else empty.
        was_read_as: An earlier prediction: the one in a regression image's file name, or the champion's prediction
            before an inbox image was filed. Empty if unknown.
        story: Life of a regression image; None for other images.
    """

    path: str
    sha256: str
    label: str
    champion: Prediction | None = None
    challenger: Prediction | None = None
    status: str = ""
    was_read_as: str = ""
    story: CaseStory | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A file that its owner should look at. Tenarai never moves or changes it.

    Attributes:
        path, sha256, label: The file, and the label of its folder.
        kind: `label` (probably filed under the wrong one), `duplicate` (near copy of another file), `outlier`
            (unlike everything of its label).
        read_as: What models that were not trained on it read in it; empty for duplicates and outliers.
        confidence: Their confidence, 0 to 1.
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
    """One difference between what the champion and what the challenger were trained on and with.

    Attributes:
        kind: `added`, `gone`, `relabelled` (images), `setting` or `version`.
        name: Label, setting or package.
        before, after: Values as text; counts for images.
    """

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model reads a regression image as it does.

    Attributes:
        sha256: The image.
        nearest: sha256 and label of the training images that are most similar to the model, nearest first.
        heat: 196 bytes, (14, 14) uint8 row by row: how much the prediction depends on each part, 255 the most.
    """

    sha256: str
    nearest: tuple[tuple[str, str], ...]
    heat: bytes


@dataclass(frozen=True, slots=True)
class Doubling:
    """What at least twice as many images brought: two models of one collection on the same held-out images.

    Attributes:
        num_before, num_now: From how many of the owner's images the earlier model and tonight's challenger learned.
        before, now: Their scores on images that neither was trained on.
    """

    num_before: int
    num_now: int
    before: Score
    now: Score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Champion and challenger, compared on images that neither was trained on, and on the regression set.

    Attributes:
        champion: Id of the champion before the night.
        challenger: Id; empty on a night that trained nothing. Then only `champion` and `regression` are set.
        snapshot: Id of the snapshot that both were evaluated on.
        champion_score, challenger_score: On the same images; None on a night without a challenger.
        pairs: The same images, counted as pairs.
        disputed: Those that only one of the two reads correctly, the lost ones first.
        num_evidence: Images of the collection that nobody chose by looking at a model.
        num_learned: From how many of the owner's images champion and challenger learned.
        doubling: The challenger beside the last one that learned from half as many images or fewer; None without one.
        is_first: Whether the champion knows none of the labels.
        forgotten: Labels that the champion reads and the challenger does not, though they have images.
        fresh: Champion's score on tonight's new labelled images, before training on them (test-then-train).
        newly_found: Those of them that the champion misread.
        regression: The regression set, the images that need attention first.
        suspects: Files that their owner should look at.
        changes: Differences between what the two were trained on and with.
        confusion: (K, K) counts of the challenger, true label by row, over `confusion_labels`.
        curves: Learning curves of the challenger.
        recipe, device, notes: How the challenger was trained and why.
    """

    champion: str
    challenger: str = ""
    snapshot: str = ""
    champion_score: Score | None = None
    challenger_score: Score | None = None
    pairs: PairedCounts | None = None
    disputed: tuple[Case, ...] = ()
    num_evidence: int = 0
    num_learned: tuple[int, int] = (0, 0)
    doubling: Doubling | None = None
    is_first: bool = False
    forgotten: tuple[str, ...] = ()
    fresh: Score | None = None
    newly_found: tuple[Case, ...] = ()
    regression: tuple[Case, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    changes: tuple[Change, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    confusion_labels: tuple[str, ...] = ()
    curves: Curves | None = None
    recipe: str = ""
    device: str = ""
    notes: tuple[str, ...] = ()
