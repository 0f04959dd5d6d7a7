"""`tenarai up`: a Prefect server, pools, deployments, workers and pages on this machine, until Ctrl-C.

The server is a process, and workers and pages are another; one that dies is started again. The server asks for a
password, listens on this machine only, and refuses requests that a browser sends for another site.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenarai.errors import SettingsError, TenaraiError
from tenarai.locale import _, plural, translate
from tenarai.orchestration import FILES
from tenarai.orchestration.server import LOGIN, find_home, read_or_make_login, secure
from tenarai.settings import read_settings

if TYPE_CHECKING:
    from tenarai.orchestration.watchdog import Watchdog

ADDRESS = "address"  # the file in Prefect's home that names a running server's API
SECONDS_TO_START = 180
SILENCE = 120.0  # seconds after which a server that still runs and does not answer is restarted
STABLE = 30.0  # seconds after which a part has recovered
DEATHS = 8  # in a row, each within `STABLE` seconds: then there is no use in going on
LONGEST_PAUSE = 30.0


class Part:
    """A process that is started again when it dies, each time after a longer pause."""

    def __init__(self, name: str, arguments: str, log: Path, folder: Path = FILES) -> None:
        """Start nothing yet."""
        self.name, self.log, self._folder = name, log, folder
        self._command = [sys.executable, "-m", *arguments.split()]
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._next = 0.0
        self.deaths = 0

    def start(self) -> None:
        """Start the process, in a process group of its own, so that it is stopped with its children."""
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=file, stderr=file, start_new_session=True
            )
        self._started = time.monotonic()

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def look_after(self) -> bool:
        """Start a dead process again as soon as its pause is over.

        Returns:
            Whether it was started.

        Raises:
            TenaraiError: It has died too often.
        """
        now = time.monotonic()
        if self.is_alive():
            if now - self._started > STABLE:
                self.deaths = 0
            return False
        if self._process is not None:
            code, self._process = self._process.returncode, None
            self.deaths += 1
            pause = min(2.0 ** (self.deaths - 1), LONGEST_PAUSE)
            self._next = now + pause
            say(_("the {name} ended (exit {code}); restarting it in {n} s", name=self.name, code=code, n=int(pause)))
            if self.deaths >= DEATHS:
                raise TenaraiError(
                    _("the {name} died {n} times in a row", name=self.name, n=self.deaths),
                    received=self.log.read_text(errors="replace")[-800:],
                    fix=_("read {path}", path=self.log),
                )
        if now < self._next:
            return False
        self.start()
        return True

    def stop(self, patience: float = 20.0) -> None:
        """Stop the process and its children."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process is None or self._process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)


def run_up(*, port: int, start_now: bool = False, database: str = "", reset: bool = False) -> int:
    """Run until Ctrl-C or SIGTERM.

    Args:
        port: Port of the server on 127.0.0.1; reports and the label page are on the next one.
        start_now: Whether to start a night at once and open its page.
        database: SQLAlchemy address of the server's database. Default: SQLite in Prefect's home.
        reset: Whether schedules, parameters and switches that a person changed are put back.

    Returns:
        Exit code 0.

    Raises:
        SettingsError: The port is taken, or the password cannot be kept.
        TenaraiError: The server did not start, refused a deployment, or a part died again and again.
    """
    url = f"http://127.0.0.1:{port}"
    if not _is_free(port):
        raise SettingsError(
            _("port {port} is taken", port=port), fix=_("stop what listens there, or choose another with --port")
        )
    home = find_home()
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    pages = port + 1 if _is_free(port + 1) else 0
    os.environ.update(_environment(home, url, database, pages))  # before Prefect is imported, here and by the parts
    start = f"tenarai.orchestration.serve server start --host 127.0.0.1 --port {port}"
    server = Part(_("server"), start, logs / "server.log")
    workers = Part(_("worker process"), f"tenarai.orchestration.workers {pages}", logs / "workers.log", Path.cwd())
    begun = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT, too: what a script starts with `&` ignores it otherwise
        signal.signal(number, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        for part in (server, workers):
            stack.callback(part.stop)
        try:
            say(_("starting the Prefect server …"))
            server.start()
            from tenarai.orchestration.deploy import deploy  # while the server starts, too
            from tenarai.orchestration.watchdog import Watchdog

            deploy(reset=reset, reach=partial(_wait_for, f"{url}/api", server))
            workers.start()
            address = home / ADDRESS
            stack.callback(address.unlink, missing_ok=True)
            address.write_text(f"{url}/api", encoding="ascii")
            watchdog = Watchdog(say)
            page = watchdog.start_night() if start_now else url
            say(_("ready after {n} s: {url}", n=round(time.monotonic() - begun), url=url), bold=True)
            say(_("the page asks for the line in {path}", path=home / LOGIN))
            if pages:
                say(_("file doubtful images: {url}", url=f"http://127.0.0.1:{pages}/"))
            say(_("start a night: Deployments → nightly → Run; stop with Ctrl-C; logs: {path}", path=logs))
            if start_now:
                webbrowser.open(page)
            _supervise([server, workers], f"{url}/api", watchdog)
        except KeyboardInterrupt:
            say(_("stopping …"))
    return 0


def find_running() -> dict[str, str]:
    """The environment of clients of the server that `tenarai up` runs in this folder; empty where none answers."""
    home = find_home()
    try:
        api = (home / ADDRESS).read_text(encoding="ascii")
    except OSError:
        return {}
    if not _answers(api):
        return {}
    return {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": read_or_make_login(home)}


def say(text: str, *, bold: bool = False) -> None:
    """Print a line in the person's language."""
    click.secho(f"{time.strftime('%H:%M')}  {translate(text, read_settings().language)}", bold=bold)


def _environment(home: Path, url: str, database: str, pages: int) -> dict[str, str]:
    env = {
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),  # Prefect's own folder may belong to another user
        **os.environ,
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{url}/api",
        "PROJECT_ROOT": str(Path.cwd()),
        "TENARAI_REPORTS_URL": read_settings().reports_url or (f"http://127.0.0.1:{pages}/reports" if pages else ""),
    }
    if database:
        env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    return secure(env, read_or_make_login(home), url)


def _supervise(parts: list[Part], api: str, watchdog: Watchdog) -> None:
    """Look after the processes here, and after the runs in a thread, since a server that is away makes it wait."""
    stopping = threading.Event()
    threading.Thread(target=watchdog.run, args=(stopping,), daemon=True).start()
    answered = time.monotonic()
    try:
        while True:
            for part in parts:
                if part.look_after():
                    watchdog.report_restart(part.name)
                    answered = time.monotonic()
            if _answers(api):
                answered = time.monotonic()
            elif time.monotonic() - answered > SILENCE:
                say(_("the server does not answer; restarting it"))
                parts[0].stop(patience=5)
                answered = time.monotonic()
            time.sleep(1 if any(not part.is_alive() for part in parts) else 3)
    finally:
        stopping.set()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5):  # noqa: S310 - our own http address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wait_for(api: str, server: Part) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not _answers(api):
        if not server.is_alive() or time.monotonic() > end:
            raise TenaraiError(
                _("the Prefect server did not start"),
                expected=plural(
                    "an answer at {api} within {n} second",
                    "an answer at {api} within {n} seconds",
                    SECONDS_TO_START,
                    api=api,
                ),
                received=server.log.read_text(errors="replace")[-800:],
                fix=_("read {path}", path=server.log),
            )
        time.sleep(0.2)
