"""A contact sheet: pictures as they came, and below each the digit that the models see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 96
COLUMNS = 10
MARGIN = 8
CAPTION = 20


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture.

    Attributes:
        picture: (H, W, 3) uint8.
        digit: (28, 28) uint8, ink 255 on paper 0.
        caption: A few words, plain ASCII.
    """

    picture: NDArray[np.uint8]
    digit: NDArray[np.uint8]
    caption: str


def draw_contact_sheet(cells: Sequence[Cell], *, columns: int = COLUMNS) -> bytes:
    """Draw cells row by row, as PNG; at least one empty row."""
    wide, high = SIDE + MARGIN, 2 * SIDE + MARGIN + CAPTION
    rows = max(1, -(-len(cells) // columns))
    sheet = np.full((rows * high + MARGIN, min(columns, max(1, len(cells))) * wide + MARGIN, 3), 255, dtype=np.uint8)
    for number, cell in enumerate(cells):
        top, left = MARGIN + number // columns * high, MARGIN + number % columns * wide
        sheet[top : top + SIDE, left : left + SIDE] = _fit(cell.picture)
        digit = cv2.resize(255 - cell.digit, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        sheet[top + SIDE : top + 2 * SIDE, left : left + SIDE] = digit[..., None]
        _write(sheet, cell.caption, left + 2, top + 2 * SIDE + 15)
    return _to_png(sheet)


def _write(sheet: NDArray[np.uint8], text: str, left: int, bottom: int) -> None:
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)


def _to_png(sheet: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    if not done:
        raise ValueError(f"OpenCV could not encode a sheet of {sheet.shape}")
    return data.tobytes()


def _fit(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole picture on a square of light grey."""
    high, wide = picture.shape[:2]
    factor = SIDE / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    square = np.full((SIDE, SIDE, 3), 235, dtype=np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square
