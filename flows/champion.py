"""Who reads: the champion of a store, or the shipped base model, champion zero, where none was crowned yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import promote
from tasks.prepare import NORMALISER_VERSION
from tasks.store import Store

if TYPE_CHECKING:
    from tasks.model.bundle import LoadedModel


def champion_id(store: Store | None) -> str:
    """Id of the reigning champion, without loading it; the base model's where none was crowned."""
    reign = promote.champion(store) if store else None
    if reign:
        return reign.model
    from tasks.model.bundle import base_info

    return base_info().id


def load_model_by_id(store: Store | None, model_id: str) -> LoadedModel:
    """A model of the store, or the base model by its id.

    Raises:
        ModelError: There is none, or it is damaged.
        NormaliserMismatch: It was trained with another normaliser than today's.
    """
    from tasks.model.bundle import base_info, load_base, load_model

    if store is None or model_id == base_info().id:
        return load_base(normaliser=NORMALISER_VERSION)
    return load_model(store, model_id, normaliser=NORMALISER_VERSION)


def load_champion(store: Store | None) -> LoadedModel:
    """The reigning champion, ready to read.

    Raises:
        ModelError, NormaliserMismatch: As `load_model_by_id`.
    """
    return load_model_by_id(store, champion_id(store))
