"""The report of a study: one HTML file that opens offline, `study.json`, and markdown for the Prefect UI."""

from __future__ import annotations

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
from tenarai.report.plots import LIGHT, PAGE, WIDTH, Theme, draw_png, dress, to_svg, use_fonts
from tenarai.store import Store
from tenarai.study.data import NORMALISED, StudyData
from tenarai.study.findings import Curves, Share, Spread, Study
from tenarai.study.tables import Table, find_headline
from tenarai.study.workers import FOLDER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        plots={
            part: [to_svg(figure, title) for title, figure in figures]
            for part, figures in draw_plots(study, partial(translate, language=language), PAGE).items()
        },
        pictures=_show_nearest(study, data),
    )


def render_markdown(study: Study, tables: list[Table], language: str) -> str:
    """The tables and plots as markdown."""
    parts, plots = [], draw_plots(study, partial(translate, language=language), LIGHT)
    for table in tables:
        cells = [[escape(translate(cell, language)) for cell in line] for line in (table.head, *table.rows)]
        rule = ["---", *["---:"] * (len(table.head) - 1)]
        parts.append(f"## {escape(translate(table.title, language))}")
        parts += [f"* {escape(translate(sentence, language))}" for sentence in table.sentences]
        parts += [f"![{title}]({data_uri(draw_png(figure, dpi=144))})" for title, figure in plots.get(table.part, ())]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:])))
        parts.append(escape(translate(table.note, language)))
    return "\n\n".join(parts) + "\n"


def _show_nearest(study: Study, data: StudyData) -> list[tuple[str, str]]:
    """The misread image as the models see it, then the most similar ones: data URI and label."""
    if data.misread is None:
        return []
    digits = data.readings[NORMALISED]
    shown = [(data.misread.readings[NORMALISED], study.label), *((digits[row], label) for row, label in study.nearest)]
    return [(data_uri(cv2.imencode(".png", 255 - digit)[1].tobytes()), label) for digit, label in shown]


def draw_plots(study: Study, say: Say, theme: Theme) -> dict[str, list[tuple[str, Figure]]]:
    """By part, the figures of a study, each with a description.

    Args:
        study: What to draw.
        say: Translates a message.
        theme: Colours.
    """
    found: dict[str, list[tuple[str, Figure]]] = {}
    for curves in study.curves:
        for name, title in (("loss", _("loss")), ("accuracy", _("accuracy"))):
            alt = _("{recipe}: {title} by epoch, in training and held out", recipe=curves.recipe, title=title)
            found.setdefault("epochs", []).append((say(alt), _draw_curves(curves, name, say(title), say, theme)))
    if study.part("samples"):
        alt = _("held-out accuracy by training images per label")
        found["samples"] = [(say(alt), _draw_samples(study, say, theme))]
    return found


def _draw_curves(curves: Curves, name: str, title: str, say: Say, theme: Theme) -> Figure:
    figure, axes = _figure(f"{curves.recipe}: {title}", say(_("epoch")), theme)
    for curve, colour, label in ((name, theme.soft, _("training")), (f"val_{name}", theme.line, _("held out"))):
        if curve in curves.curves:
            epochs = range(1, len(curves.curves[curve]) + 1)
            _draw_band(axes, epochs, curves.curves[curve], colour, say(label))
    if curves.best:
        best = say(_("lowest held-out loss"))
        axes.axvline(curves.best.middle, color=theme.mark, linestyle="--", linewidth=1.4, label=best)
    axes.set_ylim(*((0, 1.02) if name == "accuracy" else (0, None)))
    axes.legend(frameon=False, fontsize=12, labelcolor=theme.ink)
    return figure


def _draw_samples(study: Study, say: Say, theme: Theme) -> Figure:
    figure, axes = _figure(say(_("held-out accuracy")), say(_("training images per label")), theme)
    base, *rows = study.part("samples")
    for recipe, colour in {"mlp": theme.mark, "cnn": theme.soft, "transfer": theme.line}.items():
        own = [row for row in rows if row.recipe == recipe and row.held_out]
        if own:
            shares: list[Share] = [row.held_out for row in own if row.held_out]
            _draw_band(axes, [row.num_train / len(study.labels) for row in own], shares, colour, recipe)
    if base.held_out:
        axes.axhline(
            base.held_out.middle, color=theme.ink, linestyle=":", linewidth=1.3, label=say(_("base, untouched"))
        )
    axes.set_xscale("log")
    ticks = sorted({row.num_train / len(study.labels) for row in rows})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=1.01)
    axes.legend(frameon=False, fontsize=12, labelcolor=theme.ink)
    return figure


def _draw_band(axes: Any, x: Sequence[float], spreads: Sequence[Spread], colour: str, label: str) -> None:
    axes.plot(x, [one.middle for one in spreads], color=colour, linewidth=2, label=label)
    lowest, highest = [one.lowest for one in spreads], [one.highest for one in spreads]
    axes.fill_between(x, lowest, highest, color=colour, alpha=0.18, linewidth=0)


def _figure(title: str, x_label: str, theme: Theme) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    use_fonts()
    figure = Figure(figsize=(WIDTH / 72, 3), dpi=72, layout="constrained")
    axes = figure.add_subplot()
    dress(axes, theme)
    axes.set_title(title, loc="left", fontsize=12, color=theme.ink)
    axes.set_xlabel(x_label, fontsize=12, color=theme.ink)
    return figure, axes
