"""The report of a study: one HTML file that opens offline, `study.json`, and markdown for the Prefect UI."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from tenarai.locale import _, translate
from tenarai.report.html import page_template
from tenarai.report.markdown import escape
from tenarai.report.pictures import data_uri, to_png
from tenarai.report.plots import LIGHT, PAGE, Theme, draw_png, plot_figure, plot_fits, show_percent, to_svg
from tenarai.store import Store
from tenarai.study.data import NORMALISED, StudyData
from tenarai.study.experiment import FOLDER
from tenarai.study.findings import Study, find_best
from tenarai.study.tables import Table, find_headline

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(store: Store, name: str, study: Study, tables: list[Table], data: StudyData, language: str) -> None:
    """Write `studies/<name>/`. `study.json` comes last, so a folder that has it is complete.

    Raises:
        StoreError: The store cannot be written.
    """
    store.write(render_html(study, tables, data, language).encode(), FOLDER, name, "report.html")
    found = {name: getattr(study, name) for name in (*study.__dataclass_fields__, "curves")}
    found |= {"rows": [row.as_json() for row in study.rows], "tables": [asdict(table) for table in tables]}
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    store.write(f"{text}\n".encode(), FOLDER, name, "study.json")


def render_html(study: Study, tables: list[Table], data: StudyData, language: str) -> str:
    """The page. The same study gives the same bytes."""
    return page_template("tenarai.study", "study.html.jinja", language).render(
        study=study,
        tables=tables,
        headline=find_headline(tables),
        plots={
            part: [to_svg(figure, title) for title, figure in figures]
            for part, figures in draw_plots(study, language, PAGE).items()
        },
        pictures=_show_nearest(study, data),
    )


def render_markdown(study: Study, tables: list[Table], language: str) -> str:
    """The tables and plots as markdown."""
    parts, plots = [], draw_plots(study, language, LIGHT)
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
    return [(data_uri(to_png(255 - digit)), label) for digit, label in shown]


def draw_plots(study: Study, language: str, theme: Theme) -> dict[str, list[tuple[str, Figure]]]:
    """By part, the figures of a study, each with a description."""
    found: dict[str, list[tuple[str, Figure]]] = {}
    for recipe, fits in study.curves.items():
        best, _overfits = find_best(fits)
        marks = {best.middle: _("lowest held-out loss")} if best else {}
        for name, title in (("loss", _("loss")), ("accuracy", _("accuracy"))):
            alt = _("{recipe}: {title} by epoch, in training and held out", recipe=recipe, title=title)
            heading = _("{recipe}: {what}", recipe=recipe, what=title)
            figure = plot_fits(fits, name, heading, marks, language, theme)
            found.setdefault("epochs", []).append((translate(alt, language), figure))
    if study.part("samples"):
        alt = _("held-out accuracy by training images per label")
        found["samples"] = [(translate(alt, language), _draw_samples(study, language, theme))]
    return found


def _draw_samples(study: Study, language: str, theme: Theme) -> Figure:
    figure, axes = plot_figure(_("held-out accuracy"), _("training images per label"), language, theme)
    base, *rows = study.part("samples")
    for recipe, colour in {"mlp": theme.mark, "cnn": theme.soft, "transfer": theme.line}.items():
        found = [(row.num_train / len(study.labels), row.held_out) for row in rows if row.line.recipe == recipe]
        if shares := [(size, share) for size, share in found if share]:
            sizes = [size for size, _share in shares]
            lowest, middle, highest = 100 * np.array([(s.lowest, s.middle, s.highest) for _size, s in shares]).T
            axes.plot(sizes, middle, color=colour, linewidth=2, label=recipe)
            axes.fill_between(sizes, lowest, highest, color=colour, alpha=0.18, linewidth=0)
    if base.held_out:
        label = translate(_("base, untouched"), language)
        axes.axhline(100 * base.held_out.middle, color=theme.ink, linestyle=":", linewidth=1.3, label=label)
    axes.set_xscale("log")
    ticks = sorted({row.num_train / len(study.labels) for row in rows})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=101)
    show_percent(axes)
    axes.legend(frameon=False, fontsize=12, labelcolor=theme.ink)
    return figure
