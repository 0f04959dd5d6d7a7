"""Notices on their way: a real Prefect server, its automations, and somebody who listens."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.collections_of_digits import fill
from tests.serving import free_port, wait

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture
def listener():
    """An address that takes POSTs, and what it was told."""
    told = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/told", told
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
    yield lambda *arguments: subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    server.terminate()
    server.wait(60)


def _answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def test_a_night_that_ended_and_one_that_failed_are_told(tenarai, listener, tmp_path):
    address, told = listener
    done = tenarai("notify", "--webhook", address, "--try")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told.pop()["subject"] == "Tenarai"
    time.sleep(5)  # the server takes in new automations every few seconds

    folder, store = fill(tmp_path / "folder", num_each=8), tmp_path / "store"
    quick = ("--recipe", "mlp", "--max-epochs", "4", "--store", str(store))
    done = tenarai("nightly", "--source", f"folder:{folder}", *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    notice = wait(lambda: told and told.pop(), 120)
    assert notice["subject"] in {"Tenarai: Promoted", "Tenarai: Kept"}
    assert str(store) in notice["body"]

    assert tenarai("nightly", "--source", f"folder:{tmp_path / 'nowhere'}", *quick).returncode == 1
    notice = wait(lambda: told and told.pop(), 120)
    assert notice["subject"] == "Tenarai: Failed"
    assert "nowhere" in notice["body"]
    assert told == []
