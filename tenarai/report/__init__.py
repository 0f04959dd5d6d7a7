"""The report of a night: plots, one HTML file that opens offline, `report.json`, and markdown for the Prefect UI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenarai.records import NightReport
from tenarai.report.html import render_html
from tenarai.report.markdown import escape, render_markdown
from tenarai.report.pictures import Pictures
from tenarai.report.plots import DARK, draw_plots
from tenarai.report.record import as_json
from tenarai.report.style import page_style
from tenarai.report.view import pictured
from tenarai.store import Store

__all__ = ["Pictures", "Report", "build_report", "escape", "page_style", "pictured", "write_report"]


@dataclass(frozen=True)
class Report:
    """What a night hands in.

    Attributes:
        files: File name to bytes: report.html, report.json and the plots.
        markdown: The same for the Prefect UI, pictures inside, under 500 KB.
    """

    files: dict[str, bytes]
    markdown: str


def build_report(night: NightReport, pictures: Pictures, *, language: Literal["en", "ja"] = "en") -> Report:
    """Make all of a night's report; the same night gives the same bytes.

    Args:
        night: What happened.
        pictures: Originals and digits by sha256.
        language: Of the texts. Default: English.
    """
    plots = draw_plots(night, language)
    html = render_html(night, pictures, plots, draw_plots(night, language, DARK), language)
    files = {
        **{f"{name}.png": data for name, data in plots.items()},
        "report.html": html,
        "report.json": as_json(night),
    }
    return Report(files, render_markdown(night, pictures, plots, language))


def write_report(store: Store, run: str, report: Report) -> None:
    """Write a report; `report.json` comes last in its folder, then `reports/latest` names it.

    Raises:
        StoreError: The store cannot be written; `reports/latest` still names the last whole report.
    """
    last = "report.json"
    for name in sorted(report.files, key=lambda name: (name == last, name)):
        store.write(report.files[name], "reports", run, name)
    store.write(f"{run}\n".encode(), "reports", "latest")
