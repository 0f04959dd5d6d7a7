"""A study as tables with a few sentences each: the same in the console, in markdown and in HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenarai.locale import _, plural
from tenarai.report.words import percent
from tenarai.study.findings import Fits, Row, Spread, Study, find_best
from tenarai.study.plan import STOPPING


@dataclass(frozen=True)
class Table:
    """A part of a study. Texts are messages: translate them where they are shown.

    Attributes:
        part: Name of the part.
        title: Heading.
        sentences: What was found.
        head: Names of the columns.
        rows: Cells. The first column holds words; in the others, numbers.
        note: What the numbers rest on.
    """

    part: str
    title: str
    sentences: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def make_tables(study: Study) -> list[Table]:
    """A table for each part of the study that has rows, in order."""
    makers = {"question": _question, "article": _article, "epochs": _epochs, "samples": _samples, "switches": _switches}
    return [make(study, rows) for part, make in makers.items() if (rows := study.part(part))]


def find_headline(tables: Sequence[Table]) -> str:
    """The first sentence of all tables."""
    sentences = (sentence for table in tables for sentence in table.sentences)
    return next(sentences, _("there were too few images to try anything"))


def _question(study: Study, rows: list[Row]) -> Table:
    cells = tuple(
        (
            row.line.what,
            ", ".join(
                label if number == seeds else f"{label} ×{number}" for label, number in row.answers.most_common()
            ),
            percent(row.confidence),
            f"{row.answers[study.label]}/{seeds}",
        )
        for row in rows
        if (seeds := row.answers.total())
    )
    head = (_("tried"), _("reads"), _("confidence"), _("seeds right"))
    note = _("Never trained on. The article's network reads x / 255, inverted; each line adds or replaces one thing.")
    title = _("The misread {label}", label=study.label)
    return Table("question", title, tuple(_answer(study, rows)), head, cells, note)


def _answer(study: Study, rows: list[Row]) -> Iterator[str]:
    """Why the image is misread, and what makes it right."""
    *tried, base = rows
    *_shorter, article, longer, _otherwise = (row for row in tried if row.line.recipe == "article")
    given = {"label": study.label, "read": article.answers.most_common()[0][0], "network": article.line.what}
    solved = next((row for row in tried if row.answers[study.label] == study.seeds), None)
    if solved:
        yield _(
            "This {label} is read as {read} by {network}. Every seed is right with: {tried}.",
            tried=solved.line.what,
            **given,
        )
    else:
        yield _("This {label} is read as {read} by {network}. Nothing that was tried is right in every seed.", **given)
    seeds = f"{longer.answers[study.label]}/{study.seeds}"
    yield _("With {network}, {seeds} seeds are right.", network=longer.line.what, seeds=seeds)
    (label,) = base.answers
    yield _("The base model reads {label} ({confidence}).", label=label, confidence=percent(base.confidence))
    same = sum(near == study.label for _row, near in study.nearest)
    yield _("{same} of the {number} most similar images have its label.", same=same, number=len(study.nearest))


def _article(study: Study, rows: list[Row]) -> Table:
    readings = {"raw": _("0 to 255"), "grey": _("x / 255"), "1 - x": _("1 − x / 255")}
    cells = tuple(
        (
            readings[row.line.what],
            _number(row.epochs),
            _mean(row.training),
            _mean(row.as_article),
            _mean(row.held_out),
        )
        for row in rows
    )
    head = (
        _("trained on"),
        _("epochs"),
        _("training accuracy"),
        _("others, read as 1 − x / 255"),
        _("others, read as trained"),
    )
    note = _(
        "784-128-{labels}, Adam, one batch per epoch, trained on {train} images and evaluated on {others} others; mean "
        "of {seeds}. Training accuracy says nothing about other images.",
        labels=len(study.labels),
        train=f"{rows[0].num_train:.0f}",
        others=rows[0].num_held_out,
        seeds=_seeds(study),
    )
    return Table("article", _("The article's table"), (_say_article(rows),), head, cells, note)


def _say_article(rows: list[Row]) -> str:
    *_shorter, row = (row for row in rows if row.line.what == "raw")
    given = {"epochs": _number(row.epochs), "training": _mean(row.training)}
    if not row.num_held_out:
        return _(
            "On one image per label, the article's network reads {training} of its training images after {epochs} "
            "epochs; there are no others to evaluate it on.",
            **given,
        )
    return _(
        "On one image per label, the article's network reads {training} of its training images after {epochs} epochs, "
        "but {others} of {number} others; read the way it was trained, {trained}.",
        others=_mean(row.as_article),
        number=row.num_held_out,
        trained=_mean(row.held_out),
        **given,
    )


def _epochs(study: Study, rows: list[Row]) -> Table:
    cells = tuple(
        (
            _name(row),
            _number(row.epochs, with_range=row.line.what == STOPPING),
            _mean(row.training),
            _range(row.held_out),
            f"{row.loss.middle:.3f}" if row.loss else "–",
        )
        for row in rows
    )
    head = (_("recipe"), _("epochs"), _("training accuracy"), _("held-out accuracy"), _("held-out loss"))
    note = _("{held_out} In brackets: lowest and highest of {seeds}.", held_out=study.held_out, seeds=_seeds(study))
    sentences = tuple(_("{recipe}: {what}", recipe=name, what=say_best(fits)) for name, fits in study.curves.items())
    return Table("epochs", _("How many epochs"), sentences, head, cells, note)


def say_best(fits: Fits) -> str:
    """Where the held-out loss is lowest, and whether over-fitting begins there."""
    best, overfits = find_best(fits)
    if best is None:
        return _("nothing was held out, so it is unknown where over-fitting begins.")
    last = len(fits[0]["loss"])
    given = {"epoch": f"{best.middle:.0f}", "lowest": f"{best.lowest:.0f}", "highest": f"{best.highest:.0f}"}
    if overfits:
        return _("over-fitting begins after epoch {epoch} (seeds: {lowest} to {highest}).", **given)
    if best.middle >= 0.9 * last:
        return _("the held-out loss still falls at epoch {last}: no over-fitting yet.", last=last)
    return _(
        "the held-out loss is lowest at epoch {epoch} (seeds: {lowest} to {highest}) and stays about there.", **given
    )


def _samples(study: Study, rows: list[Row]) -> Table:
    base, *trained = rows
    recipes = list(dict.fromkeys(row.line.recipe for row in trained))
    sizes = sorted({_per_label(study, row) for row in trained})
    found = {(row.line.recipe, _per_label(study, row)): row.held_out for row in trained}
    cells = tuple(
        (f"{size:g}", *(_range(found.get((recipe, size))) for recipe in recipes), _mean(base.held_out))
        for size in sizes
    )
    note = _(
        "Held-out accuracy by number of training images per label, on {number} different images; mean, lowest and "
        "highest of {seeds}.",
        number=base.num_held_out,
        seeds=_seeds(study),
    )
    head = (_("images per label"), *recipes, _("base, untouched"))
    return Table("samples", _("What more images are worth"), (), head, cells, note)


def _switches(study: Study, rows: list[Row]) -> Table:
    normal = {row.line.recipe: row for row in reversed(rows)}  # the first row of each recipe is as in a night
    compared = [(row, *_compare(row, normal[row.line.recipe])) for row in rows]
    cells = tuple(
        (
            _name(row),
            _range(row.held_out),
            _points(points, "+") if won or lost or points else "–",
            f"{won} / {lost}",
        )
        for row, points, won, lost in compared
    )
    head = (_("recipe"), _("held-out accuracy"), _("points"), _("won / lost"))
    note = _(
        "One thing switched off at a time, for training and for evaluation. {held_out} Won and lost: images that "
        "became right and wrong, all seeds together.",
        held_out=study.held_out,
    )
    worst, points, _won, _lost = min(compared, key=lambda found: found[1])
    sentence = _(
        "Most is lost with “{switch}”: {points} points ({recipe}).",
        switch=worst.line.what,
        points=_points(points),
        recipe=worst.line.recipe,
    )
    if points >= 0:
        sentence = _("Nothing is lost without any of them.")
    return Table("switches", _("What each ingredient is worth"), (sentence,), head, cells, note)


def _compare(row: Row, normal: Row) -> tuple[float, int, int]:
    """Held-out points more than in a night, and how many readings became right and wrong, all seeds together."""
    pairs = Counter[tuple[str, str]]()
    for old, new in zip(normal.results, row.results, strict=True):
        pairs.update(zip(old.right, new.right, strict=True))
    now, before = row.held_out, normal.held_out
    points = round(100 * (now.middle - before.middle), 4) if now and before else 0.0
    return points, pairs["0", "1"], pairs["1", "0"]


def _points(points: float, sign: str = "-") -> str:
    return f"{points:{sign}.1f}".replace("-", "−")


def _name(row: Row) -> str:
    return _("{recipe}: {what}", recipe=row.line.recipe, what=row.line.what)


def _number(spread: Spread | None, *, with_range: bool = False) -> str:
    """`12`, or `12 (9–14)`."""
    if spread is None:
        return "–"
    return f"{spread.middle:.0f}" + (f"\u00a0({spread.lowest:.0f}–{spread.highest:.0f})" if with_range else "")


def _per_label(study: Study, row: Row) -> float:
    return round(row.num_train / len(study.labels), 1)


def _seeds(study: Study) -> str:
    return plural("{n} seed", "{n} seeds", study.seeds)


def _mean(share: Spread | None) -> str:
    return percent(share.middle) if share else "–"


def _range(share: Spread | None) -> str:
    """`90.4 % (88–93)`."""
    return f"{_mean(share)}\u00a0({100 * share.lowest:.0f}–{100 * share.highest:.0f})" if share else "–"
