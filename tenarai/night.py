"""What every stage of a night needs to know: its name, where things are, how it was asked to work, and the clock."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from tenarai.catalogue import Catalogue, hold_store, locate_catalogue, open_catalogue
from tenarai.errors import SettingsError
from tenarai.orchestration.blocks import resolve_secrets
from tenarai.orchestration.fan_out import settings_of
from tenarai.settings import EvaluationSettings, GateSettings, Settings, TrainingSettings
from tenarai.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("tenarai.night")


@dataclass(frozen=True)
class Night:
    """One night's context; made by `begin_night`.

    Attributes:
        run: Name of the night, also of its report's folder: date, time and a few letters of the run's id.
        created: When it began, ISO 8601, by the clock that the settings name.
        settings: Where source, store and catalogue are.
        force: Train even when nothing is new.
        allow_mass_deletion: Believe it when many files vanished.
        training, exam, gate: How it was asked to work.
        store: The open store.
        seconds: Seconds by stage, filled in as the night goes on.
    """

    run: str
    created: str
    settings: Settings
    force: bool
    allow_mass_deletion: bool
    training: TrainingSettings
    evaluation: EvaluationSettings
    gate: GateSettings
    store: Store
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a stage and give it a way to say how it gets on."""

        def say(message: str) -> None:
            log.info("%s: %s", name, message)

        start = time.perf_counter()
        try:
            yield say
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store, so that two nights never work on it at once.

        Raises:
            StoreBusyError: Another night holds it.
        """
        with hold_store(self.settings, self.store):
            yield

    @contextmanager
    def catalogue(self) -> Iterator[Catalogue]:
        """The open catalogue."""
        with open_catalogue(locate_catalogue(self.settings, self.store)) as catalogue:
            yield catalogue

    def fingerprint(self, snapshot: str) -> str:
        """Names all that decides what a night would learn: the snapshot and the forms. Equal means nothing new."""
        forms = [form.model_dump(mode="json") for form in (self.training, self.evaluation, self.gate)]
        return hashlib.sha256(json.dumps([snapshot, *forms], sort_keys=True).encode()).hexdigest()[:16]


def begin_night(
    source: str,
    store: str,
    *,
    collection: str = "",
    force: bool,
    allow_mass_deletion: bool = False,
    training: TrainingSettings,
    evaluation: EvaluationSettings,
    gate: GateSettings,
    run_id: str = "",
) -> Night:
    """Name the night and open its store.

    Args:
        source, store: Addresses; empty ones are taken from the collection or the environment.
        collection: Name of one of many. Default: none of them.
        force, allow_mass_deletion, training, exam, gate: As asked.
        run_id: Id of the flow run. Default: a random one.

    Raises:
        SettingsError, StoreError: Address or store are off.
    """
    given = {name: value for name, value in {"source": source, "store": store}.items() if value}
    settings = settings_of(collection).model_copy(update=given) if collection else Settings(**given)  # type: ignore[arg-type]
    settings = resolve_secrets(name_drive_by_id(settings))
    now = datetime.now(UTC)  # names of nights sort by time, also when the clocks are put back
    return Night(
        run=f"{now:%Y%m%d-%H%M%S}-{(run_id or uuid.uuid4().hex)[:4]}",
        created=local_time(settings, now).isoformat(timespec="seconds"),
        settings=settings,
        force=force,
        allow_mass_deletion=allow_mass_deletion,
        training=training,
        evaluation=evaluation,
        gate=gate,
        store=open_store(settings.store),
    )


def name_drive_by_id(settings: Settings) -> Settings:
    """The settings, with a Drive folder that was given by its link named by its id.

    Raises:
        SettingsError: There is no folder's id in it.
    """
    if not settings.source.startswith("drive:"):
        return settings
    from tenarai.drive import canonical_address

    return settings.model_copy(update={"source": canonical_address(settings.source)})


def name_tonight() -> str:
    """What a run is called until its verdict is known, such as `2026-11-24 nightly`."""
    try:
        now = local_time(Settings(), datetime.now(UTC))  # type: ignore[call-arg]
    except (SettingsError, ValidationError):  # the night itself tells what is off with them
        now = datetime.now(UTC)
    return f"{now:%Y-%m-%d} nightly"


def local_time(settings: Settings, moment: datetime) -> datetime:
    """A moment by the clock that the settings name, or by this machine's.

    Raises:
        SettingsError: There is no such time zone.
    """
    try:
        return moment.astimezone(ZoneInfo(settings.timezone) if settings.timezone else None)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"{settings.timezone!r} is no time zone",
            expected="a name such as Asia/Tokyo or Europe/Berlin",
            fix="set TENARAI_TIMEZONE anew, or leave it out for this machine's own",
        ) from error
