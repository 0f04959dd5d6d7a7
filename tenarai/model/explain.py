"""Why an image is read as it is: the training images most like it to the model, and where the reading comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.model.bundle import BATCH, LoadedModel
from tenarai.model.networks import HEAD

GRID = 14  # places along each side that are covered in turn
PATCH = 6  # side of what is covered, in pixels


def find_nearest(
    model: LoadedModel, pixels: NDArray[np.uint8], known: NDArray[np.uint8], *, number: int
) -> NDArray[np.intp]:
    """The known images most like each image to the model: by the cosine of what its last hidden layer makes of them.

    Args:
        model: The model that reads.
        pixels: (N, 28, 28) uint8.
        known: (M, 28, 28) uint8.
        number: How many for each; fewer where there are not as many.

    Returns:
        (N, min(number, M)) row numbers in `known`, the most alike first.
    """
    features = feature_network(model.network)
    ours, theirs = _directions(features, pixels), _directions(features, known)
    return np.asarray(np.argsort(-(ours @ theirs.T), axis=1, kind="stable")[:, :number])


def map_occlusion(model: LoadedModel, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How much each reading depends on each part (Zeiler and Fergus, 2014): covered with paper, how far does it fall?

    Args:
        model: The model that reads.
        pixels: (N, 28, 28) uint8.

    Returns:
        (N, 14, 14) uint8, 255 where the reading depends on it most; all 0 where covering changes nothing.
    """
    if not len(pixels):
        return np.zeros((0, GRID, GRID), dtype=np.uint8)
    whole = model.predict(pixels)
    read = whole.argmax(axis=1)
    maps = []
    for image, label, sure in zip(pixels, read, whole[np.arange(len(pixels)), read], strict=True):
        fall = np.clip(sure - model.predict(_cover(image))[:, label], 0, None).reshape(GRID, GRID)
        maps.append(np.round(255 * fall / fall.max()) if fall.max() > 1e-6 else np.zeros_like(fall))
    return np.stack(maps).astype(np.uint8)


def feature_network(network: Any) -> Any:
    """The network up to its last hidden layer, (N, 28, 28) uint8 → (N, F) float32; a `keras.Model`."""
    import keras

    inside = next((layer for layer in network.layers if isinstance(layer, keras.Model) and _has_head(layer)), None)
    if inside is None:
        return keras.Model(network.input, network.get_layer(HEAD[0]).output)
    # a fine-tuned base: its head is a network of its own, standing on the convolutions
    before = (
        inside.input
        if inside is network.layers[0]
        else network.layers[network.layers.index(inside) - 1](network.input, training=False)
    )
    hidden = keras.Model(inside.input, inside.get_layer(HEAD[0]).output, name="to_features")
    return keras.Model(network.input, hidden(before))


def _has_head(network: Any) -> bool:
    return any(layer.name == HEAD[0] for layer in network.layers)


def _directions(features: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    made = np.asarray(features.predict(pixels, batch_size=BATCH, verbose=0), dtype=np.float32)
    return np.asarray(made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9))


def _cover(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(196, 28, 28) uint8: the image with a patch of paper at each place of the grid."""
    covered = np.repeat(image[None], GRID * GRID, axis=0)
    for place in range(GRID * GRID):
        top, left = (2 * at + 1 - PATCH // 2 for at in divmod(place, GRID))
        covered[place, max(0, top) : top + PATCH, max(0, left) : left + PATCH] = 0
    return covered
