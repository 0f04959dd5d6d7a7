"""Champions beside each other: listed with today's scores, put back, promoted by hand; and what differs between two."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tenarai.catalogue import hold_store
from tenarai.dataset import REGRESSION, TEST, TRAIN, Manifest, Snapshot, load_manifest, load_snapshot
from tenarai.errors import ModelError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import Predictions, champion_id, load_model_by_id
from tenarai.locale import Message, _, load
from tenarai.model.bundle import base_info, load_info
from tenarai.records import Change, ModelInfo, Promotion, Score
from tenarai.settings import Settings
from tenarai.store import Store, open_store

Labelled = Mapping[str, str]
"""Label by sha256, of the images that a model was trained on."""


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model of `tenarai models`.

    Attributes:
        promotion: When and why it became champion.
        is_champion: Whether it reads now.
        recipe: How it was trained; empty if it cannot be loaded.
        score, regression: On the newest snapshot's test images and regression set; None where not scored.
        problem: Why it cannot be loaded.
    """

    promotion: Promotion
    is_champion: bool
    recipe: str = ""
    score: Score | None = None
    regression: Score | None = None
    problem: str = ""


def list_models(settings: Settings, *, score: bool = True) -> Iterator[ModelLine]:
    """The base model and every champion since, oldest first.

    Args:
        settings: Where the store is.
        score: Load each, and score it on the newest snapshot. Default: True.

    Raises:
        StoreError: There is no store.
    """
    store = open_store(settings.store, create=False)
    snapshot = newest_snapshot(store) if score else None
    champion = champion_id(store)
    base = Promotion(base_info().id, "", _("ships with Tenarai"), "Tenarai", "champion zero")
    for promotion in {promotion.model: promotion for promotion in (base, *promotions.history(store))}.values():
        yield _score(store, promotion, promotion.model == champion, snapshot)


def roll_back_champion(settings: Settings, *, to: str | None, why: str) -> Message:
    """Put an earlier champion back, and say so.

    Raises:
        ModelError: There is no earlier champion, or the one named cannot be loaded; nothing is changed then.
    """
    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        if to:
            load_model_by_id(store, to)  # a model that cannot be loaded must not become champion
        promotion = promotions.roll_back(store, to=to, why=why, by=_find_user())
    reason = load(promotion.why) or _("no reason given")
    return _("{model} is champion again: {reason}", model=promotion.model, reason=reason)


def promote_by_hand(settings: Settings, model: str, *, why: str) -> Message:
    """Make a model champion whatever the gate said; the history keeps who and why.

    Raises:
        ModelError: The model is missing, damaged or of another normaliser; nothing is changed then.
    """
    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        info = load_model_by_id(store, model).info
        promotions.promote(store, model, why=why, by=_find_user(), snapshot=info.snapshot)
    return _("{model} is champion by hand: {reason}", model=model, reason=why)


def find_models(store: Store, model: str | None) -> tuple[ModelInfo, ModelInfo]:
    """The champion and the challenger to compare.

    Args:
        store: Where models lie.
        model: Id of the challenger. Default: the newest model that a night trained.

    Raises:
        ModelError: The model is missing, or there is nothing to compare it with.
    """
    challenger = load_info(store, model or _newest_model(store))
    champion = champion_id(store)
    if champion == challenger.id:
        champion = promotions.champion_before(store)
    if not challenger.snapshot:
        raise ModelError(
            _("{model} was not trained by a night", model=challenger.id),
            fix=_("name one of `tenarai models`, or run a night"),
        )
    return load_info(store, champion), challenger


def trained_on(store: Store, info: ModelInfo) -> Labelled:
    """The labels of the images that a model was trained on; empty for the base model, which has no snapshot.

    Raises:
        StoreError: The snapshot is missing or damaged.
    """
    return training_labels(load_manifest(store, info.snapshot)) if info.snapshot else {}


def training_labels(snapshot: Manifest) -> Labelled:
    """The labels of the images that a snapshot trains on."""
    rows = snapshot.rows(TRAIN)
    return dict(zip(snapshot.sha256[rows].tolist(), snapshot.labels()[rows].tolist(), strict=True))


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


def newest_snapshot(store: Store) -> Snapshot | None:
    """The snapshot of the newest report, or None before the first."""
    if not store.exists("reports", "latest"):
        return None
    run = store.read("reports", "latest").decode(errors="replace").strip()
    if run not in store.names("reports"):
        raise store.damaged("reports", "latest", expected=_("the name of a report"), received=run[:40])
    snapshot = store.read_json("reports", run, "report.json").get("snapshot")
    return load_snapshot(store, str(snapshot)) if snapshot else None


def _score(store: Store, promotion: Promotion, is_champion: bool, snapshot: Snapshot | None) -> ModelLine:
    try:
        model = load_model_by_id(store, promotion.model)
    except ModelError as error:
        return ModelLine(promotion, is_champion, problem=error.what)
    if snapshot is None:
        return ModelLine(promotion, is_champion, model.info.recipe)
    scores: list[Score] = []
    for split in (TEST, REGRESSION):
        rows = snapshot.rows(split)
        right = Predictions.of(model, snapshot.pixels[rows]).labels == snapshot.labels()[rows] if len(rows) else rows
        scores.append(Score.of(int(right.sum()), len(rows)))
    return ModelLine(promotion, is_champion, model.info.recipe, scores[0], scores[1])


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "someone"


def _newest_model(store: Store) -> str:
    made = [load_info(store, name) for name in store.names("models") if store.exists("models", name, "model.json")]
    if not made:
        raise ModelError(_("no night has trained a model in this store yet"), fix=_("run `tenarai nightly` once"))
    return max(made, key=lambda info: (info.created, info.id)).id


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
