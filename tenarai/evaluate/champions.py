"""Everyone who was champion: listed with today's scores, put back, or promoted by hand."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from dataclasses import dataclass

from tenarai.catalogue import hold_store
from tenarai.dataset import REGRESSION, TEST, Snapshot, load_snapshot
from tenarai.errors import ModelError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import Predictions, champion_id, load_model_by_id
from tenarai.locale import Message, _, load
from tenarai.records import Promotion, Score
from tenarai.settings import Settings
from tenarai.store import Store, open_store


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
    from tenarai.model.bundle import base_info

    store = open_store(settings.store, create=False)
    snapshot = _newest_snapshot(store) if score else None
    champion = champion_id(store)
    base = Promotion(base_info().id, "", _("ships with Tenarai"), "Tenarai", "champion zero")
    for promotion in {promotion.model: promotion for promotion in (base, *promotions.history(store))}.values():
        yield _score(store, promotion, promotion.model == champion, snapshot)


def roll_back_champion(settings: Settings, *, to: str | None, why: str) -> Message:
    """Put an earlier champion back, and say so.

    Raises:
        ModelError: There is no earlier champion, or the one named cannot be loaded; nothing is changed then.
    """
    from tenarai.model.bundle import base_info

    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        if to:
            load_model_by_id(store, to)  # a model that cannot be loaded must not become champion
        promotion = promotions.roll_back(store, to=to, base=base_info().id, why=why, by=_find_user())
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


def _newest_snapshot(store: Store) -> Snapshot | None:
    """The snapshot of the newest report, or None before the first."""
    if not store.exists("reports", "latest"):
        return None
    run = store.read("reports", "latest").decode().strip()
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
