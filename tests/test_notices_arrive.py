"""Notices on their way: a real Prefect server, and a server that receives them."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tenarai.catalogue import CATALOGUE_FILE, open_catalogue
from tests.collections_of_digits import fill
from tests.serving import free_port, wait

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture
def listener():
    """An address that takes POSTs, and what it received."""
    told = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/told", told
    server.shutdown()


@pytest.fixture
def tenarai(tmp_path):
    """The command, on a Prefect server of its own."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TENARAI_"))}
    env |= {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    (tmp_path / "prefect").mkdir()
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=log, stderr=log)
    wait(lambda: _answers(f"{env['PREFECT_API_URL']}/health"), 300)

    def run(*arguments, **more):
        command = [sys.executable, "-m", "tenarai.cli.main", *arguments]
        return subprocess.run(command, cwd=PROJECT, env={**env, **more}, capture_output=True, text=True, check=False)

    run.api = env["PREFECT_API_URL"]
    yield run
    server.terminate()
    server.wait(60)


def _answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture
def told(tenarai, listener):
    """What arrives, after `tenarai notify` has set it up."""
    address, told = listener
    done = tenarai("notify", address, "--try")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told.pop()["title"] == "Tenarai"
    yield told
    assert told == []


def next_of(told):
    return wait(lambda: told and told.pop(0), 120)


def let_days_pass(store, source, days):
    """As if every night so far had been so many days earlier."""
    with open_catalogue(f"sqlite:///{store / CATALOGUE_FILE}") as catalogue:
        for night in catalogue.nights(source):
            created = datetime.fromisoformat(night["created"]) - timedelta(days=days)
            catalogue.put_night(night["run"], source, {**night, "created": created.isoformat()})


def test_notices_arrive_of_nights_that_promote_or_keep_are_quiet_for_a_week_or_fail_and_of_a_permission_that_ends(
    tenarai, told, tmp_path
):
    folder, store = fill(tmp_path / "folder", num_each=8), tmp_path / "store"
    quick = ("--recipe", "mlp", "--max-epochs", "4", "--store", str(store))
    done = tenarai("nightly", "--source", f"folder:{folder}", *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    notice = next_of(told)
    assert notice["title"] in {"Tenarai: a new model reads from now on", "Tenarai: the model stays as it is"}
    assert str(store) in notice["message"]

    let_days_pass(store, f"folder:{folder}", days=8)
    key = tmp_path / "me.json"
    key.write_text(json.dumps({"connected": (datetime.now(UTC) - timedelta(days=6)).isoformat()}))
    done = tenarai("nightly", "--source", f"folder:{folder}", *quick, TENARAI_DRIVE_CREDENTIALS=str(key))
    assert done.returncode == 0, done.stdout + done.stderr
    notices = {notice["title"]: notice["message"] for notice in (next_of(told), next_of(told))}
    expiry = "Tenarai: the permission to read your Drive may run out"
    assert set(notices) == {"Tenarai: nothing new for a week", expiry}
    assert f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}" in notices[expiry]

    assert tenarai("nightly", "--source", f"folder:{tmp_path / 'nowhere'}", *quick).returncode == 1
    notice = next_of(told)
    assert notice["title"] == "Tenarai: the night failed"
    assert "nowhere" in notice["message"]


def test_a_night_that_died_is_reported_and_one_that_a_person_cancels_is_not(tenarai, told, monkeypatch):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Cancelling, Running

    from flows.nightly import nightly
    from tenarai.orchestration import watchdog

    for limit in ("HEARTBEATS", "CANCELLING"):
        monkeypatch.setattr(watchdog, limit, timedelta(0))
    with temporary_settings({PREFECT_API_URL: tenarai.api}), get_client(sync_client=True) as client:
        for state in (Running(), Cancelling(message="a person's wish")):
            client.set_flow_run_state(client.create_flow_run(nightly).id, state, force=True)
        dog = watchdog.Watchdog(lambda line: None, is_here=False)
        for _ in range(2):  # cancelled, and then ended, as no worker did it
            dog.look(client)
        states = sorted(run.state.type.value for run in client.read_flow_runs())
    assert states == ["CANCELLED", "CRASHED"]
    notice = next_of(told)
    assert notice["title"] == "Tenarai: the night failed"
    assert "its process and its worker died" in notice["message"]
