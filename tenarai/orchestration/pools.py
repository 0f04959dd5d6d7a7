"""The two work pools: `cpu` runs the nights, `gpu` trains. A night orders its training here and waits for it.

The two machines share only the store and the Prefect API, so the order names addresses and small settings, and its
result is the model that the training leaves in the store.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelling

from tenarai.errors import TrainingError
from tenarai.locale import _
from tenarai.orchestration.artifacts import SECONDS_BETWEEN_LINES, LiveArtifact, read_artifact
from tenarai.orchestration.watchdog import lost_its_process

log = logging.getLogger("tenarai.night")
CPU_POOL = "cpu"
GPU_POOL = "gpu"
GPU_DEPLOYMENT = "train/gpu"
ATTEMPTS = 2  # a second worker may be there, or the first one may have been restarted
LIMIT_SECONDS = 4 * 3600  # the training's own time limit
START_SECONDS = 15 * 60  # a worker that was ready a moment ago may have been switched off
POLL_SECONDS = 2


class Order(NamedTuple):
    """What became of an ordered training.

    Attributes:
        is_trained: Whether a worker of the pool completed it; if not, the night trains in place.
        note: What went wrong on the way, for the log and the report; empty when nothing did.
    """

    is_trained: bool
    note: str


def gpu_worker_is_ready() -> bool:
    """Whether this run is a deployment's, and a worker of the GPU pool has sent a heartbeat lately."""
    if not deployment.id:
        return False
    with get_client(sync_client=True) as client:
        try:
            return client.read_work_pool(GPU_POOL).status == WorkPoolStatus.READY
        except ObjectNotFound:
            return False


def train_on_gpu_pool(model: str, parameters: dict[str, Any]) -> Order:
    """Run the `train/gpu` deployment and wait for it. A worker that dies costs an attempt, not the night.

    Args:
        model: Id of the model to train.
        parameters: Parameters of the `train` flow, as JSON.

    Raises:
        TrainingError: The training itself failed, was cancelled by a person, or took too long.
    """
    note = ""
    for attempt in range(1, ATTEMPTS + 1):
        run_id = _order(model, parameters, attempt)
        state = _wait_for(run_id)
        if state is not None and state.is_completed():
            return Order(True, note)
        if state is None or not state.is_final():
            return Order(
                False, _("no GPU worker started {model} within {n} minutes", model=model, n=START_SECONDS // 60)
            )
        if not _worker_died(run_id, state):
            raise TrainingError(
                _("the GPU worker could not train {model}", model=model),
                received=f"{state.name}: {state.message}",
                fix=_("open the training's run in the Prefect UI, then run the night again"),
            )
        note = _("the GPU worker died while it trained {model}", model=model)
    return Order(False, note)


def _order(model: str, parameters: dict[str, Any], attempt: int) -> UUID:
    """Start a run of the deployment. A retried night finds the run that it ordered before."""
    run: Any = run_deployment(  # synchronous here, though its type says either
        GPU_DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        flow_run_name=f"train {model}",
        idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{model}-{attempt}",
    )
    return UUID(str(run.id))


def _wait_for(run_id: UUID) -> State[Any] | None:
    """The state in which a run ended; while it runs, the night shows the training's curves as its own.

    A run that no worker starts is cancelled, and its state is not final. A server that does not answer for a moment,
    such as one that restarts, is asked again.

    Raises:
        TrainingError: It took too long.
    """
    begun, state, next_line = time.monotonic(), None, 0.0
    shown = {"training": LiveArtifact("training"), "progress": LiveArtifact("progress", kind="progress")}
    while (waited := time.monotonic() - begun) < LIMIT_SECONDS:
        with suppress(HTTPError, PrefectHTTPStatusError):
            state = _read_state(run_id)
            for key, artifact in shown.items():
                artifact.show(partial(read_artifact, run_id, key), now=bool(state and state.is_final()))
            if waited > next_line and (line := read_artifact(run_id, "progress")[1]):
                log.info(line)
                next_line = waited + SECONDS_BETWEEN_LINES
        if state and state.is_final():
            return state
        if (state is None or not state.is_running()) and waited > START_SECONDS:
            _cancel(run_id)
            return state
        time.sleep(POLL_SECONDS)
    _cancel(run_id)
    raise TrainingError(
        _("the training did not end"),
        expected=_("an end within {n} hours", n=LIMIT_SECONDS // 3600),
        received=(state and state.name) or "",
        fix=_("lower the largest number of epochs, or give the worker a faster machine"),
    )


def _worker_died(run_id: UUID, state: State[Any]) -> bool:
    with get_client(sync_client=True) as client:
        return lost_its_process(client, run_id, state)


def _read_state(run_id: UUID) -> State[Any] | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state


def _cancel(run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelling(message="the night that ordered it stopped waiting"))
