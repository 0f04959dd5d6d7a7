"""One picture of one character → the digit that models are trained on and read: (28, 28) uint8, ink 255 on paper 0.

    picture ─polarity─▶ dark or light ink? ─paper─▶ ink strength, light and shadow divided out
    ─lines─▶ frames, ruled and squared paper gone ─threshold─▶ mask ─components─▶ the character alone
    ─layout─▶ 20 × 20 box, centred by mass

Each stage is a function of its own. The same code serves training and reading; whatever changes its output raises
`NORMALISER_VERSION`, which every model remembers. The layout is that of MNIST (LeCun et al., 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.errors import ImageError

NORMALISER_VERSION = 1

MIN_SIDE = 8
WORK = 256  # longest side that the stages work at
SMALL = 64  # side at which polarity is judged
GREY = 8  # channels that differ by at most this show no colour, 0 to 255
PAPER = 128  # side at which the paper is estimated
MIN_INK = 0.0004  # a smaller share of the picture than this is no character
MIN_CONTRAST = 0.03  # ink that stands out less from its paper is no ink, 0 to 1
MAX_MISFIT = 0.04  # a surface that misses the paper by more than this share is not how the light falls
MIN_SEPARATION = 6.0  # a character stands out from its paper's grain by this many standard deviations

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Stages:
    """What each stage made of a picture, for `tenarai read --explain` and the contact sheet."""

    picture: NDArray[np.uint8]
    dark_ink: bool
    ink: Float
    cleaned: Float
    mask: Mask
    chosen: Mask
    digit: NDArray[np.uint8]


def normalise(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalise a picture of one character.

    Args:
        picture: (H, W, 3) or (H, W) uint8, any size and polarity.

    Returns:
        (28, 28) uint8, ink 255 on paper 0, the ink in a 20 × 20 box with its centre of mass in the middle.

    Raises:
        ImageError: It is under 8 pixels wide or high, or there is no ink.
    """
    return run_stages(picture).digit


def run_stages(picture: NDArray[np.uint8]) -> Stages:
    """Normalise and keep what each stage made; see `normalise`."""
    if min(picture.shape[:2]) < MIN_SIDE:
        raise ImageError(
            "the picture is too small to hold a character",
            expected=f"at least {MIN_SIDE} × {MIN_SIDE} pixels",
            received=f"{picture.shape[1]} × {picture.shape[0]}",
        )
    colour = scale_to_work(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))
    dark_ink = has_dark_ink(colour)
    ink = ink_strength(colour, dark_ink=dark_ink)
    cleaned, lines = remove_lines(ink)
    mask = heal_crossings(threshold_ink(cleaned), lines, ink)
    chosen = choose_character(mask, cleaned)
    if not stands_out(cleaned, mask, chosen):
        raise ImageError(
            "the page is blank: no ink was found", expected="one character, darker or lighter than its paper"
        )
    return Stages(colour, dark_ink, ink, cleaned, mask, chosen, lay_out(ink, chosen))


