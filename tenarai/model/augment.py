"""Augmentation, and batches of augmented images in a new order each epoch; the same for the same seed.

Affine and elastic distortions after Simard, Steinkraus and Platt, "Best practices for convolutional neural networks"
(2003).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.model.backend import keras

Digits = NDArray[np.uint8]
Rows = NDArray[np.intp]


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


@dataclass(frozen=True, eq=False)
class Copy:
    """Features of a training set, or of a part of it, augmented in one way.

    Attributes:
        rows: (P,) int, row numbers in the training set.
        features: (P, F) float32.
    """

    rows: Rows
    features: NDArray[np.float32]


class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
    """Takes `length` rows in a new order each epoch.

    Args:
        length: Number of rows.
        batch: Rows a step.
        seed: Decides the order.
        take: Makes the batch of an epoch, a step and its rows: inputs, targets, and weights if there are any.
    """

    def __init__(self, length: int, batch: int, seed: int, take: Callable[[int, int, Rows], tuple[Any, ...]]) -> None:
        """Shuffle the first epoch."""
        super().__init__(workers=1)
        self._length, self._batch, self._seed, self._take = length, batch, seed, take
        self._epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        """Steps an epoch."""
        return (self._length + self._batch - 1) // self._batch

    def __getitem__(self, step: int) -> tuple[Any, ...]:
        """The batch of a step."""
        rows = self._order[step * self._batch : (step + 1) * self._batch]
        return self._take(self._epoch, step, rows)

    def on_epoch_end(self) -> None:
        """Shuffle the next epoch."""
        self._epoch += 1
        self._order = np.random.default_rng([self._seed, self._epoch]).permutation(self._length)


def augmented_batches(
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    *,
    augmentation: Augmentation | None,
    batch: int,
    seed: int,
    weights: NDArray[np.float32] | None = None,
) -> Batches:
    """Make batches of images.

    Args:
        pixels: (N, 28, 28) uint8.
        targets: (N, K) float32, each row a distribution over the labels.
        augmentation: Strength of the augmentation; None for none.
        batch: Images a step.
        seed: Decides order and augmentation.
        weights: (N,) float32, weight of each image in the loss. Default: all 1.
    """

    def take(epoch: int, step: int, rows: Rows) -> tuple[Any, ...]:
        images = pixels[rows]
        if augmentation is not None:
            images = augment(images, np.random.default_rng([seed, epoch, step]), augmentation)
        return (images, targets[rows]) if weights is None else (images, targets[rows], weights[rows])

    return Batches(len(pixels), batch, seed, take)


def feature_batches(
    copies: Sequence[Copy],
    train: Rows,
    targets: NDArray[np.float32],
    *,
    batch: int,
    seed: int,
    weights: NDArray[np.float32],
) -> Batches:
    """Make batches of features, from another augmented copy in each epoch.

    Args:
        copies: The same images augmented in different ways, or parts of them of the same size.
        train: (T,) int, the rows to train on.
        targets: (N, K) float32 distributions of all images.
        batch: Images a step.
        seed: Decides the order.
        weights: (N,) float32, weight of each image in the loss.
    """
    places = [_find_places(copy, train, len(targets)) for copy in copies]

    def take(epoch: int, step: int, chosen: Rows) -> tuple[Any, ...]:
        copy, at = copies[epoch % len(copies)], places[epoch % len(copies)][chosen]
        rows = copy.rows[at]
        return copy.features[at], targets[rows], weights[rows]

    return Batches(min(map(len, places)), batch, seed, take)


def _find_places(copy: Copy, rows: Rows, num_images: int) -> Rows:
    """Positions of rows in a copy, in their order; rows that the copy does not have are left out."""
    places = np.full(num_images, -1, dtype=np.intp)
    places[copy.rows] = np.arange(len(copy.rows))
    found = places[rows]
    return found[found >= 0]


def one_hot(targets: NDArray[np.int64], num_labels: int, *, smoothing: float = 0.0) -> NDArray[np.float32]:
    """(N,) labels to (N, K) float32 distributions; -1 (no character) becomes the uniform distribution."""
    rows = np.full((len(targets), num_labels), smoothing / num_labels, dtype=np.float32)
    known = targets >= 0
    rows[np.flatnonzero(known), targets[known]] += 1 - smoothing
    rows[~known] = 1 / num_labels
    return rows


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
