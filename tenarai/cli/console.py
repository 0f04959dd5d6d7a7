"""One night from the command line: the deployment's own flow, with a quiet Prefect and progress on the screen."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from tenarai.cli.options import read_language
from tenarai.errors import SettingsError
from tenarai.locale import translate
from tenarai.report.outcome import Outcome
from tenarai.settings import DEFAULT_HOME, Settings, TrainingSettings


class InTheirLanguage(logging.Formatter):
    """Says a night's progress in the language that the settings name."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The record's line, translated where there is a translation."""
        return translate(super().formatMessage(record), read_language())


def run_here(
    settings: Settings, *, force: bool, training: dict[str, Any], debug: bool, accept_changes: bool = False
) -> Outcome:
    """Run the `nightly` flow in this process and say how it ended.

    Args:
        settings: Where source and store are.
        force: Train even when nothing is new.
        training: Fields of `TrainingSettings` that differ from the defaults.
        debug: Leave Prefect's own log on.
        accept_changes: Accept changes of the source that look like an accident. Default: False.

    Raises:
        TenaraiError: As the flow raised it.
    """
    quiet_prefect(debug=debug)
    from flows.nightly import nightly

    state = nightly(
        source=settings.source,
        store=settings.store,
        force=force,
        accept_changes=accept_changes,
        training=TrainingSettings(**training),
        return_state=True,
    )
    outcome = state.result()
    if not isinstance(outcome, Outcome):
        raise TypeError(f"the nightly flow ended with {state!r} and no outcome")
    return outcome


def quiet_prefect(*, debug: bool) -> None:
    """Set Prefect up for a run on this terminal; call it before Prefect is imported.

    Without an API of the person's own (`PREFECT_API_URL`), Prefect starts a temporary server, its data in `.tenarai`.

    Raises:
        SettingsError: Its folder cannot be made.
    """
    if not {"PREFECT_API_URL", "PREFECT_HOME"} & os.environ.keys():
        home = Path(f"{DEFAULT_HOME}/prefect-local").resolve()
        try:
            home.mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and its server then never starts
        except OSError as error:
            raise SettingsError(
                f"Prefect's files cannot be kept in {home}",
                received=error.strerror or str(error),
                fix="run Tenarai in a folder that you may write to, or set PREFECT_HOME to one",
            ) from error
        os.environ["PREFECT_HOME"] = str(home)
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if debug else "CRITICAL")
    log = logging.getLogger("tenarai")
    log.setLevel(logging.INFO)
    if not log.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(InTheirLanguage("%(message)s"))
        log.addHandler(handler)
    log.propagate = False
