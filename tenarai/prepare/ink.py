"""Dark ink or light, and how strong it is: light and shadow divided out."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.order import in_order, median, percentile

SMALL = 64  # side at which polarity is judged
GREY = 8  # channels that differ by at most this show no colour, 0 to 255
PAPER = 128  # side at which the paper is estimated
MAX_MISFIT = 0.04  # a surface that misses the paper by more than this share is not how the light falls
NARROW = 0.16  # a stroke is narrower than this share of the picture's longest side
MIN_SHADOW = 0.1  # share of the paper's light that a shadow takes at least
SHADOW_RIM = 0.3  # a shadow takes at least this share of the picture's shorter side along the rim
MIN_CONTRAST = 0.03  # ink that stands out less from its paper is no ink, 0 to 1

_THIRDS = (np.arange(3 * 255 + 1) / 3).astype(np.float32)

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def has_dark_ink(picture: NDArray[np.uint8]) -> bool:
    """Whether the ink is darker than its paper.

    Two witnesses: the border is paper, so what differs from its median is ink; and strokes are rare, so the high-passed
    picture is skewed towards the ink. Where they disagree, the stronger one decides.
    """
    grey = _shrink(_mean_channel(picture), SMALL)
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
    small = cv2.split(_shrink(positive.astype(np.float32), SMALL))
    if int(np.max(np.maximum.reduce(small) - np.minimum.reduce(small))) <= GREY:
        return _strength(_mean_channel(positive), darkest)
    strengths = [_strength(np.asarray(channel, dtype=np.float32), darkest) for channel in cv2.split(positive)]
    spread = [percentile(s, 99.5) - percentile(s, 50) for s in map(in_order, strengths)]
    best = int(np.argmax(spread))
    # a grey picture has three equal channels; only clearly coloured ink is worth the noise of a single one
    if spread[best] < 1.15 * min(spread) + 0.02:
        return _strength(_mean_channel(positive), darkest)
    return strengths[best]


def _mean_channel(picture: NDArray[np.uint8]) -> Float:
    """The mean of the three channels, by a table: NumPy takes ten times as long over an axis of three."""
    red, green, blue = cv2.split(picture)
    return np.asarray(_THIRDS[np.add(red, green, dtype=np.uint16) + blue])


def _strength(channel: Float, darkest: float) -> Float:
    """Share of the paper's light that each pixel swallows; no paper counts as darker than `darkest`.

    Without that floor the grain of a nearly black page would be blown up to ink.
    """
    paper = local_paper(channel)
    return np.asarray(np.clip((paper - channel) / np.maximum(paper, darkest), 0, 1), dtype=np.float32)


def local_paper(channel: Float) -> Float:
    """Brightness of the paper under each pixel: the fall of light over the page, then a closing wider than any stroke.

    The surface keeps the closing from taking a corner in the dark for ink; where a shadow reaches in from the rim, a
    narrow closing follows its edge.

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
    paper = np.asarray(cv2.resize(smooth, (wide, high), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    kernel = np.ones((round(NARROW * max(high, wide)),) * 2, np.uint8)
    narrow = cv2.morphologyEx(channel, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.where(find_shadow(narrow, paper), narrow, paper)


def find_shadow(narrow: Float, paper: Float) -> Mask:
    """Where a hard-edged shadow or the table beside the sheet lies: dark, broader than a stroke, in from the rim.

    Args:
        narrow: (H, W) float32, brightness closed just wider than a stroke.
        paper: (H, W) float32, brightness closed much wider.
    """
    high, wide = narrow.shape
    dark = np.uint8(narrow < (1 - MIN_SHADOW) * paper)
    count, parts = cv2.connectedComponents(dark, connectivity=4)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    at_rim = np.bincount(rim, minlength=count)
    is_shadow = at_rim >= SHADOW_RIM * min(high, wide)
    is_shadow[0] = False
    found = np.uint8(is_shadow[parts])
    reach = 2 * round(0.03 * max(high, wide)) + 1
    return np.asarray(cv2.dilate(found, np.ones((reach, reach), np.uint8)).astype(bool))


def _fit_light(small: Float) -> Float:
    """The fall of light as a quadratic surface through the paper; ink is left out by fitting again without it."""
    every = _surface_terms(*small.shape)
    thin = np.ix_(range(0, small.shape[0], 4), range(0, small.shape[1], 4))  # every 16th pixel tells enough
    terms, values = every[thin].reshape(-1, 6), small[thin].ravel().astype(np.float64)
    ordered = in_order(values)
    is_paper = values >= percentile(ordered, 30)
    for _ in range(3):
        paper = terms[is_paper]
        # a touch of ridge: paper seen in one corner only leaves the surface undecided
        weights = np.linalg.solve(paper.T @ paper + 1e-3 * np.eye(6), paper.T @ values[is_paper])
        away = values - terms @ weights
        is_paper = away > -2 * max(median(in_order(np.abs(away[is_paper]))), 0.5)
    misfit = percentile(in_order(np.abs(away[is_paper]) / np.maximum(values[is_paper], 1)), 75)
    if misfit > MAX_MISFIT:  # the edge of a shadow is no slope: leave it to the closing
        return np.ones_like(small)
    low = 0.25 * percentile(ordered, 90)
    return np.asarray(np.maximum(every @ weights, max(low, 1.0)), dtype=np.float32)


@cache
def _surface_terms(high: int, wide: int) -> NDArray[np.float64]:
    """1, x, y, x², xy, y² over a page, x and y from -1 to 1: (high, wide, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, high), np.linspace(-1, 1, wide), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def measure_grain(ink: Float) -> float:
    """Standard deviation of the paper's grain, by the median of absolute differences of neighbours."""
    return median(in_order(np.abs(np.diff(ink, axis=1)))) * 1.05
