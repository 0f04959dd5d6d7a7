"""What a night says when it ends."""

from __future__ import annotations

from dataclasses import dataclass

from tenarai.records import Decision

_BRIEFLY = {
    "bold": "promoted, though unsure",
    "grown": "promoted, having learned from more",
    "first": "promoted, the first to read these labels",
    "unsure": "kept, not enough evidence",
    "worse": "kept, the challenger is worse",
    "loses": "kept, a regression image would be lost",
    "rolled back": "kept, the challenger was rolled back by hand",
    "unlabelled": "nothing new, nothing is labelled yet",
}


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


def name_state(decision: Decision) -> str:
    """What the state of a finished night is called: the verdict, with its cause where that tells more.

    Automations and dashboards go by these names, so they are in English whatever the language of the report.
    """
    return f"Completed: {_BRIEFLY.get(decision.cause, decision.verdict)}"
