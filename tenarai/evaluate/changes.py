"""What differs between what champion and challenger were trained on and with: for the report and `tenarai why`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tenarai.dataset import TRAIN, Manifest, load_manifest
from tenarai.errors import ModelError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import champion_id
from tenarai.locale import _
from tenarai.records import Change, ModelInfo
from tenarai.store import Store

Labelled = Mapping[str, str]
"""Label by sha256, of the images that a model was trained on."""


def find_models(store: Store, model: str | None) -> tuple[ModelInfo, ModelInfo]:
    """The champion and the challenger to compare.

    Args:
        store: Where models lie.
        model: Id of the challenger. Default: the newest model that a night trained.

    Raises:
        ModelError: The model is missing, or there is nothing to compare it with.
    """
    from tenarai.model.bundle import base_info, load_info

    challenger = load_info(store, model or _newest_model(store))
    champion = champion_id(store)
    if champion == challenger.id:
        champion = promotions.champion_before(store, base_info().id)
    if not challenger.snapshot:
        raise ModelError(
            _("{model} was not trained by a night", model=challenger.id),
            fix=_("name one of `tenarai models`, or run a night"),
        )
    return load_info(store, champion), challenger


def describe_changes(
    store: Store, champion: ModelInfo, challenger: ModelInfo, snapshot: Manifest | None = None
) -> tuple[Change, ...]:
    """Find what differs between the two, images first.

    Args:
        store: Where snapshots lie.
        champion, challenger: Their records.
        snapshot: What the challenger was trained on. Default: loaded from the store.

    Raises:
        StoreError: A snapshot is missing or damaged.
    """
    now = _labelled(snapshot) if snapshot else _trained_on(store, challenger)
    return find_changes(champion, challenger, _trained_on(store, champion), now)


def find_changes(champion: ModelInfo, challenger: ModelInfo, before: Labelled, now: Labelled) -> tuple[Change, ...]:
    """Find what differs between the two, images first.

    Args:
        champion, challenger: Their records; the base model's settings are its own and are not compared.
        before, now: What each was trained on.
    """
    found = [*_image_changes(before, now)]
    if champion.snapshot:
        found += _value_changes("setting", _settings(champion), _settings(challenger))
    versions = (dict(info.versions, normaliser=str(info.normaliser)) for info in (champion, challenger))
    return (*found, *_value_changes("version", *versions))


def _newest_model(store: Store) -> str:
    from tenarai.model.bundle import load_info

    made = [load_info(store, name) for name in store.names("models") if store.exists("models", name, "model.json")]
    if not made:
        raise ModelError(_("no night has trained a model in this store yet"), fix=_("run `tenarai nightly` once"))
    return max(made, key=lambda info: (info.created, info.id)).id


def _trained_on(store: Store, info: ModelInfo) -> dict[str, str]:
    return _labelled(load_manifest(store, info.snapshot)) if info.snapshot else {}


def _labelled(snapshot: Manifest) -> dict[str, str]:
    rows = snapshot.rows(TRAIN)
    return dict(zip(snapshot.sha256[rows].tolist(), snapshot.labels()[rows].tolist(), strict=True))


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
