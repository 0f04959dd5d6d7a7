"""The forward pass of a trained network in NumPy: Keras' probabilities to 1e-5, without importing Keras."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float32]

CHUNK = 64  # images at once: their intermediate arrays fit into the cache
EPSILON = 1e-3  # of Keras' batch normalisation

_BASE = ((2, False), (1, False), (2, False), (1, True))
CONVOLUTIONS: dict[str, tuple[tuple[int, bool], ...]] = {
    "mlp": (),
    "cnn": ((1, True), (1, True)),
    "base": _BASE,
    "transfer": _BASE,
}
"""The stride of each convolution of a recipe's network, and whether 2 × 2 max pooling follows it."""


class Forward:
    """Computes what a network of a recipe computes: convolutions with ReLU, a dense layer with ReLU, softmax.

    Args:
        recipe: Name of the recipe.
        weights: The network's weights in Keras' order.

    Raises:
        ValueError: The weights are not those of such a network.
    """

    def __init__(self, recipe: str, weights: Iterable[NDArray[Any]]) -> None:
        """Fold scaling and batch normalisation into the weights."""
        *convolutions, hidden, logits = _fold([np.asarray(array, dtype=np.float32) for array in weights])
        if len(convolutions) != len(CONVOLUTIONS.get(recipe, ())) or recipe not in CONVOLUTIONS:
            raise ValueError(f"{len(convolutions)} convolutions in a network of the recipe {recipe}")
        self._convolutions = list(zip(convolutions, CONVOLUTIONS[recipe], strict=True))
        self._hidden, self._logits = hidden, logits

    def predict(self, pixels: NDArray[np.uint8]) -> Floats:
        """(N, 28, 28) uint8 → (N, K) float32, rows summing to 1."""
        kernel, bias = self._logits
        logits = self.features(pixels) @ kernel + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """(N, 28, 28) uint8 → (N, F) float32, the output of the hidden dense layer."""
        if not len(pixels):
            return np.empty((0, len(self._hidden[1])), dtype=np.float32)
        chunks = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
        # threads over chunks of images beat the threads of the linear algebra, which wait for one another
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return np.concatenate(list(pool.map(self._compute_features, chunks)))

    def _compute_features(self, pixels: NDArray[np.uint8]) -> Floats:
        x = pixels.transpose(1, 2, 0)[None].astype(np.float32)  # images last: copies are long and fast
        for weights, (stride, is_pooled) in self._convolutions:
            x = _convolve(x, *weights, stride)
            x = _pool(x) if is_pooled else x
        kernel, bias = self._hidden
        flat = x.transpose(3, 1, 2, 0).reshape(x.shape[-1], -1)
        return np.asarray(np.maximum(flat @ kernel + bias, 0))


def _fold(arrays: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    """(kernel, bias) of each layer, with batch normalisation and the scaling of pixels folded in."""
    starts = [number for number, array in enumerate(arrays) if array.ndim > 1]
    layers = []
    for start, end in zip(starts, [*starts[1:], len(arrays)], strict=True):
        kernel, *vectors = arrays[start:end]
        if len(vectors) == 4:
            gamma, beta, mean, variance = vectors
            scale = gamma / np.sqrt(variance + np.float32(EPSILON))
            kernel, vectors = kernel * scale, [beta - mean * scale]
        (bias,) = vectors
        layers.append((kernel, bias))
    layers[0] = (layers[0][0] / np.float32(255), layers[0][1])
    return layers


def _convolve(x: Floats, kernel: Floats, bias: Floats, stride: int) -> Floats:
    """A convolution with padding `same`, and ReLU: (C, H, H, N) → (F, H / stride, H / stride, N)."""
    size, side = len(kernel), -(-x.shape[1] // stride)
    reach = (side - 1) * stride + 1
    missing = max(reach - 1 + size - x.shape[1], 0)
    around = (missing // 2, missing - missing // 2)
    padded = np.pad(x, ((0, 0), around, around, (0, 0)))
    shifts = [padded[:, i : i + reach : stride, j : j + reach : stride] for i in range(size) for j in range(size)]
    columns = np.stack(shifts).reshape(kernel[..., 0].size, -1)
    made = kernel.reshape(-1, len(bias)).T @ columns
    made += bias[:, None]
    return np.asarray(np.maximum(made, 0, out=made).reshape(len(bias), side, side, -1))


def _pool(x: Floats) -> Floats:
    """2 × 2 max pooling; a last odd row or column is dropped, as in Keras."""
    end = x.shape[1] // 2 * 2
    rows = np.maximum(x[:, 0:end:2], x[:, 1:end:2])
    return np.asarray(np.maximum(rows[:, :, 0:end:2], rows[:, :, 1:end:2]))
