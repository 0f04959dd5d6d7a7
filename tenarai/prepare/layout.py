"""MNIST's layout (LeCun et al., 1998): even pen width, a 20 × 20 box, centred by mass."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenarai.prepare.ink import Float, Mask, square
from tenarai.prepare.order import median, percentile, pick


def lay_out(ink: Float, chosen: Mask) -> NDArray[np.uint8]:
    """Stretch the grey levels, even out the pen width, and place the character as MNIST does.

    Args:
        ink: (H, W) float32, 0 to 1.
        chosen: (H, W) bool, the character.

    Returns:
        (28, 28) uint8.
    """
    full = max(percentile(pick(ink, chosen), 75), 1e-3)
    grown = cv2.dilate(chosen.view(np.uint8), square(3, 3))
    left, top, wide, high = cv2.boundingRect(grown)
    here = np.s_[top : top + high, left : left + wide]
    box = np.where(grown[here] > 0, np.clip(ink[here] / full, 0, 1), 0).astype(np.float32)
    box = even_out_pen(box)
    high, wide = box.shape
    factor = 20 / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = cv2.resize(box, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    peak = percentile(small[small > 0.1], 90) if (small > 0.1).any() else 1.0
    return _centre(np.clip(small / max(peak, 0.2), 0, 1))


def even_out_pen(box: Float) -> Float:
    """Thicken strokes under 2 pixels wide in the 20 × 20 box to 2.4, and thin those over 5 to 4."""
    scale = max(box.shape) / 20
    width = stroke_width(box > 0.4) / scale
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


def stroke_width(mask: Mask) -> float:
    """Typical stroke width in pixels: twice the distance of the centre line from the paper."""
    if not mask.any():
        return 0.0
    padded = np.pad(np.uint8(mask), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, square(3, 3)) - 1e-4) & (padded > 0)
    return 2 * median(distance[ridge]) - 0.5


def _centre(small: Float) -> NDArray[np.uint8]:
    """Put the centre of mass of a box of at most 20 × 20 at the middle of 28 × 28, as far as the box fits."""
    high, wide = small.shape
    total = float(small.sum()) or 1.0
    row = float((small.sum(axis=1) * np.arange(high)).sum()) / total
    column = float((small.sum(axis=0) * np.arange(wide)).sum()) / total
    top = int(np.clip(round(13.5 - row), 0, 28 - high))
    left = int(np.clip(round(13.5 - column), 0, 28 - wide))
    digit = np.zeros((28, 28), dtype=np.float32)
    digit[top : top + high, left : left + wide] = small
    return np.asarray(np.rint(digit * 255), dtype=np.uint8)


def squeeze(picture: NDArray[np.uint8], *, smooth: bool = False) -> NDArray[np.uint8]:
    """Convert the whole image to grey and resize it to 28 × 28, ignoring its aspect ratio.

    Args:
        picture: (H, W, 3) uint8.
        smooth: Average the pixels that fall together. Default: pick one of them, as Keras' `load_img` does by default.

    Returns:
        (28, 28) uint8, white 255.
    """
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).convert("L").resize((28, 28), method), dtype=np.uint8)
