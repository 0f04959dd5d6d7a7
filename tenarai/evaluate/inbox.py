"""Unlabelled images, in the order in which they should be filed: the least sure first, and no two alike.

`benchmarks/advice.py` measures what that order is worth. Similarity is taken from blurred pixels, so that a quiet night
needs no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.evaluate.predictions import Predictions, champion_id, load_champion, recall, remember
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import CHARACTER, Case, Image, Prediction, Role
from tenarai.store import Store

MAX_SPREAD = 48  # so many images are kept apart from each other; nobody files more in one go


def read_inbox(store: Store, catalogue: Catalogue, source: str) -> tuple[Case, ...]:
    """Read the inbox with the champion; what it has read before is not read again.

    A photo of several characters is read as a whole, in reading order, or not at all.

    Raises:
        ModelError: The champion is missing or damaged.
    """
    images = catalogue.images(source, roles=(Role.INBOX,))
    digits = catalogue.digits(NORMALISER_VERSION, {image.sha256 for image in images})
    pixels = {
        sha: np.frombuffer(digit.pixels, np.uint8).reshape(28, 28) for sha, digit in digits.items() if digit.pixels
    }
    shown = _group_by_photo(images, pixels.keys())
    if not shown:
        return ()
    champion = champion_id(store)
    known = recall(store, catalogue, champion, pixels.keys())
    if unread := sorted(pixels.keys() - known.keys()):
        read = Predictions.of(load_champion(store), np.stack([pixels[sha] for sha in unread]))
        new = dict(zip(unread, read.rows(np.arange(len(unread))), strict=True))
        remember(catalogue, champion, new)
        known |= new
    known = {sha: replace(item, unsure=True) if digits[sha].doubt else item for sha, item in known.items()}
    readings = [Prediction.join([known[one.sha256] for one in characters]) for _photo, characters in shown]
    confidence = np.array([reading.confidence for reading in readings], dtype=np.float32)
    order = order_inbox(confidence, np.stack([pixels[characters[0].sha256] for _photo, characters in shown]))
    return tuple(Case(shown[n][0].path, shown[n][0].sha256, "", readings[n]) for n in order)


def _group_by_photo(images: Sequence[Image], usable: Collection[str]) -> list[tuple[Image, list[Image]]]:
    """Each file and the characters that it shows in reading order, itself if it is one; only where all are usable."""
    files, shown = {image.file_id: image for image in images}, defaultdict[str, list[Image]](list)
    for image in sorted(images, key=lambda image: image.file_id):
        if image.file_id.rpartition(CHARACTER)[0] or image.sha256 in usable:
            shown[image.file_id.rpartition(CHARACTER)[0] or image.file_id].append(image)
    found = [(files[name], all_of_it) for name, all_of_it in shown.items() if name in files]
    found = [pair for pair in found if all(image.sha256 in usable for image in pair[1])]
    return sorted(found, key=lambda pair: pair[0].path)


def order_inbox(confidence: NDArray[np.float32], pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Order unlabelled images: the least sure, diverse among themselves; then the rest by confidence.

    Args:
        confidence: (N,) float32, of the champion's predictions, 0 to 1.
        pixels: (N, 28, 28) uint8.

    Returns:
        (N,) row numbers.
    """
    doubts = 1 - confidence.astype(np.float64) + 1e-3
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
    return np.array([*order, *rest[np.argsort(confidence[rest], kind="stable")]], dtype=np.intp)


def soften(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 28, 28) uint8 → (N, 196) float32 of length 1 each: blurred, so that near strokes are similar."""
    ink = pixels.astype(np.float32) / 255
    wide = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    blurred = sum(wide[:, y : y + 28, x : x + 28] for y in range(3) for x in range(3)) / 9
    small = np.asarray(blurred).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(pixels), 196)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), dtype=np.float32)
