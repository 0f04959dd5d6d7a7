"""What differs between what two models were made from, and what to retrain to tell which difference mattered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tenarai.records import Change, ModelInfo

Labelled = Mapping[str, str]
"""Label by sha256, of the images that a model was trained on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A training that takes over one difference and leaves the others.

    Attributes:
        cause: `images added`, `images gone`, `images relabelled`, `settings` or `seed`.
        images: Label by sha256, of what to train on.
        parameters: Training settings.
    """

    cause: str
    images: dict[str, str]
    parameters: dict[str, object]


def find_changes(champion: ModelInfo, challenger: ModelInfo, before: Labelled, now: Labelled) -> tuple[Change, ...]:
    """What differs between the two, images first.

    Args:
        champion, challenger: Their records; the base model's settings are its own and are not compared.
        before, now: What each was trained on.
    """
    found = [*_image_changes(before, now)]
    if champion.snapshot:
        found += _value_changes("setting", _settings(champion), _settings(challenger))
    versions = (dict(info.versions, normaliser=str(info.normaliser)) for info in (champion, challenger))
    return (*found, *_value_changes("version", *versions))


def plan_trials(champion: ModelInfo, challenger: ModelInfo, before: Labelled, now: Labelled) -> tuple[Trial, ...]:
    """One training a cause, each from what the champion was made from; none where there is one cause or less.

    Args:
        champion, challenger: Their records.
        before, now: What each was trained on.
    """
    added = {sha: label for sha, label in now.items() if sha not in before}
    relabelled = {sha: now[sha] for sha, label in before.items() if sha in now and now[sha] != label}
    kept = {sha: label for sha, label in before.items() if sha in now}
    theirs, ours = dict(champion.parameters), dict(challenger.parameters)
    settings = {name: value for name, value in ours.items() if name not in {"seed", "device"}}
    trials = [
        Trial("images added", {**before, **added}, theirs),
        Trial("images gone", kept, theirs),
        Trial("images relabelled", {**before, **relabelled}, theirs),
        Trial("settings", dict(before), {**theirs, **settings}),
        Trial("seed", dict(before), {**theirs, "seed": ours.get("seed", 0)}),
    ]
    differing = [trial for trial in trials if trial.images != dict(before) or trial.parameters != theirs]
    return tuple(differing) if len(differing) > 1 else ()


def _image_changes(before: Labelled, now: Labelled) -> list[Change]:
    totals = Counter(before.values())
    added = Counter(label for sha, label in now.items() if sha not in before)
    gone = Counter(label for sha, label in before.items() if sha not in now)
    moved = Counter((label, now[sha]) for sha, label in before.items() if sha in now and now[sha] != label)
    return [
        *[Change("added", name, str(totals[name]), str(totals[name] + n)) for name, n in sorted(added.items())],
        *[Change("gone", name, str(totals[name]), str(totals[name] - n)) for name, n in sorted(gone.items())],
        *[Change("relabelled", str(n), old, new) for (old, new), n in sorted(moved.items())],
    ]


def _value_changes(kind: str, before: Mapping[str, object], now: Mapping[str, object]) -> list[Change]:
    names = sorted(set(before) | set(now))
    return [
        Change(kind, name, str(before.get(name, "–")), str(now.get(name, "–")))
        for name in names
        if before.get(name) != now.get(name)
    ]


def _settings(info: ModelInfo) -> dict[str, object]:
    """The settings as given, and what `auto` made of them; where it was trained is no setting of the model."""
    return {**{name: value for name, value in info.parameters.items() if name != "device"}, "recipe taken": info.recipe}
