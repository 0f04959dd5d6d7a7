"""What a run does around its work: it enters its folder, gets its name, and explains its failure."""

from __future__ import annotations

import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as current_run
from prefect.states import Failed
from prefect.variables import Variable

from tenarai.errors import SettingsError, TenaraiError
from tenarai.locale import _, translate
from tenarai.settings import Settings

GENERATED = re.compile(r"[a-z]+-[a-z]+")
"""Names that Prefect makes up, such as quiet-otter; another one was typed by a person, and is kept."""


def enter_project() -> dict[str, str]:
    """Pull step: work in the folder that the worker names in PROJECT_ROOT, where `.env` and a local store lie.

    Raises:
        SettingsError: PROJECT_ROOT is not set on the worker, or is no folder.
    """
    root = os.environ.get("PROJECT_ROOT", "")
    if not Path(root or "?").is_dir():
        raise SettingsError(
            _("this worker does not know its project folder"),
            expected=_("a folder in PROJECT_ROOT, with .env and a local store"),
            received=root,
            fix=_("set PROJECT_ROOT where the worker is started, and start it again"),
        )
    return {"directory": root}


def read_variable(name: str) -> str:
    """A Prefect variable, for a field that was left empty in the form; empty where there is none, or no run."""
    return str(Variable.get(name, "")) if current_run.id else ""


def name_run(verdict: str, moment: datetime) -> None:
    """Name the current run by verdict and day, such as `Promoted · 25 Nov`; keep a name that a person typed."""
    if current_run.id and GENERATED.fullmatch(current_run.name or ""):
        _rename(UUID(current_run.id), verdict, moment)


def fail_run(error: TenaraiError) -> State[Any]:
    """The final state of a run that an expected error ended: cause and fix, without a traceback."""
    return Failed(message=_describe(error), data=error)


def explain_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook `on_failure`, `on_crashed`: name the run after how it ended, and say in an artifact what to do about it."""
    language = Settings().language  # type: ignore[call-arg]
    error = state.data if isinstance(state.data, TenaraiError) else None
    if error:
        what, fix = _describe(error), error.fix
    elif state.is_crashed():
        what = state.message or ""
        fix = _("nothing: the next night completes what this one began. If it comes back, look for a memory limit")
    else:
        what = state.message or ""
        fix = _("open the Logs tab; if the cause is not clear there, report it together with the log")
    parts = [
        f"## {translate(_('What happened'), language)}",
        _quote(translate(what, language)),
        f"## {translate(_('What to do'), language)}",
        _quote(translate(fix, language)),
    ]
    if GENERATED.fullmatch(flow_run.name):
        _rename(flow_run.id, state.name or "", datetime.now(UTC).astimezone())
    with get_client(sync_client=True) as client:
        client.create_artifact(
            ArtifactCreate(key="what-to-do", type="markdown", data="\n\n".join(parts), flow_run_id=flow_run.id)
        )


def _rename(run: UUID, verdict: str, moment: datetime) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(run, f"{verdict} · {moment.day} {moment:%b}")


def _describe(error: TenaraiError) -> str:
    return error.describe(Settings().language)  # type: ignore[call-arg]


def _quote(text: str) -> str:
    """Text as Markdown that shows every character as it is: names of files may contain markup."""
    fence = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 3)
    return f"{fence}\n{text}\n{fence}"


class OneLine(logging.Filter):
    """Writes an expected error to a run's log once, in one line with its fix, instead of a traceback at every level."""

    def __init__(self) -> None:
        """Nothing was written yet."""
        super().__init__()
        self._written: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record of an expected error; drop what repeats it."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, TenaraiError):
            record.msg, record.args, record.exc_info = _describe(error), (), None
        elif not (record.levelno >= logging.ERROR and self._written):
            return True
        text = record.getMessage()
        if any(known in text for known in self._written):
            return False
        if error:
            self._written.append(text)
        return True


def log_expected_errors_in_one_line() -> None:
    """Install the filter on the logs of flow and task runs."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, OneLine) for known in logger.filters):
            logger.addFilter(OneLine())
