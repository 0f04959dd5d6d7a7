"""Make labelled images of what was written on the sheets that the source holds, each photo once.

A filled box becomes a row of the catalogue like any labelled file: its picture is an original under its sha256, its
path tells photo, label and place, its file id names the photo's, and its stamp the photo's bytes. So it is prepared,
grouped, split, examined and reported like every other image. It goes when its photo goes, and comes back with it,
without being cut again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError, TenaraiError
from tenarai.records import CELL, Event, EventKind, Image, Role, SheetsResult, State
from tenarai.sheets.codes import Recall, recall_from
from tenarai.sheets.cut import Cell, cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.store import Store

READER = 1
"""Version of finding and cutting: photos that an earlier version refused are looked at again."""

MAX_SIDE = 4200  # of a photo as it is read: 12 megapixels and more

Decode = Callable[[bytes], NDArray[np.uint8]]
Say = Callable[[str], None]


class Book(Protocol):
    """What collecting needs of the catalogue."""

    def images(
        self,
        source: str,
        *,
        roles: Sequence[Role] | None = None,
        states: Sequence[State] = (State.OK,),
        only_cells: bool = False,
    ) -> list[Image]:
        """Files of a source; of its photos' cells only, where asked."""

    def apply_sync(self, source: str, rows: Sequence[Image], events: Sequence[Event]) -> None:
        """Record rows and events in one transaction."""


def collect_cells(
    store: Store, catalogue: Book, source: str, run: str, *, decode: Decode, say: Say = lambda words: None
) -> SheetsResult:
    """Cut the sheets that are new, and let cells go and return with their photos. A killed night loses one photo.

    Args:
        store: Holds the photos, and takes the cells.
        catalogue: What is known of the source's files.
        source: Address of the source.
        run: Name of the night.
        decode: Makes a picture, (H, W, 3) uint8 RGB, of a photo's bytes, or raises ImageError.
        say: Takes words of progress. Default: nobody listens.

    Raises:
        StoreError: A photo is missing, or store or catalogue cannot be written.
    """
    shelf = _Shelf(source, run, catalogue)
    if not shelf.photos and not shelf.known:
        return SheetsResult()
    recall, spoken = recall_from(store), time.monotonic()
    num_cut = num_refused = 0
    for number, photo in enumerate(shelf.photos, 1):
        rows = shelf.find_cut(photo)
        if not rows:
            rows = _cut(photo, store, recall, decode)
            num_cut += 1
            num_refused += rows[0].state is State.REJECTED
        shelf.put(photo, rows)
        if time.monotonic() - spoken > 5:
            spoken = time.monotonic()
            say(f"{number} of {len(shelf.photos)} sheets")
    shelf.clear()
    return SheetsResult(len(shelf.photos), num_cut, num_refused, shelf.num_new, shelf.num_gone)


