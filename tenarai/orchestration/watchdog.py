"""The watchdog: ends runs whose process died, and starts a night again that lost its own.

`tenarai up` has one that looks at the processes of its machine, too; `tenarai watch` is one for a server of your own,
which goes by heartbeats alone. Prefect's automations could do the same, but they decide by events, of which a busy
SQLite database may lose some: then a night that completed would count as one that fell silent. The watchdog asks the
API for the state instead.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psutil
from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.events.filters import EventFilter
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelled, Cancelling, Crashed, Scheduled
from prefect.utilities.urls import url_for

from tenarai.catalogue import hold_store
from tenarai.errors import StoreBusyError, TenaraiError
from tenarai.locale import _
from tenarai.orchestration.runs import explain_failure
from tenarai.orchestration.server import reach_server
from tenarai.settings import read_settings
from tenarai.store import open_store

log = logging.getLogger(__name__)
NIGHTLY = "nightly/nightly"
ATTEMPTS = ("second attempt", "third attempt")  # tags; after these the next night makes it whole
SECONDS = 10.0  # between two looks
HEARTBEATS = timedelta(seconds=100)  # three of them
PATIENCE = timedelta(seconds=120)  # for a run that is pending, on this machine
STARTING = timedelta(minutes=10)  # elsewhere, where an image may have to be fetched first
CANCELLING = timedelta(seconds=60)
LONGEST_RUN = timedelta(hours=7)  # a night ends itself after six hours, if it can
RECENT = timedelta(hours=1)
SILENT = _("its process sends no heartbeat")
LIVE = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
OVER = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


class Watchdog:
    """Asks the server every few seconds which runs live, which ended, and when the next night begins."""

    def __init__(self, say: Callable[[str], None], *, is_here: bool = True) -> None:
        """Look at nothing yet.

        Args:
            say: Prints a line for the person at the terminal.
            is_here: Whether the runs are processes of this machine. If not, a run without heartbeats is cancelled, so
                that its worker ends the process, and has crashed where no worker does so.
        """
        self._say, self._is_here = say, is_here
        self._begun = self._reached = datetime.now(UTC)  # `_reached`: since when the server has answered
        self._ended: set[UUID] = set()
        self._restarted: list[str] = []
        self._next: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Look every few seconds, until it is to stop. A look that fails is logged, and the next one follows."""
        with get_client(sync_client=True) as client:
            while not stopping.wait(SECONDS):
                try:
                    self.look(client)
                except Exception as error:  # whatever it was, the nights still need a watchdog
                    self._reached = datetime.now(UTC)
                    if not isinstance(error, HTTPError | PrefectHTTPStatusError):
                        log.exception("the watchdog failed to look")

    def start_night(self) -> str:
        """Start a night now; gives the address of its page."""
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(NIGHTLY)
            return str(url_for(client.create_flow_run_from_deployment(deployment.id)))

    def report_restart(self, name: str) -> None:
        """Send the event `tenarai.restarted` for a part, as soon as the server answers."""
        self._restarted.append(name)

    def look(self, client: SyncPrefectClient) -> None:
        """One look at everything."""
        for run in _read_runs(client, LIVE):
            self._examine(client, run)
        for night in self._read_ended(client):
            self._say(f"{night.name}: {night.state and (night.state.message or night.state.name)}")
            if night.state and lost_its_process(client, night.id, night.state):
                self._start_again(client, night)
            self._ended.add(night.id)
        self._announce_next(client)
        while self._restarted:
            name = self._restarted.pop()
            emit_event("tenarai.restarted", resource={"prefect.resource.id": f"tenarai.{name.replace(' ', '-')}"})

    def _examine(self, client: SyncPrefectClient, run: FlowRun) -> None:
        """End a run whose process died, is frozen or hangs."""
        now, state = datetime.now(UTC), run.state
        if state is None:
            return
        age = now - state.timestamp
        process = _look_at(run) if self._is_here else "elsewhere"
        if state.is_running():
            is_silent = process != "alive" and not _sent_heartbeat(client, run, now - HEARTBEATS)
            if is_silent and process == "dead":
                _set(client, run, Crashed(message=_("the process of this run died")))
            elif is_silent and now - max(state.timestamp, self._reached) > HEARTBEATS:
                _set(client, run, Cancelling(message=SILENT))
            elif age > LONGEST_RUN:
                _set(client, run, Cancelling(message=_("it takes too long")))
        elif state.is_pending() and process != "alive" and age > (PATIENCE if self._is_here else STARTING):
            _set(client, run, Crashed(message=_("the worker died before it started this run")))
        elif state.is_cancelling() and age > CANCELLING:
            if process != "elsewhere":
                _kill(run)
            if state.message == SILENT:
                _set(client, run, Crashed(message=_("its process and its worker died")))
            else:
                _set(client, run, Cancelled(message=_("cancelled; its worker did not answer")))

    def _read_ended(self, client: SyncPrefectClient) -> list[FlowRun]:
        """Nights that ended of late and were not seen yet."""
        since = max(self._begun, datetime.now(UTC) - RECENT)
        runs = _read_runs(client, OVER, flow="nightly", ended_after=since)
        self._ended &= {run.id for run in runs}
        return [run for run in runs if run.id not in self._ended]

    def _start_again(self, client: SyncPrefectClient, night: FlowRun) -> None:
        """Start a night again whose process died, unless another one is at work by now."""
        num_again = sum(tag in night.tags for tag in ATTEMPTS)
        if num_again == len(ATTEMPTS) or not night.deployment_id:
            return
        if any(run.deployment_id == night.deployment_id for run in _read_runs(client, LIVE, flow="nightly")):
            return
        if not _store_is_free(night.parameters.get("store", "")):
            return
        client.create_flow_run_from_deployment(
            night.deployment_id,
            parameters=night.parameters,
            tags=ATTEMPTS[: num_again + 1],
            state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(seconds=SECONDS)),
            idempotency_key=f"{night.id}-again",
        )
        self._say(_("{name} lost its process; starting it again", name=night.name))

    def _announce_next(self, client: SyncPrefectClient) -> None:
        """Print when the next night begins, once it is known and whenever it has changed."""
        planned = [run for run in _read_runs(client, [StateType.SCHEDULED], flow="nightly") if run.auto_scheduled]
        start = planned[0].expected_start_time if planned else None
        if start and start != self._next:
            schedules = client.read_deployment(planned[0].deployment_id).schedules  # type: ignore[arg-type]
            zone = next((getattr(one.schedule, "timezone", None) for one in schedules), None) or "UTC"
            self._say(
                _("next night: {when} ({zone})", when=f"{start.astimezone(ZoneInfo(zone)):%a %d %b %H:%M}", zone=zone)
            )
        self._next = start


