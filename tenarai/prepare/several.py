"""Whether an image shows more than one character, and which of its parts make up each, in reading order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.locale import _
from tenarai.prepare.character import Parts, edge_sharpness, gaps, overlaps
from tenarai.prepare.ink import Float, Mask

ONE_PIECE = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghklmnopqrstuvwxyz")
ALIKE = 0.5  # a part lower than this share of a character is no character beside it
LOWEST = 0.4  # share of the usual height that a character has at least
SOFTEST, FAINT = 0.3, 0.25  # shares of the steepness of the main character's edges, and of its strength
MIN_AREA = 12
MAX_PARTS = 200  # grain makes thousands
MORE_THAN_ONE = _("there is more than one character")

Box = NDArray[np.float64]


def count_characters(label: str) -> int:
    """How many characters an image under a label shows; 0 where that cannot be counted (い, ö, 回)."""
    return len(label) if ONE_PIECE.issuperset(label) else 0


def are_one_piece(labels: Collection[str]) -> bool:
    """Whether every label is one character that people write in one piece, such as a digit.

    Where they are not (い, ö, 回, or labels of several characters), parts that stand apart belong together.
    """
    return ONE_PIECE.issuperset(labels)


def find_characters(parts: Parts, ink: Float) -> list[Mask]:
    """The characters of an image in reading order, (H, W) bool each; what the rim cuts off is none."""
    if not len(parts.areas):
        return []
    high, wide = ink.shape
    count = len(parts.areas) + 1
    inked = np.flatnonzero(parts.mask)
    strength = np.bincount(parts.labels.ravel()[inked], ink.ravel()[inked], count)[1:] / parts.areas
    steepness = edge_sharpness(parts, ink) / np.maximum(strength, 1e-3)
    left, top, across, tall = parts.boxes.T
    at_rim = (left <= 1) | (top <= 1) | (left + across >= wide - 1) | (top + tall >= high - 1)
    size = np.hypot(across, tall) * np.sqrt(parts.areas)
    order = [int(part) for part in np.argsort(-size)[:MAX_PARTS] if not at_rim[part] and not _is_blot(parts, part)]
    heads = [part for part in order if parts.areas[part] >= MIN_AREA]
    if not heads:
        return []
    steepest = max(steepness[head] for head in heads[:40])
    first = max(heads[:40], key=lambda head: float(size[head] * min(1.0, steepness[head] / steepest) ** 2))
    groups = _group(order, parts.boxes)
    fit = [
        (_hull(parts.boxes, group), group)
        for group in groups
        if group[0] in heads
        and steepness[group[0]] > SOFTEST * steepness[first]
        and strength[group[0]] > FAINT * strength[first]
    ]
    if not fit:
        return []
    heights = sorted(box[3] for box, _ in fit)
    usual = heights[int(0.7 * len(heights))]
    alike = [(box, group) for box, group in fit if LOWEST * usual < box[3] < 2.2 * usual]
    return [parts.select(np.isin(np.arange(count - 1), group)) for _, group in _in_reading_order(alike)]


def is_broken(characters: Sequence[Mask], chosen: Mask) -> bool:
    """Whether what looks like two characters, one above the other, is one with a gap: so near that both were chosen.

    Args:
        characters: From `find_characters`.
        chosen: (H, W) bool, the main character, from `choose_character`.
    """
    if len(characters) != 2 or not all((mask & chosen).any() for mask in characters):
        return False
    first, second = (np.array(cv2.boundingRect(mask.view(np.uint8)), dtype=np.float64) for mask in characters)
    return bool(overlaps(first, second)[0] > 0.5 * min(first[2], second[2]))


def _group(order: list[int], boxes: Box) -> list[list[int]]:
    """Parts by character, the largest first: each joins the nearest character that it may belong to, or starts one."""
    groups: list[list[int]] = []
    hulls = np.empty((len(order), 4))
    for part in order:
        nearest = int(gaps(boxes[part], hulls[: len(groups)]).argmin()) if groups else 0
        if groups and _belongs(boxes[part], hulls[nearest]):
            groups[nearest].append(part)
            hulls[nearest] = _hull(boxes, groups[nearest])
        else:
            hulls[len(groups)] = boxes[part]
            groups.append([part])
    return groups


def _is_blot(parts: Parts, part: int) -> bool:
    """Whether a part is broad rather than a stroke: the edge of a shadow, a finger, the table."""
    left, top, across, tall = parts.boxes[part].astype(int)
    longest = max(across, tall)
    if longest <= MIN_AREA or parts.areas[part] < 0.2 * longest * longest:
        return False
    here = np.pad(parts.labels[top : top + tall, left : left + across] == part + 1, 1).view(np.uint8)
    return bool(2 * cv2.distanceTransform(here, cv2.DIST_L2, 3).max() > 0.6 * longest)


def _belongs(a: Box, b: Box) -> bool:
    """Whether a part belongs to a character beside, above or in it: two strokes of a 4, the bar of a 5, a broken 0."""
    shared_x, shared_y = overlaps(a, b)
    dx, dy = max(-shared_x, 0.0), max(-shared_y, 0.0)
    size = max(b[2], b[3])
    is_over = shared_x > 0.5 * min(a[2], b[2])
    if shared_x > 0 and shared_y > 0:
        return bool(shared_x > 0.3 * min(a[2], b[2]) or shared_y < 0.75 * max(a[3], b[3]))
    if a[3] < ALIKE * b[3]:  # too low to be a character beside it
        return bool(np.hypot(dx, 0.55 * dy if is_over else dy) <= 0.18 * size)
    is_line_below = is_over and a[3] > 0.7 * b[3] and max(a[3], b[3]) > a[2]
    return bool(np.hypot(dx, dy) <= (0.05 if is_line_below else 0.12) * size and shared_y < 0.75 * max(a[3], b[3]))


def _hull(boxes: Box, group: list[int]) -> Box:
    left, top = boxes[group, :2].min(axis=0)
    right, bottom = (boxes[group, :2] + boxes[group, 2:]).max(axis=0)
    return np.array([left, top, right - left, bottom - top])


def _in_reading_order(found: list[tuple[Box, list[int]]]) -> list[tuple[Box, list[int]]]:
    """Line by line, left to right; a line may climb or fall."""
    lines: list[list[tuple[Box, list[int]]]] = []
    for item in sorted(found, key=lambda item: float(item[0][0])):
        best = min(lines, key=lambda line: _offset(line[-1][0], item[0]), default=None)
        if best is not None and _offset(best[-1][0], item[0]) < 0.5:
            best.append(item)
        else:
            lines.append([item])
    lines.sort(key=lambda line: float(np.mean([box[1] + box[3] / 2 for box, _ in line])))
    return [item for line in lines for item in line]


def _offset(a: Box, b: Box) -> float:
    """How far two boxes are from standing on one line, as a share of their height."""
    return float(abs(a[1] + a[3] / 2 - b[1] - b[3] / 2) / max(a[3], b[3]))
