"""The report as one HTML file: no script, no outside resource, names of files always escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tasks.records import NightReport
from tasks.report.pictures import Pictures, data_uri, digit_uri, picture_uri
from tasks.report.view import make_view, percent

if TYPE_CHECKING:
    from jinja2 import Template

MAX_CASES = 120
MAX_INBOX = 60
MAX_LISTED = 200


def render_html(night: NightReport, pictures: Pictures, plots: dict[str, bytes], language: str) -> bytes:
    """Lay the night out as a page, under 3 MB whatever the collection's size.

    Args:
        night: What happened.
        pictures: Originals and digits by sha256.
        plots: PNG bytes by name.
        language: en or ja.
    """
    view = make_view(night, language)
    page = _template().render(
        night=night,
        view=view,
        t=view.texts,
        language=language,
        plots={name: data_uri(data) for name, data in plots.items()},
        cases=[
            (case, picture_uri(pictures, case.sha256), digit_uri(pictures, case.sha256))
            for case in view.cases(MAX_CASES)
        ],
        inbox=[(item, picture_uri(pictures, item.sha256)) for item in night.inbox[:MAX_INBOX]],
        listed=MAX_LISTED,
        percent=percent,
    )
    return page.encode()


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")
