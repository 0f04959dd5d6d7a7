"""Writers to simulate nights with: real digits, the base model's features of them, and heads that train in a blink.

A writer's images are one person's own digits, or digits of MNIST's or USPS' test set put into a hand of its own: a
slant, a turn, a width and a pen that all of its images share. The base model was trained on none of them.

A head is what the recipe `transfer` fine-tunes, the base's two dense layers, in NumPy: the same start, loss, rate,
batch, dropout and augmented copies, for as many epochs as that recipe takes where no split is possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.base.score import load_writers
from tenarai.model import EPOCHS_WITHOUT_SPLIT
from tenarai.model.augment import GENTLE, augment, one_hot
from tenarai.model.bundle import load_base
from tenarai.model.networks import HEAD, take_convolutions
from tenarai.model.recipes import TransferFitter, balance
from tenarai.prepare import NORMALISER_VERSION, normalise

Floats = NDArray[np.float32]
LABELS = tuple("0123456789")
COPIES = 8
DROPOUT = 0.3
EPOCHS = EPOCHS_WITHOUT_SPLIT["transfer"]


@dataclass(frozen=True, eq=False)
class Hand:
    """A writer.

    Attributes:
        name: Where the images come from.
        pixels: (N, 28, 28) uint8, normalised.
        targets: (N,) int64.
        plain: (N, F) float32, the base's features.
        copies: Features of augmented copies, each (N, F).
    """

    name: str
    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    plain: Floats
    copies: tuple[Floats, ...]

    def take(self, rows: NDArray[np.intp]) -> Hand:
        """Only these images."""
        return Hand(
            self.name, self.pixels[rows], self.targets[rows], self.plain[rows], tuple(c[rows] for c in self.copies)
        )


@dataclass(frozen=True, eq=False)
class Head:
    """Two dense layers: (F, H), (H,), (H, K), (K,) float32."""

    weights: tuple[Floats, Floats, Floats, Floats]

    def probabilities(self, features: Floats) -> Floats:
        """(N, F) → (N, K), rows summing to 1."""
        a, b, c, d = self.weights
        return _softmax(np.maximum(features @ a + b, 0) @ c + d)

    def read(self, features: Floats) -> NDArray[np.int64]:
        """(N, F) → (N,) int64, the most probable label."""
        return np.asarray(self.probabilities(features).argmax(axis=1), dtype=np.int64)


class Hands:
    """Draws writers, the same for the same seed.

    Args:
        own: Folder of `<set>/<label>/<file>`; sets of 500 images and more are writers.
        pools: `.npz` files with `x_test`, `y_test`.
    """

    def __init__(self, own: Path, pools: list[Path]) -> None:
        """Nothing is read yet."""
        self._own, self._pools, self._drawn = own, pools, dict[tuple[int, int], Hand]()

    @cached_property
    def _sources(self) -> list[tuple[str, NDArray[np.uint8], NDArray[np.int64], bool]]:
        """Name, images, targets, and whether they are one person's, normalised already."""
        sets = [writer for writer in load_writers(self._own) if len(writer.files) >= 500]
        found = [(w.name, w.digits, np.array([int(label) for label in w.labels], np.int64), True) for w in sets]
        for path in self._pools:
            with np.load(path) as arrays:
                found.append((path.stem, arrays["x_test"][:4000], arrays["y_test"][:4000].astype(np.int64), False))
        return found

    def draw(self, seed: int, size: int = 800) -> Hand:
        """The writer of a seed: own digits and pools in turn, at most `size` images."""
        if (seed, size) not in self._drawn:
            self._drawn[seed, size] = self._draw(seed, size)
        return self._drawn[seed, size]

    def _draw(self, seed: int, size: int) -> Hand:
        rng = np.random.default_rng([seed, 2])
        name, images, targets, is_own = self._sources[seed % len(self._sources)]
        rows = rng.permutation(len(images))[:size]
        pixels, targets = images[rows], targets[rows]
        if not is_own:
            pixels = _write_by_hand(pixels, rng)
        copies = [augment(pixels, rng, GENTLE) for _ in range(COPIES)]
        return Hand(name, pixels, targets, see(pixels), tuple(see(copy) for copy in copies))


