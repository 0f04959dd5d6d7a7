"""The year as it goes by: what the nights work on, the newest report, and what was noticed of the faults so far."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from benchmarks.year.nights import read_report, spend_night
from benchmarks.year.person import Person
from benchmarks.year.planted import Planted
from tenarai.catalogue import CATALOGUE_FILE, Catalogue, open_catalogue
from tenarai.dataset import TRAIN, Snapshot, load_snapshot
from tenarai.evaluate.predictions import champion_id
from tenarai.records import CELL, State
from tenarai.store import Store
from tests.stand_in import StandInDrive
from tests.stand_in.tree import Item

Report = dict[str, Any]
Look = Callable[[Report, int], tuple[bool, str] | None]
"""Looks at a report and its night's number: whether the fault was caught, and what was seen; None to wait on."""


@dataclass
class Year:
    """Everything that the nights work on, and what was noticed so far.

    Attributes:
        caught: Each fault judged so far: whether it was caught, and a word on what was seen.
        watched: Faults that wait for a later report.
        verdicts: Of each night that published a report.
        failures: Nights that ended badly though nothing was planted that should end them.
        leaks: Regression images found among those trained on, by night; there must never be one.
        latest: The newest report.
    """

    drive: StandInDrive
    person: Person
    store: Store
    begins: date
    rng: random.Random
    caught: dict[Planted, tuple[bool, str]] = field(default_factory=dict)
    watched: list[tuple[Planted, Look]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    latest: Report = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"drive:{self.drive.tree.root.id}"

    def day(self, night: int) -> date:
        return self.begins + timedelta(days=night)

    def night(self, number: int, **options: Any) -> Report:
        """One night, and the report it handed in."""
        spend_night(number, self.day(number), **options)
        return read_report(self.store.root)

    def watch(self, fault: Planted, look: Look) -> None:
        self.watched.append((fault, look))

    def look_at(self, report: Report, night: int) -> None:
        """The morning after: what can be judged now is judged, and the person does as the report says."""
        self.latest = report
        self.verdicts.append(report["verdict"])
        if report["verdict"] != "nothing new":
            self._look_for_leaks(night)
        waiting, self.watched = self.watched, []
        for fault, look in waiting:
            found = look(report, night)
            if found is None:
                self.watched.append((fault, look))
            else:
                self.caught[fault] = found
        self.person.look_at(report)

    # ---- what the checks ask

    def snapshot(self) -> Snapshot:
        """The snapshot of the newest report."""
        return load_snapshot(self.store, self.latest["snapshot"])

    def label_in_snapshot(self, item: Item) -> str | None:
        """Under which label the newest snapshot holds a file; None when it does not."""
        snapshot = self.snapshot()
        rows = (snapshot.sha256 == digest(item)).nonzero()[0]
        return snapshot.info.labels[snapshot.targets[rows[0]]] if len(rows) else None

    def num_calls_for(self, item: Item) -> int:
        """How often a file itself was asked for since the evening; listings name folders only."""
        return sum(call.endswith(item.id) for call in self.drive.calls)

    def choose(self) -> Item:
        """A file that lies under its label and is in the newest snapshot."""
        known = set(self.snapshot().sha256.tolist())
        return self.rng.choice([item for item in self.person.labelled() if digest(item) in known])

    def state(self) -> tuple[object, ...]:
        """Champion and rows: what a refused night must leave as it was; one that stops writes a report."""
        with self.catalogue() as catalogue:
            rows = catalogue.images(self.source, states=tuple(State))
            return champion_id(self.store), tuple(rows)

    def catalogue_is_the_folder(self) -> bool:
        """Whether every file of the folder has its live row with its own bytes, and nothing else has one."""
        with self.catalogue() as catalogue:
            rows = catalogue.images(self.source, states=(State.OK, State.REJECTED))
        rows = [row for row in rows if CELL not in row.file_id]  # what was cut out of a file has none of its own
        here = {item.id for item in self.person.files()}
        whole = all(
            self.store.original(row.sha256) == self.drive.tree.items[row.file_id].data for row in rows if row.sha256
        )
        return whole and {row.file_id for row in rows} == here

    def catalogue(self) -> Catalogue:
        return open_catalogue(f"sqlite:///{self.store.root}/{CATALOGUE_FILE}")

    def _look_for_leaks(self, night: int) -> None:
        snapshot = self.snapshot()
        trained = set(snapshot.sha256[snapshot.rows(TRAIN)].tolist())
        self.leaks += [
            f"night {night}: {self.person.path(item)}"
            for item in self.person.labelled("misread")
            if digest(item) in trained
        ]


def digest(item: Item) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(item.data or b"").hexdigest()
