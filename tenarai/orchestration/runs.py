"""What a run does around its work: it enters its folder, finds its settings, names itself, explains its failure."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as current_run
from prefect.states import Failed
from prefect.variables import Variable
from pydantic import SecretStr

from tenarai.errors import CredentialsError, SettingsError, TenaraiError
from tenarai.locale import _, translate
from tenarai.orchestration.notices import announce_failure
from tenarai.report.markdown import escape
from tenarai.settings import Settings, read_settings

NIGHTLY = _("Nightly")
VERDICTS = {"promoted": _("Promoted"), "kept": _("Kept"), "nothing new": _("Nothing new"), "stopped": _("Stopped")}
BLOCK = "block:"
STATES = {"Failed": _("Failed"), "Crashed": _("Crashed"), "TimedOut": _("Timed out")}


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


def settings_of_run(*, source: str = "", store: str = "") -> Settings:
    """The settings of the current run, secrets resolved.

    Args:
        source, store: From the form. Empty: the Prefect variable `tenarai_source` or `tenarai_store`, if there is one,
            or else the environment of the worker.

    Raises:
        SettingsError: A setting is invalid.
        CredentialsError: A block cannot be read.
    """
    given = {"source": source, "store": store}
    if current_run.id:
        given = {name: value or str(Variable.get(f"tenarai_{name}", "")) for name, value in given.items()}
    return resolve_secrets(read_settings(**given))


def resolve_secrets(settings: Settings) -> Settings:
    """The settings with the content of a Secret block in place of its name, `block:<name>`.

    Raises:
        CredentialsError: There is no such block, or Prefect cannot be reached.
    """
    credentials = settings.drive_credentials.get_secret_value()
    if not credentials.startswith(BLOCK):
        return settings
    name = credentials.removeprefix(BLOCK)
    try:
        value = Secret.load(name).get()  # type: ignore[union-attr]
    except (ValueError, OSError) as error:
        raise CredentialsError(
            _("the Prefect block secret/{name} cannot be read", name=name),
            received=str(error).splitlines()[0],
            fix=_("create it in the Prefect UI (Blocks, Secret), or set TENARAI_DRIVE_CREDENTIALS to a file"),
        ) from None
    text = value if isinstance(value, str) else json.dumps(value)
    return settings.model_copy(update={"drive_credentials": SecretStr(text)})


def name_run(title: str, moment: datetime) -> None:
    """Name the current run, such as `Promoted · 25 Nov`, and tag it. A name that a person typed is kept."""
    if current_run.id:
        _name(UUID(current_run.id), current_run.name or "", current_run.tags, title, moment)


def fail_run(error: TenaraiError) -> State[Any]:
    """The final state of a run that an expected error ended: cause and fix, without a traceback."""
    return Failed(message=_describe(error), data=error)


def explain_failure(flow: Flow[..., Any] | None, flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of a run that failed or crashed: name it after that, and publish what happened and what to do.

    The watchdog calls it for a run that died, since its worker may have died, too.
    """
    language = _language()
    error = getattr(state.data, "result", state.data)  # Prefect wraps what a state holds
    if not isinstance(error, TenaraiError):
        fix = _("open the Logs tab; if the cause is not clear there, report it together with the log")
        if state.is_crashed():
            fix = _(
                "wait: it is started again, or the next night completes what it began; "
                "if it happens every night, look for a memory limit"
            )
        error = TenaraiError(state.message or "", fix=fix)
    sections = {
        _("What to do"): error.fix,
        _("What happened"): error.what,
        _("Received"): error.received,
        _("Expected"): error.expected,
    }
    said = {translate(title, language): translate(text, language) for title, text in sections.items() if text}
    with get_client(sync_client=True) as client:
        client.create_artifact(
            ArtifactCreate(
                key="what-to-do",
                type="markdown",
                description=escape(translate(error.what, language)),  # a card in the list shows this much
                data="\n\n".join(f"## {title}\n\n{escape(text)}" for title, text in said.items()),
                flow_run_id=flow_run.id,
            )
        )
    _name(flow_run.id, flow_run.name, flow_run.tags, STATES.get(state.name or "", state.name or ""), datetime.now())
    announce_failure(flow_run, error.describe(language), language)


def _name(run: UUID, name: str, tags: Iterable[str], title: str, moment: datetime) -> None:
    """Name a run and tag it.

    Prefect makes up names such as quiet-otter, or Quiet-Otter in the form; a night that runs has its own; another name
    was typed by a person.
    """
    given: dict[str, Any] = {}
    if title != NIGHTLY:
        given["tags"] = [*tags, title.lower().replace(" ", "-")]
    language = _language()
    is_running = name.partition(" · ")[0] in {NIGHTLY, translate(NIGHTLY, language)}
    if is_running or re.fullmatch(r"[A-Za-z]+-[A-Za-z]+", name):
        day = {"day": moment.day, "month": f"{moment:%b}", "number": moment.month}
        given["name"] = translate(_("{title} · {day} {month}", title=title, **day), language)
    if given:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run, **given)


def _language() -> str:
    """The language of the settings; English where they cannot be read, which the run reports itself."""
    try:
        return read_settings().language
    except SettingsError:
        return "en"


def _describe(error: TenaraiError) -> str:
    return error.describe(_language())


class OneLine(logging.Filter):
    """Writes an expected error to a run's log once, in one line with its fix, instead of a traceback at every level."""

    def __init__(self) -> None:
        """Nothing was written yet."""
        super().__init__()
        self._written: dict[str, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record of an expected error; drop what repeats it."""
        run = str(getattr(record, "flow_run_id", ""))
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, TenaraiError):
            record.msg, record.args, record.exc_info = _describe(error), (), None
            is_new = self._written.get(run) != record.msg
            self._written[run] = record.msg
            return is_new
        known = self._written.get(run)
        return not (known and (known in record.getMessage() or record.levelno >= logging.ERROR))


def log_expected_errors_in_one_line() -> None:
    """Install the filter on the logs of flow and task runs."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, OneLine) for known in logger.filters):
            logger.addFilter(OneLine())
