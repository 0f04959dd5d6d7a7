"""One file, several samples: practice sheets, the pages of a PDF, photos of a row or a page of characters.

What is cut out becomes a catalogue row like that of any file. Its image is an original under its sha256; its path names
the file and the place in it; its file id begins with the file's; its stamp is the file's sha256. So it is prepared,
evaluated and reported like every other image. It takes its label from its file (from the sheet, on a sheet), moves when
the file moves, goes when the file goes, and returns with it without being cut again.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.errors import ImageError
from tenarai.locale import _, dump
from tenarai.prepare import (
    MORE_THAN_ONE,
    NORMALISER_VERSION,
    PAGE_SIDE,
    count_pages,
    cut_characters,
    decode,
    prepare_images,
)
from tenarai.records import CELL, CutResult, Event, EventKind, Image, Role, State
from tenarai.settings import Settings
from tenarai.sheets.codes import recall_from
from tenarai.sheets.cut import cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.store import Store
from tenarai.sync.plan import find_kinds

READER = 1  # version of finding and cutting sheets: what an earlier version refused is tried again
SHEET_SIDE = 4200  # of a photo of a sheet as it is read: 12 megapixels and more
RENDERED_SIDE = 2048  # of a PDF's page
SECONDS_BETWEEN_MESSAGES = 5

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Part:
    """What was cut out of a file.

    Attributes:
        place: Where it was, in the words of `CELL`.
        picture: (H, W) or (H, W, 3) uint8 RGB.
        label: What a sheet says was to be written; else None.
    """

    place: str
    picture: NDArray[np.uint8]
    label: str | None = None


def cut_files(
    store: Store, catalogue: Catalogue, settings: Settings, run: str, say: Say = lambda words: None
) -> CutResult:
    """Cut what is new into parts and prepare them; move, remove and restore parts with their files.

    A killed night loses one file's work.

    Args:
        store: Holds the files, and takes the parts.
        catalogue: What is known of the source's files.
        settings: The source, and limits on files.
        run: Name of the night.
        say: Receives progress messages. Default: nobody listens.

    Raises:
        StoreError: A file is missing, or store or catalogue cannot be written.
    """
    turns: list[_Turn] = []
    while not turns or turns[-1].is_changed:  # a page that was cut out may show several characters
        turns.append(_Turn(store, catalogue, settings, run))
        turns[-1].go(say)
        if turns[-1].is_changed:
            prepare_images(store, catalogue, settings.source, settings, on_progress=say)
    return CutResult(
        num_files=len(turns[-1].files),
        num_cut=sum(turn.num_cut for turn in turns),
        num_refused=sum(turn.num_refused for turn in turns),
        num_new=sum(turn.count(EventKind.ADDED, EventKind.BACK) for turn in turns),
        num_gone=sum(turn.count(EventKind.GONE) for turn in turns),
    )


class _Turn:
    """One look at every file that is to be cut."""

    def __init__(self, store: Store, catalogue: Catalogue, settings: Settings, run: str) -> None:
        self._store, self._catalogue, self._settings, self._run = store, catalogue, settings, run
        self.files = catalogue.files_to_cut(settings.source, NORMALISER_VERSION)
        rows = catalogue.images(settings.source, states=tuple(State), only_parts=True)
        self._known = {row.file_id: row for row in rows}
        self._made: dict[tuple[str, bool], list[Image]] = defaultdict(list)
        for row in rows:
            self._made[row.stamp, _is_of_sheet(row)].append(row)
        self.num_cut = self.num_refused = 0
        self.is_changed = False
        self._events: list[Event] = []

    def count(self, *kinds: EventKind) -> int:
        """How many parts had one of these events."""
        return sum(event.kind in kinds for event in self._events)

    def go(self, say: Say) -> None:
        """Cut or adopt the parts of every file; those of files that are gone go, too."""
        present = {file.file_id for file in self.files}
        wanted: set[str] = set()
        spoken = time.monotonic()
        for number, file in enumerate(self.files, 1):
            before = self._find_made(file)
            rows = [_adopt(file, row) for row in before]
            moved = {
                row.file_id: old
                for row, old in zip(rows, before, strict=True)
                if old.state is not State.GONE and _parent(old) not in present
            }
            if not rows:
                rows = self._cut(file)
                self.num_cut += 1
                self.num_refused += rows[0].state is State.REJECTED
            wanted.update(row.file_id for row in rows)
            self._record(rows, moved)
            if time.monotonic() - spoken > SECONDS_BETWEEN_MESSAGES:
                spoken = time.monotonic()
                say(_("{done} of {total} files", done=number, total=len(self.files)))
        live = [row for row in self._known.values() if row.state is not State.GONE]
        self._record([replace(row, state=State.GONE) for row in live if row.file_id not in wanted], {})

    def _find_made(self, file: Image) -> list[Image]:
        """Rows that were made of the same bytes before, of this file if it has any; empty if there are none."""
        is_sheet = file.role is Role.SHEETS
        made = self._made.get((file.sha256, is_sheet)) or self._made.get((_refused_stamp(file), is_sheet)) or []
        owners = {_parent(row): row for row in made}
        owner = file.file_id if file.file_id in owners else next(iter(owners), "")
        return [row for row in made if _parent(row) == owner]

    def _cut(self, file: Image) -> list[Image]:
        """Rows of a file's parts, their images kept; or one row with the reason why there are none."""
        try:
            return [self._keep(file, part) for part in list(_find_parts(file, self._store, self._settings))]
        except ImageError as error:
            refused = replace(file, state=State.REJECTED, reason=dump(error.what), stamp=_refused_stamp(file))
            return [replace(refused, file_id=f"{file.file_id}{CELL}none")]

    def _keep(self, file: Image, part: Part) -> Image:
        data = cv2.imencode(".png", part.picture[..., ::-1] if part.picture.ndim == 3 else part.picture)[1].tobytes()
        return replace(
            file,
            file_id=f"{file.file_id}{CELL}{part.place}",
            path=_name(file, part.label, part.place),
            role=file.role if part.label is None else Role.DIGITS,
            label=file.label if part.label is None else part.label,
            sha256=self._store.put_original(data),
            size=len(data),
            stamp=file.sha256,
        )

    def _record(self, rows: Sequence[Image], moved: dict[str, Image]) -> None:
        """Write rows that differ from what is known, with their events; what moved leaves its old row without one."""
        changed, events = [], []
        for row in rows:
            before = moved.get(row.file_id) or self._known.get(row.file_id)
            runs = (before.first_run, before.last_run) if before else (self._run, self._run)
            now = replace(row, first_run=runs[0], last_run=runs[1])
            if now == before:
                continue
            changed.append(replace(now, last_run=self._run))
            kinds = [EventKind.GONE] if now.state is State.GONE else find_kinds(before, now)
            events += [Event.of(self._run, kind, now, before) for kind in kinds]
        changed += [replace(old, state=State.GONE, last_run=self._run) for old in moved.values()]
        if changed:
            self._catalogue.apply_sync(changed[0].source, changed, events)
            self._known |= {row.file_id: row for row in changed}
            self._events += events
            self.is_changed = True