class _Shelf:
    """The photos of sheets that there are, and what is known to come from photos, live or not."""

    def __init__(self, source: str, run: str, catalogue: Book) -> None:
        every = tuple(State)
        rows = catalogue.images(source, roles=(Role.SHEETS,), states=every)
        rows += catalogue.images(source, roles=(Role.DIGITS,), states=every, only_cells=True)
        self._source, self._run, self._catalogue = source, run, catalogue
        self.photos = [
            row for row in rows if row.role is Role.SHEETS and not row.photo_id and row.state is State.OK and row.sha256
        ]
        self.known = {row.file_id: row for row in rows if row.photo_id}
        self._by_stamp: dict[str, list[Image]] = defaultdict(list)
        for row in self.known.values():
            self._by_stamp[row.stamp].append(row)
        self._wanted: set[str] = set()
        self.num_new = self.num_gone = 0

    def find_cut(self, photo: Image) -> list[Image]:
        """What was made of a photo before, or of one with the same bytes under another name; empty if nothing was."""
        made = self._by_stamp.get(photo.sha256) or self._by_stamp.get(_refused_stamp(photo)) or []
        if not made:
            return []
        owner = next((row.photo_id for row in made if row.photo_id == photo.file_id), made[0].photo_id)
        return [_adopt(row, photo) for row in made if row.photo_id == owner]

    def put(self, photo: Image, rows: Sequence[Image]) -> None:
        """Tell the catalogue of a photo's cells, as far as they are not as they were."""
        changed, events = [], []
        for row in rows:
            self._wanted.add(row.file_id)
            before = self.known.get(row.file_id)
            now = replace(row, first_run=before.first_run if before else self._run, last_run=self._run)
            if before is not None and now == replace(before, last_run=self._run):
                continue
            changed.append(now)
            if kind := _find_kind(before, now):
                events.append(Event.of(self._run, kind, now, before))
                self.num_new += kind in {EventKind.ADDED, EventKind.BACK} and row.role is Role.DIGITS
        if changed:
            self._catalogue.apply_sync(self._source, changed, events)

    def clear(self) -> None:
        """Let go what comes from no photo any more."""
        live = (row for row in self.known.values() if row.state is not State.GONE)
        gone = [replace(row, state=State.GONE, last_run=self._run) for row in live if row.file_id not in self._wanted]
        self.num_gone = sum(row.role is Role.DIGITS for row in gone)
        if gone:
            events = [Event.of(self._run, EventKind.GONE, row, row) for row in gone]
            self._catalogue.apply_sync(self._source, gone, events)


def _cut(photo: Image, store: Store, recall: Recall, decode: Decode) -> list[Image]:
    """Rows of a photo's cells, their pictures kept; or one row that says why there are none."""
    try:
        found = find_sheet(decode(store.original(photo.sha256)), recall)
        cells = list(cut_cells(found))
        if not cells:
            raise ImageError("nothing is written on this sheet, or everything is struck out")
    except ImageError as error:
        return [
            replace(
                photo,
                file_id=f"{photo.file_id}{CELL}sheet",
                state=State.REJECTED,
                reason=error.what,
                stamp=_refused_stamp(photo),
            )
        ]
    return [_keep(cell, photo, store) for cell in cells]


def _keep(cell: Cell, photo: Image, store: Store) -> Image:
    data = _encode(cell)
    return replace(
        photo,
        file_id=f"{photo.file_id}{CELL}r{cell.row}c{cell.column}",
        path=_name(photo, cell.label, cell.row, cell.column),
        role=Role.DIGITS,
        label=cell.label,
        sha256=store.put_original(data),
        size=len(data),
        stamp=photo.sha256,
    )


def _adopt(row: Image, photo: Image) -> Image:
    """A row made of the same bytes before, as one of this photo."""
    place = row.file_id.partition(CELL)[2]
    if place == "sheet":
        return replace(row, file_id=f"{photo.file_id}{CELL}{place}", path=photo.path, state=State.REJECTED)
    line, column = (int(number) for number in place.removeprefix("r").split("c"))
    path = _name(photo, row.label or "", line, column)
    return replace(
        row,
        file_id=f"{photo.file_id}{CELL}{place}",
        path=path,
        state=State.OK,
        modified=photo.modified,
        owner=photo.owner,
    )


def _name(photo: Image, label: str, row: int, column: int) -> str:
    return f"{photo.path}#{label} (row {row}, column {column})"


def _refused_stamp(photo: Image) -> str:
    return f"{photo.sha256} refused by reader {READER}"


def _encode(cell: Cell) -> bytes:
    done, data = cv2.imencode(".png", cell.picture[..., ::-1])
    if not done:
        raise TenaraiError(f"the cell in row {cell.row}, column {cell.column} cannot be written as PNG")
    return bytes(data.tobytes())


def _find_kind(before: Image | None, row: Image) -> EventKind | None:
    if before is None:
        return EventKind.REJECTED if row.state is State.REJECTED else EventKind.ADDED
    if before.state is State.GONE:
        return EventKind.BACK
    if before.sha256 != row.sha256 or before.state is not row.state:
        return EventKind.CHANGED
    return EventKind.MOVED if before.path != row.path else None
