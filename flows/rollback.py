"""Put an earlier champion back, or crown one by hand: one function each, and the flow for the UI."""

from __future__ import annotations

import getpass

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.catalogue import hold_store
from tenarai.evaluate import promote
from tenarai.evaluate.champion import load_model_by_id
from tenarai.settings import Settings
from tenarai.store import open_store


@flow(name="rollback", timeout_seconds=600)
def rollback(store: str = "", to: str = "", why: str = "") -> State[str]:
    """Put an earlier champion back; the next reading uses it.

    Args:
        store: Where everything is kept. Empty: as set on the worker (TENARAI_STORE).
        to: Id of the model to put back. Empty: the champion before this one.
        why: Kept in the history.
    """
    settings = Settings(store=store) if store else Settings()  # type: ignore[call-arg]
    message = roll_back_champion(settings, to=to or None, why=why)
    return Completed(message=message, data=message)


def roll_back_champion(settings: Settings, *, to: str | None, why: str) -> str:
    """Put an earlier champion back and say so.

    Raises:
        ModelError: There is no earlier champion, or the one named cannot be loaded; nothing is changed then.
    """
    from tenarai.model.bundle import base_info

    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        if to:
            load_model_by_id(store, to)  # a model that cannot read must not reign
        promotion = promote.roll_back(store, to=to, base=base_info().id, why=why, by=_who())
    return f"{promotion.model} is champion again: {promotion.why or 'no reason given'}"


def promote_by_hand(settings: Settings, model: str, *, why: str) -> str:
    """Make a model champion whatever the gate said; the history says who and why.

    Raises:
        ModelError: The model is missing, damaged or of another normaliser; nothing is changed then.
    """
    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        info = load_model_by_id(store, model).info
        promote.promote(store, model, why=why, by=_who(), snapshot=info.snapshot)
    return f"{model} is champion by hand: {why}"


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "someone"
