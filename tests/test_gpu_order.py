"""How a night orders its training from the GPU pool, and what it does when no worker completes it."""

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running

from flows import train
from tenarai.errors import TrainingError
from tenarai.orchestration import pools
from tenarai.orchestration.artifacts import LiveArtifact
from tenarai.orchestration.watchdog import SILENT

PARAMETERS = {"store": "nowhere", "snapshot": "s", "model": "m-1", "training": {}}


@pytest.fixture
def deployment(prefect):
    """`train/gpu`, without a worker."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(train.train)
        yield client, client.create_deployment(flow_id, "gpu", entrypoint="flows/train.py:train")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(pools, "START_SECONDS", 0.5)


@task(name="train")
def order():
    return pools.train_on_gpu_pool("m-1", PARAMETERS)


@flow
def night():
    return order()


def answer(monkeypatch, *states):
    """Let the training's run be in these states, one after the other."""
    left = list(states)

    def read(run_id):
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(pools, "_read_state", read)


def trainings(client, deployment_id):
    runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment_id]
    return sorted(runs, key=lambda run: run.created)


def test_a_training_that_no_worker_starts_is_cancelled_and_left_to_the_night(deployment):
    client, deployment_id = deployment
    ordered = night()
    assert not ordered.is_trained
    assert "no GPU worker started m-1" in ordered.note
    run = trainings(client, deployment_id)[-1]
    assert run.state.is_cancelled()
    assert run.name == "train m-1"


def test_a_training_that_fails_is_one_clear_message(deployment, monkeypatch):
    answer(monkeypatch, Failed(message="out of memory"))
    with pytest.raises(TrainingError, match=r"could not train m-1.*out of memory"):
        night()


def test_a_training_that_a_person_cancels_ends_the_night(deployment, monkeypatch):
    answer(monkeypatch, Cancelled(message="Cancelled by a person"))
    with pytest.raises(TrainingError, match="could not train m-1"):
        night()


@pytest.mark.parametrize("death", [Crashed(message="status -9"), Cancelled(message="cancelled successfully")])
def test_a_training_whose_worker_died_is_ordered_once_more(deployment, monkeypatch, death):
    client, deployment_id = deployment
    before = len(trainings(client, deployment_id))
    past = [Cancelling(message=SILENT)] if death.is_cancelled() else []
    monkeypatch.setattr(SyncPrefectClient, "read_flow_run_states", lambda *_: [*past, death])
    answer(monkeypatch, death, Completed())
    ordered = night()
    assert ordered.is_trained
    assert "died" in ordered.note
    assert len(trainings(client, deployment_id)) == before + 2


def test_a_training_whose_worker_died_twice_is_left_to_the_night(deployment, monkeypatch):
    answer(monkeypatch, Crashed())
    ordered = night()
    assert not ordered.is_trained
    assert "died" in ordered.note


def test_a_server_that_does_not_answer_for_a_moment_is_asked_again(deployment, monkeypatch):
    away = httpx.ConnectError("connection refused")
    answer(monkeypatch, away, away, Completed())
    assert night() == (True, "")


def test_a_training_without_end_is_cancelled_and_reported(deployment, monkeypatch):
    client, deployment_id = deployment
    monkeypatch.setattr(pools, "LIMIT_SECONDS", 1)
    answer(monkeypatch, Running())
    with pytest.raises(TrainingError, match=r"did not end.*Running"):
        night()
    assert trainings(client, deployment_id)[-1].state.is_cancelled()


def test_a_live_artifact_is_one_artifact_that_changes_and_skips_what_comes_too_soon(prefect):
    shown = LiveArtifact("training")

    @flow
    def show():
        for text in ("one", "two", "three"):
            shown.show(lambda text=text: (text, ""))
        shown.show(lambda: ("four", ""), now=True)
        return flow_run.id

    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[show()]))
    with get_client(sync_client=True) as client:
        assert [artifact.data for artifact in client.read_artifacts(artifact_filter=mine)] == ["four"]


def test_a_live_artifact_outside_a_run_does_nothing():
    LiveArtifact("training").show(lambda: ("text", ""))
