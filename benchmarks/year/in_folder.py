"""Faults in the folder: each is put there by day, and looked for in the reports of that night or of later ones."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np

from benchmarks.year.person import HOSTILE, encode
from benchmarks.year.planted import Planted
from benchmarks.year.year import Report, Year, digest
from tenarai.dataset import TRAIN
from tenarai.locale import from_json
from tenarai.model.bundle import load_info
from tenarai.prepare import read_digit
from tests.stand_in.tree import Item

SUSPECT_WITHIN = 21  # nights
ALIKE = 0.8  # correlation of two digits that are the same
LABELS = "0123456789"


def plant(fault: Planted, year: Year) -> None:
    """Do to the folder what the fault says, and leave word of how to tell whether it was caught."""
    PLANT[fault.kind](fault, year)


def _flip(fault: Planted, year: Year) -> None:
    number = year.person.take()
    item = year.person.file(number, under=_another(year, year.person.supply.labels[number]))
    year.person.flipped.add(item.id)

    def look(report: Report, night: int) -> tuple[bool, str] | None:
        named = {suspect["path"] for suspect in report["evaluation"]["suspects"] if suspect["kind"] == "label"}
        if year.person.path(item) in named:
            return True, f"named after {night - fault.night} nights"
        return None if night < fault.night + SUSPECT_WITHIN else (False, "not named")

    year.watch(fault, look)


def _copy_misread(fault: Planted, year: Year) -> None:
    misread = year.person.labelled("misread")
    if not misread:  # all was read right so far: the person sets one aside by hand
        misread = [year.choose()]
        year.drive.tree.move(misread[0], year.drive.tree.folder(f"misread/{year.person.truth[misread[0].id]}"))
    original = year.rng.choice(misread)
    picture = cv2.imdecode(np.frombuffer(original.data or b"", np.uint8), cv2.IMREAD_COLOR)
    smaller = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    path = f"digits/{year.person.truth[original.id]}/{year.person.name('jpg')}"
    copy = year.person.put(path, encode(smaller[..., ::-1], "JPEG", quality=60))

    def look(report: Report, night: int) -> tuple[bool, str]:
        snapshot = year.snapshot()
        trained = digest(copy) in set(snapshot.sha256[snapshot.rows(TRAIN)].tolist())
        withheld = path in report["frozen"]["withheld"]
        return withheld and not trained, "named and kept out" if withheld else "not noticed"

    year.watch(fault, look)


def _two_labels(fault: Planted, year: Year) -> None:
    original = year.choose()
    other = _another(year, year.person.truth[original.id])
    copy = year.person.put(f"digits/{other}/{year.person.name('png')}", original.data or b"")
    _expect_refused(fault, year, copy, "filed under", tidy=True)


def _unusable(fault: Planted, year: Year) -> None:
    whole = encode(year.person.supply.picture(year.person.take()), "JPEG")
    blank = encode(np.full((90, 90, 3), 244, np.uint8))
    kinds = [("empty", b""), ("not an image", b"Shopping: rice, tea.\n"), ("truncated", whole[: len(whole) // 3])]
    reason, data = [*kinds, ("blank", blank)][fault.number % 4]
    item = year.person.put(f"digits/{fault.number % 10}/{year.person.name('png')}", data)
    _expect_refused(fault, year, item, reason)


def _expect_refused(fault: Planted, year: Year, item: Item, reason: str, *, tidy: bool = False) -> None:
    path = year.person.path(item)

    def look(report: Report, night: int) -> tuple[bool, str]:
        found = next(
            (from_json(refused["reason"]) for refused in report["frozen"]["rejections"] if refused["path"] == path), ""
        )
        if tidy:  # the person does as the report says
            year.drive.tree.trash(item)
        return reason in found, found or "not refused"

    year.watch(fault, look)


def _heic(fault: Planted, year: Year) -> None:
    number = year.person.take()
    _expect_same_digit(fault, year, year.person.file(number, kind="HEIF"), encode(year.person.supply.picture(number)))


def _dark(fault: Planted, year: Year) -> None:
    number = year.person.take()
    light = encode(year.person.supply.picture(number, dark_paper=False))
    _expect_same_digit(fault, year, year.person.file(number, dark_paper=True), light)


def _expect_same_digit(fault: Planted, year: Year, item: Item, plain: bytes) -> None:
    expected = read_digit(plain)

    def look(report: Report, night: int) -> tuple[bool, str]:
        if year.label_in_snapshot(item) is None:
            return False, "not in the snapshot"
        snapshot = year.snapshot()
        digit = snapshot.pixels[snapshot.sha256 == digest(item)][0]
        alike = float(np.corrcoef(digit.ravel(), expected.ravel())[0, 1])
        return alike >= ALIKE, f"correlation {alike:.2f}"

    year.watch(fault, look)


class _Markup(HTMLParser):
    """Finds what a hostile name would like to have put into a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:") or value == "x":
                self.found.append(f"<{tag} {name}={value}>"[:60])


