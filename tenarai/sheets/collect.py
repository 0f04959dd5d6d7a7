"""Turn what was written on the source's sheets into labelled images, each photo once.

A filled box becomes a catalogue row like that of any labelled file. Its image is an original under its sha256; its path
names photo, label and place; its file id starts with the photo's; its stamp is the photo's sha256. So it is prepared,
grouped, split, evaluated and reported like every other image. It goes when its photo goes, and returns with it without
being cut again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2

from tenarai.catalogue import Catalogue
from tenarai.errors import ImageError
from tenarai.locale import _, dump
from tenarai.prepare import decode
from tenarai.records import CELL, Event, EventKind, Image, Role, SheetsResult, State
from tenarai.settings import Settings
from tenarai.sheets.codes import recall_from
from tenarai.sheets.cut import Cell, cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.store import Store
from tenarai.sync.plan import find_kinds

READER = 1  # version of finding and cutting: photos that an earlier version refused are tried again
MAX_SIDE = 4200  # of a photo as it is read: 12 megapixels and more


def collect_cells(
    store: Store, catalogue: Catalogue, settings: Settings, run: str, say: Callable[[str], None] = lambda words: None
) -> SheetsResult:
    """Cut new sheets; remove and restore cells with their photos. A killed night loses one photo's work.

    Args:
        store: Holds the photos, and takes the cells.
        catalogue: What is known of the source's files.
        settings: The source, and limits on photos.
        run: Name of the night.
        say: Receives progress messages. Default: nobody listens.

    Raises:
        StoreError: A photo is missing, or store or catalogue cannot be written.
    """
    photos, known = _list_photos(catalogue, settings.source)
    by_stamp: dict[str, list[Image]] = defaultdict(list)
    for row in known.values():
        by_stamp[row.stamp].append(row)
    num_cut = num_refused = 0
    events: list[Event] = []
    wanted: set[str] = set()
    spoken = time.monotonic()
    for number, photo in enumerate(photos, 1):
        rows = _adopt(photo, by_stamp.get(photo.sha256) or by_stamp.get(_refused_stamp(photo)) or [])
        if not rows:
            rows = _cut(photo, store, settings)
            num_cut += 1
            num_refused += rows[0].state is State.REJECTED
        wanted.update(row.file_id for row in rows)
        events += _record(catalogue, run, rows, known)
        if time.monotonic() - spoken > 5:
            spoken = time.monotonic()
            say(_("{number} of {total} sheets", number=number, total=len(photos)))
    live = (row for row in known.values() if row.state is not State.GONE)
    events += _record(catalogue, run, [replace(r, state=State.GONE) for r in live if r.file_id not in wanted], known)
    counts = {kind: sum(event.kind is kind and event.label is not None for event in events) for kind in EventKind}
    num_new = counts[EventKind.ADDED] + counts[EventKind.BACK]
    return SheetsResult(len(photos), num_cut, num_refused, num_new, counts[EventKind.GONE])


def _list_photos(catalogue: Catalogue, source: str) -> tuple[list[Image], dict[str, Image]]:
    """Photos of sheets, and by file id every row that was ever made of a photo."""
    every = tuple(State)
    rows = catalogue.images(source, roles=(Role.SHEETS,), states=every)
    photos = [row for row in rows if not row.photo_id and row.state is State.OK and row.sha256]
    rows += catalogue.images(source, roles=(Role.DIGITS,), states=every, only_cells=True)
    return photos, {row.file_id: row for row in rows if row.photo_id}


def _adopt(photo: Image, made: Sequence[Image]) -> list[Image]:
    """Rows that were made of the same bytes before, as rows of this photo; empty if there are none."""
    owner = next((row.photo_id for row in made if row.photo_id == photo.file_id), made[0].photo_id if made else "")
    rows = []
    for row in (row for row in made if row.photo_id == owner):
        place = row.file_id.partition(CELL)[2]
        state = State.REJECTED if row.label is None else State.OK
        path = photo.path if row.label is None else _name(photo, row.label, place)
        rows.append(
            replace(
                photo,
                file_id=f"{photo.file_id}{CELL}{place}",
                path=path,
                role=row.role,
                label=row.label,
                state=state,
                sha256=row.sha256,
                size=row.size,
                reason=row.reason,
                stamp=row.stamp,
            )
        )
    return rows


def _cut(photo: Image, store: Store, settings: Settings) -> list[Image]:
    """Rows of a photo's cells, their images kept; or one row with the reason why there are none."""
    limits = {"max_bytes": settings.max_image_bytes, "max_pixels": settings.max_image_pixels, "max_side": MAX_SIDE}
    try:
        cells = list(cut_cells(find_sheet(decode(store.original(photo.sha256), **limits), recall_from(store))))
        if not cells:
            raise ImageError(_("nothing is written on this sheet, or everything is struck out"))
    except ImageError as error:
        refused = replace(photo, state=State.REJECTED, reason=dump(error.what), stamp=_refused_stamp(photo))
        return [replace(refused, file_id=f"{photo.file_id}{CELL}sheet")]
    return [_keep(cell, photo, store) for cell in cells]


def _keep(cell: Cell, photo: Image, store: Store) -> Image:
    data = cv2.imencode(".png", cell.picture[..., ::-1])[1].tobytes()
    place = f"r{cell.row}c{cell.column}"
    return replace(
        photo,
        file_id=f"{photo.file_id}{CELL}{place}",
        path=_name(photo, cell.label, place),
        role=Role.DIGITS,
        label=cell.label,
        sha256=store.put_original(data),
        size=len(data),
        stamp=photo.sha256,
    )


def _record(catalogue: Catalogue, run: str, rows: Sequence[Image], known: dict[str, Image]) -> list[Event]:
    """Write rows that differ from what is known, with their events."""
    changed, events = [], []
    for row in rows:
        before = known.get(row.file_id)
        now = replace(row, first_run=before.first_run if before else run, last_run=before.last_run if before else run)
        if now == before:
            continue
        changed.append(replace(now, last_run=run))
        kinds = [EventKind.GONE] if now.state is State.GONE else find_kinds(before, now)
        events += [Event.of(run, kind, now, before) for kind in kinds]
    if changed:
        catalogue.apply_sync(changed[0].source, changed, events)
    return events


def _name(photo: Image, label: str, place: str) -> str:
    """`sheets/monday.jpg#4 (row 3, column 7)`; the place is `r3c7`."""
    row, column = place.removeprefix("r").split("c")
    return f"{photo.path}#{label} (row {row}, column {column})"


def _refused_stamp(photo: Image) -> str:
    return f"{photo.sha256} refused by reader {READER}"