def _find_parts(file: Image, store: Store, settings: Settings) -> Iterator[Part]:
    """The parts of a file in reading order.

    Raises:
        ImageError: There are none, or they cannot be told apart.
    """
    data = store.original(file.sha256)
    limits: dict[str, Any] = {"max_bytes": settings.max_image_bytes, "max_pixels": settings.max_image_pixels}
    if (num_pages := count_pages(data)) > 1:
        for page in range(num_pages):
            yield Part(f"p{page + 1:03}", decode(data, page=page, max_side=RENDERED_SIDE, **limits))
    elif file.role is Role.SHEETS:
        cells = list(cut_cells(find_sheet(decode(data, max_side=SHEET_SIDE, **limits), recall_from(store))))
        if not cells:
            raise ImageError(_("nothing is written on this sheet, or everything is struck out"))
        yield from (Part(f"r{cell.row}c{cell.column}", cell.picture, cell.label) for cell in cells)
    else:
        characters = cut_characters(decode(data, max_side=PAGE_SIDE, **limits))
        if len(characters) < 2:
            raise ImageError(MORE_THAN_ONE)
        for number, character in enumerate(characters, 1):
            box = ",".join(str(round(1000 * share)) for share in character.box)
            yield Part(f"c{number:03}@{box}", character.picture)


def _adopt(file: Image, row: Image) -> Image:
    """A part that was made of the same bytes before, as a part of this file."""
    place = _place(row)
    file_id = f"{file.file_id}{CELL}{place}"
    if row.reason:
        return replace(file, file_id=file_id, state=State.REJECTED, reason=row.reason, stamp=row.stamp)
    is_cell = _is_of_sheet(row) and row.role is Role.DIGITS
    return replace(
        file,
        file_id=file_id,
        path=_name(file, row.label if is_cell else None, place),
        role=row.role if is_cell else file.role,
        label=row.label if is_cell else file.label,
        sha256=row.sha256,
        size=row.size,
        stamp=row.stamp,
    )


def _parent(row: Image) -> str:
    return row.file_id.rpartition(CELL)[0]


def _place(row: Image) -> str:
    return row.file_id.rpartition(CELL)[2]


def _is_of_sheet(row: Image) -> bool:
    return row.role is Role.SHEETS or _place(row).startswith("r")


def _name(file: Image, label: str | None, place: str) -> str:
    """`sheets/monday.jpg#4 (row 3, column 7)`, `inbox/scan.pdf (page 2)`, `digits/4/row.jpg (character 3)`."""
    first, *rest = map(int, re.findall(r"\d+", place))
    if label is not None:
        return f"{file.path}#{label} (row {first}, column {rest[0]})"
    return f"{file.path} ({'page' if place.startswith('p') else 'character'} {first})"


def _refused_stamp(file: Image) -> str:
    return f"{file.sha256} refused by reader {READER}.{NORMALISER_VERSION}"
