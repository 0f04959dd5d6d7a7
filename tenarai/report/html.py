"""The report as one HTML file: no script, no outside resource, names of files always escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from tenarai.locale import Message, _, load, plural, translate
from tenarai.report.pictures import Album, Pictures, data_uri
from tenarai.report.view import WINDOW, View
from tenarai.report.words import percent

if TYPE_CHECKING:
    from jinja2 import Template

PICTURE_BYTES = 1_400_000  # the page stays under 2 MB


def render_html(view: View, pictures: Pictures, plots: Mapping[str, str], language: str, sheet: bytes = b"") -> bytes:
    """Lay the night out as a page, under 2 MB whatever the collection's size.

    Args:
        view: What it shows.
        pictures: Originals and digits by sha256.
        plots: SVG elements by name.
        language: en or ja.
        sheet: The practice sheet, a PDF, which the page carries with it. Default: none.
    """
    page = page_template("tenarai.report", "report.html.jinja", language).render(
        view=view,
        night=view.night,
        album=Album(pictures, PICTURE_BYTES),
        plots=plots,
        explanations={item.sha256: item for item in view.night.explanations},
        window=WINDOW,
        sheet=data_uri(sheet) if sheet else "",
    )
    return page.encode()


@cache
def page_template(package: str, name: str, language: str) -> Template:
    """A page's template; messages are worded in a language as they are written into the page.

    Args:
        package: Has the template in its folder `templates`; the report's own ones can be included, too.
        name: File name.
        language: en or ja.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("tenarai.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: translate(value, language) if isinstance(value, Message) else value,
    )
    environment.globals.update(_=_, plural=plural, load=load, percent=percent, language=language)
    return environment.get_template(name)
