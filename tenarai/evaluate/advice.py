"""Which images of the inbox to file first: `benchmarks/advice.py` measures what that is worth.

Similarity is taken from blurred pixels, so that a quiet night needs no model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_SPREAD = 48  # so many of the inbox are told apart from each other; nobody files more in one go


def order_inbox(probabilities: NDArray[np.float32], pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Which unlabelled images to file first: the least sure, diverse among themselves; the rest by how sure.

    Args:
        probabilities: (N,) float32, of what the champion reads, 0 to 1.
        pixels: (N, 28, 28) uint8.

    Returns:
        (N,) row numbers in the order in which they should be filed.
    """
    doubts = 1 - probabilities.astype(np.float64) + 1e-3
    looks = soften(pixels)
    waiting = np.ones(len(doubts), dtype=bool)
    distance = np.ones(len(doubts))
    order: list[int] = []
    while len(order) < min(MAX_SPREAD, len(doubts)):
        chosen = int(np.where(waiting, doubts * distance, -1.0).argmax())
        order.append(chosen)
        waiting[chosen] = False
        distance = np.minimum(distance, np.linalg.norm(looks - looks[chosen], axis=1))
    rest = np.flatnonzero(waiting)
    return np.array([*order, *rest[np.argsort(probabilities[rest], kind="stable")]], dtype=np.intp)


def soften(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 28, 28) uint8 → (N, 196) float32 of length 1 each: blurred by averaging, so that near strokes are alike."""
    ink = pixels.astype(np.float32) / 255
    wide = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    blurred = sum(wide[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)) / 9
    small = np.asarray(blurred).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(pixels), 196)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), dtype=np.float32)
