"""The regression set: each image judged tonight, and its story over the nights.

    open ──▶ fixed ──▶ relapsed ──▶ fixed …

The story follows the model that reads after the night: an image that only a challenger reads, which was not promoted,
is still open. The record of a night keeps the states that began in it; all records together are the whole story.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tenarai.records import Case, CaseStory, Evaluation, Image, Prediction

Stories = dict[str, dict[str, str]]
"""What a night's record keeps: `{"label", "state", "since", "model"}` by sha256."""


def judge_regression(
    images: Sequence[Image],
    champion: Sequence[Prediction],
    challenger: Sequence[Prediction] | None,
    labels: Collection[str] = (),
    *,
    trained_on: Collection[str] = (),
) -> tuple[Case, ...]:
    """Judge each previously misread image, the ones that need attention first.

    Args:
        images: Rows of the regression set, each with its true label.
        champion, challenger: What each reads in them, in the same order; no challenger on a night without one.
        labels: What an image can have been misread as; a file name that says otherwise is only a name.
        trained_on: sha256 of images that the champion was trained on before they were filed as misread. That it
            reads those is no merit, and no loss if the challenger does not.
    """
    answers: Sequence[Prediction | None] = challenger if challenger is not None else [None] * len(images)
    cases = [
        Case(
            path=image.path,
            sha256=image.sha256,
            label=image.label or "",
            champion=before,
            challenger=now,
            status=_status(image.label, now or before if image.sha256 in trained_on else before, now),
            was_read_as=image.was_read_as if image.was_read_as in labels else "",
        )
        for image, before, now in zip(images, champion, answers, strict=True)
    ]
    order = {"newly misread": 0, "still misread": 1, "fixed": 2, "read": 3}
    return tuple(sorted(cases, key=lambda case: (order[case.status], case.label, case.path)))


def tell_stories(
    evaluation: Evaluation, nights: Iterable[Mapping[str, Any]], run: str, *, promoted: bool
) -> tuple[Case, ...]:
    """Add to each regression image its story up to and including tonight.

    Args:
        evaluation: Tonight's.
        nights: Records of earlier nights, oldest first.
        run: Name of tonight.
        promoted: Whether the challenger reads from now on.
    """
    known: Stories = {}
    for night in nights:
        known.update(night.get("stories", {}))
    cases = []
    reader = evaluation.challenger if promoted else evaluation.champion
    for case in evaluation.regression:
        read = case.challenger if promoted else case.champion
        before = known.get(case.sha256, {})
        if before.get("label") != case.label:  # filed under another label since: another story begins
            before = {}
        state = _next_state(before.get("state", ""), read is not None and read.label == case.label)
        is_same = before.get("state") == state
        since, model = (before["since"], before["model"]) if is_same else (run, reader)
        cases.append(replace(case, story=CaseStory(state, since, model)))
    return tuple(cases)


def new_stories(cases: Iterable[Case], run: str) -> Stories:
    """The states that began tonight, for tonight's record."""
    began = [(case, case.story) for case in cases if case.story and case.story.since == run]
    return {
        case.sha256: {"label": case.label, "state": story.state, "since": story.since, "model": story.model}
        for case, story in began
    }


def _next_state(before: str, is_read: bool) -> str:
    if is_read:
        return "fixed"
    return "relapsed" if before in {"fixed", "relapsed"} else "open"


def _status(label: str | None, before: Prediction, now: Prediction | None) -> str:
    was_right = before.label == label
    is_right = was_right if now is None else now.label == label
    if is_right:
        return "read" if was_right else "fixed"
    return "newly misread" if was_right else "still misread"
