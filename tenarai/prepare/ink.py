"""Dark ink or light, and how strong it is: light and shadow divided out.

Colours enter as integers, either one channel (uint8) or the sum of all three (uint16), which grey morphology handles
faster than floats; `_brightness` turns both into 0 to 255.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.order import median, percentile, percentiles, pick

SMALL = 64  # side at which polarity is estimated
CLEAR = 3  # one polarity has this many times the energy of the other where there is no doubt
STROKES = (0.004, 0.008, 0.016, 0.032)  # half the width of a pen, as shares of the image's longest side
MAX_EDGE = 0.9  # share of the border that is like the corners at most; more may be a frame
CLEAR_STROKES = 1.5  # what is dark and narrow has this many times the energy of what is light and narrow
GREY = 8  # channels that differ by at most this show no colour, 0 to 255
PAPER = 128  # side at which the paper is estimated
RIDGE = 1e-3 * np.eye(6)  # paper that is visible in one corner only leaves the surface undetermined
MAX_MISFIT = 0.04  # the light does not fall as a surface does that misses the paper by more than this share
PEN, PEN_OF_MANY = 0.16, 0.06  # a stroke is narrower than this share of the longest side; where there are many, too
MIN_SHADOW = 0.1  # share of the paper's light that a shadow takes at least
SHADOW_RIM = 0.3  # a shadow covers at least this share of the image's shorter side along the rim
MIN_CONTRAST = 0.03  # ink that stands out less from its paper is no ink, 0 to 1

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Levels = NDArray[np.uint8] | NDArray[np.uint16]


@cache
def square(high: int, wide: int) -> NDArray[np.uint8]:
    """A rectangular kernel for morphology."""
    return np.ones((high, wide), np.uint8)


WIDE = square(round(0.42 * PAPER), round(0.42 * PAPER))  # wider than any stroke


def has_dark_ink(picture: NDArray[np.uint8]) -> bool:
    """Whether the ink is darker than its paper.

    Strokes are narrow, so they differ from the median around them; in large images this decides wherever it is clear.
    Else there are two signs: the border is paper, so what differs from its median is ink; and strokes are rare, so the
    high-passed image is skewed towards the ink. Where they disagree, the stronger one decides.
    """
    brightness = _brightness(_sum_channels(picture))
    if max(picture.shape[:2]) > PAPER:
        levels = np.uint8(np.rint(_shrink(brightness, PAPER)))
        around = cv2.medianBlur(levels, PAPER // 4 - 1)
        darker, lighter = (
            float(np.square(cv2.subtract(*pair), dtype=np.float32).sum())
            for pair in ((around, levels), (levels, around))
        )
        if max(darker, lighter) > CLEAR * min(darker, lighter):
            return darker > lighter
    grey = _shrink(brightness, SMALL)
    high, wide = grey.shape
    rim = max(1, round(0.04 * min(high, wide)))
    step = max(rim, round(0.09 * min(high, wide)))
    # where a frame runs along the edge, the ring inside it and the whole image outvote it
    paper = sorted(median(ring) for ring in (_ring(grey, 0, rim), _ring(grey, step, step + rim), grey))[1]
    inner = grey[rim : high - rim or None, rim : wide - rim or None]
    darkest, lightest = percentiles(inner if inner.size else grey, 1, 99)
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]] > (darkest + lightest) / 2
    edge = _ring(grey, 0, rim) > (darkest + lightest) / 2
    if len(set(corners)) == 1 and np.mean(edge == corners[0]) < MAX_EDGE:  # cropped to the ink, which reaches no corner
        return bool(corners[0])
    spread = float(np.std(grey)) + 1e-6
    by_border = ((paper - darkest) - (lightest - paper)) / spread
    passed = grey - cv2.GaussianBlur(grey, (0, 0), max(3.0, 0.12 * max(high, wide)))
    centred = passed - passed.mean()
    squares = centred * centred
    skewness = float((squares * centred).mean() / (squares.mean() ** 1.5 + 1e-6))
    return bool(by_border - skewness >= 0.0)


def has_dark_strokes(picture: NDArray[np.uint8]) -> bool:
    """Whether a page of several characters has dark ink, shadows across it or not; else as `has_dark_ink`.

    Closings fill what is dark and narrow, openings what is light and narrow, and neither changes the edge of a shadow.
    A pen is narrower than the paper inside a 0, so the smallest width at which one of both is clear decides.
    """
    grey = np.uint8(cv2.GaussianBlur(_brightness(_sum_channels(picture)), (0, 0), 1.5))  # without the grain
    energies = [
        [
            float(np.square(cv2.morphologyEx(grey, how, square(side, side)), dtype=np.float32).sum())
            for how in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)
        ]
        for side in (2 * round(share * max(grey.shape)) + 1 for share in STROKES)
    ]
    least = 0.1 * max(map(max, energies))  # less is grain, or the gaps between broad strokes
    for dark, light in energies:
        if max(dark, light) > max(least, CLEAR_STROKES * min(dark, light)):
            return dark > light
    return has_dark_ink(picture)


def _ring(grey: Float, outer: int, inner: int) -> Float:
    """The pixels between two distances from the edge."""
    high, wide = grey.shape
    if min(high, wide) <= 2 * outer:
        return grey
    grey = grey[outer : high - outer, outer : wide - outer]
    thick = inner - outer
    if min(grey.shape) <= 2 * thick:
        return grey
    sides = (grey[:thick], grey[-thick:], grey[thick:-thick, :thick], grey[thick:-thick, -thick:])
    return np.concatenate([side.ravel() for side in sides])


def _shrink(picture: NDArray[Any], side: int) -> NDArray[Any]:
    """Scale the longest side to `side`."""
    high, wide = picture.shape[:2]
    factor = side / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _sum_channels(picture: NDArray[np.uint8]) -> Levels:
    """The sum of the three channels, or the channel of a grey image."""
    if picture.ndim == 2:
        return picture
    red, green, blue = (channel.astype(np.uint16) for channel in cv2.split(picture))
    return np.asarray(red + green + blue, dtype=np.uint16)


def _brightness(levels: Levels) -> Float:
    """0 to 255: NumPy's `mean(axis=2)` to the bit."""
    brightness = levels.astype(np.float32)
    return brightness if levels.dtype == np.uint8 else brightness / np.float32(3)


