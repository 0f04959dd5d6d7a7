"""`tenarai up` as a person starts it: server, pools, deployments and both workers, for as long as a test needs them."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(home, folder):
    """Run it on a free port, its files in `home`; gives a client of its API and the port.

    The workers know `folder` and `<home>/store` from their environment; the password is in `<home>/prefect/login`.
    """
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "TENARAI_SOURCE": f"folder:{folder}",
        "TENARAI_STORE": str(home / "store"),
    }
    log = (home / "up.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "tenarai.cli.main", "up", "--port", str(port)],
        cwd=PROJECT,
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    end = time.monotonic() + 400
    while "ready after" not in (home / "up.log").read_text():
        assert process.poll() is None, (home / "up.log").read_text()
        assert time.monotonic() < end, (home / "up.log").read_text()
        time.sleep(1)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    login = (home / "prefect/login").read_text().strip()
    told = {PREFECT_API_URL: f"http://127.0.0.1:{port}/api", PREFECT_API_AUTH_STRING: login}
    try:
        with temporary_settings(told), get_client(sync_client=True) as client:
            wait(lambda: all(client.read_work_pool(pool).status == "READY" for pool in ("cpu", "gpu")), 120)
            yield client, port
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(90)
    assert code == 0


def wait(done, seconds):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(1)
    return found


def start(client, **parameters):
    deployment = client.read_deployment_by_name("nightly/nightly")
    return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)


def finish(client, run, seconds=300):
    return wait(lambda: (found := client.read_flow_run(run.id)).state.is_final() and found, seconds)
