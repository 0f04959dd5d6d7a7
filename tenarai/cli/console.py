"""A night on this terminal: where it runs, and its progress, a line a step."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from tenarai.cli.options import read_language, say, visible
from tenarai.locale import Message, _, translate
from tenarai.settings import Settings, TrainingSettings

if TYPE_CHECKING:
    from tenarai.records import Outcome

WIDTH = 9  # of the longest name of a step, in columns of the terminal
ON_SERVER = {  # read when Prefect is imported: what the steps log goes to the UI, and nothing else to the screen
    "PREFECT_LOGGING_EXTRA_LOGGERS": "tenarai",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
IN_PLACE = {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}  # else Prefect starts a server of its own


class StepLines(logging.Handler):
    """Shows what the steps log: a line with a tick for each result, and on a terminal a bar for what takes long.

    Args:
        language: en or ja.
        verbose: Whether progress is shown line by line, too, each epoch of a training among it.
    """

    def __init__(self, language: str, *, verbose: bool) -> None:
        """Start without a bar."""
        super().__init__(logging.DEBUG)
        self._language, self._verbose = language, verbose
        self._console = Console(highlight=False, soft_wrap=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record; progress by its fields, and a result as a line."""
        fields = record.msg.fields if isinstance(record.msg, Message) else {}
        step, message = fields.get("step", ""), fields.get("message", record.msg)
        name = translate(step, self._language)
        share = find_progress(message)
        is_result = step and share is None and record.levelno >= logging.INFO
        if not is_result:
            self._advance(name, share)
        if is_result or record.levelno >= logging.WARNING or (self._verbose and message):
            mark = "[yellow]![/]" if record.levelno >= logging.WARNING else "[green]✓[/]" if is_result else " "
            line = translate(message if isinstance(message, str) else record.getMessage(), self._language)
            self._console.print(f"{mark} {set_cell_size(name, WIDTH)} {escape(visible(line))}")

    def _advance(self, name: str, share: float | None) -> None:
        if not self._bar.tasks:
            self._bar.start()
            self._bar.add_task("")
        (task,) = self._bar.tasks
        if set_cell_size(name, WIDTH) != task.description:
            self._bar.reset(task.id, description=set_cell_size(name, WIDTH), total=None)
        if share is not None:
            self._bar.update(task.id, completed=share, total=1)

    def close(self) -> None:
        """Take the bar off the screen."""
        self._bar.stop()
        super().close()


def find_progress(message: object) -> float | None:
    """How much of a step is done, 0 to 1, if a message or one within it has the fields `done` and `total`."""
    if not isinstance(message, Message):
        return None
    if {"done", "total"} <= message.fields.keys():
        return float(message.fields["done"]) / max(1.0, float(message.fields["total"]))
    return next((share for value in message.fields.values() if (share := find_progress(value)) is not None), None)


def run_night(
    settings: Settings, *, force: bool, accept_changes: bool, training: TrainingSettings, verbose: bool, quiet: bool
) -> Outcome:
    """Run a night: on a Prefect server where one is at hand, so that it is in the UI; else in place, without a server.

    Args:
        settings: Where source and store are.
        force: Train even when nothing is new.
        accept_changes: Accept changes of the source that look like an accident.
        training: How to train.
        verbose: Show every epoch.
        quiet: Show nothing.

    Raises:
        TenaraiError: The server does not answer, or a step failed.
    """
    server = find_server()
    os.environ.update(ON_SERVER | server if server else IN_PLACE)
    if not quiet:
        where = server.get("PREFECT_API_URL")
        say(
            _("running on the Prefect server {url}", url=where)
            if where
            else _("running here, without a Prefect server")
        )
    if server:
        from tenarai.orchestration.server import reach_server

        reach_server()
    from flows.nightly import in_place, nightly, run_steps
    from tenarai.night import open_night
    from tenarai.orchestration.runs import resolve_secrets
    from tenarai.records import Outcome

    options: dict[str, Any] = {"force": force, "accept_changes": accept_changes, "training": training}
    with show_steps(verbose=verbose, quiet=quiet):
        if not server:
            return run_steps(open_night(resolve_secrets(settings), **options), in_place)
        outcome = nightly(source=settings.source, store=settings.store, return_state=True, **options).result()
    if not isinstance(outcome, Outcome):
        raise TypeError(f"the nightly flow ended with {outcome!r}")
    return outcome


@contextmanager
def show_steps(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """Show on the screen what the steps log."""
    log = logging.getLogger("tenarai")
    handler = logging.NullHandler() if quiet else StepLines(read_language(), verbose=verbose)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def find_server() -> dict[str, str]:
    """The environment that leads to a Prefect server: the one that is set, or that of `tenarai up` in this folder."""
    if url := os.environ.get("PREFECT_API_URL"):
        return {"PREFECT_API_URL": url}
    from tenarai.orchestration.up import find_running

    return find_running()
