"""Who reads: the champion of a store, or the shipped base model, champion zero, where none was crowned yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenarai.errors import ModelError, TenaraiError
from tenarai.evaluate import promote
from tenarai.prepare import NORMALISER_VERSION
from tenarai.store import Store

if TYPE_CHECKING:
    from tenarai.model.bundle import LoadedModel


def champion_id(store: Store | None) -> str:
    """Id of the model that reads, without loading it: the reigning champion.

    It is the base model where none was crowned, and where the champion was trained with another normaliser and cannot
    read today's digits.
    """
    from tenarai.model.bundle import base_info

    promotion = promote.champion(store) if store else None
    return promotion.model if store and promotion and can_read_today(store, promotion.model) else base_info().id


def can_read_today(store: Store, model_id: str) -> bool:
    """Whether a model was trained with today's normaliser; of one that is damaged, loading it says what is wrong."""
    from tenarai.model.bundle import load_info

    try:
        return load_info(store, model_id).normaliser == NORMALISER_VERSION
    except TenaraiError:
        return True


def load_model_by_id(store: Store | None, model_id: str) -> LoadedModel:
    """A model of the store, or the base model by its id, or by the id of one that shipped earlier.

    Raises:
        ModelError: There is none, or it is damaged.
        NormaliserMismatch: It was trained with another normaliser than today's.
    """
    from tenarai.model.bundle import is_base, load_base, load_model

    if is_base(model_id):
        return load_base(normaliser=NORMALISER_VERSION)
    if store is None:
        raise ModelError(
            f"there is no model {model_id!r}",
            expected="the base model's id, since there is no store",
            fix="check the id and --store, or run `tenarai nightly` once",
        )
    return load_model(store, model_id, normaliser=NORMALISER_VERSION)


def load_champion(store: Store | None) -> LoadedModel:
    """The model that `champion_id` names, ready to read.

    Raises:
        ModelError: As `load_model_by_id`.
    """
    return load_model_by_id(store, champion_id(store))
