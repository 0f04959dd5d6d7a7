"""Which pixels are ink, and which of them are the character."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.ink import MIN_CONTRAST, Float, Mask, find_floor, measure_grain, square
from tenarai.prepare.order import median, percentile, pick

MIN_INK = 0.0004  # a smaller share of the image than this is no character
FAINTEST, FAINT = 0.1, 0.15  # ink that stands out less may be a smudge, which its edges show, 0 to 1
SOFT, FAIRLY_STEEP, STEEP = 0.6, 1.2, 1.6  # rise of the ink in a pixel at its edges, as shares of its contrast
FAINT_RANGE = 0.4  # stronger ink needs no second look, 0 to 1
MIN_SEPARATION = 6.0  # a character stands out from its paper's grain by this many standard deviations


@dataclass(frozen=True)
class Parts:
    """The connected parts of a mask.

    Attributes:
        labels: (H, W) int32: 0 for paper, 1 to N for the part that a pixel belongs to.
        boxes: (N, 4) float64: left, top, width and height of each part.
        areas: (N,) float64: number of pixels of each part.
    """

    labels: NDArray[np.int32]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]

    @property
    def mask(self) -> Mask:
        """(H, W) bool: all parts."""
        return self.labels > 0

    def select(self, chosen: Mask) -> Mask:
        """(H, W) bool: the parts for which (N,) `chosen` is true."""
        return np.concatenate([[False], chosen]).take(self.labels)


def find_parts(mask: Mask) -> Parts:
    """The connected parts of a mask."""
    how = {"connectivity": 8, "ltype": cv2.CV_32S, "ccltype": cv2.CCL_BBDT}  # on one core thrice as fast as the default
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask.view(np.uint8), **how)
    return Parts(labels, stats[1:, :4].astype(np.float64), stats[1:, cv2.CC_STAT_AREA].astype(np.float64))


def threshold_ink(ink: Float, *, near: float = 0.18, grain: float | None = None) -> Parts:
    """Which pixels are ink: those of half the strength of the strongest ink near them, and above the paper's grain.

    Compared with what is near, faint pencil is not lost beside a black frame; with hysteresis, so that a stroke's faint
    end is kept.

    Args:
        ink: (H, W) float32, 0 to 1.
        near: How far "near" is, as a share of the image's longest side.
        grain: Of the paper. Default: measured.
    """
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    side = 2 * round(near * max(ink.shape)) + 1
    strongest = cv2.dilate(smooth, square(side, side), borderType=cv2.BORDER_REPLICATE)
    strongest = cv2.blur(strongest, (side, side), borderType=cv2.BORDER_REPLICATE)
    is_ink = smooth > find_floor(smooth, measure_grain(ink) if grain is None else grain)
    strong = (smooth > 0.5 * strongest) & is_ink
    weak = find_parts((smooth > 0.3 * strongest) & is_ink)
    alive = np.zeros(len(weak.areas) + 1, dtype=bool)
    alive[pick(weak.labels, strong)] = True
    if alive[1:].all():
        return weak
    numbers = (np.cumsum(alive) * alive).astype(np.int32)
    return Parts(numbers.take(weak.labels), weak.boxes[alive[1:]], weak.areas[alive[1:]])


def choose_character(parts: Parts, ink: Float) -> Mask:
    """The connected parts that make up the character: the large central one, and what stands near it.

    Specks, neighbours cut off by the rim, frames, and shadows, whose edges are soft, are left out.

    Args:
        parts: What is ink.
        ink: (H, W) float32, how strong it is.
    """
    if not len(parts.areas):
        return parts.mask
    sharpness = edge_sharpness(parts, ink)
    sharpest = float(np.max(sharpness[parts.areas >= 0.1 * parts.areas.max()]))
    worth = _worth(parts) * np.minimum(1, sharpness / (0.5 * sharpest))
    main = int(np.argmax(worth))
    if parts.areas[main] < MIN_INK * ink.size:
        return np.zeros(ink.shape, dtype=bool)
    alike = sharpness > 0.35 * sharpness[main]
    return parts.select(_gather_neighbours(main, parts.boxes, parts.areas, np.where(alike, worth, 0)))


def _worth(parts: Parts) -> NDArray[np.float64]:
    """Score each part: ink counts, ink near the middle counts more; touching the rim counts against it."""
    high, wide = parts.labels.shape
    inked = np.flatnonzero(parts.mask)
    y, x = (np.linspace(-0.5, 0.5, side)[place] for side, place in zip((high, wide), divmod(inked, wide), strict=True))
    bell = np.exp(-((x * x + y * y) / 0.34**2))
    central = np.bincount(parts.labels.ravel()[inked], bell, len(parts.areas) + 1)[1:]
    left, top, across, tall = parts.boxes.T
    touches = (left <= 1).astype(int) + (top <= 1) + (left + across >= wide - 1) + (top + tall >= high - 1)
    is_sliver = (touches > 0) & (np.minimum(across / wide, tall / high) < 0.12)
    size = np.hypot(across / wide, tall / high)
    return np.asarray(np.sqrt(central) * (0.3 + size) * 0.55**touches * np.where(is_sliver, 0.15, 1))


def edge_sharpness(parts: Parts, ink: Float) -> NDArray[np.float64]:
    """How steeply the ink of each part rises at its edge, as the mean over its outline."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 1.0)
    mask = parts.mask.view(np.uint8)
    outline = np.flatnonzero(cv2.subtract(mask, cv2.erode(mask, square(3, 3))).view(np.bool_))
    rises = (cv2.Sobel(smooth, cv2.CV_32F, *direction).ravel()[outline] for direction in ((1, 0), (0, 1)))
    slope = cv2.magnitude(*rises).ravel()
    edge = parts.labels.ravel()[outline]
    count = len(parts.areas) + 1
    return np.asarray(np.bincount(edge, slope, count)[1:] / np.maximum(1, np.bincount(edge, minlength=count)[1:]))


