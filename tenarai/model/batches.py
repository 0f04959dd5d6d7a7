"""Batches that are augmented anew in every epoch, the same way for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.model.augment import Augmentation, augment


@dataclass(frozen=True, eq=False)
class Copy:
    """Features of the images of a collection, or of a part of them, augmented in one way.

    Attributes:
        rows: (P,) int, which images of the collection.
        features: (P, F) float32.
    """

    rows: NDArray[np.intp]
    features: NDArray[np.float32]


def augmented_batches(
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    *,
    how: Augmentation | None,
    batch: int,
    seed: int,
    weights: NDArray[np.float32] | None = None,
) -> Any:
    """A `keras.utils.PyDataset` over the images in a new order each epoch.

    Args:
        pixels: (N, 28, 28) uint8.
        targets: (N, K) float32, each row a distribution over the labels.
        how: Strength of the augmentation; None for none.
        batch: Images a step.
        seed: Decides order and augmentation.
        weights: (N,) float32, weight of each image in the loss. Default: all 1.
    """

    def take(epoch: int, step: int, rows: NDArray[np.intp]) -> tuple[Any, ...]:
        images = pixels[rows]
        if how is not None:
            images = augment(images, np.random.default_rng([seed, epoch, step]), how)
        return (images, targets[rows]) if weights is None else (images, targets[rows], weights[rows])

    return _shuffled(len(pixels), batch, seed, take)


def feature_batches(
    copies: Sequence[Copy],
    train: NDArray[np.intp],
    targets: NDArray[np.float32],
    *,
    batch: int,
    seed: int,
    weights: NDArray[np.float32],
) -> Any:
    """A `keras.utils.PyDataset` over features, another augmented copy in each epoch.

    Args:
        copies: The same images augmented in different ways, or as large parts of them.
        train: (T,) int, the images to learn from.
        targets: (N, K) float32 distributions of all images.
        batch: Images a step.
        seed: Decides the order.
        weights: (N,) float32, weight of each image in the loss.
    """
    places = [_find_places(copy, train, len(targets)) for copy in copies]

    def take(epoch: int, step: int, chosen: NDArray[np.intp]) -> tuple[Any, ...]:
        copy = copies[epoch % len(copies)]
        at = places[epoch % len(copies)][chosen]
        rows = copy.rows[at]
        return copy.features[at], targets[rows], weights[rows]

    return _shuffled(min(map(len, places)), batch, seed, take)


def _shuffled(length: int, batch: int, seed: int, take: Callable[[int, int, NDArray[np.intp]], tuple[Any, ...]]) -> Any:
    """A `keras.utils.PyDataset` over a length, in a new order each epoch; `take(epoch, step, rows)` makes a batch."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(workers=1)
            self.epoch = 0
            self._shuffle()

        def _shuffle(self) -> None:
            self.order = np.random.default_rng([seed, self.epoch]).permutation(length)

        def __len__(self) -> int:
            return int(np.ceil(length / batch))

        def __getitem__(self, step: int) -> tuple[Any, ...]:
            return take(self.epoch, step, self.order[step * batch : (step + 1) * batch])

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self._shuffle()

    return Batches()


def _find_places(copy: Copy, rows: NDArray[np.intp], num_images: int) -> NDArray[np.intp]:
    """Where these images stand in a copy, in their order; those that it has not are left out."""
    places = np.full(num_images, -1, dtype=np.intp)
    places[copy.rows] = np.arange(len(copy.rows))
    found = places[rows]
    return found[found >= 0]


def one_hot(targets: NDArray[np.int64], num_labels: int, *, smoothing: float = 0.0) -> NDArray[np.float32]:
    """(N,) labels to (N, K) float32 distributions; -1 (no character at all) becomes the uniform one."""
    rows = np.full((len(targets), num_labels), smoothing / num_labels, dtype=np.float32)
    known = targets >= 0
    rows[np.flatnonzero(known), targets[known]] += 1 - smoothing
    rows[~known] = 1 / num_labels
    return rows
