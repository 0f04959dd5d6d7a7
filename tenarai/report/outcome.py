"""What a night says when it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the `nightly` flow.

    Attributes:
        run: Name of the night.
        verdict: promoted, kept or nothing new.
        message: The verdict and its reason in one line.
        state: What the run's state is called in the UI, such as "Completed: nothing new".
        report: Where the report can be opened.
        problems: What went wrong without stopping the night, such as a report that could not be sent to Drive.
    """

    run: str
    verdict: str
    message: str
    state: str
    report: str
    problems: tuple[str, ...] = ()
