"""What the GPU worker runs: one challenger from one snapshot; and how a night hands it out.

The two machines share nothing but the store and the Prefect API, so only addresses and small settings are passed, and
the challenger's id is known beforehand: `models/<id>/model.json` is written last, and its being there is the result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.dataset import REGRESSION, TRAIN, load_snapshot
from tenarai.errors import TrainingError
from tenarai.model.track import open_tracker
from tenarai.orchestration.pools import gpu_worker_is_ready
from tenarai.records import ModelInfo
from tenarai.settings import Settings, TrainingSettings
from tenarai.store import Store, open_store

if TYPE_CHECKING:
    from tenarai.model.recipes import TrainingSet
    from tenarai.model.train import Trained

log = logging.getLogger("tenarai.train")
GPU_DEPLOYMENT = "train/gpu"
LIMIT_SECONDS = 4 * 3600
START_SECONDS = 15 * 60  # a worker that was there a moment ago may have been switched off
POLL_SECONDS = 2


@flow(name="train", flow_run_name="train {model}", timeout_seconds=LIMIT_SECONDS)
def train(store: str, snapshot: str, model: str, training: TrainingSettings = TrainingSettings()) -> State[str]:
    """Train one challenger.

    Args:
        store: Where snapshots and models are kept: a path, s3://… or gs://….
        snapshot: Id of the snapshot to learn from.
        model: Id under which the model is kept; a complete model of this id is not trained again.
        training: How it is trained.
    """
    return Completed(message=train_from_snapshot(store, snapshot, model, training, log.info), data=model)


def train_from_snapshot(
    store_address: str, snapshot_id: str, model_id: str, training: TrainingSettings, say: Callable[[str], None]
) -> str:
    """Train on a snapshot's training images and keep the model; says in a line what came out.

    Raises:
        StoreError: Store or snapshot cannot be read.
        TrainingError: No usable model came out.
        SettingsError: TensorBoard or MLflow is asked for and not installed.
    """
    from tenarai.model.bundle import save_model
    from tenarai.model.train import train_model

    store = open_store(store_address, create=False)
    if store.exists("models", model_id, "model.json"):
        return f"{model_id} is complete already"
    training_set = load_training_set(store, snapshot_id)
    with open_tracker(Settings(), model_id) as tracker:
        trained = train_model(
            training_set.pixels,
            training_set.targets,
            training_set.groups,
            training_set.labels,
            training,
            normaliser=training_set.normaliser,
            only_read=training_set.only_read,
            on_epoch=say,
            watch=tracker.watch,
        )
        kept = save_model(
            store, _describe_model(model_id, snapshot_id, training_set.normaliser, training, trained), trained
        )
        tracker.finish(kept)
    return f"{model_id}: {kept.recipe}, {kept.epochs} epochs on {len(training_set.pixels)} images, on {kept.device}"


def load_training_set(store: Store, snapshot_id: str) -> TrainingSet:
    """What is learned from a snapshot; the rest of it is not held, which of a million images is over a gigabyte.

    Raises:
        StoreError: It is missing or was altered.
    """
    from tenarai.model.recipes import TrainingSet

    snapshot = load_snapshot(store, snapshot_id)
    rows, info = snapshot.rows(TRAIN), snapshot.info
    return TrainingSet(
        snapshot.pixels[rows],
        snapshot.targets[rows],
        snapshot.groups[rows],
        info.labels,
        info.normaliser,
        snapshot.pixels[snapshot.rows(REGRESSION)],
    )


def _describe_model(
    model_id: str, snapshot_id: str, normaliser: int, training: TrainingSettings, trained: Trained
) -> ModelInfo:
    from tenarai.model.bundle import versions

    return ModelInfo(
        id=model_id,
        labels=trained.labels,
        normaliser=normaliser,
        snapshot=snapshot_id,
        recipe=trained.recipe,
        parameters=training.model_dump(mode="json"),
        versions=versions(),
        epochs=trained.epochs,
        epochs_by_fold=trained.curves.best_epochs,
        metrics=trained.metrics,
        weights_sha256="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=trained.device,
        unsure_below=trained.unsure_below,
        notes=trained.notes,
    )


def challenger_id(snapshot_id: str, training: TrainingSettings) -> str:
    """The same snapshot and settings always make the same model, so they name it."""
    text = json.dumps([snapshot_id, training.model_dump(mode="json", exclude={"device"})], sort_keys=True)
    return f"m-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def hand_out_training(
    store: str, snapshot: str, model: str, training: TrainingSettings, say: Callable[[str], None]
) -> None:
    """Train on the GPU pool if this night runs as a deployment and a worker is there; else here, as a subflow.

    Outside of any run it is a plain function call, and needs no Prefect server.

    Raises:
        TrainingError: The GPU worker failed, was cancelled or took too long.
    """
    parameters: dict[str, object] = {
        "store": store,
        "snapshot": snapshot,
        "model": model,
        "training": training.model_dump(mode="json"),
    }
    handed_out = _runs_as_deployment() and gpu_worker_is_ready()
    if handed_out:
        say(f"handing {model} to {GPU_DEPLOYMENT}")
        handed_out = _train_on_gpu_pool(model, parameters)
        if not handed_out:
            say(f"no worker took {model} within {START_SECONDS // 60} minutes; training it here")
    if not handed_out:
        _train_here(store, snapshot, model, training, say)
    if not open_store(store).exists("models", model, "model.json"):
        raise TrainingError(
            f"the training of {model} ended without a model in the store",
            expected=f"models/{model}/model.json in {store}",
            received="nothing there",
            fix="check that both workers were given the same store address",
        )


def _train_here(store: str, snapshot: str, model: str, training: TrainingSettings, say: Callable[[str], None]) -> None:
    """As a subflow; outside of any run as a plain function, which needs no server."""
    from prefect.runtime import flow_run

    if flow_run.id:
        train(store=store, snapshot=snapshot, model=model, training=training)
    else:
        say(train_from_snapshot(store, snapshot, model, training, say))


def _runs_as_deployment() -> bool:
    from prefect.runtime import deployment

    return bool(deployment.id)


def _train_on_gpu_pool(model: str, parameters: dict[str, object]) -> bool:
    """Run the deployment and wait for it; a run that takes too long is cancelled, since nobody waits for it now.

    Returns:
        Whether a worker did it; False when none even began.

    Raises:
        TrainingError: It failed, was cancelled or took too long.
    """
    from prefect.deployments import run_deployment
    from prefect.runtime import flow_run

    run: Any = run_deployment(  # synchronous here, though its type says either
        GPU_DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        # a retried night must find the training it has already ordered, not order a second one
        idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{model}",
    )
    state = _wait_for(run.id)
    if state is None or not state.is_final():
        _cancel(run.id)
    if state is None or state.is_scheduled() or state.is_pending():
        return False
    if not state.is_final():
        raise TrainingError(
            f"the GPU worker did not finish {model}",
            expected=f"an end within {LIMIT_SECONDS // 3600} hours",
            received=f"state {state.name}",
            fix="look at the run in the Prefect UI; lower max_epochs, or give the worker a faster machine",
        )
    if not state.is_completed():
        raise TrainingError(
            f"the GPU worker could not train {model}",
            received=f"{state.name}: {state.message}",
            fix="look at the run in the Prefect UI, then start the night again",
        )
    return True


def _wait_for(run_id: UUID) -> State[Any] | None:
    """The state in which a run ended, or was given up: not begun after a while, or not ended after hours.

    A server that is away for a moment, such as one that is started anew, is asked again.
    """
    from httpx import TransportError

    begun, state = time.monotonic(), None
    while (waited := time.monotonic() - begun) < LIMIT_SECONDS:
        with suppress(TransportError):
            state = _read_state(run_id)
        waits = state is None or state.is_scheduled() or state.is_pending()
        if (state and state.is_final()) or (waits and waited > START_SECONDS):
            break
        time.sleep(POLL_SECONDS)
    return state


def _read_state(run_id: UUID) -> State[Any] | None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state


def _cancel(run_id: UUID) -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelling

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelling(message="the night that ordered it stopped waiting"))
