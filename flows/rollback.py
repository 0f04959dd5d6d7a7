"""The rollback flow: put an earlier champion back."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.evaluate.champions import roll_back_champion
from tenarai.settings import read_settings


@flow(name="rollback", timeout_seconds=600)
def rollback(store: str = "", to: str = "", why: str = "") -> State[str]:
    """Put an earlier champion back; it reads from now on.

    Args:
        store: Where everything is kept. Empty: as set on the worker (TENARAI_STORE).
        to: Id of the model to put back. Empty: the champion before this one.
        why: Kept in the history.
    """
    message = str(roll_back_champion(read_settings(store=store), to=to or None, why=why))
    return Completed(message=message, data=message)
