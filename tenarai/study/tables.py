"""A study as tables with a few sentences each: the same in the console, in markdown and in HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenarai.locale import _, plural
from tenarai.report.words import percent
from tenarai.study.findings import Curves, Row, Share, Study
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
            row.what,
            ", ".join(label if number == seeds else f"{label} ×{number}" for label, number in row.answers),
            percent(row.confidence),
            f"{row.num_right}/{seeds}",
        )
        for row in rows
        if (seeds := sum(number for _label, number in row.answers))
    )
    head = (_("tried"), _("reads"), _("confidence"), _("seeds right"))
    note = _("Never trained on. The article's network reads x / 255, inverted; each line adds or replaces one thing.")
    title = _("The misread {label}", label=study.label)
    return Table("question", title, tuple(_answer(study, rows)), head, cells, note)


def _answer(study: Study, rows: list[Row]) -> Iterator[str]:
    """Why the image is misread, and what makes it right."""
    *tried, base = rows
    *_shorter, article, longer, _otherwise = (row for row in tried if row.recipe == "article")
    given = {"label": study.label, "read": article.answers[0][0], "network": article.what}
    solved = next((row for row in tried if row.num_right == study.seeds), None)
    if solved:
        yield _(
            "This {label} is read as {read} by {network}. Every seed is right with: {tried}.",
            tried=solved.what,
            **given,
        )
    else:
        yield _("This {label} is read as {read} by {network}. Nothing that was tried is right in every seed.", **given)
    yield _("With {network}, {seeds} seeds are right.", network=longer.what, seeds=f"{longer.num_right}/{study.seeds}")
    confidence = percent(base.confidence)
    yield _("The base model reads {label} ({confidence}).", label=base.answers[0][0], confidence=confidence)
    same = sum(label == study.label for _row, label in study.nearest)
    yield _("{same} of the {number} most similar images have its label.", same=same, number=len(study.nearest))


def _article(study: Study, rows: list[Row]) -> Table:
    readings = {"raw": _("0 to 255"), "grey": _("x / 255"), "1 - x": _("1 − x / 255")}
    cells = tuple(
        (
            readings[row.what],
            f"{row.epochs.middle:.0f}",
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
        others=rows[0].held_out.num_images if rows[0].held_out else 0,
        seeds=_seeds(study),
    )
    return Table("article", _("The article's table"), (_say_article(rows),), head, cells, note)


def _say_article(rows: list[Row]) -> str:
    row = max((row for row in rows if row.what == "raw"), key=lambda row: row.epochs.middle)
    given = {"epochs": f"{row.epochs.middle:.0f}", "training": _mean(row.training)}
    if row.as_article is None or row.held_out is None:
        return _(
            "On one image per label, the article's network reads {training} of its training images after {epochs} "
            "epochs; there are no others to evaluate it on.",
            **given,
        )
    return _(
        "On one image per label, the article's network reads {training} of its training images after {epochs} epochs, "
        "but {others} of {number} others; read the way it was trained, {trained}.",
        others=_mean(row.as_article),
        number=row.as_article.num_images,
        trained=_mean(row.held_out),
        **given,
    )


def _epochs(study: Study, rows: list[Row]) -> Table:
    cells = tuple(
        (
            _("{recipe}: {what}", recipe=row.recipe, what=row.what),
            f"{row.epochs.middle:.0f}"
            + (f"\u00a0({row.epochs.lowest:.0f}–{row.epochs.highest:.0f})" if row.what == STOPPING else ""),
            _mean(row.training),
            _range(row.held_out),
            "–" if row.loss is None else f"{row.loss:.3f}",
        )
        for row in rows
    )
    head = (_("recipe"), _("epochs"), _("training accuracy"), _("held-out accuracy"), _("held-out loss"))
    note = _("{held_out} In brackets: lowest and highest of {seeds}.", held_out=study.held_out, seeds=_seeds(study))
    sentences = tuple(_("{recipe}: {what}", recipe=c.recipe, what=say_best(c)) for c in study.curves)
    return Table("epochs", _("How many epochs"), sentences, head, cells, note)


def say_best(curves: Curves) -> str:
    """Where the held-out loss is lowest, and whether over-fitting begins there."""
    if curves.best is None:
        return _("nothing was held out, so it is unknown where over-fitting begins.")
    best, last = curves.best, len(curves.fits[0]["loss"])
    given = {"epoch": f"{best.middle:.0f}", "lowest": f"{best.lowest:.0f}", "highest": f"{best.highest:.0f}"}
    if curves.overfits:
        return _("over-fitting begins after epoch {epoch} (seeds: {lowest} to {highest}).", **given)
    if best.middle >= 0.9 * last:
        return _("the held-out loss still falls at epoch {last}: no over-fitting yet.", last=last)
    return _(
        "the held-out loss is lowest at epoch {epoch} (seeds: {lowest} to {highest}) and stays about there.", **given
    )


def _samples(study: Study, rows: list[Row]) -> Table:
    base, *trained = rows
    recipes = list(dict.fromkeys(row.recipe for row in trained))
    sizes = sorted({_per_label(study, row) for row in trained})
    found = {(row.recipe, _per_label(study, row)): row.held_out for row in trained}
    cells = tuple(
        (f"{size:g}", *(_range(found.get((recipe, size))) for recipe in recipes), _mean(base.held_out))
        for size in sizes
    )
    note = _(
        "Held-out accuracy by number of training images per label, on {number} different images; mean, lowest and "
        "highest of {seeds}.",
        number=base.held_out.num_images if base.held_out else 0,
        seeds=_seeds(study),
    )
    head = (_("images per label"), *recipes, _("base, untouched"))
    return Table("samples", _("What more images are worth"), (), head, cells, note)


def _switches(study: Study, rows: list[Row]) -> Table:
    cells = tuple(
        (
            _("{recipe}: {what}", recipe=row.recipe, what=row.what),
            _range(row.held_out),
            f"{100 * row.difference:+.1f}".replace("-", "−") if row.won or row.lost or row.difference else "–",
            f"{row.won} / {row.lost}",
        )
        for row in rows
    )
    head = (_("recipe"), _("held-out accuracy"), _("points"), _("won / lost"))
    note = _(
        "One thing switched off at a time, for training and for evaluation. {held_out} Won and lost: images that "
        "became right and wrong, all seeds together.",
        held_out=study.held_out,
    )
    worst = min(rows, key=lambda row: row.difference)
    points = f"{100 * worst.difference:.1f}".replace("-", "−")
    sentence = _(
        "Most is lost with “{switch}”: {points} points ({recipe}).",
        switch=worst.what,
        points=points,
        recipe=worst.recipe,
    )
    if worst.difference >= 0:
        sentence = _("Nothing is lost without any of them.")
    return Table("switches", _("What each ingredient is worth"), (sentence,), head, cells, note)


def _per_label(study: Study, row: Row) -> float:
    return round(row.num_train / len(study.labels), 1)


def _seeds(study: Study) -> str:
    return plural("{n} seed", "{n} seeds", study.seeds)


def _mean(share: Share | None) -> str:
    return percent(share.middle) if share else "–"


def _range(share: Share | None) -> str:
    """`90.4 % (88–93)`."""
    return f"{_mean(share)}\u00a0({100 * share.lowest:.0f}–{100 * share.highest:.0f})" if share else "–"