def watch(say: Callable[[str], None]) -> None:
    """Look after the runs of the server that `PREFECT_API_URL` names, until Ctrl-C or SIGTERM.

    Raises:
        TenaraiError: The server is not named, does not answer at the start, or refuses.
    """
    say(_("looking after the runs of {url}; stop with Ctrl-C", url=reach_server()))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's first process would ignore it
    with suppress(KeyboardInterrupt):
        Watchdog(say, is_here=False).run(threading.Event())


def lost_its_process(client: SyncPrefectClient, run_id: UUID, state: State[Any]) -> bool:
    """Whether a run ended because its process or its worker died or froze; not by itself, nor by a person."""
    if not state.is_cancelled():
        return state.is_crashed()
    return any(past.message == SILENT for past in client.read_flow_run_states(run_id))  # a worker replaces the message


def _read_runs(
    client: SyncPrefectClient, types: list[StateType], *, flow: str = "", ended_after: datetime | None = None
) -> list[FlowRun]:
    runs = {"state": {"type": {"any_": types}}, "end_time": {"after_": ended_after} if ended_after else None}
    return client.read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}) if flow else None,
        flow_run_filter=FlowRunFilter.model_validate(runs),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
    )


def _sent_heartbeat(client: SyncPrefectClient, run: FlowRun, since: datetime) -> bool:
    beats = {
        "occurred": {"since": since},
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{run.id}"]},
    }
    return bool(client.read_events(EventFilter.model_validate(beats), limit=1).events)


def _look_at(run: FlowRun) -> str:
    """Whether the process of a run is alive, frozen or dead on this machine."""
    try:
        process = psutil.Process(int(run.infrastructure_pid or -1))
        command, status = " ".join(process.cmdline()), process.status()
    except (ValueError, psutil.Error):
        return "dead"
    if "prefect" not in command or status == psutil.STATUS_ZOMBIE:  # a number is given again after a restart
        return "dead"
    return "frozen" if status == psutil.STATUS_STOPPED else "alive"


def _kill(run: FlowRun) -> None:
    if _look_at(run) != "dead":
        with suppress(ProcessLookupError, PermissionError):
            os.kill(int(run.infrastructure_pid or 0), signal.SIGKILL)


def _set(client: SyncPrefectClient, run: FlowRun, state: Any) -> None:
    """Set a state, if the run has not ended by itself in the meantime."""
    now = client.read_flow_run(run.id).state
    if now is None or not now.is_final():
        client.set_flow_run_state(run.id, state, force=state.is_final())
        if state.is_crashed():
            explain_failure(None, run, state)  # which a process that died cannot do


def _store_is_free(address: str) -> bool:
    """Whether no night holds the store."""
    settings = read_settings(store=address)
    try:
        with hold_store(settings, open_store(settings.store, create=False)):
            return True
    except StoreBusyError:
        return False
    except TenaraiError:  # a night would say what is wrong with it
        return True
