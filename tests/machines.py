"""A server, two workers and a watchdog, each in a home and a copy of the project of its own, as if on four machines."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.services import end, free_port, kill, wait

PROJECT = Path(__file__).resolve().parents[1]
LOGIN = "tenarai:for-tests-only"
PREFECT = [sys.executable, "-m", "prefect"]


class Machine:
    """A process with a home, a working copy and an environment of its own; it can be killed and started again."""

    def __init__(self, folder: Path, command: list[str], env: dict[str, str]) -> None:
        self.folder, self.command, self.process = folder, command, None
        self.project, home = folder / "project", folder / "home"
        for path in (home, folder / "tmp"):
            path.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("flows", "tasks", "tenarai"):
            shutil.copytree(PROJECT / name, self.project / name, ignore=ignored)
        for name in ("prefect.yaml", "prefect.toml"):
            shutil.copy(PROJECT / name, self.project)
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TENARAI_", "AWS"))
        }
        self.env = {
            **own,
            "HOME": str(home),
            "TMPDIR": str(folder / "tmp"),
            "PREFECT_HOME": str(home / "prefect"),
            "PROJECT_ROOT": str(self.project),
            "PYTHONPATH": str(self.project),
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }
        self.process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.project, env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """The process alone, at once; what it started goes on by itself."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def runs(self) -> list[int]:
        """Process ids of the flow runs that this machine has started, also before it was killed itself."""
        return [pid for pid, _ in self._processes() if b"prefect.engine" in _read(pid, "cmdline")]

    def stop(self) -> None:
        if self.process:
            end(self.process)
        for pid, _ in self._processes():
            kill(pid)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _processes(self) -> Iterator[tuple[int, bytes]]:
        mark = f"PREFECT_HOME={self.env['PREFECT_HOME']}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            environ = _read(int(entry.name), "environ")
            if mark in environ.split(b"\0") and int(entry.name) != os.getpid():
                yield int(entry.name), environ


def _read(pid: int, what: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_bytes()
    return b""


class Site:
    """A server (its background services in the same process or apart), a worker of each pool, and a watchdog."""

    def __init__(self, folder: Path, *, server: dict[str, str], cpu: dict[str, str], gpu: dict[str, str], apart: bool):
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        client = {"PREFECT_API_URL": self.api, "PREFECT_API_AUTH_STRING": LOGIN}
        own = {
            "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "30",
            # two processes doing either at once would trip each other
            "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(not apart),
            "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": str(not apart),
            **client,
            **server,
        }
        start = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.server = Machine(folder / "server", [*start, *(["--no-services", "--workers", "2"] if apart else [])], own)
        self.machines = {"server": self.server}
        if apart:
            self.machines["services"] = Machine(folder / "services", [*PREFECT, "server", "services", "start"], own)
        for pool, env in {"cpu": cpu, "gpu": gpu}.items():
            command = [*PREFECT, "worker", "start", "--pool", pool, "--type", "process", "--name", pool]
            quick = {"PREFECT_WORKER_QUERY_SECONDS": "2", "TF_CPP_MIN_LOG_LEVEL": "3"}
            self.machines[pool] = Machine(folder / pool, command, {**quick, **client, **env})
        command = [sys.executable, "-m", "tenarai.cli.main", "watch"]
        self.machines["watchdog"] = Machine(folder / "watchdog", command, client)

    def start(self) -> None:
        if self.server.env["PREFECT_SERVER_DATABASE_MIGRATE_ON_START"] == "False":
            command = [*PREFECT, "server", "database", "upgrade", "-y"]
            subprocess.run(command, env=self.server.env, cwd=self.server.project, check=True, capture_output=True)
        self.start_server()
        env = self.machines["cpu"].env
        done = subprocess.run(
            [sys.executable, "-m", "tenarai.cli.main", "deploy"], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        for name, machine in self.machines.items():
            if name != "server":
                machine.start()

    def start_server(self) -> None:
        self.server.start()
        wait(lambda: self.is_healthy() or self.server.process.poll(), 180, "the server")
        assert self.server.process.poll() is None, self.server.log()

    def is_healthy(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.api}/health", timeout=5):
            return True
        return False

    def stop(self) -> None:
        for machine in reversed(self.machines.values()):
            machine.stop()


@contextlib.contextmanager
def running_site(folder: Path, **given: Any) -> Iterator[Site]:
    """A started site, and Prefect's client pointed at it."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    site = Site(folder, **given)
    try:
        site.start()
        with temporary_settings({PREFECT_API_URL: site.api, PREFECT_API_AUTH_STRING: LOGIN}):
            yield site
    finally:
        site.stop()


@contextlib.contextmanager
def watching(**seconds: float) -> Iterator[None]:
    """Another watchdog over the site, in this process, with some of its limits shortened to so many seconds."""
    from tenarai.orchestration import watchdog

    stopping = threading.Event()
    dog = watchdog.Watchdog(lambda line: None, is_here=False)
    thread = threading.Thread(target=copy_context().run, args=(dog.run, stopping))
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in seconds.items():
            patch.setattr(watchdog, name, timedelta(seconds=limit))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
