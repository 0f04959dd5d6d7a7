"""`tenarai up`: a Prefect server, both pools, the deployments and both workers on this machine, until Ctrl-C.

Everything is a command line, in the order in which one would type it; with two machines, type it yourself as
deployments/README.md says. The server asks for a password, listens on this machine only, and takes no request that a
browser sends from another site.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click

from tenarai.errors import SettingsError, TenaraiError
from tenarai.orchestration.login import FILE as LOGIN
from tenarai.orchestration.login import read_or_make_login, secure
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.settings import DEFAULT_HOME

PROJECT = Path(__file__).resolve().parents[2]
SECONDS_TO_START = 180


def run_up(*, port: int, polls: float = 1.0) -> int:
    """Run until Ctrl-C, SIGTERM, or until one of the processes dies.

    Args:
        port: Port of the server on 127.0.0.1.
        polls: Seconds between looks at the processes.

    Returns:
        Exit code: 0 after Ctrl-C, 1 when a process died by itself.

    Raises:
        SettingsError: Something else listens on the port, or the password cannot be kept.
        TenaraiError: The server did not start, or a command of Prefect failed.
    """
    url = f"http://127.0.0.1:{port}"
    api = f"{url}/api"
    home = Path(os.environ.get("PREFECT_HOME") or f"{DEFAULT_HOME}/prefect-server").resolve()
    if _answers(api):
        raise SettingsError(
            f"port {port} is taken", expected="a free port", fix="stop what listens there, or give another --port"
        )
    home.mkdir(parents=True, exist_ok=True)
    logs = home / "logs"
    logs.mkdir(exist_ok=True)
    env = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_API_URL": api, "PROJECT_ROOT": str(Path.cwd())}
    env = secure(env, read_or_make_login(home), url)
    with _stopped_by_signals(), contextlib.ExitStack() as stack:
        click.echo("starting the Prefect server …")
        server = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        running = {"server": stack.enter_context(_process(server, env, logs / "server.log"))}
        _wait_for(api, running["server"], logs / "server.log")
        _deploy(env)
        for pool in (CPU_POOL, GPU_POOL):
            worker = ["worker", "start", "--pool", pool, "--type", "process", "--name", f"{pool}-worker"]
            running[f"{pool} worker"] = stack.enter_context(_process(worker, env, logs / f"{pool}-worker.log"))
        click.secho(f"\n{url} is ready: Deployments → nightly → Run. Ctrl-C ends it.", bold=True)
        click.echo(f"it asks for the line in {home / LOGIN}\nlogs: {logs}")
        return _watch(running, logs, polls)


def _deploy(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tenarai.cli.main", "deploy"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TenaraiError("`tenarai deploy` failed", received=done.stderr.strip()[-800:])


@contextlib.contextmanager
def _process(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a process group of its own, so that it is stopped in order, last started first, with its children."""
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=PROJECT,
            env=env,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            _stop(child)


def _stop(child: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5):  # noqa: S310 - our own http address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wait_for(api: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not _answers(api):
        if server.poll() is not None or time.monotonic() > end:
            raise TenaraiError(
                "the Prefect server did not start",
                expected=f"an answer at {api} within {SECONDS_TO_START} seconds",
                received=log.read_text(errors="replace")[-800:] or "silence",
                fix=f"look at {log}",
            )
        time.sleep(0.5)


def _watch(running: dict[str, subprocess.Popen[bytes]], logs: Path, polls: float) -> int:
    try:
        while True:
            for name, child in running.items():
                if child.poll() is not None:
                    click.secho(f"the {name} ended by itself (exit {child.returncode}); see {logs}", fg="red", err=True)
                    return 1
            time.sleep(polls)
    except KeyboardInterrupt:
        click.echo("\nstopping …")
        return 0


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does; started with `&` by a script, Ctrl-C would be ignored otherwise."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = [signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
