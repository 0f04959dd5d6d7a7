"""Nights that hang: the watchdog of `tenarai watch` ends them, with their processes, and the next one completes."""

import json
import os
import signal
import socket
import threading
from contextlib import contextmanager

import pytest

from tenarai.errors import StoreBusyError
from tenarai.orchestration.watchdog import ATTEMPTS
from tenarai.store import find_store
from tests.collections_of_digits import fill, picture, save
from tests.machines import running_site, watching
from tests.serving import finish, start, wait
from tests.stand_in.people import People

pytestmark = pytest.mark.slow
QUICK = {"recipe": "mlp", "max_epochs": 3, "folds": 2}


@contextmanager
def silence():
    """The address of somebody who takes calls and never says a word."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take_calls():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take_calls, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    for call in held:
        call.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server and two workers, a night of which has completed; and the folder it learned from."""
    home = tmp_path_factory.mktemp("hung")
    folder = fill(home / "folder", num_each=6)
    with silence() as nobody:
        (home / "key.json").write_text(json.dumps(People(nobody).service_account_key()))
        cpu = {
            "TENARAI_SOURCE": f"folder:{folder}",
            "TENARAI_STORE": str(home / "store"),
            "TENARAI_DRIVE_API_ROOT": nobody,
            "TENARAI_DRIVE_CREDENTIALS": str(home / "key.json"),
        }
        with running_site(home / "machines", server={}, cpu=cpu, gpu={}, apart=False) as running:
            assert night().state.is_completed()
            yield running, folder


def night(**parameters):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return finish(client, start(client, training=QUICK, **parameters))


def is_at_work(client, run):
    return client.read_flow_run(run.id).state.is_running()


def is_held(folder):
    """Whether a night holds the store beside this folder."""
    store = find_store(str(folder.parent / "store"))
    try:
        with store.lock():
            return False
    except StoreBusyError:
        return True


def test_a_night_that_waits_for_ever_is_ended_and_the_next_one_completes(site):
    running, folder = site
    with watching(LONGEST_RUN=20):
        hung = night(source="drive:1WhoNeverAnswers")
    assert hung.state.is_cancelled(), hung.state
    wait(lambda: not running.machines["cpu"].runs(), 60)
    save(folder / "digits/3/after silence.png", picture(1000))
    assert night().state.is_completed()


def start_again(client):
    """The run that the watchdog started in place of the one that lost its process; until it ends."""
    again = wait(lambda: [run for run in client.read_flow_runs() if ATTEMPTS[0] in run.tags], 120)
    return finish(client, max(again, key=lambda run: run.created))


def test_a_night_whose_process_is_frozen_is_ended_and_started_again(site):
    from prefect.client.orchestration import get_client

    running, folder = site
    save(folder / "digits/3/after frost.png", picture(1001))
    with get_client(sync_client=True) as client, watching(HEARTBEATS=40):
        begun = start(client, training=QUICK)
        for pid in wait(lambda: is_held(folder) and running.machines["cpu"].runs(), 120):
            os.kill(pid, signal.SIGSTOP)
        frozen = finish(client, begun)
        assert frozen.state.is_cancelled(), frozen.state
        assert start_again(client).state.is_completed()


def test_a_night_whose_worker_died_with_it_is_ended_and_started_again(site):
    from prefect.client.orchestration import get_client

    running, _ = site
    machine = running.machines["cpu"]
    with get_client(sync_client=True) as client, watching(HEARTBEATS=40, CANCELLING=40):
        begun = start(client, training=QUICK)
        wait(lambda: is_at_work(client, begun), 120)
        machine.kill()
        for pid in machine.runs():
            os.kill(pid, signal.SIGKILL)
        machine.start()
        dead = finish(client, begun)
        assert "its worker died" in dead.state.message, dead.state
        assert start_again(client).state.is_completed()
