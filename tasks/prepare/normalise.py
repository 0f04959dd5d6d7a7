"""One picture of one character → the digit that models are trained on and read: (28, 28) uint8, ink 255 on paper 0.

    picture ─polarity─▶ dark or light ink? ─paper─▶ ink strength, background divided out ─threshold─▶ mask
    ─lines─▶ frames and ruled lines gone ─components─▶ the character alone ─layout─▶ 20 × 20 box, centred by mass

Each stage is a function of its own. The same code serves training and reading; whatever changes its output raises
`NORMALISER_VERSION`, which every model remembers. The layout is that of MNIST (LeCun et al., 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.errors import ImageError

NORMALISER_VERSION = 1

WORK = 256  # longest side that the stages work at
SMALL = 64  # side at which the paper is estimated
MIN_INK = 0.0004  # a smaller share of the picture than this is no character
MIN_CONTRAST = 0.09  # ink that stands out less from its paper is a blank page's grain, 0 to 1

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Stages:
    """What each stage made of a picture, for `tenarai read --explain` and the contact sheet."""

    picture: NDArray[np.uint8]
    dark_ink: bool
    ink: Float
    mask: Mask
    cleaned: Mask
    chosen: Mask
    digit: NDArray[np.uint8]


def normalise(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalise a picture of one character.

    Args:
        picture: (H, W, 3) or (H, W) uint8, any size and polarity.

    Returns:
        (28, 28) uint8, ink 255 on paper 0, the ink in a 20 × 20 box with its centre of mass in the middle.

    Raises:
        ImageError: There is no ink.
    """
    return run_stages(picture).digit


def run_stages(picture: NDArray[np.uint8]) -> Stages:
    """Normalise and keep what each stage made; see `normalise`."""
    colour = scale_to_work(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))
    dark_ink = has_dark_ink(colour)
    ink = ink_strength(colour, dark_ink=dark_ink)
    mask = threshold_ink(ink)
    cleaned = remove_lines(mask, ink)
    chosen = choose_character(cleaned)
    if not chosen.any():
        raise ImageError(
            "the page is blank: no ink was found", expected="one character, darker or lighter than its paper"
        )
    return Stages(colour, dark_ink, ink, mask, cleaned, chosen, lay_out(ink, chosen))


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
    grey = picture.astype(np.float32).mean(axis=2)
    high, wide = grey.shape
    rim = max(1, round(0.04 * min(high, wide)))
    border = np.concatenate([grey[:rim].ravel(), grey[-rim:].ravel(), grey[:, :rim].ravel(), grey[:, -rim:].ravel()])
    paper = float(np.median(border))
    inner = grey[rim : high - rim or None, rim : wide - rim or None]
    spread = float(np.std(grey)) + 1e-6
    tails = np.percentile(inner if inner.size else grey, [1, 99])
    by_border = ((paper - tails[0]) - (tails[1] - paper)) / spread
    passed = grey - cv2.GaussianBlur(grey, (0, 0), max(3.0, 0.12 * max(high, wide)))
    centred = passed - passed.mean()
    skewness = float((centred**3).mean() / ((centred**2).mean() ** 1.5 + 1e-6))
    return bool(by_border - skewness >= 0.0)


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
    strengths = [np.clip(1 - channels[..., c] / local_paper(channels[..., c], darkest), 0, 1) for c in range(3)]
    spread = [float(np.percentile(s, 99.5) - np.percentile(s, 50)) for s in strengths]
    best = int(np.argmax(spread))
    # a grey picture has three equal channels; only clearly coloured ink is worth the noise of a single one
    if spread[best] < 1.15 * min(spread) + 0.02:
        mean = channels.mean(axis=2)
        return np.asarray(np.clip(1 - mean / local_paper(mean, darkest), 0, 1), dtype=np.float32)
    return np.asarray(strengths[best], dtype=np.float32)


def local_paper(channel: Float, darkest: float) -> Float:
    """Brightness of the paper under each pixel: light that falls off over the page, then a wide closing for what is local.

    Args:
        channel: (H, W) float32, dark ink on lighter paper.
        darkest: No paper is taken to be darker, so that the grain of a nearly black page is not blown up to ink.

    Returns:
        (H, W) float32, `darkest` to 255.
    """
    high, wide = channel.shape
    factor = SMALL / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = np.maximum(cv2.resize(channel, size, interpolation=cv2.INTER_AREA), 1.0)
    light = _fit_light(small)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (27, 27))
    closed = cv2.morphologyEx(small / light, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(closed, (0, 0), 4, borderType=cv2.BORDER_REPLICATE) * light
    return np.maximum(np.asarray(cv2.resize(smooth, (wide, high), interpolation=cv2.INTER_LINEAR), np.float32), darkest)


def _fit_light(small: Float) -> Float:
    """The fall of light as a quadratic surface through the paper; ink is left out by fitting again without it."""
    high, wide = small.shape
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, high), np.linspace(-1, 1, wide), indexing="ij"))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    values = small.ravel().astype(np.float64)
    is_paper = values >= np.percentile(values, 30)
    fitted = values
    for _ in range(3):
        weights, *_ = np.linalg.lstsq(terms[is_paper], values[is_paper], rcond=None)
        fitted = terms @ weights
        away = values - fitted
        is_paper = away > -2 * max(float(np.median(np.abs(away[is_paper]))), 0.5)
    low = 0.25 * float(np.percentile(values, 90))
    return np.asarray(np.maximum(fitted, max(low, 1.0)), dtype=np.float32).reshape(small.shape)


