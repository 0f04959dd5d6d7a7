"""What the markers of a sheet encode, so that a photo alone says what was to be written in each box.

Two markers of 1,000 kinds stand at the ends of each row. Together they count to 999,999, enough for every character of
Unicode, kana and kanji included: such a label needs no memory. A label of several characters gets a private-use code
point, which no folder's name may hold, and the store remembers what it stands for.

Each corner marker encodes which corner it is. The first also encodes the layout; the three others hold check digits
over everything, so that rows of another sheet, or a misread marker, are never accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.sheets.layout import Layout
from tenarai.store import Store

NUM_MARKERS = 1000  # of either kind
PRIVATE = 0xF0000  # Unicode's first private plane: codes from here on stand for labels of several characters
VALUES = 250  # of a corner marker: a thousand markers for four corners
FOLDER = "sheet-labels"

Recall = Callable[[int], "str | None"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a sheet encodes.

    Attributes:
        layout: Its layout.
        labels: What is to be written in each row.
        codes: The number of each row's label.
    """

    layout: Layout
    labels: tuple[str, ...]
    codes: tuple[int, ...]

    def corner_ids(self) -> tuple[int, ...]:
        """Markers of the corners: top left, top right, bottom right, bottom left."""
        values = (self.layout.number, *check_digits(self.layout, self.codes))
        return tuple(corner * VALUES + value for corner, value in enumerate(values))

    def row_ids(self, row: int) -> tuple[int, int]:
        """Markers at the left and at the right of a row."""
        return divmod(self.codes[row], NUM_MARKERS)


def make_sheet(layout: Layout, labels: Sequence[str], store: Store | None) -> Sheet:
    """A sheet of these labels, one a row.

    Args:
        layout: Its layout.
        labels: As many as the layout has rows.
        store: Remembers labels of several characters; None if there are none.

    Raises:
        SettingsError: A label needs a store, and there is none.
    """
    codes = {label: ord(label) if len(label) == 1 else _remember(label, store) for label in labels}
    return Sheet(layout, tuple(labels), tuple(codes[label] for label in labels))


def recall_from(store: Store) -> Recall:
    """The label of a number: a character, or what this store remembers; None if unknown."""

    def recall(code: int) -> str | None:
        if code < PRIVATE:
            return chr(code) if chr(code).isprintable() and not chr(code).isspace() else None
        if not store.exists(FOLDER, f"{code}.json"):
            return None
        return str(store.read_json(FOLDER, f"{code}.json")["label"])

    return recall


def check_digits(layout: Layout, codes: Sequence[int]) -> tuple[int, ...]:
    """Three numbers from 0 to 249 over layout and rows: one altered sheet in 15 million would pass."""
    text = f"sheet {layout.number}: {' '.join(map(str, codes))}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return number % VALUES, number // VALUES % VALUES, number // VALUES**2 % VALUES


@cache
def corner_dictionary() -> Any:
    """OpenCV's dictionary of the corner markers: 5 × 5 bits, so that none is taken for a row marker."""
    import cv2

    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_1000)


@cache
def row_dictionary() -> Any:
    """OpenCV's dictionary of the row markers: 4 × 4 bits."""
    import cv2

    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)


def modules(dictionary: Any, marker: int) -> NDArray[np.bool_]:
    """A marker as squares, with its black border: (7, 7) or (6, 6) bool, True for black."""
    side = int(dictionary.markerSize) + 2
    return np.asarray(dictionary.generateImageMarker(marker, side, borderBits=1) < 128)


def _remember(label: str, store: Store | None) -> int:
    """The number of a label of several characters: the first free one from where its hash points."""
    if store is None:
        raise SettingsError(
            _("the label {label} has several characters, so a store must remember its number", label=repr(label)),
            fix=_("run a night first, or name the store with --store"),
        )
    start, size = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big"), NUM_MARKERS**2 - PRIVATE
    for step in range(size):
        code = PRIVATE + (start + step) % size
        if not store.exists(FOLDER, f"{code}.json"):
            store.write_json({"label": label}, FOLDER, f"{code}.json")
            return code
        if store.read_json(FOLDER, f"{code}.json")["label"] == label:
            return code
    raise SettingsError(
        _("the store has no number left for the label {label}", label=repr(label)), fix=_("use labels of one character")
    )
