"""Cut the filled boxes out of a rectified sheet. Empty boxes and those struck out are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.sheets.find import SCALE, FoundSheet, Picture
from tenarai.sheets.layout import SPACE, Box

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

INSET = 0.55  # millimetres inside the middle of the frame's line that are cut off with the frame
RIM = 0.4  # millimetres further inside that are ignored when looking for ink: a blurred frame reaches there
PAPER = 5.0  # strokes are narrower than this, in millimetres
FAINTEST, FAINT = 0.05, 0.10  # of the way from paper to the markers' black: ink on smooth and on grainy paper
FIRM = 0.30  # ink that is stronger than pale print
MIN_LENGTH, MIN_AREA = 2.0, 0.35  # millimetres and square millimetres of the smallest character
OVER = 0.8  # millimetres beyond the frame that a line must reach on both sides to strike a box out
STRAY = 1.0  # largest offset of a frame from where its neighbour suggests, in millimetres; less than to the next frame
PALE = 0.3  # of the way to black: the strength of print
FAINT_LINE = 0.01  # of the way to black: a frame's line over the paper beside it
NOOK = 1.3  # millimetres from a corner of the frame that a striking line reaches if it stays inside
SCRIBBLE = 0.45  # more ink than any character has


@dataclass(frozen=True, eq=False)
class Cell:
    """A filled box.

    Attributes:
        row, column: Its place, counted from 1.
        label: What was to be written.
        picture: (H, W, 3) uint8 RGB without the frame, light and shadow divided out.
    """

    row: int
    column: int
    label: str
    picture: Picture


def cut_cells(found: FoundSheet) -> Iterator[Cell]:
    """The filled boxes of a sheet, row by row."""
    flat = _divide_by_paper(found.page)
    black = _measure_black(found)
    strength = np.clip((1 - flat) / (1 - black), 0, 1)
    inked, firm = strength.max(axis=2), strength.mean(axis=2) > FIRM
    layout = found.sheet.layout
    for row in range(layout.rows):
        for column, box in enumerate(_place_row(found, row, inked)):
            inside = _slice(box, -INSET)
            if _is_filled(inked[_slice(box, -INSET - RIM)]) and not _is_struck(firm, box):
                picture = np.uint8(np.rint(255 * np.clip(flat[inside], 0, 1)))
                yield Cell(row + 1, column + 1, found.sheet.labels[row], np.ascontiguousarray(picture))


def place_box(found: FoundSheet, row: int, column: int) -> Box:
    """Where a box lies on the page: shifted like the markers of its row, in proportion."""
    layout = found.sheet.layout
    box = layout.box(row, column)
    left, right = (mark.centre[0] for mark in layout.row_markers(row))
    share = (box.centre[0] - left) / (right - left)
    x, y = (1 - share) * found.shifts[row, 0] + share * found.shifts[row, 1]
    return Box(box.x + float(x), box.y + float(y), box.side)


def _place_row(found: FoundSheet, row: int, inked: Float) -> list[Box]:
    """The boxes of a row, moved onto their printed frames, which bend with the paper and with the lens.

    Each frame is looked for where the one beside it was found, from both ends of the row to its middle. Writing may
    hide one frame, but not the median of five neighbours.
    """
    boxes = [place_box(found, row, column) for column in range(found.sheet.layout.columns)]
    half = len(boxes) // 2
    off = [*_follow_frames(inked, boxes[:half]), *_follow_frames(inked, boxes[half:][::-1])[::-1]]
    padded = np.pad(np.array(off), ((2, 2), (0, 0)), mode="edge")
    smooth = np.median(np.stack([padded[n : n + len(off)] for n in range(5)]), axis=0)
    return [Box(box.x + float(x), box.y + float(y), box.side) for box, (x, y) in zip(boxes, smooth, strict=True)]


def _follow_frames(inked: Float, boxes: list[Box]) -> list[tuple[float, float]]:
    """The offsets of frames from their boxes; the first is the most certain."""
    found, x, y = [], 0.0, 0.0
    for box in boxes:
        dx, dy = _find_frame(inked, Box(box.x + x, box.y + y, box.side))
        x, y = x + dx, y + dy
        found.append((x, y))
    return found


def _find_frame(inked: Float, box: Box) -> tuple[float, float]:
    """The offset of the frame from a box, across and down, in millimetres; 0 where none is visible."""
    part = np.minimum(inked[_slice(box, STRAY + 0.4)], PALE)  # ink counts no more than print
    middle = slice(round((STRAY + 1) * SCALE), -round((STRAY + 1) * SCALE))
    side, reach = round(box.side * SCALE), round(STRAY * SCALE)
    found = []
    for profile in (part[middle].mean(axis=0), part[:, middle].mean(axis=1)):
        line = cv2.GaussianBlur(profile[None], (0, 0), 0.15 * SCALE)[0]
        start = round((STRAY + 0.4) * SCALE) - reach
        both = np.minimum(line[start : start + 2 * reach + 1], line[start + side : start + side + 2 * reach + 1])
        best = int(both.argmax())
        found.append((best - reach) / SCALE if both[best] > np.median(both) + FAINT_LINE else 0.0)
    return found[0], found[1]


def _divide_by_paper(page: Picture) -> Float:
    """(H, W, 3) float32, 1 on bare paper in any light; the edge of a shadow is not taken for ink."""
    soft = cv2.GaussianBlur(page, (0, 0), 1.0)
    side = round(PAPER * SCALE) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.morphologyEx(soft, cv2.MORPH_CLOSE, kernel).astype(np.float32)
    return np.asarray(page.astype(np.float32) / np.maximum(paper, 8), dtype=np.float32)


def _measure_black(found: FoundSheet) -> Float:
    """(3,) float32: black of the row markers divided by the white around them, 0 to 0.6."""
    shares = []
    for row in range(found.sheet.layout.rows):
        for mark, (x, y) in zip(found.sheet.layout.row_markers(row), found.shifts[row].tolist(), strict=True):
            rim = mark.side / 6
            black = _slice(Box(mark.x + x, mark.y + y, rim), -0.3 * rim)
            white = _slice(Box(mark.x + x, mark.y + y - 0.8 * rim, 0.5 * rim), 0)
            shares.append(found.page[black].mean(axis=(0, 1)) / np.maximum(found.page[white].mean(axis=(0, 1)), 8))
    return np.asarray(np.clip(np.median(shares, axis=0), 0, 0.6), dtype=np.float32)


def _is_filled(inked: Float) -> bool:
    """Whether something was written: a connected piece of ink that stands out from the paper's grain."""
    smooth = cv2.GaussianBlur(inked, (0, 0), 0.2 * SCALE)
    paper = float(np.median(smooth))
    third = -(-len(smooth) // 3)
    tiles = [smooth[y : y + third, x : x + third] for y in (0, third, 2 * third) for x in (0, third, 2 * third)]
    # grain is coarsest where a shadow crosses the box; strong strokes count as grain, too, but stand out anyway
    grain = max(1.48 * float(np.median(np.abs(tile - np.median(tile)))) for tile in tiles)
    mask = np.uint8(smooth > paper + np.clip(4.5 * grain, FAINTEST, FAINT))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sides = np.maximum(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]) / SCALE
    areas = stats[1:, cv2.CC_STAT_AREA] / SCALE**2
    return bool(((sides >= MIN_LENGTH) & (areas >= MIN_AREA)).any())


