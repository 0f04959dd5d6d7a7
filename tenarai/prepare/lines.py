"""Printed frames, ruled and squared paper: found, taken off, and the strokes they crossed made whole again."""

from __future__ import annotations

import cv2
import numpy as np

from tenarai.prepare.ink import MIN_CONTRAST, Float, Mask, measure_grain
from tenarai.prepare.order import in_order, median, percentile

SLANT_SIDE = 128  # side at which the slant of printed lines is judged
SLANTS = tuple(round(0.02 * step, 2) for step in range(-8, 9))  # rows a column: up to 9°
STROKE_ON_LINE = 1.6  # ink this many times as strong as the line it lies on is a stroke
FAINT = 0.2  # stronger ink says no more of the slant than this, 0 to 1


def remove_lines(ink: Float) -> tuple[Float, Mask]:
    """Take out printed frames, ruled and squared paper: straight, thin, spanning the picture, at its rim or faint.

    A single line that ends short of the picture's edges is more likely the bar of a 3, 5 or 7.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        The ink with the lines' strength taken off, so that a stroke that crosses one stays; and where lines were.
    """
    ordered = in_order(ink)
    floor = max(MIN_CONTRAST, percentile(ordered, 50) + 3 * measure_grain(ink))
    strength = 0.7 * percentile(ordered, 99.5)
    found = [_find_lines(ink, floor, strength, axis) for axis in (0, 1)]
    is_ruled = len(found[0]) + len(found[1]) > 1
    off = np.zeros_like(ink)
    for line, is_certain in found[0] + found[1]:
        if is_certain or is_ruled:
            off = np.maximum(off, line)
    cleaned = np.clip(ink - 1.15 * off, 0, 1)
    return np.asarray(cleaned, dtype=np.float32), np.asarray(off > 0)


def _find_lines(ink: Float, floor: float, strength: float, axis: int) -> list[tuple[Float, bool]]:
    """Lines along an axis (0: vertical, 1: horizontal) as their strength, and whether each is one beyond doubt."""
    level = ink if axis == 1 else np.ascontiguousarray(ink.T)
    high, wide = level.shape
    slant = find_slant(level)
    levels = shear(level, slant)
    on_page = shear(np.ones_like(level), slant, outside=0.0).sum(axis=1)  # columns of each row that the picture has
    length = max(9, round(0.22 * wide))
    # a line that is not quite level wanders over neighbouring rows
    opened = cv2.morphologyEx(cv2.dilate(levels, np.ones((3, 1))), cv2.MORPH_OPEN, np.ones((1, length)))
    opened = np.minimum(opened, levels)
    joined = cv2.dilate(np.uint8(opened > floor), np.ones((3, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found: list[tuple[Float, bool]] = []
    for part in range(1, count):
        top, tall = stats[part, cv2.CC_STAT_TOP], stats[part, cv2.CC_STAT_HEIGHT]
        across = stats[part, cv2.CC_STAT_WIDTH]
        room = on_page[top + tall // 2]
        if across < max(0.78 * room, 0.3 * wide) or tall > 0.16 * high:
            continue
        here = (parts == part) & (opened > floor)
        if here.sum() / max(1, int(here.any(axis=0).sum())) > 0.07 * high:  # too thick
            continue
        at_rim = top < 0.16 * high or top + tall > 0.84 * high
        is_faint = median(in_order(opened[here])) < 0.6 * strength
        spans = across > 0.97 * room
        if at_rim or is_faint or spans:
            line = shear(cv2.dilate(_along_path(opened, levels, here), np.ones((5, 1))), -slant, outside=0.0)
            found.append((line if axis == 1 else line.T, (spans and at_rim) or (is_faint and spans)))
    return found


def find_slant(ink: Float) -> float:
    """How far lines that run across the picture fall, in rows a column: the shear at which the rows differ most.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        -0.16 to 0.16; 0 where no slant makes the rows clearly sharper.
    """
    small = cv2.resize(np.minimum(ink, FAINT), (SLANT_SIDE, SLANT_SIDE), interpolation=cv2.INTER_AREA)
    sharpness = {slant: float((np.diff(shear(small, slant).mean(axis=1)) ** 2).sum()) for slant in SLANTS}
    best = max(SLANTS, key=lambda slant: sharpness[slant])
    return best * ink.shape[0] / ink.shape[1] if sharpness[best] > 1.25 * sharpness[0.0] else 0.0


def shear(picture: Float, slant: float, *, outside: float | None = None) -> Float:
    """Lift each column by `slant` rows for every column right of the middle; what comes from outside is the nearest
    pixel, or `outside`."""
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
    """The line alone: near its own straight path, and not where a stroke along or across it is clearly stronger."""
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
    """Give a stroke back what went with a line that crossed it: ink between two pieces of the stroke."""
    if not lines.any() or not mask.any():
        return mask
    closed = cv2.morphologyEx(np.uint8(mask), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).astype(bool)
    return np.asarray(mask | (closed & lines & (ink > 0.4 * median(in_order(ink[mask])))))
