"""The training flow: one challenger from one snapshot. A night orders it on the GPU pool."""

from __future__ import annotations

import logging
from contextlib import closing

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.errors import TenaraiError
from tenarai.model.challenger import train_challenger
from tenarai.orchestration.artifacts import TrainingView
from tenarai.orchestration.runs import explain_failure, fail_run
from tenarai.settings import TrainingSettings
from tenarai.store import open_store

log = logging.getLogger("tenarai.train")


@flow(
    name="train",
    flow_run_name="train {model}",
    timeout_seconds=4 * 3600,
    on_failure=[explain_failure],
    on_crashed=[explain_failure],
)
def train(store: str, snapshot: str, model: str, training: TrainingSettings = TrainingSettings()) -> State[str]:
    """Train one challenger.

    Args:
        store: Where snapshots and models are kept: a path, s3://… or gs://….
        snapshot: Id of the snapshot to train on.
        model: Id under which the model is kept; a complete model of this id is not trained again.
        training: How it is trained.
    """
    try:
        with closing(TrainingView(log, training)) as view:
            message = train_challenger(open_store(store, create=False), snapshot, model, training, view)
    except TenaraiError as error:
        return fail_run(error)
    return Completed(message=str(message), data=model)
