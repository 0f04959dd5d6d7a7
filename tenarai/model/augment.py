"""Augmentation: small random changes of position, slant, size, pen and picture quality.

Affine and elastic distortions after Simard, Steinkraus and Platt, "Best practices for convolutional neural networks"
(2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Digits = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """Strength of the changes; each is drawn again for every image.

    Attributes:
        shift: Pixels of 28, standard deviation.
        rotate: Degrees, standard deviation.
        scale: Share, standard deviation, along each axis separately.
        shear: Standard deviation of the slant.
        elastic: Pixels of 28, standard deviation of a smooth field of 5 × 5 nodes.
        pen: Chance of a thicker or thinner pen.
        blur, noise, gap: Chances of a blur, of noise, of a gap in the stroke.
    """

    shift: float = 1.0
    rotate: float = 8.0
    scale: float = 0.08
    shear: float = 0.12
    elastic: float = 0.8
    pen: float = 0.4
    blur: float = 0.25
    noise: float = 0.25
    gap: float = 0.15


GENTLE = Augmentation(0.8, 6.0, 0.06, 0.08, 0.6, 0.3, 0.15, 0.1, 0.05)
STRONG = Augmentation(1.1, 10.0, 0.10, 0.16, 0.9, 0.5, 0.3, 0.25, 0.2)


def augment(digits: Digits, rng: np.random.Generator, augmentation: Augmentation) -> Digits:
    """Change every digit a little.

    Args:
        digits: (N, 28, 28) uint8, ink 255 on paper 0.
        rng: Source of all randomness; the same state gives the same pictures.
        augmentation: Strength of the changes.

    Returns:
        (N, 28, 28) uint8, new.
    """
    maps = _draw_maps(len(digits), rng, augmentation)
    chance = rng.random((len(digits), 4))
    amount = rng.random((len(digits), 4)).astype(np.float32)
    grain = rng.normal(0, 1, (28, 28)).astype(np.float32)
    changed = np.empty_like(digits)
    for n, digit in enumerate(digits):
        picture = cv2.remap(digit, maps[n, 0], maps[n, 1], cv2.INTER_LINEAR)
        if chance[n, 0] < augmentation.pen:
            picture = _change_pen(picture, float(amount[n, 0]))
        if chance[n, 1] < augmentation.gap:
            picture = _cut_gap(picture, rng)
        if chance[n, 2] < augmentation.blur:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.35 + 0.6 * float(amount[n, 2]))
        if chance[n, 3] < augmentation.noise:
            picture = _add_grain(picture, np.roll(grain, int(amount[n, 3] * 784)), float(amount[n, 3]))
        changed[n] = picture
    return changed


def _draw_maps(num: int, rng: np.random.Generator, strength: Augmentation) -> NDArray[np.float32]:
    """Source position of each pixel of the new picture: (N, 2, 28, 28) float32, x then y."""
    angle = np.deg2rad(rng.normal(0, strength.rotate, num))
    zoom = np.exp(rng.normal(0, strength.scale, (num, 2)))
    slant = rng.normal(0, strength.shear, num)
    shift = np.clip(rng.normal(0, strength.shift, (num, 2)), -3, 3)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.empty((num, 2, 2), dtype=np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = cos / zoom[:, 0], (slant * cos - sin) / zoom[:, 0]
    matrix[:, 1, 0], matrix[:, 1, 1] = sin / zoom[:, 1], (slant * sin + cos) / zoom[:, 1]
    y, x = np.mgrid[:28, :28].astype(np.float32) - 13.5
    maps = np.einsum("nij,jhw->nihw", matrix, np.stack([x, y])) + (13.5 + shift)[:, :, None, None].astype(np.float32)
    nodes = rng.normal(0, strength.elastic, (num, 5, 5, 2)).astype(np.float32)
    for n in range(num):
        maps[n] += cv2.resize(nodes[n], (28, 28), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    return np.ascontiguousarray(maps, dtype=np.float32)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _change_pen(picture: Digits, amount: float) -> Digits:
    """Make the stroke thicker or thinner by up to a pixel; it never disappears."""
    thick = amount > 0.4
    other = cv2.dilate(picture, _CROSS) if thick else cv2.erode(picture, _CROSS)
    weight = abs(amount - 0.4) / 0.6 if thick else 0.7 * abs(amount - 0.4) / 0.4
    return np.asarray(cv2.addWeighted(other, weight, picture, 1 - weight, 0), dtype=np.uint8)


def _cut_gap(picture: Digits, rng: np.random.Generator) -> Digits:
    """Cut a small hole, as a dry pen or a high threshold does."""
    holed = picture.copy()
    y, x = rng.integers(4, 24, 2)
    cv2.circle(holed, (int(x), int(y)), int(rng.integers(1, 3)), 0, -1)
    return holed


def _add_grain(picture: Digits, grain: NDArray[np.float32], amount: float) -> Digits:
    """Add noise to the ink; clean paper stays clean, as the normaliser leaves it."""
    inked = picture > 24
    return np.where(inked, np.clip(picture + 40 * amount * grain, 0, 255), picture).astype(np.uint8)
