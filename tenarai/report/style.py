"""The report's style sheet, for other pages that should look like it."""

from __future__ import annotations

from importlib.resources import files


def page_style() -> str:
    """The style sheet, as it stands in the report's page."""
    return (files("tenarai.report") / "templates" / "report.css").read_text(encoding="utf-8")
