"""The watchdog of `tenarai up` and `tenarai watch`: which runs it ends, and which nights it starts again."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Pending, Running

from tenarai.orchestration import watchdog
from tenarai.orchestration.watchdog import ATTEMPTS, SILENT, Watchdog


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


def look(client, *runs, is_here=True):
    Watchdog(lambda line: None, is_here=is_here).look(client)
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


def test_a_frozen_process_is_cancelled_and_killed_if_its_worker_does_not_end_it(client, process, monkeypatch):
    run = run_in(client, Running(), pid=process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    assert look(client, run) == ["RUNNING"]
    monkeypatch.setattr(watchdog, "HEARTBEATS", timedelta(0))
    assert look(client, run) == ["CANCELLING"]
    assert process.poll() is None
    monkeypatch.setattr(watchdog, "CANCELLING", timedelta(0))
    assert look(client, run) == ["CRASHED"]
    assert process.wait(10) == -signal.SIGKILL


def test_a_run_elsewhere_that_sends_no_heartbeat_is_cancelled_and_crashed_if_no_worker_ends_it(client, monkeypatch):
    silent, cancelled = run_in(client, Running(), pid=1), run_in(client, Cancelling(message="a person's wish"))
    assert look(client, silent, is_here=False) == ["RUNNING"]  # it may just have begun
    monkeypatch.setattr(watchdog, "HEARTBEATS", timedelta(0))
    assert look(client, silent, is_here=False) == ["CANCELLING"]
    monkeypatch.setattr(watchdog, "CANCELLING", timedelta(0))
    assert look(client, silent, cancelled, is_here=False) == ["CRASHED", "CANCELLED"]


def test_a_run_elsewhere_is_not_silent_because_the_server_was_away(client, monkeypatch):
    run = run_in(client, Running())
    monkeypatch.setattr(watchdog, "HEARTBEATS", timedelta(milliseconds=500))
    time.sleep(0.6)
    assert look(client, run, is_here=False) == ["RUNNING"]  # this watchdog has reached the server just now


def test_a_run_elsewhere_that_sends_heartbeats_lives_until_it_takes_too_long(client, monkeypatch):
    run = run_in(client, Running())
    monkeypatch.setattr(watchdog, "HEARTBEATS", timedelta(0))
    monkeypatch.setattr(watchdog, "_sent_heartbeat", lambda *_: True)
    assert look(client, run, is_here=False) == ["RUNNING"]
    monkeypatch.setattr(watchdog, "LONGEST_RUN", timedelta(0))
    assert look(client, run, is_here=False) == ["CANCELLING"]


def test_a_look_that_fails_is_followed_by_another(client, monkeypatch, caplog):
    stopping, looks = threading.Event(), []

    def look(dog, client):
        looks.append(client)
        if len(looks) == 1:
            raise ValueError("a bug")
        stopping.set()

    monkeypatch.setattr(watchdog, "SECONDS", 0.01)
    monkeypatch.setattr(Watchdog, "look", look)
    Watchdog(lambda line: None).run(stopping)
    assert len(looks) == 2
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("tags", "again"),
    [((), ATTEMPTS[:1]), (ATTEMPTS[:1], ATTEMPTS), (ATTEMPTS, None)],
    ids=["first", "second", "third"],
)
@pytest.mark.parametrize(
    "end",
    [(Crashed(message="-9"),), (Cancelling(message=SILENT), Cancelled(message="cancelled successfully"))],
    ids=["crashed", "frozen"],
)
def test_a_night_that_lost_its_process_is_started_again_twice_at_most(client, end, tags, again):
    deployment = client.create_deployment(client.create_flow(nightly), "nightly", entrypoint="flows.nightly.nightly")
    lines = []
    dog = Watchdog(lines.append)
    lost = run_in(client, Running(), deployment=deployment, tags=tags)
    for state in end:
        client.set_flow_run_state(lost, state, force=True)
    for _ in range(2):
        dog.look(client)
    started = [set(run.tags) for run in client.read_flow_runs() if run.state.is_scheduled()]
    assert started == ([set(again)] if again else [])
    assert sum("starting it again" in line for line in lines) == len(started)


def test_a_night_that_a_person_cancelled_or_that_ended_before_the_watchdog_began_is_not_started_again(client):
    deployment = client.create_deployment(client.create_flow(nightly), "nightly", entrypoint="flows.nightly.nightly")
    run_in(client, Crashed(), deployment=deployment)
    dog = Watchdog(lambda line: None)
    run_in(client, Cancelled(message="a person's wish"), deployment=deployment)
    dog.look(client)
    assert not [run for run in client.read_flow_runs() if run.state.is_scheduled()]


def test_watch_ends_by_sigterm_as_by_ctrl_c(monkeypatch):
    def run(_watchdog, stopping):
        os.kill(os.getpid(), signal.SIGTERM)
        stopping.wait(10)
        pytest.fail("it goes on")

    monkeypatch.setattr(watchdog, "reach_server", lambda: "http://server/api")
    monkeypatch.setattr(Watchdog, "run", run)
    before, said = signal.getsignal(signal.SIGTERM), []
    try:
        watchdog.watch(said.append)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "http://server/api" in str(said)
