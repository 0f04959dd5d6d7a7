"""The report of a night: one HTML file that opens offline, a summary picture, `report.json`, and Prefect artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tenarai.records import NightReport
from tenarai.report.html import render_html
from tenarai.report.markdown import render_artifacts
from tenarai.report.pictures import Pictures as Pictures
from tenarai.report.plots import draw_plots
from tenarai.report.summary import draw_summary
from tenarai.report.view import make_view
from tenarai.store import Store


@dataclass(frozen=True)
class Report:
    """A night's report.

    Attributes:
        files: File name to bytes: report.html, summary.png, report.json.
        artifacts: Markdown for the Prefect UI by the artifact's key, pictures inside, each under 500 KB.
    """

    files: dict[str, bytes]
    artifacts: dict[str, str]


def build_report(
    night: NightReport,
    pictures: Pictures,
    *,
    language: str = "en",
    sheet: bytes = b"",
    links: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Make a night's report; the same night gives the same bytes.

    Args:
        night: What each step found.
        pictures: Originals and digits by sha256.
        language: Of the texts. Default: English.
        sheet: The practice sheet as PDF. Default: none.
        links: Where a browser will find the report's files, by name. Default: nowhere.
    """
    view = make_view(night)
    summary = draw_summary(view, pictures, language)
    files = {
        "report.html": render_html(view, pictures, draw_plots(view, language), language, sheet),
        "summary.png": summary,
        "report.json": view.as_json(),
    }
    return Report(files, render_artifacts(view, pictures, summary, language, links))


def write_report(store: Store, run: str, report: Report) -> None:
    """Write a report; `report.json` comes last in its folder, then `reports/latest` names it.

    Raises:
        StoreError: The store cannot be written; `reports/latest` still names the last whole report.
    """
    last = "report.json"
    for name in sorted(report.files, key=lambda name: (name == last, name)):
        store.write(report.files[name], "reports", run, name)
    store.write(f"{run}\n".encode(), "reports", "latest")
