"""A real PostgreSQL, Redis and S3 endpoint for tests: Debian's packages and moto's server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

POSTGRES_USER = "postgres"  # Debian's package makes it; the server refuses to run as root


def find_postgresql() -> Path | None:
    """The folder of PostgreSQL's programs, the newest first; Debian keeps them off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    return debian[0] if debian else Path(on_path).resolve().parent if on_path else None


def what_is_missing() -> str:
    """What a person has to install before the services can be started; empty when all is there."""
    missing = [] if find_postgresql() else ["postgresql"]
    if not shutil.which("redis-server"):
        missing.append("redis-server")
    return f"Debian's packages {', '.join(missing)} are not installed" if missing else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(done: Callable[[], object], seconds: float, what: str = "it") -> object:
    """Wait until `done` gives something true, and return it."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"{what} took more than {seconds} seconds"
        time.sleep(0.2)
    return found


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class PostgreSQL:
    """A server of its own; `kill` is a power cut, `start` what comes after it."""

    def __init__(self) -> None:
        programs = find_postgresql()
        assert programs
        folder = Path(tempfile.mkdtemp(prefix="tenarai-postgresql-"))  # pytest's own folders are closed to its user
        self.programs, self.data, self.port = programs, folder / "data", free_port()
        self._as = {"user": POSTGRES_USER, "group": POSTGRES_USER, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
        self._call("initdb", "-D", self.data, "-U", "tenarai", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # after a power cut another process may bear its number
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port), "-k", "", "-h", "127.0.0.1", "-F"]
        log = (self.data.parent / "log").open("ab")
        self.process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True, **self._as)
        wait(lambda: self._call("pg_isready", "-q", *self._where, check=False) == 0, 60, "PostgreSQL")

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            for child in Path("/proc").glob("[0-9]*"):  # its workers are in sessions of their own
                with contextlib.suppress(OSError):
                    if (child / "cwd").readlink() == self.data:
                        kill(int(child.name))
            self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once; nothing of it is kept
            self.process.wait(60)
        shutil.rmtree(self.data.parent)

    def make_database(self) -> str:
        """An empty database; gives `tenarai@127.0.0.1:<port>/<name>`."""
        name = f"db{uuid.uuid4().hex}"
        self._call("createdb", *self._where, name)
        self._call("psql", *self._where, "-q", "-d", name, "-c", "CREATE EXTENSION IF NOT EXISTS pg_trgm")
        return f"tenarai@127.0.0.1:{self.port}/{name}"

    @property
    def _where(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "tenarai"]

    def _call(self, program: str, *arguments: object, check: bool = True) -> int:
        command = [str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **self._as)
        assert not (check and done.returncode), done.stderr
        return done.returncode


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Gives the server's address, without a database's number."""
    folder.mkdir(parents=True)
    port = free_port()
    with running(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder], folder / "log"):
        wait(lambda: answers(port), 30, "Redis")
        yield f"redis://127.0.0.1:{port}"


@contextlib.contextmanager
def s3(folder: Path, *, bucket: str) -> Iterator[dict[str, str]]:
    """Gives the environment in which s3fs finds the endpoint, with one empty bucket."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    env = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with running(command, folder / "log"):
        wait(lambda: answers(port), 60, "moto's server")
        make = "import s3fs, sys; s3fs.S3FileSystem().mkdir(sys.argv[1])"
        subprocess.run([sys.executable, "-c", make, bucket], env={**os.environ, **env}, check=True)
        yield env


@contextlib.contextmanager
def running(
    command: list[object], log: Path, *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a process group of its own, ended with all that it started."""
    with log.open("ab") as file:
        child = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=env, stdout=file, stderr=file, start_new_session=True
        )
        try:
            yield child
        finally:
            end(child)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(20)
            return
