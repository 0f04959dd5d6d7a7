"""A night as its report shows it, with what earlier nights left, and the record that later nights read."""

from __future__ import annotations

from dataclasses import asdict, replace

from tenarai.catalogue import Catalogue
from tenarai.evaluate.regression import new_stories, tell_stories
from tenarai.records import NightReport
from tenarai.report.filed import find_filed
from tenarai.report.todo import open_suspects


def add_history(report: NightReport, catalogue: Catalogue) -> NightReport:
    """Add what earlier nights left: suspects that nobody acted on, the life of hard cases, images that were filed.

    Args:
        report: What the steps of tonight found.
        catalogue: Holds the records of earlier nights.
    """
    nights, evaluation = catalogue.nights(report.source), report.evaluation
    promoted = report.decision.verdict == "promoted"
    regression = tell_stories(evaluation, nights, report.run, promoted=promoted)
    suspects = open_suspects(catalogue, report.source, evaluation.suspects)
    return replace(
        report,
        evaluation=replace(evaluation, regression=regression, suspects=suspects),
        filed=find_filed(catalogue, report.source, nights[-1] if nights else {}),
        history=tuple(nights),
    )


def remember_night(report: NightReport) -> dict[str, object]:
    """What later nights need to know of this one."""
    evaluation = report.evaluation
    scores = {evaluation.champion: evaluation.champion_score, evaluation.challenger: evaluation.challenger_score}
    return {
        "run": report.run,
        "created": report.created,
        "fingerprint": report.frozen.fingerprint,
        "snapshot": report.frozen.info.id if report.frozen.info else "",
        "verdict": report.decision.verdict,
        "cause": report.decision.cause,
        "champion": report.champion,
        "challenger": evaluation.challenger,
        "scores": {
            model: (score.num_right, score.num_images) for model, score in scores.items() if score and score.num_images
        },
        "fresh_right": evaluation.fresh.num_right if evaluation.fresh else 0,
        "fresh_images": evaluation.fresh.num_images if evaluation.fresh else 0,
        "stories": new_stories(evaluation.regression, report.run),
        "suspects": [asdict(item) for item in evaluation.suspects],
    }
