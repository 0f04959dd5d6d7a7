"""Which model reads, and what it reads. Predictions are remembered, so that a quiet night loads no model.

The base model, which ships with Tenarai, is champion zero.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError, TenaraiError
from tenarai.evaluate import promotions
from tenarai.locale import _
from tenarai.model.bundle import LoadedModel, base_info, is_base, load_base, load_info, load_model
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import ModelInfo, Prediction
from tenarai.store import Store

if TYPE_CHECKING:  # reading an image needs neither SQLAlchemy nor Keras
    from tenarai.catalogue import Catalogue
    from tenarai.sync.names import Labels


def champion_id(store: Store | None) -> str:
    """Id of the model that reads, without loading it.

    The base model reads where nothing was promoted yet, and where the champion was trained with another normaliser.
    """
    promotion = promotions.champion(store) if store else None
    return promotion.model if store and promotion and _fits_normaliser(store, promotion.model) else base_info().id


def known_labels(store: Store) -> Labels:
    """What is known of labels before a sync: those of the champion, and of the base model if they overlap."""
    from tenarai.sync.names import Labels

    base, promotion = frozenset(base_info().labels), promotions.champion(store)
    if promotion is None or is_base(promotion.model):
        return Labels(read=base)
    try:
        own = frozenset(load_info(store, promotion.model).labels)
    except TenaraiError:  # the evaluation reports a damaged champion
        own = base
    return Labels(read=own | base if own & base else own, is_promoted=True)


def load_model_by_id(store: Store | None, model_id: str) -> LoadedModel:
    """Load a model of the store, or the base model by its id or by the id of one that shipped earlier.

    Raises:
        ModelError: It is missing or damaged.
        NormaliserMismatch: It was trained with another version of the normaliser.
    """
    if is_base(model_id):
        return load_base(normaliser=NORMALISER_VERSION)
    if store is None:
        raise ModelError(
            _("the model {model} is missing", model=model_id),
            expected=_("the base model's id, since there is no store"),
            fix=_("check the id and --store, or run `tenarai nightly` once"),
        )
    return load_model(store, model_id, normaliser=NORMALISER_VERSION)


def load_champion(store: Store | None) -> LoadedModel:
    """Load the model that `champion_id` names.

    Raises:
        ModelError: As `load_model_by_id`.
    """
    return load_model_by_id(store, champion_id(store))


def to_predictions(probabilities: NDArray[np.float32], labels: Sequence[str], unsure_below: float) -> list[Prediction]:
    """Take the most probable label of each row.

    Args:
        probabilities: (N, K) float32, rows summing to 1.
        labels: K class names.
        unsure_below: Predictions with less confidence than this are unsure, 0 to 1.
    """
    best = probabilities.argmax(axis=1) if len(probabilities) else []
    found = [(labels[column], float(row[column])) for row, column in zip(probabilities, best, strict=True)]
    return [Prediction(label, confidence, confidence < unsure_below) for label, confidence in found]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model reads in N images: probabilities (N, K) float32; rows of NaN where it has no honest prediction."""

    model: ModelInfo
    probabilities: NDArray[np.float32]

    @classmethod
    def of(cls, model: LoadedModel, pixels: NDArray[np.uint8]) -> Predictions:
        """Let a model read (N, 28, 28) uint8 digits."""
        return cls(model.info, model.predict(pixels))

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """(N,) str, the most probable label of each image; empty where the row is NaN."""
        best: NDArray[np.str_] = np.array(self.model.labels)[self.probabilities.argmax(axis=1)]
        best[np.isnan(self.probabilities).any(axis=1)] = ""
        return best

    def rows(self, rows: NDArray[np.intp]) -> list[Prediction]:
        """Predictions of some of the images; nobody needs a million of these objects."""
        return to_predictions(self.probabilities[rows], self.model.labels, self.model.unsure_below)


def remember(catalogue: Catalogue, model: str, predictions: dict[str, Prediction]) -> None:
    """Keep what a model read, by sha256."""
    catalogue.put_predictions(model, {sha: (item.label, item.confidence) for sha, item in predictions.items()})


def recall(store: Store, catalogue: Catalogue, model: str, sha256s: Collection[str]) -> dict[str, Prediction]:
    """What a model read before, by sha256, without loading it."""
    known = catalogue.predictions(model, sha256s)
    if not known:
        return {}
    threshold = load_info(store, model).unsure_below
    return {sha: Prediction(label, confidence, confidence < threshold) for sha, (label, confidence) in known.items()}


def _fits_normaliser(store: Store, model_id: str) -> bool:
    """Whether a model was trained with today's normaliser; if it is damaged, loading it says so."""
    try:
        return load_info(store, model_id).normaliser == NORMALISER_VERSION
    except TenaraiError:
        return True
