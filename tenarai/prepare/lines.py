"""Printed frames, ruled and squared paper: find the lines, take them off, and restore the strokes that they crossed."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.ink import MIN_CONTRAST, Float, Mask, measure_grain, square
from tenarai.prepare.order import median, percentiles

MAX_SLANT = 0.16  # rows a column: 9°
SLANT_SIDE = 128  # side at which the slant of printed lines is measured
PAD = 12  # a column at the edge moves by less than this
SLANTS = tuple(round(0.02 * step, 2) for step in range(-8, 9))
STROKE_ON_LINE = 1.6  # ink this many times as strong as the line it lies on is a stroke
FAINT = 0.2  # ink says no more of the slant than this, however strong, 0 to 1
SHORTEST = 0.22  # share of the width that one straight piece of a line covers at least
LONGEST_GAP = 0.78  # share of the width that a line covers at least


def remove_lines(ink: Float) -> tuple[Float, Mask | None]:
    """Remove printed frames, ruled and squared paper: straight, thin, spanning the image, at its rim or faint.

    A single line that ends short of the image's edges is more likely the bar of a 3, 5 or 7.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        The ink without the strength of the lines, so that a stroke across one stays; and where lines were, if any.
    """
    middle, strongest = percentiles(ink, 50, 99.5)
    floor = max(MIN_CONTRAST, middle + 3 * measure_grain(ink))
    found = [line for axis in (0, 1) for line in _find_lines(ink, floor, 0.7 * strongest, axis)]
    kept = [line for line, is_certain in found if is_certain or len(found) > 1]
    if not kept:
        return ink, None
    removed = np.maximum.reduce(kept)
    cleaned = np.clip(ink - 1.15 * np.maximum(removed, 0), 0, 1)
    return np.asarray(cleaned, dtype=np.float32), np.asarray(removed > 0)


def _find_lines(ink: Float, floor: float, strength: float, axis: int) -> list[tuple[Float, bool]]:
    """Lines along an axis (0: vertical, 1: horizontal) as their strength, and whether each is one beyond doubt."""
    level = ink if axis == 1 else cv2.transpose(ink)
    strong = (level > floor).view(np.uint8)
    if not _may_hold_lines(strong):
        return []
    slant = find_slant(level)
    if not slant:
        runs = _find_runs(cv2.bitwise_and(_open_rows(strong), strong))
        if not (np.diff(runs) >= LONGEST_GAP * level.shape[1]).any():
            return []
    high, wide = level.shape
    levels = shear(level, slant)
    on_page = shear(np.ones_like(level), slant, outside=0.0).sum(axis=1)  # columns of each row inside the image
    # a line that is not quite level wanders over neighbouring rows
    opened = np.minimum(_open_rows(levels), levels)
    joined = cv2.dilate(np.uint8(opened > floor), square(3, 5))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found: list[tuple[Float, bool]] = []
    for part in range(1, count):
        top, tall = stats[part, cv2.CC_STAT_TOP], stats[part, cv2.CC_STAT_HEIGHT]
        across = stats[part, cv2.CC_STAT_WIDTH]
        inside = on_page[top + tall // 2]
        if across < max(LONGEST_GAP * inside, 0.3 * wide) or tall > 0.16 * high:
            continue
        here = (parts == part) & (opened > floor)
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


def _open_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """What is left of each row when only pieces of some length stay."""
    length = max(9, round(SHORTEST * rows.shape[1]))
    return np.asarray(cv2.morphologyEx(cv2.dilate(rows, square(3, 1)), cv2.MORPH_OPEN, square(1, length)))


def _find_runs(rows: NDArray[np.uint8]) -> NDArray[np.intp]:
    """First and last column (N, 2) of every stretch of columns in which a row holds something, gaps of six closed."""
    columns = cv2.dilate(rows.max(axis=0)[None], square(1, 7))[0] if len(rows) else np.zeros(1)
    return np.flatnonzero(np.diff(np.concatenate([[0], columns > 0, [0]]).astype(np.int8))).reshape(-1, 2)


def _may_hold_lines(strong: NDArray[np.uint8]) -> bool:
    """Whether a line could be found at any slant: a quick test that is wrong only where there is none.

    Args:
        strong: (H, W) uint8, 1 where the ink is above the floor.
    """
    high, wide = strong.shape
    length = max(9, round(SHORTEST * wide))
    fall = MAX_SLANT * high / wide * length
    reach = 2 * int(np.ceil(fall / 2) + 2) + 3
    pieces = cv2.erode(cv2.dilate(strong, square(reach, 1)), square(1, length), borderType=cv2.BORDER_REPLICATE)
    if not pieces.any():
        return False
    pieces = cv2.dilate(pieces, square(1, length))
    if (np.diff(_find_runs(pieces)) >= LONGEST_GAP * wide - 4).any():
        return True
    # in the corners a slanted line leaves the image early, but begins or ends at its side
    corner = int(np.ceil(MAX_SLANT * high)) + reach + 3
    for first, last in np.concatenate([_find_runs(pieces[:corner]), _find_runs(pieces[high - corner :])]):
        run = last - first
        if run >= 0.3 * wide - 4 and min(first, wide - last) <= (1 / LONGEST_GAP - 1) * run + 8:
            return True
    return False


def find_slant(ink: Float) -> float:
    """How far lines that run across the image fall, in rows a column: the shear at which the rows differ most.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        -0.16 to 0.16; 0 where no slant makes the rows clearly sharper.
    """
    small = cv2.resize(np.minimum(ink, FAINT), (SLANT_SIDE, SLANT_SIDE), interpolation=cv2.INTER_AREA)
    places, shares = _slanted_rows()
    columns = cv2.copyMakeBorder(cv2.transpose(small), 0, 0, PAD, PAD, cv2.BORDER_REPLICATE).ravel()
    means = shares @ columns[places]  # of each slant: (17, 2, 129), the two rows that share a sheared pixel
    steps = np.diff(means[:, 0, :-1] + means[:, 1, 1:], axis=1)
    sharpness = (steps * steps).sum(axis=1)
    best = int(sharpness.argmax())
    is_clear = sharpness[best] > 1.25 * sharpness[SLANTS.index(0.0)]
    return SLANTS[best] * ink.shape[0] / ink.shape[1] if is_clear else 0.0


@cache
def _slanted_rows() -> tuple[NDArray[np.int64], Float]:
    """For every slant, which pixel of each column lies in which row after the shear, and with what weight.

    Returns:
        (17, 128, 129) places in the padded columns laid end to end, and (17, 2, 128) weights of a pixel and the next.
    """
    right = np.arange(SLANT_SIDE) - (SLANT_SIDE - 1) / 2
    falls = np.round(np.outer(SLANTS, right) * 32) / 32  # OpenCV's own steps
    whole = np.floor(falls).astype(np.int64)
    starts = np.arange(SLANT_SIDE) * (SLANT_SIDE + 2 * PAD) + whole + PAD
    beyond = (falls - whole).astype(np.float32)
    return starts[..., None] + np.arange(SLANT_SIDE + 1), np.stack([1 - beyond, beyond], axis=1) / np.float32(
        SLANT_SIDE
    )


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
