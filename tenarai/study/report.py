"""The report of a study: one HTML file that opens offline, `study.json`, and markdown for the Prefect UI."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined

from tenarai.locale import Message, _, translate
from tenarai.report import escape, page_style
from tenarai.report.pictures import data_uri
from tenarai.store import Store
from tenarai.study.data import NORMALISED, StudyData
from tenarai.study.findings import Curves, Share, Spread, Study
from tenarai.study.tables import Table, find_headline
from tenarai.study.workers import FOLDER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, TRAINING, HELD_OUT, ACCENT = "#22262b", "#8b95a1", "#3f7fd0", "#d2691e"
COLOURS = {"mlp": ACCENT, "cnn": TRAINING, "transfer": HELD_OUT}
Say = Callable[[str], str]


def write_report(store: Store, name: str, study: Study, tables: list[Table], data: StudyData, language: str) -> None:
    """Write `studies/<name>/`. `study.json` comes last, so a folder that has it is complete.

    Raises:
        StoreError: The store cannot be written.
    """
    store.write(render_html(study, tables, data, language).encode(), FOLDER, name, "report.html")
    text = json.dumps(asdict(study), indent=1, sort_keys=True, ensure_ascii=False)
    store.write(f"{text}\n".encode(), FOLDER, name, "study.json")


def render_html(study: Study, tables: list[Table], data: StudyData, language: str) -> str:
    """The page. The same study gives the same bytes."""
    environment = Environment(
        loader=PackageLoader("tenarai.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["said"] = partial(translate, language=language)
    environment.globals["_"] = lambda text, **fields: translate(Message(text, fields), language)
    return environment.get_template("study.html.jinja").render(
        study=study,
        tables=tables,
        headline=find_headline(tables),
        language=language,
        style=page_style(),
        plots=_draw(study, language),
        pictures=_show_nearest(study, data),
    )


def render_markdown(study: Study, tables: list[Table], language: str) -> str:
    """The tables and plots as markdown."""
    parts = []
    plots = _draw(study, language)
    for table in tables:
        cells = [[escape(translate(cell, language)) for cell in line] for line in (table.head, *table.rows)]
        rule = ["---", *["---:"] * (len(table.head) - 1)]
        parts.append(f"## {escape(translate(table.title, language))}")
        parts += [f"* {escape(translate(sentence, language))}" for sentence in table.sentences]
        parts += [f"![{alt}]({picture})" for alt, picture in plots.get(table.part, ())]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:])))
        parts.append(escape(translate(table.note, language)))
    return "\n\n".join(parts) + "\n"


def _draw(study: Study, language: str) -> dict[str, list[tuple[str, str]]]:
    """By part, descriptions of the plots, and the plots as data URIs."""
    plots = draw_plots(study, partial(translate, language=language))
    return {part: [(alt, data_uri(_png(figure))) for alt, figure in figures] for part, figures in plots.items()}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _show_nearest(study: Study, data: StudyData) -> list[tuple[str, str]]:
    """The misread image as the models see it, then the most similar ones: data URI and label."""
    if data.misread is None:
        return []
    digits = data.readings[NORMALISED]
    shown = [(data.misread.readings[NORMALISED], study.label), *((digits[row], label) for row, label in study.nearest)]
    return [(data_uri(cv2.imencode(".png", 255 - digit)[1].tobytes()), label) for digit, label in shown]


def draw_plots(study: Study, say: Say) -> dict[str, list[tuple[str, Figure]]]:
    """By part, the figures of a study, each with a description.

    Args:
        study: What to draw.
        say: Translates a message.
    """
    found: dict[str, list[tuple[str, Figure]]] = {}
    for curves in study.curves:
        for name, title in (("loss", _("loss")), ("accuracy", _("accuracy"))):
            alt = _("{recipe}: {title} by epoch, in training and held out", recipe=curves.recipe, title=title)
            found.setdefault("epochs", []).append((say(alt), _draw_curves(curves, name, say(title), say)))
    if study.part("samples"):
        alt = _("held-out accuracy by training images per label")
        found["samples"] = [(say(alt), _draw_samples(study, say))]
    return found


def _draw_curves(curves: Curves, name: str, title: str, say: Say) -> Figure:
    figure, axes = _figure(f"{curves.recipe}: {title}", say(_("epoch")))
    for curve, colour, label in ((name, TRAINING, _("training")), (f"val_{name}", HELD_OUT, _("held out"))):
        if curve in curves.curves:
            epochs = range(1, len(curves.curves[curve]) + 1)
            _draw_band(axes, epochs, curves.curves[curve], colour, say(label))
    if curves.best:
        best = say(_("lowest held-out loss"))
        axes.axvline(curves.best.middle, color=ACCENT, linestyle="--", linewidth=1.4, label=best)
    axes.set_ylim(*((0, 1.02) if name == "accuracy" else (0, None)))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_samples(study: Study, say: Say) -> Figure:
    figure, axes = _figure(say(_("held-out accuracy")), say(_("training images per label")))
    base, *rows = study.part("samples")
    for recipe, colour in COLOURS.items():
        own = [row for row in rows if row.recipe == recipe and row.held_out]
        if own:
            shares: list[Share] = [row.held_out for row in own if row.held_out]
            _draw_band(axes, [row.num_train / len(study.labels) for row in own], shares, colour, recipe)
    if base.held_out:
        axes.axhline(base.held_out.middle, color=INK, linestyle=":", linewidth=1.3, label=say(_("base, untouched")))
    axes.set_xscale("log")
    ticks = sorted({row.num_train / len(study.labels) for row in rows})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=1.01)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_band(axes: Any, x: Sequence[float], spreads: Sequence[Spread], colour: str, label: str) -> None:
    axes.plot(x, [one.middle for one in spreads], color=colour, linewidth=2, label=label)
    lowest, highest = [one.lowest for one in spreads], [one.highest for one in spreads]
    axes.fill_between(x, lowest, highest, color=colour, alpha=0.18, linewidth=0)


def _figure(title: str, x_label: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.8), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)
    axes.grid(alpha=0.25, linewidth=0.6)
    return figure, axes