def _write_by_hand(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put (N, H, W) digits into one hand, and through the normaliser."""
    slant, turn, width = rng.normal(0, 0.28), rng.normal(0, 12), np.exp(rng.normal(0, 0.22))
    pen = int(rng.integers(-1, 3))
    side = 112
    about = cv2.getRotationMatrix2D((side / 2, side / 2), turn, 0.8)
    lean = np.array([[width, slant, side / 2 * (1 - width - slant)], [0, 1, 0], [0, 0, 1]])
    matrix = np.vstack([about, [0, 0, 1]]) @ lean
    written = []
    for image in images:
        ink = cv2.resize(image, (80, 80), interpolation=cv2.INTER_CUBIC)
        page = cv2.warpAffine(np.pad(ink, 16), matrix[:2], (side, side))
        if pen:
            change = cv2.dilate if pen > 0 else cv2.erode
            page = change(page, np.ones((1 + 2 * abs(pen),) * 2, np.uint8))
        written.append(normalise(page) if page.max() > 64 else np.zeros((28, 28), np.uint8))
    return np.stack(written)


@cache
def _base() -> tuple[Any, Head]:
    network = load_base(normaliser=NORMALISER_VERSION).network
    convolutions = take_convolutions(network)
    weights = [array for name in HEAD for array in network.get_layer(name).get_weights()]
    return convolutions, Head(tuple(weights))  # type: ignore[arg-type]


def base_head() -> Head:
    """The base model's own dense layers."""
    return _base()[1]


def see(pixels: NDArray[np.uint8]) -> Floats:
    """(N, 28, 28) uint8 → (N, F) float32, the base's features."""
    return np.asarray(_base()[0].predict(pixels, batch_size=512, verbose=0), np.float32)


def fit_head(
    hand: Hand,
    rows: NDArray[np.intp],
    seed: int,
    targets: NDArray[np.int64] | None = None,
) -> Head:
    """Fine-tune the base's head on some of a writer's images.

    Args:
        hand: The writer.
        rows: What to learn from.
        seed: Decides order, copies and dropout.
        targets: (N,) int64, labels to believe. Default: the writer's.
    """
    rng = np.random.default_rng([seed, len(rows)])
    truth = (hand.targets if targets is None else targets)[rows]
    wanted, weight = one_hot(truth, len(LABELS), smoothing=0.05), balance(truth)
    weights = [array.copy() for array in base_head().weights]
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    first, step = int(rng.integers(COPIES)), 0
    for epoch in range(EPOCHS):
        copy, order = hand.copies[(first + epoch) % COPIES], rng.permutation(len(rows))
        for start in range(0, len(rows), TransferFitter.BATCH):
            batch = order[start : start + TransferFitter.BATCH]
            step += 1
            slopes = _slopes(weights, copy[rows[batch]], wanted[batch], weight[batch], rng)
            rate = np.float32(TransferFitter.RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
            for layer, slope in enumerate(slopes):  # Adam
                means[layer] += 0.1 * (slope - means[layer])
                squares[layer] += 0.001 * (slope * slope - squares[layer])
                weights[layer] -= rate * means[layer] / (np.sqrt(squares[layer]) + 1e-7)
    return Head(tuple(weights))  # type: ignore[arg-type]


def _slopes(
    weights: list[Floats], features: Floats, wanted: Floats, weight: Floats, rng: np.random.Generator
) -> list[Floats]:
    """Gradients of the weighted cross-entropy, with dropout before each layer."""
    a, b, c, d = weights
    keep = np.float32(1 / (1 - DROPOUT))
    x = features * (rng.random(features.shape, np.float32) >= DROPOUT) * keep
    hidden = np.maximum(x @ a + b, 0)
    mask = (rng.random(hidden.shape, np.float32) >= DROPOUT) * keep
    y = hidden * mask
    error = (_softmax(y @ c + d) - wanted) * (weight / len(wanted))[:, None]
    back = (error @ c.T) * mask * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), y.T @ error, error.sum(axis=0)]


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
