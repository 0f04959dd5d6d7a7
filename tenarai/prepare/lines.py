"""Printed frames, ruled and squared paper: find the lines, take them off, and restore the strokes that they crossed."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tenarai.prepare.character import find_parts
from tenarai.prepare.ink import Float, Mask, find_floor, measure_grain, square
from tenarai.prepare.order import median, percentile

SLANT_SIDE = 128  # side at which the slant of printed lines is measured
PAD = 12  # a column at the edge moves by less than this
SLANTS = tuple(round(0.02 * step, 2) for step in range(-8, 9))
STROKE_ON_LINE = 1.6  # ink this many times as strong as the line it lies on is a stroke
FAINT = 0.2  # ink says no more of the slant than this, however strong, 0 to 1
SHORTEST = 0.22  # share of the width that one straight piece of a line covers at least
MIN_REST = 0.1  # a character has at least this share of its straight strokes' ink beside them
LONGEST_GAP = 0.78  # share of the width that a line covers at least


def remove_lines(ink: Float, *, grain: float | None = None) -> tuple[Float, Mask | None]:
    """Remove printed frames, ruled and squared paper: straight, thin, spanning the image, at its rim or faint.

    A single line that ends short of the image's edges is more likely the bar of a 3, 5 or 7.

    Args:
        ink: (H, W) float32, 0 to 1.
        grain: Of the paper. Default: measured.

    Returns:
        The ink without the strength of the lines, so that a stroke across one stays; and where lines were, if any.
    """
    floor = find_floor(ink, measure_grain(ink) if grain is None else grain)
    rows = (ink > floor).view(np.uint8)
    axes = [axis for axis in (0, 1) if _may_hold_lines(rows if axis else cv2.transpose(rows))]
    if not axes:
        return ink, None
    strongest = percentile(ink, 99.5)
    found = [line for axis in axes for line in _find_lines(ink, floor, 0.7 * strongest, axis)]
    kept = [line for line, is_certain in found if is_certain or len(found) > 1]
    bold = [line for line in kept if line.any() and median(line[line > 0]) > 0.4 * strongest]
    if 1 <= len(bold) <= 2:  # of a frame there are more
        strong = ink > max(floor, 0.4 * strongest)
        strokes = [line for line in bold if _is_stroke(strong, line > 0, np.maximum.reduce(bold) > 0)]
        kept = [line for line in kept if not any(line is stroke for stroke in strokes)]
    if not kept:
        return ink, None
    removed = np.maximum.reduce(kept)
    cleaned = np.clip(ink - 1.15 * np.maximum(removed, 0), 0, 1)
    return np.asarray(cleaned, dtype=np.float32), np.asarray(removed > 0)


def _is_stroke(strong: Mask, line: Mask, lines: Mask) -> bool:
    """Whether a line belongs to a character that was cropped to its ink: a part that reaches all sides of the image.

    Args:
        strong: (H, W) bool, ink as strong as the character's.
        line: (H, W) bool, where the line is.
        lines: (H, W) bool, where any such line is; lines alone are no character.
    """
    parts = find_parts(strong)
    part = int(np.bincount(parts.labels[line & strong], minlength=1).argmax())
    if not part or (parts.boxes[part - 1, 2:] <= 0.94 * np.array(strong.shape[::-1])).any():
        return False
    rest = (parts.labels == part) & (cv2.dilate(lines.view(np.uint8), square(7, 7)) == 0)
    return bool(np.count_nonzero(rest) > MIN_REST * np.count_nonzero(lines))


def _find_lines(ink: Float, floor: float, strength: float, axis: int) -> list[tuple[Float, bool]]:
    """Lines along an axis (0: vertical, 1: horizontal) as their strength, and whether each is one beyond doubt."""
    level = ink if axis == 1 else cv2.transpose(ink)
    high, wide = level.shape
    slant = find_slant(level)
    levels = shear(level, slant)
    strong = (levels > floor).view(np.uint8)
    straight = cv2.bitwise_and(_open_rows(strong), strong)
    if np.count_nonzero(straight.any(axis=0)) < 0.3 * wide - 4:
        return []
    on_page = shear(np.ones_like(level), slant, outside=0.0).sum(axis=1)  # columns of each row inside the image
    opened = np.minimum(_open_rows(levels), levels)
    # a line that is not quite level wanders over neighbouring rows
    parts = find_parts(cv2.dilate(straight, square(3, 5)))
    found: list[tuple[Float, bool]] = []
    for part, (_left, top, across, tall) in enumerate(parts.boxes, 1):
        inside = on_page[int(top + tall // 2)]
        if across < max(LONGEST_GAP * inside, 0.3 * wide) or tall > 0.16 * high:
            continue
        here = (parts.labels == part) & (straight > 0)
        at_rim = top < 0.16 * high or top + tall > 0.84 * high
        is_faint = median(opened[here]) < 0.6 * strength
        spans = across > 0.97 * inside
        thickness = here.sum() / max(1, int(here.any(axis=0).sum()))
        if thickness > (0.11 if at_rim and spans else 0.07) * high:
            continue
        if at_rim or is_faint or spans:
            line = shear(cv2.dilate(_along_path(opened, levels, here), square(5, 1)), -slant, outside=0.0)
            found.append((line if axis == 1 else cv2.transpose(line), (spans and at_rim) or (is_faint and spans)))
    return found


def _may_hold_lines(strong: NDArray[np.uint8]) -> bool:
    """Whether short pieces of strokes reach most of the columns, or the rim, where a slanted line leaves the image."""
    high, wide = strong.shape
    pieces = cv2.morphologyEx(cv2.dilate(strong, square(5, 1)), cv2.MORPH_OPEN, square(1, 9))
    rim = int(0.05 * high) + 3
    covered = np.count_nonzero(pieces.any(axis=0))
    return bool(covered >= LONGEST_GAP * wide - 4 or pieces[:rim].any() or pieces[-rim:].any())


def _open_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """What is left of each row when only pieces of some length stay."""
    length = max(9, round(SHORTEST * rows.shape[1]))
    return np.asarray(cv2.morphologyEx(cv2.dilate(rows, square(3, 1)), cv2.MORPH_OPEN, square(1, length)))


def find_slant(ink: Float) -> float:
    """How far lines that run across the image fall, in rows a column: the shear at which the rows differ most.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        -0.16 to 0.16; 0 where no slant makes the rows clearly sharper.
    """
    small = cv2.resize(np.minimum(ink, FAINT), (SLANT_SIDE, SLANT_SIDE), interpolation=cv2.INTER_AREA)
    starts, shares = _slanted_rows()
    columns = cv2.copyMakeBorder(cv2.transpose(small), 0, 0, PAD, PAD, cv2.BORDER_REPLICATE).ravel()
    moved = sliding_window_view(columns, SLANT_SIDE + 1)[starts]
    means = shares @ moved  # of each slant: (17, 2, 129), the two rows that share a sheared pixel
    steps = np.diff(means[:, 0, :-1] + means[:, 1, 1:], axis=1)
    sharpness = (steps * steps).sum(axis=1)
    best = int(sharpness.argmax())
    is_clear = sharpness[best] > 1.25 * sharpness[SLANTS.index(0.0)]
    return SLANTS[best] * ink.shape[0] / ink.shape[1] if is_clear else 0.0


@cache
def _slanted_rows() -> tuple[NDArray[np.int64], Float]:
    """For every slant, where each column begins after the shear, and with what weight its pixels count.

    Returns:
        (17, 128) places in the padded columns laid end to end, and (17, 2, 128) weights of a pixel and the next.
    """
    right = np.arange(SLANT_SIDE) - (SLANT_SIDE - 1) / 2
    falls = np.round(np.outer(SLANTS, right) * 32) / 32  # OpenCV's own steps
    whole = np.floor(falls).astype(np.int64)
    starts = np.arange(SLANT_SIDE) * (SLANT_SIDE + 2 * PAD) + whole + PAD
    beyond = (falls - whole).astype(np.float32)
    return starts, np.stack([1 - beyond, beyond], axis=1) / np.float32(SLANT_SIDE)


def shear(picture: Float, slant: float, *, outside: float | None = None) -> Float:
    """Lift each column by `slant` rows for every column right of the middle.

    Pixels from outside the image repeat the nearest one, or are `outside`.
    """
    if not slant:
        return picture
    high, wide = picture.shape
    matrix = np.array([[1, 0, 0], [slant, 1, -slant * (wide - 1) / 2]], dtype=np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpAffine(picture, matrix, (wide, high), flags=how, borderMode=border, borderValue=outside or 0.0)
    )


def _along_path(opened: Float, levels: Float, here: Mask) -> Float:
    """The line alone: near its straight path, and not where a stroke along or across it is clearly stronger."""
    columns = np.flatnonzero(here.any(axis=0))
    rows = np.arange(here.shape[0], dtype=np.float32)[:, None]
    counts = here.sum(axis=0)
    middle = (here * rows).sum(axis=0)[columns] / counts[columns]
    path = np.full(len(columns), np.median(middle))
    for _ in range(2):  # once with everything, once without what strays
        near = np.abs(middle - path) <= 2.5
        if near.sum() > 8:
            path = np.polyval(np.polyfit(columns[near], middle[near], 1), columns)
    half = float(np.percentile(counts[columns], 30)) / 2 + 1.0
    is_line = np.zeros_like(here)
    is_line[:, columns] = here[:, columns] & (np.abs(rows - path) <= half)
    # a column at a time, and below the middle: a stroke along half of the line is not what it is like
    usual = float(np.percentile(np.where(is_line, opened, 0).max(axis=0)[columns], 35))
    is_line &= levels < STROKE_ON_LINE * usual
    return np.where(is_line, np.minimum(opened, 1.3 * usual), 0).astype(np.float32)


def heal_crossings(mask: Mask, lines: Mask, ink: Float) -> Mask:
    """Restore the pieces of a stroke that were removed with a line across it: ink between two pieces of the stroke."""
    if not mask.any():
        return mask
    closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, square(9, 9)).view(bool)
    return np.asarray(mask | (closed & lines & (ink > 0.4 * median(ink[mask]))))
