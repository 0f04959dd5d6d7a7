"""The report as one HTML file: no script, no outside resource, names of files always escaped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import floor
from typing import TYPE_CHECKING

from tenarai.records import NightReport
from tenarai.report.pictures import Album, Pictures, data_uri
from tenarai.report.progress import WINDOW
from tenarai.report.view import Figure, make_view, percent

if TYPE_CHECKING:
    from jinja2 import Template

PICTURE_BYTES = 1_900_000  # the page stays under 3 MB: the rest is for plots in two colour schemes, and words


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each are shown at most (of the inbox, `first` unfolded); the page says how many there are beyond."""

    cases: int = 120
    first: int = 12
    inbox: int = 60
    filed: int = 24
    suspects: int = 24
    disputed: int = 24
    listed: int = 200
    columns: int = 14


def render_html(
    night: NightReport, pictures: Pictures, plots: dict[str, bytes], dark_plots: dict[str, bytes], language: str
) -> bytes:
    """Lay the night out as a page, under 3 MB whatever the collection's size.

    Args:
        night: What happened.
        pictures: Originals and digits by sha256.
        plots, dark_plots: PNG bytes by name, for either colour scheme.
        language: en or ja.
    """
    view = make_view(night, language)
    figures, limits = view.figures(), Limits()
    cases = night.evaluation.regression[: limits.cases]
    page = _template().render(
        night=night,
        view=view,
        t=view.texts,
        album=Album(pictures, PICTURE_BYTES),
        plots={
            "light": {name: data_uri(data) for name, data in plots.items()},
            "dark": {name: data_uri(data) for name, data in dark_plots.items()},
        },
        figures=figures,
        floor=_floor(figures),
        explanations={item.sha256: item for item in night.explanations},
        cases={
            "loud": [case for case in cases if case.status != "read"],
            "calm": [case for case in cases if case.status == "read"],
        },
        limits=limits,
        window=WINDOW,
    )
    return page.encode()


def _floor(figures: list[Figure]) -> float:
    """Where the scale of the intervals begins, the same for all: 0.1 or more below what is left of 1."""
    lowest = min((figure.score.low for figure in figures), default=0.0)
    return max(0.0, floor(10 * lowest - 0.5) / 10)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenarai.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["percent"] = percent
    return environment.get_template("report.html.jinja")
