"""How a night hands its training to the GPU pool, and what it does when nobody takes it."""

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Completed, Failed, Running

from flows import train
from tenarai.errors import TrainingError

PARAMETERS = {"store": "nowhere", "snapshot": "s", "model": "m-1", "training": {}}


@pytest.fixture
def deployment(prefect):
    """`train/gpu`, with nobody there to run it."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(train.train)
        yield client, client.create_deployment(flow_id, "gpu", entrypoint="flows/train.py:train")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(train, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(train, "START_SECONDS", 0.5)


@flow
def night():
    return train._train_on_gpu_pool("m-1", PARAMETERS)


def last_run(client, deployment_id):
    runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment_id]
    return max(runs, key=lambda run: run.created)


def test_a_training_that_no_worker_begins_is_cancelled_and_done_here(deployment):
    client, deployment_id = deployment
    assert night() is False
    assert last_run(client, deployment_id).state.is_cancelled()


def test_a_training_that_fails_over_there_is_one_clear_message(deployment, monkeypatch):
    monkeypatch.setattr(train, "_read_state", lambda run_id: Failed(message="out of memory"))
    with pytest.raises(TrainingError, match=r"could not train m-1.*out of memory"):
        night()


def test_a_server_that_is_away_for_a_moment_is_asked_again(deployment, monkeypatch):
    asked = []

    def away_at_first(run_id):
        asked.append(run_id)
        if len(asked) < 3:
            raise httpx.ConnectError("connection refused")
        return Completed()

    monkeypatch.setattr(train, "_read_state", away_at_first)
    assert night() is True
    assert len(asked) == 3


def test_a_training_without_end_is_cancelled_and_said(deployment, monkeypatch):
    client, deployment_id = deployment
    monkeypatch.setattr(train, "LIMIT_SECONDS", 1)
    monkeypatch.setattr(train, "_read_state", lambda run_id: Running())
    with pytest.raises(TrainingError, match=r"did not finish m-1.*Running"):
        night()
    assert last_run(client, deployment_id).state.is_cancelled()
