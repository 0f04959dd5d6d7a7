"""The article's experiment: how many epochs, how many samples, what each ingredient is worth, and why a 4 is misread.

`plan` says what is varied, `cells` keeps what came out, `findings` makes sense of it, `tables` and `report` show it.
Nothing here trains: `tenarai/study/experiment.py` does, by the recipes of a night.
"""

from __future__ import annotations

from tenarai.study.cells import Cell, Notebook, Outcome
from tenarai.study.findings import Findings
from tenarai.study.material import DARK, GREY, INVERTED, NORMALISED, RAW, SQUEEZED, Material, Question
from tenarai.study.plan import Plan, make_plan
from tenarai.study.progress import Progress
from tenarai.study.report import StudyReport, build_report, write_report
from tenarai.study.results import Study
from tenarai.study.tables import as_text, make_tables

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
