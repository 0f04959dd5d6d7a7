"""The watchdog of `tenarai up`: which runs it ends, and which nights it starts again."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelling, Completed, Crashed, Pending, Running

from tenarai.orchestration import watchdog
from tenarai.orchestration.watchdog import ATTEMPTS, Watchdog

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@flow(name="nightly")
def nightly(store: str = ""):
    pass


@pytest.fixture
def client(prefect):
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs():
            client.delete_flow_run(run.id)
        yield client


@pytest.fixture
def process():
    """A process whose command line names Prefect, as a run's does."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "prefect"])
    yield child
    child.kill()
    child.wait()


def run_in(client, state, *, pid="", tags=(), deployment=None):
    """A run in a state, with the number of its process."""
    run = (
        client.create_flow_run_from_deployment(deployment, parameters={"store": "nowhere"}, tags=list(tags))
        if deployment
        else client.create_flow_run(nightly)
    )
    if pid:
        client.update_flow_run(run.id, infrastructure_pid=str(pid))
    client.set_flow_run_state(run.id, state, force=True)
    return run.id


def look(client, *runs):
    Watchdog(lambda line: None).look(client)
    return [client.read_flow_run(run).state.type.value for run in runs]


def test_a_run_without_a_process_and_heartbeat_has_crashed_and_one_with_a_process_lives(client, process):
    dead = run_in(client, Running(), pid=2**22 + 1)
    alive = run_in(client, Running(), pid=process.pid)
    assert look(client, dead, alive) == ["CRASHED", "RUNNING"]
    assert client.read_flow_run(dead).name.startswith("Crashed · ")
    assert client.read_flow_run(dead).tags == ["crashed"]


def test_a_run_that_completed_is_never_touched(client, monkeypatch):
    """Not even if it completes between the look at its process and the decision."""
    run = run_in(client, Running(), pid=2**22 + 1)

    def complete_first(*_):
        client.set_flow_run_state(run, Completed(), force=True)
        return False

    monkeypatch.setattr(watchdog, "_sent_heartbeat", complete_first)
    assert look(client, run) == ["COMPLETED"]


def test_a_run_that_a_dead_worker_took_is_given_two_minutes(client, monkeypatch):
    run = run_in(client, Pending())
    assert look(client, run) == ["PENDING"]
    monkeypatch.setattr(watchdog, "PATIENCE", timedelta(0))
    assert look(client, run) == ["CRASHED"]


def test_a_cancelled_run_whose_worker_does_not_answer_is_ended_with_its_process(client, process, monkeypatch):
    run = run_in(client, Cancelling(), pid=process.pid)
    assert look(client, run) == ["CANCELLING"]
    monkeypatch.setattr(watchdog, "CANCELLING", timedelta(0))
    assert look(client, run) == ["CANCELLED"]
    assert process.wait(10) == -signal.SIGKILL


def test_a_frozen_process_is_killed_after_two_minutes(client, process, monkeypatch):
    run = run_in(client, Running(), pid=process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    dog = Watchdog(lambda line: None)
    dog.look(client)
    assert process.poll() is None
    monkeypatch.setattr(watchdog, "PATIENCE", timedelta(0))
    dog.look(client)
    assert process.wait(10) == -signal.SIGKILL
    assert client.read_flow_run(run).state.is_running()  # its worker reports how it ended


@pytest.mark.parametrize(
    ("tags", "again"),
    [((), ATTEMPTS[:1]), (ATTEMPTS[:1], ATTEMPTS), (ATTEMPTS, None)],
    ids=["first", "second", "third"],
)
def test_a_night_that_lost_its_process_is_started_again_twice_at_most(client, tags, again):
    deployment = client.create_deployment(client.create_flow(nightly), "nightly", entrypoint="flows.nightly.nightly")
    lost = run_in(client, Crashed(), deployment=deployment, tags=tags)
    lines = []
    dog = Watchdog(lines.append)
    dog._since = LONG_AGO
    client.set_flow_run_state(lost, Crashed(message="-9"), force=True)
    for _ in range(2):
        dog.look(client)
    started = [set(run.tags) for run in client.read_flow_runs() if run.state.is_scheduled()]
    assert started == ([set(again)] if again else [])
    assert sum("starting it again" in line for line in lines) == len(started)
