"""The report of a study: one HTML file that opens offline, `study.json`, and markdown for the Prefect UI."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined

from tenarai.locale import Message, translate
from tenarai.report import escape, page_style
from tenarai.report.pictures import data_uri
from tenarai.store import Store
from tenarai.study.data import NORMALISED, StudyData
from tenarai.study.findings import Study
from tenarai.study.plots import draw_plots
from tenarai.study.tables import Table, find_headline
from tenarai.study.trials import FOLDER

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
