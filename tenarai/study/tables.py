"""The numbers of a study as tables of text: the same in the console, in markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from tenarai.study.results import Share, Study
from tenarai.study.sentences import percent, points

READINGS = {"raw": "raw, 0 to 255", "grey": "x / 255", "1 - x": "1 − x / 255"}


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        part: Which part it belongs to; also the name of its plot, if there is one.
        title: Its heading.
        note: What its numbers rest on.
        head: Names of the columns; the first are words, the last `num_numbers` of them are numbers.
        rows: Cells, as text.
        num_numbers: Columns to be set to the right.
    """

    part: str
    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_numbers: int


def make_tables(study: Study) -> list[Table]:
    """Every table that the study has, in the order of its parts."""
    makers = (_question, _article, _epochs, _samples, _forecasts, _switches)
    return [table for maker in makers for table in maker(study)]


def _article(study: Study) -> list[Table]:
    if not study.article:
        return []
    rows = tuple(
        (
            READINGS[row.trained_on],
            str(row.epochs),
            percent(row.training.mean),
            _short(row.as_the_article),
            _short(row.as_trained),
        )
        for row in study.article
    )
    first = study.article[0]
    others = f"{first.as_trained.num_images} others" if first.as_trained else "no others"
    note = (
        f"784-128-{len(study.labels)}, Adam, one batch an epoch, trained on {first.training.num_images} images and "
        f"examined on {others}; mean of {_seeds(study)}. Training accuracy only tells what was learned by heart."
    )
    head = ("trained on", "epochs", "training", "others, read /255 and 1 − x", "others, read as trained")
    return [Table("article", "The article's table", note, head, rows, 4)]


def _epochs(study: Study) -> list[Table]:
    if not study.epochs:
        return []
    rows = tuple(
        (
            row.recipe,
            "EarlyStopping" if row.how == "stopping" else "fixed",
            f"{row.epochs.median:.0f}"
            + ("" if row.how == "fixed" else f" ({row.epochs.lowest:.0f}–{row.epochs.highest:.0f})"),
            percent(row.training.mean),
            _long(row.held_out),
            "–" if row.held_out_loss is None else f"{row.held_out_loss:.3f}",
        )
        for row in study.epochs
    )
    note = f"{study.held_out} In brackets: lowest and highest of {_seeds(study)}."
    head = ("recipe", "how", "epochs", "training", "held out", "held-out loss")
    return [Table("epochs", "How many epochs", note, head, rows, 4)]


def _samples(study: Study) -> list[Table]:
    recipes = list(dict.fromkeys(row.recipe for row in study.samples if row.recipe != "base"))
    if not recipes:
        return []
    sizes = sorted({row.per_label for row in study.samples if row.recipe != "base"})
    found = {(row.recipe, row.per_label): row.held_out for row in study.samples}
    base = next((row.held_out for row in study.samples if row.recipe == "base"), None)
    rows = tuple(
        (f"{size:g}", *(_long(found.get((recipe, size))) for recipe in recipes), _short(base)) for size in sizes
    )
    num_images = study.samples[0].held_out.num_images
    note = (
        f"Held-out accuracy by training images a label, on {num_images} different images; mean, lowest and highest of "
        f"{_seeds(study)}."
    )
    head = ("images a label", *recipes, "base, untouched")
    return [Table("samples", "What more images are worth", note, head, rows, len(head))]


def _forecasts(study: Study) -> list[Table]:
    if not study.forecasts:
        return []
    rows = tuple((row.recipe, f"{row.target:.0%}", row.kind, row.why) for row in study.forecasts)
    note = (
        "By a power law through the errors. It is believed to two points at best; where it misses what was measured, "
        "or the answer lies far beyond it, nobody can tell."
    )
    return [Table("forecasts", "How many would be enough", note, ("recipe", "to read", "answer", "why"), rows, 0)]


def _switches(study: Study) -> list[Table]:
    if not study.switches:
        return []
    rows = tuple(
        (
            row.recipe,
            row.switch,
            _long(row.held_out),
            points(row.difference) if row.won or row.lost or row.difference else "–",
            f"{row.won} / {row.lost}",
        )
        for row in study.switches
    )
    note = (
        f"One thing switched off at a time, for training and for reading. {study.held_out} Won and lost: readings that "
        f"became right and wrong, all seeds together."
    )
    head = ("recipe", "switch", "held out", "points", "won / lost")
    return [Table("switches", "What each ingredient is worth", note, head, rows, 3)]


def _question(study: Study) -> list[Table]:
    if not study.answer:
        return []
    rows = tuple(
        (
            row.tried,
            ", ".join(answer if number == row.num_seeds else f"{answer} ×{number}" for answer, number in row.answers),
            percent(row.confidence),
            f"{row.num_right} of {row.num_seeds}",
        )
        for row in study.answer.tries
    )
    note = "Never trained on. The article's network reads it /255 and 1 − x; each line adds one thing or replaces it."
    head = ("tried", "reads", "how sure", "seeds right")
    title = f"The misread {study.answer.label}"
    return [Table("question", title, note, head, rows, 2)]


def as_text(table: Table) -> str:
    """The table for a terminal, columns in line."""
    lines = [table.head, *table.rows]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(table.head))]
    first_number = len(table.head) - table.num_numbers
    told = []
    for line in lines:
        cells = [
            " " * (widths[n] - _width(cell)) + cell if n >= first_number else cell + " " * (widths[n] - _width(cell))
            for n, cell in enumerate(line)
        ]
        told.append("  ".join(cells).rstrip())
    return "\n".join([table.title, table.note, "", *told])


def _width(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _short(share: Share | None) -> str:
    return percent(share.mean) if share else "–"


def _long(share: Share | None) -> str:
    if share is None:
        return "–"
    return f"{percent(share.mean)} ({100 * share.lowest:.0f}–{100 * share.highest:.0f})"


def _seeds(study: Study) -> str:
    return f"{study.seeds} seed{'s' * (study.seeds > 1)}"


def align(table: Table) -> Sequence[bool]:
    """For each column whether it holds numbers."""
    return [column >= len(table.head) - table.num_numbers for column in range(len(table.head))]
