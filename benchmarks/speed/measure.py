"""Two ways of doing a thing, in turn, in one run: machines are noisy, so only their ratio is told, as a median."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

MARK = "ROW "
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What is measured, and on how much.
        against: What it is measured against.
        reached: The figure, as text.
        reach_for: What was aimed at.
        met: Whether it was reached.
        notes: What else was seen.
    """

    what: str
    against: str
    reached: str
    reach_for: str
    met: bool
    notes: str = ""

    def print(self) -> None:
        """Hand the row to `benchmarks.speed.__main__`, which picks it out of what a part prints."""
        print(MARK + json.dumps(asdict(self), ensure_ascii=False), flush=True)


@dataclass(frozen=True)
class Timing:
    """Seconds of both ways, medians over the repeats, and the median of theirs by ours in each repeat."""

    ours: float
    theirs: float
    ratio: float


def side_by_side(ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int = 5) -> Timing:
    """Time both in turn, after one run of each that does not count; a ratio above 1 says that we are faster."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return Timing(median(a for a, _ in pairs), median(b for _, b in pairs), median(b / a for a, b in pairs))


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def cpu_seconds(function: Callable[[], object]) -> float:
    """CPU seconds of one call, in all threads of this process; what the machine does besides hardly counts."""
    start = time.process_time()
    function()
    return time.process_time() - start


def parse_rows(text: str) -> list[Row]:
    """The rows among the lines that a part printed."""
    return [Row(**json.loads(line.removeprefix(MARK))) for line in text.splitlines() if line.startswith(MARK)]


def print_table(rows: Sequence[Row], machine: str) -> str:
    """The rows as a markdown table, and under it what they were measured on; what was not reached is told, too."""
    head = ["| | against | reached | aimed at | |", "| --- | --- | --- | --- | --- |"]
    lines = [
        "| " + " | ".join([row.what, row.against, f"**{row.reached}**", row.reach_for, _remark(row)]) + " |"
        for row in rows
    ]
    return "\n".join([*head, *lines, "", f"{machine}."])


def _remark(row: Row) -> str:
    return "; ".join(part for part in (row.notes, "" if row.met else "**not reached**") if part)


def write_between(text: str, table: str) -> str:
    """The text with the table between its marks, in place of what stood there.

    Raises:
        ValueError: The marks are not there, once each and in order.
    """
    found = re.findall(f"{re.escape(BEGIN)}.*?{re.escape(END)}", text, flags=re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"the text needs {BEGIN} and {END}, once each; found {len(found)} such pairs")
    return text.replace(found[0], f"{BEGIN}\n{table}\n{END}")