def ink_strength(picture: NDArray[np.uint8], *, dark_ink: bool, pen: float = PEN) -> Float:
    """How much darker each pixel is than its paper, in the colour channel where the ink shows best.

    Args:
        picture: (H, W, 3) or (H, W) uint8.
        dark_ink: Whether the ink is darker than its paper; light ink is inverted first.
        pen: Share of the image's longest side that no stroke is wider than.

    Returns:
        (H, W) float32 from 0 (paper) to 1 (black on white).
    """
    positive = picture if dark_ink else 255 - picture
    # light ink can only stand out on paper that is not light itself
    darkest = 48.0 if dark_ink else 128.0
    levels = _choose_channel(positive, darkest)
    return _absorbed(_brightness(levels), local_paper(levels, pen), darkest)


def _choose_channel(picture: NDArray[np.uint8], darkest: float) -> Levels:
    """The channel in which the ink shows clearly better than in another; else the sum of all three."""
    if picture.ndim == 2:
        return picture
    small = cv2.split(_shrink(picture, PAPER))
    spread = [0.0]
    if cv2.subtract(np.maximum.reduce(small), np.minimum.reduce(small)).max() > GREY:
        papers = [cv2.morphologyEx(channel, cv2.MORPH_CLOSE, WIDE) for channel in small]
        inks = [
            _absorbed(_brightness(channel), _brightness(paper), darkest)
            for channel, paper in zip(small, papers, strict=True)
        ]
        spread = [high - middle for middle, high in (percentiles(ink, 50, 99.5) for ink in inks)]
    if max(spread) < 1.15 * min(spread) + 0.02:
        return _sum_channels(picture)
    return np.ascontiguousarray(picture[..., int(np.argmax(spread))])


def _absorbed(brightness: Float, paper: Float, darkest: float) -> Float:
    """Share of the paper's light that each pixel absorbs; no paper counts as darker than `darkest`.

    Without that lower bound the grain of a nearly black page would be amplified to ink.
    """
    strength = cv2.divide(cv2.subtract(paper, brightness), cv2.max(paper, darkest))
    return np.asarray(np.clip(strength, 0, 1, out=strength), dtype=np.float32)