def scale_to_work(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale so that the longest side is 256; tiny pictures are enlarged four times at most."""
    height, width = picture.shape[:2]
    factor = min(WORK / max(height, width), 4.0)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), dtype=np.uint8)


def has_dark_ink(picture: NDArray[np.uint8]) -> bool:
    """Whether the ink is darker than its paper.

    Two witnesses: the border is paper, so what differs from its median is ink; and strokes are rare, so the high-passed
    picture is skewed towards the ink. Where they disagree, the stronger one decides.
    """
    grey = _shrink(picture.astype(np.float32).mean(axis=2), SMALL)
    high, wide = grey.shape
    rim = max(1, round(0.04 * min(high, wide)))
    step = max(rim, round(0.09 * min(high, wide)))
    # where a frame runs along the edge, the ring inside it and the whole picture outvote it
    rings = [_ring(grey, 0, rim), _ring(grey, step, step + rim), grey]
    paper = float(np.median([np.median(ring) for ring in rings]))
    inner = grey[rim : high - rim or None, rim : wide - rim or None]
    spread = float(np.std(grey)) + 1e-6
    tails = np.percentile(inner if inner.size else grey, [1, 99])
    by_border = ((paper - tails[0]) - (tails[1] - paper)) / spread
    passed = grey - cv2.GaussianBlur(grey, (0, 0), max(3.0, 0.12 * max(high, wide)))
    centred = passed - passed.mean()
    skewness = float((centred**3).mean() / ((centred**2).mean() ** 1.5 + 1e-6))
    return bool(by_border - skewness >= 0.0)


def _ring(grey: Float, outer: int, inner: int) -> Float:
    """The pixels between two distances from the edge."""
    high, wide = grey.shape
    is_ring = np.zeros(grey.shape, dtype=bool)
    is_ring[outer : high - outer, outer : wide - outer] = True
    is_ring[inner : high - inner, inner : wide - inner] = False
    return grey[is_ring] if is_ring.any() else grey.ravel()


def _shrink(channel: Float, side: int) -> Float:
    """The same at another longest side."""
    high, wide = channel.shape[:2]
    factor = side / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    return np.asarray(cv2.resize(channel, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def ink_strength(picture: NDArray[np.uint8], *, dark_ink: bool) -> Float:
    """How much darker each pixel is than its paper, in the colour channel where the ink shows best.

    Args:
        picture: (H, W, 3) uint8.
        dark_ink: As `has_dark_ink` says; light ink is inverted first.

    Returns:
        (H, W) float32 from 0 (paper) to 1 (black on white).
    """
    positive = picture if dark_ink else 255 - picture
    # light ink has room to stand out only on paper that is not light itself
    darkest = 48.0 if dark_ink else 128.0
    channels = positive.astype(np.float32)
    if int(np.ptp(_shrink(channels, SMALL), axis=2).max()) <= GREY:
        return _strength(channels.mean(axis=2), darkest)
    strengths = [_strength(channels[..., c], darkest) for c in range(3)]
    spread = [float(np.percentile(s, 99.5) - np.percentile(s, 50)) for s in strengths]
    best = int(np.argmax(spread))
    # a grey picture has three equal channels; only clearly coloured ink is worth the noise of a single one
    if spread[best] < 1.15 * min(spread) + 0.02:
        return _strength(channels.mean(axis=2), darkest)
    return strengths[best]


def _strength(channel: Float, darkest: float) -> Float:
    """Share of the paper's light that each pixel swallows; no paper counts as darker than `darkest`.

    Without that floor the grain of a nearly black page would be blown up to ink.
    """
    paper = local_paper(channel)
    return np.asarray(np.clip((paper - channel) / np.maximum(paper, darkest), 0, 1), dtype=np.float32)


def local_paper(channel: Float) -> Float:
    """Brightness of the paper under each pixel: the fall of light over the page, then a closing wider than any stroke.

    The closing follows the edges of shadows; the surface keeps it from taking a corner in the dark for ink.

    Args:
        channel: (H, W) float32, dark ink on lighter paper.

    Returns:
        (H, W) float32, 0 to 255.
    """
    high, wide = channel.shape
    small = cv2.GaussianBlur(_shrink(channel, PAPER), (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    light = _fit_light(np.maximum(small, 1.0))
    kernel = np.ones((round(0.42 * PAPER),) * 2, np.uint8)
    closed = cv2.morphologyEx(small / light, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(closed, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE) * light
    return np.asarray(cv2.resize(smooth, (wide, high), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _fit_light(small: Float) -> Float:
    """The fall of light as a quadratic surface through the paper; ink is left out by fitting again without it."""
    every = _surface_terms(*small.shape)
    thin = np.ix_(range(0, small.shape[0], 4), range(0, small.shape[1], 4))  # every 16th pixel tells enough
    terms, values = every[thin].reshape(-1, 6), small[thin].ravel().astype(np.float64)
    is_paper = values >= np.percentile(values, 30)
    for _ in range(3):
        paper = terms[is_paper]
        # a touch of ridge: paper seen in one corner only leaves the surface undecided
        weights = np.linalg.solve(paper.T @ paper + 1e-3 * np.eye(6), paper.T @ values[is_paper])
        away = values - terms @ weights
        is_paper = away > -2 * max(float(np.median(np.abs(away[is_paper]))), 0.5)
    misfit = float(np.percentile(np.abs(away[is_paper]) / np.maximum(values[is_paper], 1), 75))
    if misfit > MAX_MISFIT:  # the edge of a shadow is no slope: leave it to the closing
        return np.ones_like(small)
    low = 0.25 * float(np.percentile(values, 90))
    return np.asarray(np.maximum(every @ weights, max(low, 1.0)), dtype=np.float32)


@cache
def _surface_terms(high: int, wide: int) -> NDArray[np.float64]:
    """1, x, y, x², xy, y² over a page, x and y from -1 to 1: (high, wide, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, high), np.linspace(-1, 1, wide), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def remove_lines(ink: Float) -> tuple[Float, Mask]:
    """Take out printed frames, ruled and squared paper: straight, thin, spanning the picture, at its rim or faint.

    A single line that ends short of the picture's edges is more likely the bar of a 3, 5 or 7.

    Args:
        ink: (H, W) float32, 0 to 1.

    Returns:
        The ink with the lines' strength taken off, so that a stroke that crosses one stays; and where lines were.
    """
    floor = max(MIN_CONTRAST, float(np.percentile(ink, 50)) + 3 * _noise(ink))
    strength = 0.7 * float(np.percentile(ink, 99.5))
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
    levels = ink if axis == 1 else np.ascontiguousarray(ink.T)
    high, wide = levels.shape
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
        here = (parts == part) & (opened > floor)
        thickness = here.sum() / max(1, int(here.any(axis=0).sum()))
        if across < 0.78 * wide or thickness > 0.07 * high or tall > 0.16 * high:
            continue
        at_rim = top < 0.16 * high or top + tall > 0.84 * high
        is_faint = float(np.median(opened[here])) < 0.6 * strength
        spans = across > 0.97 * wide
        if at_rim or is_faint or spans:
            line = cv2.dilate(_along_path(opened, here), np.ones((5, 1)))
            found.append((line if axis == 1 else line.T, (spans and at_rim) or (is_faint and spans)))
    return found


def _along_path(opened: Float, here: Mask) -> Float:
    """The line alone: near its own straight path and no stronger than it is elsewhere, so that a stroke on it stays."""
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
    usual = float(np.median(opened[is_line])) if is_line.any() else 0.0
    return np.where(is_line, np.minimum(opened, 1.3 * usual), 0).astype(np.float32)


def threshold_ink(ink: Float) -> Mask:
    """Which pixels are ink: those of half the strength of the strongest ink near them, and above the paper's grain.

    Judged by what is near, faint pencil is not lost beside a black frame; with hysteresis, so that a stroke's faint end
    is kept.
    """
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    side = 2 * round(0.18 * max(ink.shape)) + 1
    strongest = cv2.dilate(smooth, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    strongest = cv2.blur(strongest, (side, side), borderType=cv2.BORDER_REPLICATE)
    floor = max(MIN_CONTRAST, float(np.percentile(smooth, 50)) + 3.0 * _noise(ink))
    strong = smooth > np.maximum(0.5 * strongest, floor)
    weak = smooth > np.maximum(0.3 * strongest, floor)
    count, parts = cv2.connectedComponents(np.uint8(weak), connectivity=8)
    alive = np.zeros(count, dtype=bool)
    alive[np.unique(parts[strong])] = True
    alive[0] = False
    return np.asarray(alive[parts])


def _noise(ink: Float) -> float:
    """Standard deviation of the paper's grain, by the median of absolute differences of neighbours."""
    return float(np.median(np.abs(np.diff(ink, axis=1)))) * 1.05


def heal_crossings(mask: Mask, lines: Mask, ink: Float) -> Mask:
    """Give a stroke back what went with a line that crossed it: ink between two pieces of the stroke."""
    if not lines.any() or not mask.any():
        return mask
    closed = cv2.morphologyEx(np.uint8(mask), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).astype(bool)
    return np.asarray(mask | (closed & lines & (ink > 0.4 * float(np.median(ink[mask])))))


def stands_out(ink: Float, mask: Mask, chosen: Mask) -> bool:
    """Whether the chosen parts are writing and not the grain or the unevenness of a blank page."""
    if not chosen.any():
        return False
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    paper = smooth[~cv2.dilate(np.uint8(mask), np.ones((5, 5), np.uint8)).astype(bool)]
    if paper.size < 0.02 * ink.size:
        return True
    middle = float(np.median(paper))
    grain = 1.48 * float(np.median(np.abs(paper - middle)))
    return float(np.median(smooth[chosen])) - middle > max(MIN_SEPARATION * grain, MIN_CONTRAST)


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


def lay_out(ink: Float, chosen: Mask) -> NDArray[np.uint8]:
    """Stretch the grey levels, even out the pen's width, and place the character as MNIST does.

    Args:
        ink: (H, W) float32, 0 to 1.
        chosen: (H, W) bool, the character.

    Returns:
        (28, 28) uint8.
    """
    grown = cv2.dilate(np.uint8(chosen), np.ones((3, 3), np.uint8)).astype(bool)
    full = max(float(np.percentile(ink[chosen], 75)), 1e-3)
    grey = np.where(grown, np.clip(ink / full, 0, 1), 0).astype(np.float32)
    rows, columns = np.flatnonzero(grown.any(axis=1)), np.flatnonzero(grown.any(axis=0))
    box = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box = even_out_pen(box)
    high, wide = box.shape
    factor = 20 / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = cv2.resize(box, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    peak = float(np.percentile(small[small > 0.1], 90)) if (small > 0.1).any() else 1.0
    return _centre(np.clip(small / max(peak, 0.2), 0, 1))


def even_out_pen(box: Float) -> Float:
    """Thicken strokes that would be under 2 pixels wide in the 20 × 20 box to 2.4, and thin those over 5 to 4."""
    scale = max(box.shape) / 20
    width = _stroke_width(box > 0.4) / scale
    if width <= 0 or 2.0 <= width <= 5.0:
        return box
    change = (2.4 - width if width < 2.0 else 4.0 - width) * scale / 2
    pad = max(1, round(abs(change))) + 1 if change > 0 else 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(abs(change))) + 1,) * 2)
    padded = cv2.copyMakeBorder(box, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0.0)
    if change > 0:
        return np.asarray(cv2.dilate(padded, kernel), dtype=np.float32)
    thinned = np.asarray(cv2.erode(padded, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0.0), dtype=np.float32)
    return thinned if (thinned > 0.4).sum() > 0.25 * (box > 0.4).sum() else box


def _stroke_width(mask: Mask) -> float:
    """Typical width of the strokes in pixels, by the distance of their middle line to the paper."""
    if not mask.any():
        return 0.0
    padded = np.pad(np.uint8(mask), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-4) & (padded > 0)
    return float(2 * np.median(distance[ridge]) - 0.5)


def _centre(small: Float) -> NDArray[np.uint8]:
    """Put the centre of mass of a box of at most 20 × 20 into the middle of 28 × 28, as far as it fits."""
    high, wide = small.shape
    total = float(small.sum()) or 1.0
    row = float((small.sum(axis=1) * np.arange(high)).sum()) / total
    column = float((small.sum(axis=0) * np.arange(wide)).sum()) / total
    top = int(np.clip(round(13.5 - row), 0, 28 - high))
    left = int(np.clip(round(13.5 - column), 0, 28 - wide))
    digit = np.zeros((28, 28), dtype=np.float32)
    digit[top : top + high, left : left + wide] = small
    return np.asarray(np.rint(digit * 255), dtype=np.uint8)
