"""Which pixels are ink, and which of them are the character."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.ink import MIN_CONTRAST, Float, Mask, measure_grain
from tenarai.prepare.order import in_order, median, percentile

MIN_INK = 0.0004  # a smaller share of the picture than this is no character
MIN_SEPARATION = 6.0  # a character stands out from its paper's grain by this many standard deviations


def threshold_ink(ink: Float) -> Mask:
    """Which pixels are ink: those of half the strength of the strongest ink near them, and above the paper's grain.

    Judged by what is near, faint pencil is not lost beside a black frame; with hysteresis, so that a stroke's faint end
    is kept.
    """
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    side = 2 * round(0.18 * max(ink.shape)) + 1
    strongest = cv2.dilate(smooth, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    strongest = cv2.blur(strongest, (side, side), borderType=cv2.BORDER_REPLICATE)
    floor = max(MIN_CONTRAST, percentile(in_order(smooth), 50) + 3.0 * measure_grain(ink))
    strong = smooth > np.maximum(0.5 * strongest, floor)
    weak = smooth > np.maximum(0.3 * strongest, floor)
    count, parts = cv2.connectedComponents(np.uint8(weak), connectivity=8)
    alive = np.zeros(count, dtype=bool)
    alive[np.unique(parts[strong])] = True
    alive[0] = False
    return np.asarray(alive[parts])


def choose_character(mask: Mask, ink: Float) -> Mask:
    """The connected parts that make up the character: the large central one, and what stands near it.

    Specks, neighbours cut off by the rim, frames, and shadows, whose edges are soft, are left out.

    Args:
        mask: (H, W) bool, what is ink.
        ink: (H, W) float32, how strong it is.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats(np.uint8(mask), connectivity=8)
    if count <= 1:
        return np.zeros_like(mask)
    boxes = stats[1:, :4].astype(np.float64)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    sharpness = _edge_sharpness(mask, parts, count, ink)
    sharpest = float(np.max(sharpness[areas >= 0.1 * areas.max()]))
    worth = _worth(mask, parts, boxes) * np.minimum(1, sharpness / (0.5 * sharpest))
    main = int(np.argmax(worth))
    if areas[main] < MIN_INK * mask.size:
        return np.zeros_like(mask)
    alike = sharpness > 0.35 * sharpness[main]
    chosen = _gather_neighbours(main, boxes, areas, np.where(alike, worth, 0))
    return np.isin(parts, np.flatnonzero(chosen) + 1)


def _worth(mask: Mask, parts: NDArray[np.int32], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each part: ink counts, ink near the middle counts more; hugging the rim does not."""
    high, wide = mask.shape
    y, x = np.ogrid[-0.5 : 0.5 : high * 1j, -0.5 : 0.5 : wide * 1j]
    central = np.exp(-((x * x + y * y) / 0.34**2))
    inked = parts[mask]
    ink = np.bincount(inked, central[mask], len(boxes) + 1)[1:]
    left, top, across, tall = boxes.T
    touches = (left <= 1).astype(int) + (top <= 1) + (left + across >= wide - 1) + (top + tall >= high - 1)
    is_sliver = (touches > 0) & (np.minimum(across / wide, tall / high) < 0.12)
    size = np.hypot(across / wide, tall / high)
    return np.asarray(np.sqrt(ink) * (0.3 + size) * 0.55**touches * np.where(is_sliver, 0.15, 1))


def _edge_sharpness(mask: Mask, parts: NDArray[np.int32], count: int, ink: Float) -> NDArray[np.float64]:
    """How steeply the ink of each part rises at its edge, as the mean over its outline."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 1.0)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    outline = mask & (cv2.erode(np.uint8(mask), np.ones((3, 3), np.uint8)) == 0)
    edge = parts[outline]
    total = np.bincount(edge, slope[outline], count)[1:]
    return np.asarray(total / np.maximum(1, np.bincount(edge, minlength=count)[1:]))


def _gather_neighbours(
    main: int, boxes: NDArray[np.float64], areas: NDArray[np.float64], worth: NDArray[np.float64]
) -> Mask:
    """Chain parts that lie near what is chosen already: within 18 % of the character's size, above and below 32 %.

    Neighbours on a line of writing stand side by side; what stands above is the bar of a 5 written in two strokes.
    """
    chosen = np.zeros(len(areas), dtype=bool)
    chosen[main] = True
    reach = 0.18 * max(boxes[main][2], boxes[main][3])
    floor = max(0.012 * areas[main], 4.0)
    grown = True
    while grown:
        grown = False
        for part in np.flatnonzero(~chosen & (areas >= floor) & (worth > 0.02 * worth[main])):
            if any(_gap(boxes[part], boxes[near]) <= reach for near in np.flatnonzero(chosen)):
                chosen[part] = grown = True
    return chosen


def _gap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Distance between two boxes, 0 where they overlap; the way down counts for less between boxes of one column."""
    dx = max(a[0] - (b[0] + b[2]), b[0] - (a[0] + a[2]), 0.0)
    dy = max(a[1] - (b[1] + b[3]), b[1] - (a[1] + a[3]), 0.0)
    shared = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    return float(0.55 * dy if shared > 0.5 * min(a[2], b[2]) else np.hypot(dx, dy))


def stands_out(ink: Float, mask: Mask, chosen: Mask) -> bool:
    """Whether the chosen parts are writing and not the grain or the unevenness of a blank page."""
    if not chosen.any():
        return False
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    paper = smooth[~cv2.dilate(np.uint8(mask), np.ones((5, 5), np.uint8)).astype(bool)]
    if paper.size < 0.02 * ink.size:
        return True
    middle = median(in_order(paper))
    grain = 1.48 * median(in_order(np.abs(paper - middle)))
    return median(in_order(smooth[chosen])) - middle > max(MIN_SEPARATION * grain, MIN_CONTRAST)
