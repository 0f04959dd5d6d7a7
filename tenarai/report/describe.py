"""A night with what earlier nights left, for its report; and what it leaves for later nights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from tenarai.catalogue import Catalogue
from tenarai.evaluate.holdout import lay_in_inbox
from tenarai.evaluate.regression import new_stories, tell_stories
from tenarai.evaluate.suspects import LABELLED, open_suspects
from tenarai.records import Case, NightReport


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


def find_filed(catalogue: Catalogue, source: str, last_night: Mapping[str, object]) -> tuple[Case, ...]:
    """Images that lay in the inbox and lie under a label now, by path.

    Args:
        catalogue: Knows what moved, and what was read.
        source: Address of the source.
        last_night: What the last finished night left: its run, and the champion whose readings its report showed.
            Empty before the first; then nobody can have filed anything yet.
    """
    if not last_night.get("run"):
        return ()
    events = [event for event in catalogue.events(source, after=str(last_night["run"])) if lay_in_inbox(event.old_path)]
    if not events:
        return ()
    images = catalogue.images(source, roles=LABELLED)
    in_parts = {image.photo_id for image in images}
    labelled = {image.file_id: image for image in images if image.file_id not in in_parts}
    moved = {
        event.file_id: labelled[event.file_id]
        for event in events
        if event.file_id in labelled and event.sha256 == labelled[event.file_id].sha256
    }
    known = catalogue.predictions(str(last_night.get("champion", "")), {image.sha256 for image in moved.values()})
    filed = (
        Case(image.path, image.sha256, image.label or "", was_read_as=known.get(image.sha256, ("", 0.0))[0])
        for image in moved.values()
    )
    return tuple(sorted(filed, key=lambda item: item.path))


def remember_night(report: NightReport) -> dict[str, Any]:
    """What later nights need to know of this one."""
    evaluation = report.evaluation
    scores = {evaluation.champion: evaluation.champion_score, evaluation.challenger: evaluation.challenger_score}
    return {
        "run": report.run,
        "created": report.created,
        "fingerprint": report.frozen.fingerprint,
        "snapshot": report.frozen.info.id if report.frozen.info else "",
        "num_train": report.frozen.info.num_train if report.frozen.info else 0,
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