def _hostile(fault: Planted, year: Year) -> None:
    data = encode(year.person.supply.picture(year.person.take()))
    item = year.person.put("inbox/x.png", data)
    year.drive.tree.rename(item, HOSTILE[fault.number % len(HOSTILE)])

    def look(report: Report, night: int) -> tuple[bool, str]:
        page = _Markup()
        page.feed((year.store.root / "reports" / report["run"] / "report.html").read_text(encoding="utf-8"))
        year.drive.tree.trash(item)
        read = any(reading["sha256"] == digest(item) for reading in report["inbox"])
        return read and not page.found, ", ".join(page.found) or ("read, and shown as text" if read else "not read")

    year.watch(fault, look)


def _move(fault: Planted, year: Year) -> None:
    item = year.choose()
    right = year.person.truth[item.id]
    wrong = _another(year, right)
    year.drive.tree.move(item, year.drive.tree.folder(f"digits/{wrong}"))

    def look(report: Report, night: int) -> tuple[bool, str]:
        year.drive.tree.move(item, year.drive.tree.folder(f"digits/{right}"))
        found, calls = year.label_in_snapshot(item), year.num_calls_for(item)
        return found == wrong and not calls, f"from {right} to {wrong}, learned as {found}, asked for {calls} times"

    year.watch(fault, look)


def _trash(fault: Planted, year: Year) -> None:
    item = year.choose()
    year.drive.tree.trash(item)

    def look(report: Report, night: int) -> tuple[bool, str]:
        gone = year.label_in_snapshot(item) is None
        return gone, "gone" if gone else "still in the snapshot"

    year.watch(fault, look)


def _restore(fault: Planted, year: Year) -> None:
    item = year.choose()
    year.drive.tree.trash(item)

    def look(report: Report, night: int) -> tuple[bool, str] | None:
        if item.trashed:
            year.drive.tree.trash(item, False)
            return None
        back, calls = year.label_in_snapshot(item) is not None, year.num_calls_for(item)
        return back and not calls, f"{'back' if back else 'not back'}, asked for {calls} times"

    year.watch(fault, look)


def _rename_folder(fault: Planted, year: Year) -> None:
    folder = year.drive.tree.folder("digits/4")
    items = [item for item in year.person.labelled() if year.person.path(item).startswith("digits/4/")]
    known = [item for item in items if year.label_in_snapshot(item) == "4"]
    year.drive.tree.rename(folder, "four")
    seen: list[bool] = []

    def look(report: Report, night: int) -> tuple[bool, str] | None:
        right = sum(year.label_in_snapshot(item) == ("4" if seen else None) for item in known)
        calls = sum(year.num_calls_for(item) for item in known)
        seen.append(right == len(known) and not calls)
        if len(seen) == 1:
            year.drive.tree.rename(folder, "4")
            return None
        is_same = "four" not in load_info(year.store, report["champion"]).labels
        return all(seen) and is_same, f"{right} of {len(known)} images back under 4, asked for {calls} times"

    year.watch(fault, look)


def _second_writer(fault: Planted, year: Year) -> None:
    year.person.writer = 1  # judged at the end of the year, by how well held-out digits are read


def _another(year: Year, label: str) -> str:
    return year.rng.choice([other for other in LABELS if other != label])


PLANT: dict[str, Callable[[Planted, Year], Any]] = {
    "flipped label": _flip,
    "copy of a regression image": _copy_misread,
    "same picture under two labels": _two_labels,
    "unusable file": _unusable,
    "HEIC file": _heic,
    "light ink on dark paper": _dark,
    "hostile file name": _hostile,
    "file moved to another label": _move,
    "file trashed": _trash,
    "file restored from the trash": _restore,
    "label folder renamed and named back": _rename_folder,
    "second writer arrives": _second_writer,
}
