"""For tests of the sync: a folder on the stand-in Drive, a store, and nights that sync the one into the other."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenarai.catalogue import open_catalogue
from tenarai.records import State
from tenarai.store import open_store
from tenarai.sync import open_source
from tests.drives import settings_for
from tests.stand_in import StandInDrive


@contextmanager
def heard(messages):
    """Collect what a sync logs."""

    class Listener(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    log, listener = logging.getLogger("tenarai.sync"), Listener()
    log.setLevel(logging.INFO)
    log.addHandler(listener)
    try:
        yield
    finally:
        log.removeHandler(listener)


class DriveDesk:
    """One folder, one store, numbered nights."""

    def __init__(self, server: StandInDrive, place: Path, **given: Any) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.server, self.tree, self.place = server, server.tree, place / "store"
        self.settings = settings_for(server, place, **given)
        self.source, self.num_nights, self.words = f"drive:{self.tree.root.id}", 0, []

    def put(self, path, content="ink", **fields):
        return self.tree.put(path, content, **fields)

    def night(self, **options):
        """One sync; the server's list of calls starts again."""
        self.num_nights += 1
        self.server.calls.clear()
        store = open_store(str(self.place))
        settings = options.pop("settings", self.settings)
        with self.catalogue() as catalogue:
            self.words = []
            with heard(self.words):
                return open_source(settings.model_copy(update={"source": self.source})).sync(
                    store, catalogue, f"r{self.num_nights}", **options
                )

    @contextmanager
    def catalogue(self):
        with open_catalogue(f"sqlite:///{self.place}/catalogue.sqlite") as catalogue:
            yield catalogue

    def images(self, *states):
        with self.catalogue() as catalogue:
            return {image.path: image for image in catalogue.images(self.source, states=states or (State.OK,))}

    def labels(self):
        return {path: image.label for path, image in self.images().items()}

    def rejections(self):
        return {path: image.reason for path, image in self.images(State.REJECTED).items()}

    def events(self, run=None):
        with self.catalogue() as catalogue:
            return [(event.kind, event.path) for event in catalogue.events(self.source, run or f"r{self.num_nights}")]

    def state(self):
        with self.catalogue() as catalogue:
            return catalogue.source_state(self.source)

    def originals(self):
        return sorted(path.read_bytes() for path in (self.place / "blobs").rglob("*") if path.is_file())

    def told(self):
        """All that a sync leaves: rows, events, originals."""
        with self.catalogue() as catalogue:
            rows = catalogue.images(self.source, states=tuple(State))
            return rows, catalogue.events(self.source), self.originals()
