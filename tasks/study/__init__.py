"""The article's experiment: how many epochs, how many samples, what each ingredient is worth, and why a 4 is misread.

`plan` says what is varied, `cells` keeps what came out, `findings` makes sense of it, `tables` and `report` show it.
Nothing here trains: `flows/experiment.py` does, by the recipes of a night.
"""

from __future__ import annotations

from tasks.study.cells import Cell, Notebook, Outcome
from tasks.study.findings import Findings
from tasks.study.material import DARK, GREY, INVERTED, NORMALISED, RAW, SQUEEZED, Material, Question
from tasks.study.plan import Plan, make_plan
from tasks.study.progress import Progress
from tasks.study.report import StudyReport, build_report, write_report
from tasks.study.results import Study
from tasks.study.tables import as_text, make_tables

__all__ = [
    "DARK",
    "GREY",
    "INVERTED",
    "NORMALISED",
    "RAW",
    "SQUEEZED",
    "Cell",
    "Findings",
    "Material",
    "Notebook",
    "Outcome",
    "Plan",
    "Progress",
    "Question",
    "Study",
    "StudyReport",
    "as_text",
    "build_report",
    "make_plan",
    "make_tables",
    "write_report",
]
