"""The report of a study: one HTML file that opens offline, plots, `study.json`, and markdown for the Prefect UI."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

from tenarai.store import Store
from tenarai.study.cells import FOLDER
from tenarai.study.material import NORMALISED, Material
from tenarai.study.plots import draw_digit, draw_plots
from tenarai.study.results import Study
from tenarai.study.tables import Table, align, make_tables

if TYPE_CHECKING:
    from jinja2 import Template

MAX_BYTES = 480_000  # of the markdown: an artifact with a key is stored twice, and the UI loads all of it
ALT = {
    "epochs": "For each recipe loss and accuracy over epochs: held out in colour, training in grey, bands over seeds.",
    "samples": "Held-out accuracy over training images a label, a line a recipe with its band over seeds.",
    "switches": "Held-out accuracy with each ingredient switched off, a dot a row with its interval.",
    "question": "Bars: how many seeds read the misread image right, by what was tried.",
}


@dataclass(frozen=True)
class StudyReport:
    """What a study hands in.

    Attributes:
        files: File name to bytes: report.html, study.json and the plots as PNG and SVG.
        markdown: The same for the Prefect UI, pictures inside, under 500 KB.
    """

    files: dict[str, bytes]
    markdown: str


def build_report(study: Study, material: Material, *, style: str, escape: Callable[[str], str]) -> StudyReport:
    """Make all of a study's report; the same study gives the same bytes.

    Args:
        study: What was found.
        material: Where the pictures of the misread image and of its nearest are.
        style: Style sheet of the page.
        escape: Makes a stranger's text plain in markdown.
    """
    plots = draw_plots(study)
    tables = make_tables(study)
    page = _template().render(
        study=study,
        tables=tables,
        align=align,
        style=style,
        plots={name: _uri(data) for name, data in plots.items() if name.endswith(".png")},
        alt=ALT,
        pictures=_pictures(study, material),
    )
    files = {**plots, "report.html": page.encode(), "study.json": as_json(study)}
    return StudyReport(files, render_markdown(study, tables, plots, escape))


def as_json(study: Study) -> bytes:
    """The study for programs: sorted keys, shares 0 to 1; equal studies give equal bytes."""
    return (json.dumps(asdict(study), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_report(store: Store, name: str, report: StudyReport) -> None:
    """Write a report to `studies/<name>/`; `study.json` comes last, so a folder that has it is complete.

    Raises:
        StoreError: The store cannot be written.
    """
    last = "study.json"
    for file in sorted(report.files, key=lambda file: (file == last, file)):
        store.write(report.files[file], FOLDER, name, file)


def render_markdown(study: Study, tables: list[Table], plots: dict[str, bytes], escape: Callable[[str], str]) -> str:
    """Lay the study out as markdown; plots are left out where they would make it too large."""
    for kept in (plots, {}):
        parts = ["# A study of your handwriting", "", escape(study.headline)]
        for table in tables:
            parts += ["", f"## {escape(table.title)}", ""]
            parts += [f"* {escape(sentence)}" for sentence in study.sentences.get(table.part, ())]
            parts += ["", *_image(table.part, kept), *_rows(table, escape), "", escape(table.note)]
        parts += ["", f"{study.num_images} images of {len(study.labels)} labels, {study.seeds} seeds."]
        text = "\n".join(parts) + "\n"
        if len(text.encode()) <= MAX_BYTES:
            return text
    return text.encode()[:MAX_BYTES].decode(errors="ignore")


def _rows(table: Table, escape: Callable[[str], str]) -> list[str]:
    rule = ["---:" if number else "---" for number in align(table)]
    lines = [[escape(cell) for cell in line] for line in (table.head, *table.rows)]
    return [f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:])]


def _image(part: str, plots: dict[str, bytes]) -> list[str]:
    name = f"{part}.png"
    return [f"![{ALT[part]}]({_uri(plots[name])})", ""] if name in plots else []


def _pictures(study: Study, material: Material) -> list[tuple[str, str]]:
    """The misread image as the models see it, then its nearest: data URI and label."""
    if study.answer is None or material.question is None:
        return []
    seen = [(material.question.read(NORMALISED), study.answer.label)]
    seen += [(material.read(NORMALISED)[row], label) for row, label in study.answer.nearest]
    return [(_uri(draw_digit(digit)), label) for digit, label in seen]


def _uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenarai.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("study.html.jinja")