def local_paper(levels: Levels, pen: float) -> Float:
    """Brightness of the paper under each pixel: the fall of light over the page, then a closing wider than any stroke.

    The surface keeps the closing from taking a dark corner for ink; where a shadow reaches in from the rim, a narrow
    closing follows its edge.

    Args:
        levels: (H, W), dark ink on lighter paper.
        pen: As in `ink_strength`.

    Returns:
        (H, W) float32, 0 to 255.
    """
    high, wide = levels.shape
    small = cv2.GaussianBlur(_shrink(_brightness(levels), PAPER), (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    light = _fit_light(np.maximum(small, 1.0))
    closed = cv2.morphologyEx(small / light, cv2.MORPH_CLOSE, WIDE, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(closed, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE) * light
    paper = np.asarray(cv2.resize(smooth, (wide, high), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    side = round(pen * max(high, wide))
    narrow = _brightness(cv2.morphologyEx(levels, cv2.MORPH_CLOSE, square(side, side), borderType=cv2.BORDER_REPLICATE))
    shadow = find_shadow(narrow, paper)
    return paper if shadow is None else np.where(shadow, narrow, paper)


def find_shadow(narrow: Float, paper: Float) -> Mask | None:
    """Where a hard-edged shadow or the table beside the sheet lies: dark, broader than a stroke, in from the rim.

    Args:
        narrow: (H, W) float32, brightness closed just wider than a stroke.
        paper: (H, W) float32, brightness closed much wider.

    Returns:
        (H, W) bool; None where there is none.
    """
    high, wide = narrow.shape
    dark = np.asarray(narrow < (1 - MIN_SHADOW) * paper).view(np.uint8)
    least = SHADOW_RIM * min(high, wide)
    if sum(map(np.count_nonzero, (dark[0], dark[-1], dark[:, 0], dark[:, -1]))) < least:
        return None
    count, parts = cv2.connectedComponents(dark, connectivity=4)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    is_shadow = np.bincount(rim, minlength=count) >= least
    is_shadow[0] = False
    reach = 2 * round(0.03 * max(high, wide)) + 1
    return np.asarray(cv2.dilate(is_shadow[parts].view(np.uint8), square(reach, reach)).astype(bool))


def measure_narrowness(picture: NDArray[np.uint8], chosen: Mask, *, dark_ink: bool) -> float:
    """How much of the chosen ink is narrow: about 1 for strokes, 0 for edges.

    The edge of a finger, a table or a shadow has light paper on one side only; a closing does not fill it.

    Args:
        picture: (H, W, 3) or (H, W) uint8.
        chosen: (H, W) bool.
        dark_ink: Whether the ink is darker than its paper.
    """
    channel = np.uint8(_shrink(_brightness(_sum_channels(picture if dark_ink else 255 - picture)), PAPER))
    weight = cv2.resize(chosen.astype(np.float32), channel.shape[::-1], interpolation=cv2.INTER_AREA)
    narrow, broad = (
        cv2.morphologyEx(channel, cv2.MORPH_CLOSE, square(side, side), borderType=cv2.BORDER_REPLICATE)
        for side in (round(PEN * PAPER) - 1, PAPER // 2)
    )
    depth = float((weight * cv2.subtract(broad, channel)).sum())
    return float((weight * cv2.subtract(narrow, channel)).sum()) / max(1e-6, depth)


def _fit_light(small: Float) -> Float:
    """The fall of light as a quadratic surface through the paper; ink is left out by fitting again without it."""
    y, x = (np.linspace(-1, 1, side) for side in small.shape)
    terms = _surface_terms(y[::4], x[::4])  # every 16th pixel is enough
    values = small[::4, ::4].ravel().astype(np.float64)
    low, high = percentiles(values, 30, 90)
    is_paper = values >= low
    for _ in range(3):
        places = np.flatnonzero(is_paper)
        paper = terms.take(places, axis=0)
        weights = np.linalg.solve(paper.T @ paper + RIDGE, paper.T @ values.take(places))
        away = values - terms @ weights
        is_paper = away > -2 * max(median(np.abs(away.take(places))), 0.5)
    misfit = percentile(np.abs(pick(away, is_paper)) / np.maximum(pick(values, is_paper), 1), 75)
    if misfit > MAX_MISFIT:  # the edge of a shadow is no slope: leave it to the closing
        return np.ones_like(small)
    along = weights[0] + (weights[1] + weights[3] * x) * x
    down = (weights[2] + weights[5] * y) * y
    surface = along + down[:, None] + weights[4] * y[:, None] * x
    return np.asarray(np.maximum(surface, max(0.25 * high, 1.0)), dtype=np.float32)


def _surface_terms(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1, x, y, x², xy, y² at every crossing of these rows and columns: (H · W, 6)."""
    x, y = np.tile(x, len(y)), np.repeat(y, len(x))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def find_floor(ink: Float, grain: float) -> float:
    """The least that is ink: above the paper, which more than half of the pixels are, by three times its grain.

    Args:
        ink: (H, W) float32, 0 to 1.
        grain: From `measure_grain`.
    """
    is_smooth = 2 * np.count_nonzero(ink <= MIN_CONTRAST - 3 * grain) > ink.size  # usual, and found fast
    return MIN_CONTRAST if is_smooth else max(MIN_CONTRAST, median(ink) + 3 * grain)


def measure_grain(ink: Float) -> float:
    """Standard deviation of the paper's grain, from the median absolute difference of neighbours."""
    return median(cv2.absdiff(ink[:, 1:], ink[:, :-1])) * 1.05 if ink.shape[1] > 1 else 0.0
