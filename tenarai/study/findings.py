"""What the trials of a study show, line by line over their seeds; written to `study.json` as it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenarai.locale import _, plural
from tenarai.records import Score
from tenarai.settings import StudySettings
from tenarai.study.data import MIN_FOR_FOLDS, MIN_FOR_HELD_OUT, NUM_FOLDS, StudyData
from tenarai.study.plan import AS_IN_A_NIGHT, FIXED, Line, Result, Trial

NUM_NEAREST = 5  # images shown beside the misread one
OVERFIT = 1.05  # held-out loss at the last epoch against its lowest


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over seeds: its mean (of epochs the median), its lowest and its highest value."""

    middle: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Share(Spread):
    """A share of images read right over seeds, 0 to 1.

    Attributes:
        num_images: Different images behind it, all seeds together.
        low, high: 95 % interval of the mean as a share of that many images.
    """

    num_images: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """What a line shows.

    Attributes:
        part, recipe, what: The line.
        num_train: Training images, mean over seeds.
        epochs: Epochs trained.
        training: Training accuracy; None for the base model.
        held_out: Accuracy on held-out images, read as in training; None where nothing was held out.
        as_article: The same, read as in the article; of its recipe only.
        loss: Held-out loss, mean over seeds; None where it was not measured.
        difference: Of a switch: held-out accuracy minus that of the recipe as in a night.
        won, lost: Of a switch: held-out readings that became right, and wrong; all seeds together.
        answers: Labels read in the misread image, each with its number of seeds, the most frequent first.
        num_right: Seeds that read the misread image right.
        confidence: Of the answers, mean over seeds.
    """

    part: str
    recipe: str
    what: str
    num_train: float
    epochs: Spread
    training: Share | None
    held_out: Share | None
    as_article: Share | None
    loss: float | None
    difference: float = 0.0
    won: int = 0
    lost: int = 0
    answers: tuple[tuple[str, int], ...] = ()
    num_right: int = 0
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Curves:
    """How a recipe learned.

    Attributes:
        recipe: Which one.
        fits: For each seed `loss`, `accuracy`, `val_loss` and `val_accuracy`, lists over epochs.
        best: Epoch of the lowest held-out loss; None where nothing was held out.
        overfits: Whether the held-out loss rises by more than 5 % from there to the last epoch.
    """

    recipe: str
    fits: tuple[dict[str, list[float]], ...]
    best: Spread | None
    overfits: bool


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
        curves: How each recipe learned; empty where that part is left out.
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
    curves: tuple[Curves, ...]
    misread: str
    label: str
    nearest: tuple[tuple[int, str], ...]
    environment: dict[str, str]

    def part(self, name: str) -> list[Row]:
        """The rows of a part."""
        return [row for row in self.rows if row.part == name]


Results = Mapping[Trial, Result]


def make_study(
    plan: Sequence[Line],
    results: Results,
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
        rows=tuple(summarise(plan, results, data)),
        curves=tuple(follow_curves(plan, results)),
        misread=misread.name if misread else "",
        label=misread.label if misread else "",
        nearest=tuple((int(row), data.labels[data.targets[row]]) for row in data.similar[:NUM_NEAREST]),
        environment=environment,
    )


def summarise(plan: Sequence[Line], results: Results, data: StudyData) -> Iterator[Row]:
    """One row per line."""
    normal: tuple[Row, list[Result]] | None = None
    for line in plan:
        found = [results[trial] for trial in line.trials]
        row = _summarise(line, found, data)
        if line.what == AS_IN_A_NIGHT:
            normal = row, found
        elif line.part == "switches" and normal:
            row = _compare(row, found, *normal)
        yield row


def _compare(row: Row, found: Sequence[Result], normal: Row, others: Sequence[Result]) -> Row:
    """The row with its differences from training as in a night, image by image."""
    pairs = Counter(
        pair for old, new in zip(others, found, strict=True) for pair in zip(old.right, new.right, strict=True)
    )
    difference = row.held_out.middle - normal.held_out.middle if row.held_out and normal.held_out else 0.0
    return replace(row, difference=round(difference, 6), won=pairs["0", "1"], lost=pairs["1", "0"])


def _summarise(line: Line, found: Sequence[Result], data: StudyData) -> Row:
    epoch = line.at_epoch - 1
    held_out = [_share(one.right) for one in found]
    losses = [one.history["val_loss"][epoch] for one in found if "val_loss" in one.history]
    epochs = [line.at_epoch or one.epochs for one in found]
    if line.at_epoch:
        held_out = [one.history["val_accuracy"][epoch] for one in found if "val_accuracy" in one.history]
    training = [one.history["accuracy"][epoch] for one in found if one.history]
    num_train = float(np.mean([one.num_train for one in found]))
    rows = [data.draw(trial.seed, trial.draw)[1] for trial in line.trials]
    num_held_out = len(np.unique(np.concatenate(rows)))
    answers = Counter(one.answer for one in found if one.answer)
    return Row(
        part=line.part,
        recipe=line.recipe,
        what=line.what,
        num_train=round(num_train, 2),
        epochs=_spread(epochs, float(np.median(epochs))),
        training=_make_share(training, round(num_train)),
        held_out=_make_share(held_out, num_held_out),
        as_article=_make_share([_share(one.right_as_article) for one in found], num_held_out),
        loss=round(float(np.mean(losses)), 4) if losses else None,
        answers=tuple(sorted(answers.items(), key=lambda item: (-item[1], item[0]))),
        num_right=answers[data.misread.label] if data.misread else 0,
        confidence=round(float(np.mean([one.confidence for one in found])), 4),
    )


def follow_curves(plan: Sequence[Line], results: Results) -> Iterator[Curves]:
    """How each recipe learned over a fixed number of epochs."""
    trials = {line.recipe: line.trials for line in plan if line.part == "epochs" and line.what == FIXED}
    for recipe, ones in trials.items():
        fits = tuple(results[trial].history for trial in ones)
        losses = [fit["val_loss"] for fit in fits if "val_loss" in fit]
        best = [int(np.argmin(loss)) + 1 for loss in losses]
        mean = np.mean(losses, axis=0) if losses else np.zeros(1)
        spread = _spread(best, float(np.median(best))) if best else None
        yield Curves(recipe, fits, spread, bool(mean[-1] > OVERFIT * mean.min()))


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


def _make_share(shares: Sequence[float | None], num_images: int) -> Share | None:
    known = [share for share in shares if share is not None]
    if not known or not num_images:
        return None
    spread = _spread(known)
    score = Score.of(round(spread.middle * num_images), num_images)
    low, high = round(min(score.low, spread.middle), 4), round(max(score.high, spread.middle), 4)
    return Share(spread.middle, spread.lowest, spread.highest, num_images, low, high)


def _spread(values: Sequence[float], middle: float | None = None) -> Spread:
    """Over seeds; around their mean unless another middle is given."""
    mean = float(np.mean(values)) if middle is None else middle
    return Spread(round(mean, 6), round(float(min(values)), 6), round(float(max(values)), 6))
