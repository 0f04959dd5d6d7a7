"""Which images a person is asked about, what they answer, and how that is undone.

Labels to check come first, then the inbox: the least sure and most varied first.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from threading import RLock

from tenarai.catalogue import Catalogue, locate_catalogue, open_catalogue
from tenarai.dataset import sort_labels
from tenarai.errors import TenaraiError
from tenarai.evaluate.inbox import read_inbox
from tenarai.evaluate.predictions import champion_id
from tenarai.evaluate.suspects import LABELLED, open_suspects
from tenarai.label.places import Place, Undo, open_place
from tenarai.locale import _
from tenarai.model.bundle import load_info
from tenarai.records import Event, EventKind, Image, Role
from tenarai.settings import Settings
from tenarai.store import Store, open_store

RUN = "label"  # stands for the run in the catalogue's events
SECONDS_TO_TRUST = 60  # then the catalogue is read again: a night may have found something


@dataclass(frozen=True, slots=True)
class Item:
    """An image to ask about.

    Attributes:
        image: Its file, as the last sync saw it.
        kind: `inbox`, or why its label is doubtful: `label`, `duplicate` or `outlier`.
        read_as: The label that was read; empty if none was.
        confidence: Of that reading, 0 to 1.
        other_path: The file that a duplicate is a copy of.
    """

    image: Image
    kind: str
    read_as: str = ""
    confidence: float = 0.0
    other_path: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Names the file with its content: other content under the same name is another item."""
        return self.image.file_id, self.image.sha256

    @property
    def is_part(self) -> bool:
        """Whether it was cut out of a photo, so that there is no file to move."""
        return bool(self.image.photo_id)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done: a sentence, and how it is undone."""

    sentence: str
    key: tuple[str, str]
    undo: Undo


class Desk:
    """The images that are open, and the steps that were taken. Safe to use from several threads.

    Args:
        settings: Source and store.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened yet: what is wrong with source or store is shown in the page."""
        self.settings, self.source = settings, settings.source
        self._lock = RLock()
        self._items: list[Item] = []
        self._read_at = float("-inf")
        self._handled: set[tuple[str, str]] = set()
        self._later: list[tuple[str, str]] = []
        self.labels: tuple[str, ...] = ()
        self.steps: list[Step] = []

    @cached_property
    def store(self) -> Store:
        """Holds the originals and the champion."""
        return open_store(self.settings.store)

    @cached_property
    def place(self) -> Place:
        """Moves the files."""
        return open_place(self.settings)

    def current(self) -> tuple[Item | None, int]:
        """The next item, and how many are left. Those that were put off come last; vanished ones are skipped."""
        with self._lock:
            while waiting := self._waiting():
                if self.place.is_unchanged(waiting[0].image) or waiting[0].is_part:
                    return waiting[0], len(waiting)
                self._handled.add(waiting[0].key)
            return None, 0

    def find(self, file_id: str) -> Item | None:
        """An open item by its file id."""
        with self._lock:
            return next((item for item in self._waiting() if item.image.file_id == file_id), None)

    def file(self, item: Item, label: str) -> None:
        """Move its file into the folder of a label.

        Raises:
            SourceError: It changed, vanished, or cannot be moved.
        """
        with self._lock:
            if item.image.label == label:
                return self.confirm(item)
            if item.is_part:
                raise TenaraiError(
                    _("{path} is part of a photo and cannot be moved", path=item.image.path),
                    fix=_("move the photo, strike it out on a practice sheet, or say that it is not a character"),
                )
            with self._catalogue() as catalogue:
                example = catalogue.find_example(self.source, label)
            path, undo = self.place.move(item.image, label, example)
            return self._take(item, _("{path} → {target}", path=item.image.path, target=path), undo)

    def confirm(self, item: Item) -> None:
        """Its label is right as it is."""
        self._answer(item, EventKind.CONFIRMED, _("{path} is right as it is", path=item.image.path))

    def set_aside(self, item: Item) -> None:
        """It is not a character; the file stays where it is."""
        self._answer(item, EventKind.SET_ASIDE, _("{path} is not a character and is left out", path=item.image.path))

    def put_off(self, item: Item) -> None:
        """Ask again after the others."""
        with self._lock:
            self._later.append(item.key)
            self.steps.append(Step(_("{path} comes later", path=item.image.path), item.key, self._later.pop))

    def undo(self) -> str:
        """Undo the last step; what was undone.

        Raises:
            TenaraiError: It cannot be undone; the step is forgotten.
        """
        with self._lock:
            if not self.steps:
                return _("there is nothing to undo")
            step = self.steps.pop()
            step.undo()
            self._handled.discard(step.key)
            return _("undone: {step}", step=step.sentence)

    def _answer(self, item: Item, kind: EventKind, sentence: str) -> None:
        with self._lock:
            self._record(item, kind)
            self._take(item, sentence, lambda: self._record(item, EventKind.REOPENED))

    def _record(self, item: Item, kind: EventKind) -> None:
        """Keep an answer as an event: it holds for these bytes under this label."""
        with self._catalogue() as catalogue:
            catalogue.apply_sync(self.source, [], [Event.of(RUN, kind, item.image, None)])

    def _take(self, item: Item, sentence: str, undo: Undo) -> None:
        self._handled.add(item.key)
        self.steps.append(Step(sentence, item.key, undo))

    def _waiting(self) -> list[Item]:
        if time.monotonic() - self._read_at > SECONDS_TO_TRUST:
            with self._catalogue() as catalogue:
                self._items = list_items(self.store, catalogue, self.source)
                self.labels = list_labels(self.store, catalogue, self.source)
            self._read_at = time.monotonic()
        waiting = [item for item in self._items if item.key not in self._handled]
        put_off = {key: place for place, key in enumerate(self._later, 1)}  # the last time counts
        return sorted(waiting, key=lambda item: put_off.get(item.key, 0))

    def _catalogue(self) -> AbstractContextManager[Catalogue]:
        return open_catalogue(locate_catalogue(self.settings, self.store))


def list_items(store: Store, catalogue: Catalogue, source: str) -> list[Item]:
    """Everything that is open, in order.

    Raises:
        ModelError: The champion is needed for the inbox, and is missing or damaged.
    """
    suspects = open_suspects(catalogue, source)
    labelled = catalogue.images(source, roles=LABELLED, sha256s={suspect.sha256 for suspect in suspects})
    files = {(image.path, image.sha256): image for image in labelled}
    items = [
        Item(files[s.path, s.sha256], s.kind, s.read_as, s.confidence, s.other_path)
        for s in suspects
        if (s.path, s.sha256) in files
    ]
    inbox = {(image.path, image.sha256): image for image in catalogue.images(source, roles=(Role.INBOX,))}
    for case in read_inbox(store, catalogue, source):
        if case.champion and (image := inbox.get((case.path, case.sha256))):  # a night may have synced in between
            items.append(Item(image, "inbox", case.champion.label, case.champion.confidence))
    return items


def list_labels(store: Store, catalogue: Catalogue, source: str) -> tuple[str, ...]:
    """The labels to choose from: those of the source and those of the champion."""
    return sort_labels(
        {label for _role, label in catalogue.count_labels(source)} | set(load_info(store, champion_id(store)).labels)
    )