def _gather_neighbours(
    main: int, boxes: NDArray[np.float64], areas: NDArray[np.float64], worth: NDArray[np.float64]
) -> Mask:
    """Add parts that lie near what is chosen already: within 18 % of the character's size, above and below 32 %.

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
            if gaps(boxes[part], boxes[chosen]).min() <= reach:
                chosen[part] = grown = True
    return chosen


def overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns and rows that a box shares with others, (2, ...); negative where there is a gap."""
    ends = np.minimum(box[:2] + box[2:], others[..., :2] + others[..., 2:])
    return np.asarray((ends - np.maximum(box[:2], others[..., :2])).T)


def gaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of a box from each of (N, 4), 0 where they overlap; between boxes of one column it counts for half."""
    shared = overlaps(box, others)
    dx, dy = np.maximum(-shared, 0)
    is_column = shared[0] > 0.5 * np.minimum(box[2], others[:, 2])
    return np.asarray(np.where(is_column, 0.55 * dy, np.hypot(dx, dy)))


def stands_out(ink: Float, mask: Mask, chosen: Mask) -> bool:
    """Whether the chosen parts are writing and not the grain or the unevenness of a blank page."""
    if not chosen.any():
        return False
    paper, middle, contrast = _compare_with_paper(ink, mask, chosen)
    if paper.size < 0.02 * ink.size:
        return True
    if contrast < FAINT and _steepness(chosen, ink) < (FAIRLY_STEEP if contrast < FAINTEST else SOFT) * contrast:
        return False  # as faint as pencil, but soft: a smudge or a shadow
    num_grains = np.count_nonzero(np.abs(paper - np.float32(middle)) >= contrast / (1.48 * MIN_SEPARATION))
    return bool(contrast > MIN_CONTRAST and num_grains < 0.5 * paper.size)


def even_out_paper(ink: Float, *, full: float = FAINT_RANGE) -> Float:
    """Subtract what is around each pixel, wider than any stroke: the unevenness of greyish paper.

    Args:
        ink: (H, W) float32, 0 to 1.
        full: Ink of this strength or more is all the same.
    """
    levels = np.uint8(np.rint(np.clip(ink / full, 0, 1) * 255))
    around = cv2.medianBlur(levels, min(2 * round(0.12 * max(ink.shape)) - 1, 255))
    return np.asarray(np.clip(ink - around * np.float32(full / 255), 0, 1), dtype=np.float32)


def is_faint_stroke(ink: Float, mask: Mask, chosen: Mask) -> bool:
    """Whether the chosen parts are faint strokes: above the grain of the paper near them, and steep at their edges.

    Shadows and smudges are soft; a crease is one straight line through the image.
    """
    if not chosen.any():
        return False
    paper, middle, contrast = _compare_with_paper(ink, mask, chosen)
    if paper.size < 0.02 * ink.size:
        return False
    grain = max(1.48 * median(np.abs(paper - middle)), percentile(paper, 84) - middle, 1e-6)
    if contrast <= max(7 * grain, 0.035) or _steepness(chosen, ink) <= STEEP * contrast:
        return False
    places = np.argwhere(chosen)
    extent = (np.ptp(places, axis=0).max() + 1) / max(ink.shape)
    spread = np.linalg.eigvalsh(np.cov(places.T))
    is_crease = extent > 0.7 and spread[0] < 0.01 * spread[1]
    return bool(0.15 < extent < 0.98 and not is_crease)


def _compare_with_paper(ink: Float, mask: Mask, chosen: Mask) -> tuple[Float, float, float]:
    """The ink of the paper away from all parts, (N,); its median; and by how much the chosen parts are stronger."""
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    paper = pick(smooth, cv2.dilate(mask.view(np.uint8), square(5, 5)) == 0)
    middle = median(paper) if paper.size else 0.0
    return paper, middle, median(pick(smooth, chosen)) - middle


def _steepness(chosen: Mask, ink: Float) -> float:
    """How steeply the ink rises at the edges of the chosen parts, as the mean over all of them."""
    everything = np.asarray(chosen, dtype=np.int32)
    return float(edge_sharpness(Parts(everything, np.zeros((1, 4)), np.ones(1)), ink)[0])
