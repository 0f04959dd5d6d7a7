"""The report as one HTML file: no script, no outside resource, names of files always escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tenarai.locale import Message, _, load, plural, translate
from tenarai.report.pictures import Album, Pictures, data_uri
from tenarai.report.progress import WINDOW
from tenarai.report.view import View, percent

if TYPE_CHECKING:
    from jinja2 import Template

PICTURE_BYTES = 2_200_000  # the page stays under 3 MB


def render_html(view: View, pictures: Pictures, plots: Mapping[str, str], language: str, sheet: bytes = b"") -> bytes:
    """Lay the night out as a page, under 3 MB whatever the collection's size.

    Args:
        view: What it shows.
        pictures: Originals and digits by sha256.
        plots: SVG elements by name.
        language: en or ja.
        sheet: The practice sheet, a PDF, which the page carries with it. Default: none.
    """
    page = _template(language).render(
        view=view,
        night=view.night,
        album=Album(pictures, PICTURE_BYTES),
        plots=plots,
        explanations={item.sha256: item for item in view.night.explanations},
        language=language,
        window=WINDOW,
        sheet=data_uri(sheet) if sheet else "",
    )
    return page.encode()


@cache
def _template(language: str) -> Template:
    """The template; messages are worded in a language as they are written into the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenarai.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: translate(value, language) if isinstance(value, Message) else value,
    )
    environment.globals.update(_=_, plural=plural, load=load, percent=percent)
    return environment.get_template("report.html.jinja")


def page_style() -> str:
    """The style sheet of the page, for other pages that should look like it."""
    return (files("tenarai.report") / "templates" / "report.css").read_text(encoding="utf-8")
