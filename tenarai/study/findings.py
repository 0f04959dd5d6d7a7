"""What the trials of a study show, line by line over their seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tenarai.locale import _, plural
from tenarai.settings import StudySettings
from tenarai.study.data import MIN_FOR_FOLDS, MIN_FOR_HELD_OUT, NUM_FOLDS, StudyData
from tenarai.study.plan import FIXED, Line, Result, Trial

NUM_NEAREST = 5  # images shown beside the misread one
OVERFIT = 1.05  # held-out loss at the last epoch against its lowest

Fits = Sequence[Mapping[str, list[float]]]
"""Histories, one a seed: lists over epochs by name."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over seeds: its mean (of epochs the median), its lowest and its highest value."""

    middle: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float | None], middle: Callable[..., Any] = np.mean) -> Spread | None:
        """The spread of the known values; None without any."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(*(round(float(found), 6) for found in (middle(known), min(known), max(known))))


@dataclass(frozen=True, slots=True)
class Row:
    """What a line shows. Shares of images are 0 to 1; None where there is nothing to measure.

    Attributes:
        line: What is tried.
        results: Its results, one a seed.
        num_held_out: Different images held out, all seeds together.
    """

    line: Line
    results: tuple[Result, ...]
    num_held_out: int

    @property
    def num_train(self) -> float:
        """Training images, mean over seeds."""
        return float(np.mean([one.num_train for one in self.results]))

    @property
    def epochs(self) -> Spread | None:
        """Epochs trained."""
        return Spread.of([self.line.at_epoch or one.epochs for one in self.results], np.median)

    @property
    def training(self) -> Spread | None:
        """Training accuracy."""
        return self._at_epoch("accuracy")

    @property
    def held_out(self) -> Spread | None:
        """Accuracy on held-out images, read as in training."""
        if self.line.at_epoch:
            return self._at_epoch("val_accuracy")
        return Spread.of([_share(one.right) for one in self.results])

    @property
    def as_article(self) -> Spread | None:
        """The same, read as in the article; of its recipe only."""
        return Spread.of([_share(one.right_as_article) for one in self.results])

    @property
    def loss(self) -> Spread | None:
        """Held-out loss."""
        return self._at_epoch("val_loss")

    @property
    def answers(self) -> Counter[str]:
        """Labels read in the misread image, each with its number of seeds."""
        return Counter(sorted(one.answer for one in self.results if one.answer))

    @property
    def confidence(self) -> float:
        """Mean confidence of the answers over seeds."""
        return float(np.mean([one.confidence for one in self.results]))

    def as_json(self) -> dict[str, Any]:
        """What is tried, and the numbers by name."""
        spreads = {name: getattr(self, name) for name in ("epochs", "training", "held_out", "as_article", "loss")}
        line = {"part": self.line.part, "recipe": self.line.recipe, "what": self.line.what}
        numbers = {"num_train": self.num_train, "answers": self.answers.most_common(), "confidence": self.confidence}
        return {**line, **numbers, **{name: spread and asdict(spread) for name, spread in spreads.items()}}

    def _at_epoch(self, name: str) -> Spread | None:
        """A number of the histories after the line's epoch."""
        return Spread.of([one.history[name][self.line.at_epoch - 1] for one in self.results if name in one.history])


@dataclass(frozen=True, slots=True)
class Study:
    """All findings of a study.

    Attributes:
        source: Address of the source.
        num_images: Images used.
        labels: Their labels.
        seeds: Repetitions.
        held_out: How images were held out, as a sentence.
        rows: Findings by line, in the order of the parts.
        misread, label: File name and true label of the misread image; empty without one.
        nearest: Rows of the images most similar to it, with their labels, nearest first.
        environment: Versions behind the numbers.
    """

    source: str
    num_images: int
    labels: tuple[str, ...]
    seeds: int
    held_out: str
    rows: tuple[Row, ...]
    misread: str
    label: str
    nearest: tuple[tuple[int, str], ...]
    environment: dict[str, str]

    def part(self, name: str) -> list[Row]:
        """The rows of a part."""
        return [row for row in self.rows if row.line.part == name]

    @property
    def curves(self) -> dict[str, Fits]:
        """How each recipe learned over a fixed number of epochs; empty where that part is left out."""
        rows = [row for row in self.part("epochs") if row.line.what == FIXED]
        return {row.line.recipe: [one.history for one in row.results] for row in rows}


def make_study(
    plan: Sequence[Line],
    results: Mapping[Trial, Result],
    data: StudyData,
    form: StudySettings,
    source: str,
    environment: dict[str, str],
) -> Study:
    """All findings of a plan whose trials are done."""
    misread = data.misread
    return Study(
        source=source,
        num_images=data.num_images,
        labels=data.labels,
        seeds=form.seeds,
        held_out=say_held_out(data, form),
        rows=tuple(make_row(line, results, data) for line in plan),
        misread=misread.name if misread else "",
        label=misread.label if misread else "",
        nearest=tuple((int(row), data.labels[data.targets[row]]) for row in data.similar[:NUM_NEAREST]),
        environment=environment,
    )


def make_row(line: Line, results: Mapping[Trial, Result], data: StudyData) -> Row:
    """A line with its results, and how many different images its trials held out."""
    held_out = np.concatenate([data.draw(trial.seed, trial.draw)[1] for trial in line.trials])
    return Row(line, tuple(results[trial] for trial in line.trials), len(np.unique(held_out)))


def find_best(fits: Fits) -> tuple[Spread | None, bool]:
    """The epoch of the lowest held-out loss, and whether the loss rises by more than 5 % from there to the last one.

    None where nothing was held out.
    """
    losses = [fit["val_loss"] for fit in fits if "val_loss" in fit]
    if not losses:
        return None, False
    mean = np.mean(losses, axis=0)
    return Spread.of([int(np.argmin(loss)) + 1 for loss in losses], np.median), bool(mean[-1] > OVERFIT * mean.min())


def say_held_out(data: StudyData, form: StudySettings) -> str:
    """How images were held out."""
    if data.per_label < MIN_FOR_HELD_OUT:
        return _("With one image per label nothing can be held out: training accuracy says nothing about other images.")
    if form.per_label or data.per_label < MIN_FOR_FOLDS:
        number = max(1, form.per_label)
        images = plural("{n} image", "{n} images", number)
        return _("Each seed trains on {images} per label and is evaluated on all others.", images=images)
    if form.seeds == NUM_FOLDS:
        return _("Each seed holds out a fifth of the images; every image is held out once.")
    return _("Each seed holds out a different fifth of the images.")


def _share(marks: str) -> float | None:
    return marks.count("1") / len(marks) if marks else None