def _is_struck(firm: Mask, box: Box) -> bool:
    """Whether a box is struck out: by a line from side to side or from corner to corner, or all over."""
    if firm[_slice(box, -INSET)].mean() > SCRIBBLE:
        return True
    reach = SPACE - 0.1
    around = firm[_slice(box, reach)]
    _, parts = cv2.connectedComponents(np.uint8(around), connectivity=8)
    edge, over = round(reach * SCALE), round((reach - OVER) * SCALE)
    inner = parts[edge:-edge, edge:-edge]
    crossing = set(np.unique(inner[inner > 0]).tolist())
    left, right = parts[:, : over + 1], parts[:, -over - 1 :]
    top, bottom = parts[: over + 1], parts[-over - 1 :]
    if any(crossing & _parts(a) & _parts(b) for a, b in ((left, right), (top, bottom))):
        return True
    nook = round(NOOK * SCALE)
    nooks = inner[:nook, :nook], inner[-nook:, -nook:], inner[:nook, -nook:], inner[-nook:, :nook]
    return bool(_parts(nooks[0]) & _parts(nooks[1]) or _parts(nooks[2]) & _parts(nooks[3]))


def _parts(region: NDArray[np.int32]) -> set[int]:
    return set(np.unique(region[region > 0]).tolist())


def _slice(box: Box, margin: float) -> tuple[slice, slice]:
    """The pixels of a box with a margin around it in millimetres; negative for inside."""
    left, top = round((box.x - margin) * SCALE), round((box.y - margin) * SCALE)
    side = round((box.side + 2 * margin) * SCALE)
    return slice(top, top + side), slice(left, left + side)
