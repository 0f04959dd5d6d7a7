"""The rollback flow: put an earlier champion back."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.errors import TenaraiError
from tenarai.evaluate.champions import roll_back_champion
from tenarai.orchestration.runs import explain_failure, fail_run, settings_of_run


@flow(name="rollback", timeout_seconds=600, on_failure=[explain_failure], on_crashed=[explain_failure])
def rollback(store: str = "", to: str = "", why: str = "") -> State[str]:
    """Put an earlier champion back; it reads from now on.

    Args:
        store: Where everything is kept. Empty: as set for the worker.
        to: Id of the model to put back. Empty: the champion before this one.
        why: Kept in the history.
    """
    try:
        message = str(roll_back_champion(settings_of_run(store=store), to=to or None, why=why))
    except TenaraiError as error:
        return fail_run(error)
    return Completed(message=message, data=message)
