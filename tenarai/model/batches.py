"""Batches in a new order each epoch, with new augmentation; the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenarai.model.augment import Augmentation, augment

Rows = NDArray[np.intp]


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
