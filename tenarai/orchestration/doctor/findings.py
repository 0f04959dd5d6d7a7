"""What the doctor says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tenarai.errors import TenaraiError

_MARKS = {"well": "✓", "note": "·", "wrong": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: What: source, store, device, prefect.
        state: well; note, something to know; wrong, something that stops the night.
        text: What was found.
        mend: What to do about it; empty when nothing.
    """

    about: str
    state: Literal["well", "note", "wrong"]
    text: str
    fix: str = ""

    def as_line(self) -> str:
        """For people, with what to do on a line of its own."""
        fix = f"\n{'':11}→ {self.fix}" if self.fix else ""
        return f"{_MARKS[self.state]} {self.about:<8} {self.text}{fix}"


def examined(about: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings, the last of which is the error that ended them, if one did."""
    try:
        yield from findings
    except TenaraiError as error:
        text = error.what + (f": {error.received}" if error.received else "")
        yield Finding(about, "wrong", text, error.fix or error.expected)