def threshold_ink(ink: Float) -> Mask:
    """Which pixels are ink: two thresholds with hysteresis, so that faint ends of a strong stroke are kept.

    Otsu's threshold (1979) finds the strong ink; if it covers hardly anything, half of the strongest value is taken.
    """
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    if float(np.percentile(smooth, 99.8) - np.percentile(smooth, 50)) < MIN_CONTRAST:
        return np.zeros(ink.shape, dtype=bool)
    level, _ = cv2.threshold(np.uint8(np.clip(smooth, 0, 1) * 255), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    strong = max(level / 255, 0.05)
    if (smooth > strong).mean() < 0.004:
        strong = min(strong, 0.5 * float(np.percentile(smooth, 99.9)))
    noise = float(np.percentile(smooth, 50)) + 3.0 * _noise(ink)
    weak = max(0.6 * strong, min(noise, strong))
    count, parts = cv2.connectedComponents(np.uint8(smooth > weak), connectivity=8)
    alive = np.zeros(count, dtype=bool)
    alive[np.unique(parts[smooth > strong])] = True
    alive[0] = False
    return np.asarray(alive[parts])


def _noise(ink: Float) -> float:
    """Standard deviation of the paper's grain, by the median of absolute differences of neighbours."""
    return float(np.median(np.abs(np.diff(ink, axis=1)))) * 1.05


def remove_lines(mask: Mask, ink: Float) -> Mask:
    """Take out printed frames and ruled lines: straight, thin, spanning the picture, at its rim or faint.

    A line is taken only where enough ink is left without it; a 1 or a dash that fills the picture stays.
    """
    cleaned = mask.copy()
    strength = float(np.median(ink[mask])) if mask.any() else 0.0
    for axis in (0, 1):
        cleaned &= ~_find_lines(mask, ink, strength, axis)
    if cleaned.sum() < max(0.12 * mask.sum(), MIN_INK * mask.size):
        return mask
    return cleaned


def _find_lines(mask: Mask, ink: Float, strength: float, axis: int) -> Mask:
    """Lines along an axis (0: vertical, 1: horizontal) that may be taken out, as a mask."""
    upright = mask if axis == 1 else mask.T
    levels = ink if axis == 1 else ink.T
    high, wide = upright.shape
    length = max(9, round(0.30 * wide))
    opened = cv2.morphologyEx(np.uint8(upright), cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    # runs on neighbouring rows belong to one line that is not quite level
    joined = cv2.dilate(opened, np.ones((3, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found = np.zeros_like(upright)
    for part in range(1, count):
        top, tall, across = (
            stats[part, cv2.CC_STAT_TOP],
            stats[part, cv2.CC_STAT_HEIGHT],
            stats[part, cv2.CC_STAT_WIDTH],
        )
        here = (parts == part) & (opened > 0)
        thickness = here.sum() / max(1, int(here.any(axis=0).sum()))
        if across < 0.78 * wide or thickness > 0.07 * high or tall > 0.16 * high:
            continue
        at_rim = top < 0.16 * high or top + tall > 0.84 * high
        is_faint = float(np.median(levels[here])) < 0.7 * strength
        if at_rim or is_faint:
            found |= cv2.dilate(np.uint8(here), np.ones((3, 1), np.uint8)).astype(bool)
    return found if axis == 1 else found.T


def choose_character(mask: Mask) -> Mask:
    """The connected parts that make up the character: the large central one, and what stands near it.

    Specks, neighbours cut off by the rim and leftovers of frames are left out.
    """
    count, parts, stats, centres = cv2.connectedComponentsWithStats(np.uint8(mask), connectivity=8)
    if count <= 1:
        return np.zeros_like(mask)
    high, wide = mask.shape
    boxes = stats[1:, :4].astype(np.float64)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    worth = np.array([_worth(boxes[i], areas[i], centres[i + 1], high, wide) for i in range(count - 1)])
    main = int(np.argmax(worth))
    if areas[main] < MIN_INK * mask.size:
        return np.zeros_like(mask)
    chosen = _gather_neighbours(main, boxes, areas, worth)
    return np.isin(parts, np.flatnonzero(chosen) + 1)


def _worth(box: NDArray[np.float64], area: float, centre: NDArray[np.float64], high: int, wide: int) -> float:
    """Large and central counts; hugging the rim does not."""
    x, y, w, h = box
    off = float(np.hypot((centre[0] - wide / 2) / wide, (centre[1] - high / 2) / high))
    size = float(np.hypot(w / wide, h / high))
    touches = (x <= 1) + (y <= 1) + (x + w >= wide - 1) + (y + h >= high - 1)
    is_sliver = touches and min(w / wide, h / high) < 0.12
    return float(
        np.sqrt(area) * (0.3 + size) * np.exp(-((off / 0.38) ** 2)) * (0.55**touches) * (0.15 if is_sliver else 1)
    )


def _gather_neighbours(
    main: int, boxes: NDArray[np.float64], areas: NDArray[np.float64], worth: NDArray[np.float64]
) -> Mask:
    """Chain parts that lie within 18 % of the character's size of what is chosen already."""
    chosen = np.zeros(len(areas), dtype=bool)
    chosen[main] = True
    reach = 0.18 * max(boxes[main][2], boxes[main][3])
    floor = max(0.012 * areas[main], 4.0)
    grown = True
    while grown:
        grown = False
        for part in np.flatnonzero(~chosen & (areas >= floor) & (worth > 0.02 * worth[main])):
            if min(_gap(boxes[part], boxes[near]) for near in np.flatnonzero(chosen)) <= reach:
                chosen[part] = grown = True
    return chosen


def _gap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Distance between two boxes, 0 where they overlap."""
    dx = max(a[0] - (b[0] + b[2]), b[0] - (a[0] + a[2]), 0.0)
    dy = max(a[1] - (b[1] + b[3]), b[1] - (a[1] + a[3]), 0.0)
    return float(np.hypot(dx, dy))


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
