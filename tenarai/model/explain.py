"""Why an image is read as it is: the training images that look most like it to the model, and where it looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenarai.model.bundle import LoadedModel

GRID = 14  # positions along each side that are covered in turn
PATCH = 6  # side of the cover, in pixels


def find_nearest(
    model: LoadedModel, pixels: NDArray[np.uint8], known: NDArray[np.uint8], *, number: int
) -> NDArray[np.intp]:
    """Find the known images that are most like each image to the model, by the cosine of their features.

    Args:
        model: The model.
        pixels: (N, 28, 28) uint8.
        known: (M, 28, 28) uint8.
        number: How many for each; fewer where M is smaller.

    Returns:
        (N, min(number, M)) row numbers in `known`, the most similar first.
    """
    ours, theirs = _directions(model.features(pixels)), _directions(model.features(known))
    return np.asarray(np.argsort(-(ours @ theirs.T), axis=1, kind="stable")[:, :number])


def map_occlusion(model: LoadedModel, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Map how much each prediction depends on each part: how far does it fall when that is covered with paper?

    After Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014).

    Args:
        model: The model.
        pixels: (N, 28, 28) uint8.

    Returns:
        (N, 14, 14) uint8, 255 where the prediction depends on it most; all 0 where covering changes nothing.
    """
    maps = np.zeros((len(pixels), GRID, GRID), dtype=np.uint8)
    for image, probabilities, heat in zip(pixels, model.predict(pixels), maps, strict=True):
        label = probabilities.argmax()
        fall = np.clip(probabilities[label] - model.predict(_cover(image))[:, label], 0, None).reshape(GRID, GRID)
        if fall.max() > 1e-6:
            heat[:] = np.round(255 * fall / fall.max())
    return maps


def _directions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9))


def _cover(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(196, 28, 28) uint8: the image with a patch of paper at each position of the grid."""
    covered = np.repeat(image[None], GRID * GRID, axis=0)
    for place in range(GRID * GRID):
        top, left = (2 * at + 1 - PATCH // 2 for at in divmod(place, GRID))
        covered[place, max(0, top) : top + PATCH, max(0, left) : left + PATCH] = 0
    return covered
