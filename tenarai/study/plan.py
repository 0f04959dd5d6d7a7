"""What a study varies: its parts as lines, each line a few words and one cell for each seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tenarai.settings import StudySettings
from tenarai.study.cells import Cell
from tenarai.study.material import DARK, GREY, INVERTED, RAW, SQUEEZED, Material

Key = tuple[str, ...]
Lines = Mapping[Key, tuple[Cell, ...]]

SCHEDULE = {"mlp": 40, "cnn": 40, "transfer": 12}  # epochs where their number is not what is asked
STOPPED_AT = 60  # EarlyStopping ends sooner
SIZES = (1, 2, 5, 10, 20, 40, 80)
LONG = 200  # "more epochs"

SWITCHES: dict[str, dict[str, object]] = {
    "as a night trains": {},
    "augmentation off": {"augmented": False},
    "normaliser off": {"reading": SQUEEZED},
    "polarity not judged": {"reading": DARK},
    "the article's reading": {"reading": INVERTED},
}
"""Each switched off by itself; the last one is `/255` and `1 - x` on the whole picture squeezed to 28 × 28."""

ARTICLE_READINGS = (RAW, GREY, INVERTED)


@dataclass(frozen=True)
class Plan:
    """All that is to be trained.

    Attributes:
        article, epochs, samples, switches, question: Lines by their words; empty where a part is left out.
    """

    article: Lines
    epochs: Lines
    samples: Lines
    switches: Lines
    question: Lines

    def cells(self) -> tuple[Cell, ...]:
        """Every cell once; those that can share what they compute stand together."""
        parts = (self.article, self.epochs, self.samples, self.switches, self.question)
        distinct = dict.fromkeys(cell for part in parts for cells in part.values() for cell in cells)
        return tuple(sorted(distinct, key=_by_what_is_shared))


def _by_what_is_shared(cell: Cell) -> tuple[object, ...]:
    order = ("base", "article", "mlp", "transfer", "cnn")
    return order.index(cell.recipe), cell.seed, cell.reading, cell.augmented


def make_plan(form: StudySettings, material: Material) -> Plan:
    """Everything that a form asks for, as far as the images allow it."""
    parts = set(form.parts)
    return Plan(
        article=_article(form) if "article" in parts else {},
        epochs=_epochs(form) if "epochs" in parts else {},
        samples=_samples(form, material) if "samples" in parts else {},
        switches=_switches(form) if "switches" in parts else {},
        question=_question(form) if material.question else {},
    )


def _over_seeds(form: StudySettings, cell: Cell) -> tuple[Cell, ...]:
    return tuple(replace(cell, seed=seed) for seed in range(form.seeds))


def plain(recipe: str, **changes: object) -> Cell:
    """A recipe as a night trains it, but for the changes."""
    cell = Cell(recipe, augmented=recipe in {"cnn", "transfer"}, epochs=SCHEDULE.get(recipe, 0))
    return replace(cell, **changes)  # type: ignore[arg-type]


def _article(form: StudySettings) -> Lines:
    """The article's table: its network on one image a label, as it trained and as one might have."""
    return {
        (reading, str(epochs)): _over_seeds(form, Cell("article", reading, epochs=epochs, draw=1))
        for reading in ARTICLE_READINGS
        for epochs in form.epochs
    }


def _epochs(form: StudySettings) -> Lines:
    lines: dict[Key, tuple[Cell, ...]] = {}
    for recipe in form.recipes:
        longest = plain(recipe, epochs=max(form.epochs), draw=form.per_label)
        lines[recipe, "fixed"] = _over_seeds(form, longest)
        lines[recipe, "stopping"] = _over_seeds(form, replace(longest, epochs=STOPPED_AT, stopping=True))
    return lines


def _samples(form: StudySettings, material: Material) -> Lines:
    """Sizes up to what every label has when a fifth is held out; then all there is."""
    train, held_out = material.draw(0, 0)
    if not len(held_out):
        return {}
    per_label = len(train) / len(material.labels)
    sizes = [size for size in SIZES if size < 0.9 * per_label]
    lines: dict[Key, tuple[Cell, ...]] = {("base", "0"): _over_seeds(form, plain("base"))}
    for recipe in form.recipes:
        for size in (*sizes, 0):
            lines[recipe, str(size)] = _over_seeds(form, plain(recipe, samples=size))
    return lines


def _switches(form: StudySettings) -> Lines:
    return {
        (recipe, switch): _over_seeds(form, plain(recipe, draw=form.per_label, **changes))
        for recipe in form.recipes
        for switch, changes in SWITCHES.items()
        if switch != "augmentation off" or plain(recipe).augmented
    }


def _question(form: StudySettings) -> Lines:
    """What is tried on the misread image, in order: the article's way, then one thing more at a time."""
    longest = max(form.epochs)
    article = Cell("article", RAW, epochs=longest, draw=1)
    mlp = plain("mlp", epochs=longest, draw=1)
    more = max(LONG, 5 * longest)
    tried = {f"the article's network, {epochs} epochs": replace(article, epochs=epochs) for epochs in form.epochs}
    tried |= {
        f"the same, {more} epochs": replace(article, epochs=more),
        "one way of reading for both": replace(article, reading=INVERTED),
        "the normaliser": mlp,
        "the normaliser and augmentation": replace(mlp, augmented=True),
        "the normaliser and ten more that look like it": replace(mlp, extra="alike"),
        "the normaliser and all images": replace(mlp, draw=0),
        "a CNN with augmentation on all images": plain("cnn"),
        "the base model fine-tuned on one image a label": plain("transfer", draw=1),
        "the base model fine-tuned on all images": plain("transfer"),
    }
    lines: dict[Key, tuple[Cell, ...]] = {
        (name,): _over_seeds(form, replace(cell, asks=True)) for name, cell in tried.items()
    }
    return {**lines, ("the base model, untouched",): (plain("base", asks=True),)}
