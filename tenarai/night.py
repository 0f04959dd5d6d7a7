"""The context of one night: what it is called, where things are, how it works, and the clock."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tenarai.catalogue import Catalogue, hold_store, locate_catalogue, open_catalogue
from tenarai.evaluate.promotions import begin_history
from tenarai.locale import Message, _
from tenarai.settings import EvaluationSettings, GateSettings, Settings, TrainingSettings
from tenarai.store import Store, open_store

log = logging.getLogger("tenarai.night")


class StepLog(logging.LoggerAdapter[logging.Logger]):
    """Logs with the step's name in front."""

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Put the name in front of a message and keep it translatable."""
        return _("{step}: {message}", step=self.extra["step"] if self.extra else "", message=msg), kwargs


@dataclass(frozen=True)
class Night:
    """What every step needs to know. Made by `open_night`.

    Attributes:
        run: Name of the night, also of its report's folder: date, time and four characters of the run's id.
        created: When it began, ISO 8601, by the clock that the settings name.
        settings: Where source, store and catalogue are.
        store: The open store.
        force: Train even when nothing is new.
        accept_changes: Accept changes of the source that look like an accident.
        training, evaluation, gate: The forms.
        seconds: Seconds by step, filled in as the night goes on.
        notes: What the report should mention, filled in as the night goes on.
    """

    run: str
    created: str
    settings: Settings
    store: Store
    force: bool = False
    accept_changes: bool = False
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _lock_checks: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def step(self, name: Message) -> Iterator[StepLog]:
        """Time a step, and give it its log."""
        start = time.perf_counter()
        step_log = StepLog(log, {"step": name})
        step_log.debug("")  # that it has begun
        try:
            yield step_log
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store, so that two nights never work on it at the same time.

        Raises:
            StoreBusyError: Another night holds it.
        """
        with hold_store(self.settings, self.store) as check:
            self._lock_checks.append(check)
            try:
                yield
            finally:
                self._lock_checks.clear()

    def check_lock(self) -> None:
        """Check that the store is still held; before anything is promoted or published.

        Raises:
            StoreBusyError: The lock was lost.
        """
        for check in self._lock_checks:
            check()

    @contextmanager
    def catalogue(self) -> Iterator[Catalogue]:
        """Open the catalogue."""
        with open_catalogue(locate_catalogue(self.settings, self.store)) as catalogue:
            yield catalogue

    def fingerprint(self, snapshot: str) -> str:
        """Name all that decides what a night learns: the snapshot and the forms. Equal means nothing new."""
        forms = [form.model_dump(mode="json") for form in (self.training, self.evaluation, self.gate)]
        return hashlib.sha256(json.dumps([snapshot, *forms], sort_keys=True).encode()).hexdigest()[:16]


def open_night(settings: Settings, *, run_id: str = "", **options: Any) -> Night:
    """Name the night and open its store.

    Args:
        settings: Where things are, secrets resolved.
        run_id: Id of the flow run. Default: a random one.
        options: `force`, `accept_changes` and the forms, as in `Night`.

    Raises:
        StoreError: The store cannot be opened.
    """
    now = datetime.now(UTC)  # names of nights sort by time, even when the clocks are put back
    run = f"{now:%Y%m%d-%H%M%S}-{(run_id or uuid.uuid4().hex)[:4]}"
    created = now.astimezone(ZoneInfo(settings.timezone) if settings.timezone else None).isoformat(timespec="seconds")
    store = open_store(settings.store)
    begin_history(store)
    return Night(run, created, settings, store, **options)
