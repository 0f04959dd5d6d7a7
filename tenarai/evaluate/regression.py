"""The regression set: each image judged tonight, and its life over the nights.

    open ──▶ fixed ──▶ relapsed ──▶ fixed …

A state belongs to whoever reigns after the night: an image that only a challenger reads, which was not promoted, is
open still. A night's record in the catalogue keeps the states that began in it; read in order they are the whole story.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tenarai.records import Case, CaseStory, Image, Prediction

Stories = dict[str, dict[str, str]]
"""What a night's record keeps: `{"label", "state", "since", "model"}` by sha256."""


def judge_regression(
    images: Sequence[Image],
    champion: Sequence[Prediction],
    challenger: Sequence[Prediction] | None,
    labels: Collection[str] = (),
    *,
    by_heart: Collection[str] = (),
) -> tuple[Case, ...]:
    """Judge each previously misread image, the ones that need attention first.

    Args:
        images: Rows of the regression set, each with its true label.
        champion, challenger: What each reads in them, in the same order; no challenger on a night without one.
        labels: What an image can have been misread as; a file name that says otherwise is only a name.
        by_heart: sha256 of images that the champion was trained on, before they were filed as misread: that it reads
            those is no merit, and no loss if the challenger does not.
    """
    answers: Sequence[Prediction | None] = challenger if challenger is not None else [None] * len(images)
    cases = [
        Case(
            path=image.path,
            sha256=image.sha256,
            label=image.label or "",
            champion=before,
            challenger=now,
            status=_status(image.label, now or before if image.sha256 in by_heart else before, now),
            was_read_as=image.was_read_as if image.was_read_as in labels else "",
        )
        for image, before, now in zip(images, champion, answers, strict=True)
    ]
    order = {"newly misread": 0, "still misread": 1, "fixed": 2, "read": 3}
    return tuple(sorted(cases, key=lambda case: (order[case.status], case.label, case.path)))


def tell_stories(
    cases: Sequence[Case],
    nights: Iterable[Mapping[str, Any]],
    *,
    run: str,
    champion: str,
    challenger: str,
    promoted: bool,
    seeds: Mapping[str, tuple[int, int]],
) -> tuple[Case, ...]:
    """The cases, each with its life up to and including tonight.

    Args:
        cases: As judged tonight.
        nights: Records of earlier nights, oldest first.
        run: Name of tonight.
        champion, challenger: Ids of the models that read for the cases.
        promoted: Whether the challenger reigns now.
        seeds: By sha256, in how many of how many seeds the challenger reads the image.
    """
    stories = _read_stories(nights)
    told = []
    for case in cases:
        reading, model = (case.challenger, challenger) if promoted and case.challenger else (case.champion, champion)
        before = stories.get(case.sha256)
        state = _next_state(
            before["state"] if before and before["label"] == case.label else "",
            reading is not None and reading.label == case.label,
        )
        goes_on = before is not None and before["label"] == case.label and before["state"] == state
        since, by = (before["since"], before["model"]) if before is not None and goes_on else (run, model)
        told.append(replace(case, story=CaseStory(state, since, by, *seeds.get(case.sha256, (0, 0)))))
    return tuple(told)


def new_stories(cases: Iterable[Case], run: str) -> Stories:
    """The states that began tonight, for tonight's record."""
    return {
        case.sha256: {
            "label": case.label,
            "state": case.story.state,
            "since": case.story.since,
            "model": case.story.model,
        }
        for case in cases
        if case.story and case.story.since == run
    }


def _read_stories(nights: Iterable[Mapping[str, Any]]) -> Stories:
    found: Stories = {}
    for night in nights:
        found.update(night.get("stories", {}))
    return found


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
