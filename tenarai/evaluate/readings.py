"""What models read: now, by loading them, or before, as the catalogue keeps it, so that quiet nights load none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenarai import evaluate
from tenarai.catalogue import Catalogue
from tenarai.evaluate.champion import champion_id, load_champion
from tenarai.night import Night
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import Case, ModelInfo, Prediction, Role

if TYPE_CHECKING:
    from tenarai.model.bundle import LoadedModel


@dataclass(frozen=True)
class Readings:
    """What a model reads in N images: their labels (N,) str, and probabilities (N, K) float32."""

    model: ModelInfo
    labels: NDArray[np.str_]
    probabilities: NDArray[np.float32]

    def of(self, rows: NDArray[np.intp]) -> list[Prediction]:
        """The readings of some of the images; of a million nobody wants them all."""
        return evaluate.read_labels(self.probabilities[rows], self.model.labels, self.model.unsure_below)


def read_with(model: LoadedModel, pixels: NDArray[np.uint8]) -> Readings:
    """Let a model read (N, 28, 28) uint8 digits."""
    probabilities = model.predict(pixels)
    return Readings(model.info, np.array(model.info.labels)[probabilities.argmax(axis=1)], probabilities)


def known_readings(night: Night, catalogue: Catalogue, model: str, sha256s: set[str]) -> dict[str, Prediction]:
    """What a model read before, by sha256; it is not loaded."""
    from tenarai.model.bundle import load_info

    kept = catalogue.predictions(model, sha256s)
    if not kept:
        return {}
    threshold = load_info(night.store, model).unsure_below
    return {sha: Prediction(label, sure, sure < threshold) for sha, (label, sure) in kept.items()}


def keep_readings(catalogue: Catalogue, model: str, readings: dict[str, Prediction]) -> None:
    """Keep what a model read, by sha256, for nights that will not load it."""
    catalogue.put_predictions(model, {sha: (reading.label, reading.confidence) for sha, reading in readings.items()})


def read_inbox_with(night: Night, catalogue: Catalogue) -> tuple[Case, ...]:
    """What the reigning champion reads in the inbox; what it has read before is not read again.

    The least sure come first, diverse among themselves: those are worth most when they are filed.
    """
    images = catalogue.images(night.settings.source, roles=(Role.INBOX,))
    digits = catalogue.digits(NORMALISER_VERSION, {image.sha256 for image in images})
    images = [image for image in images if image.sha256 in digits and digits[image.sha256].pixels]
    if not images:
        return ()
    champion = champion_id(night.store)
    known = known_readings(night, catalogue, champion, {image.sha256 for image in images})
    unread = sorted({image.sha256 for image in images} - set(known))
    if unread:
        model = load_champion(night.store)
        pixels = np.stack([np.frombuffer(digits[sha].pixels, np.uint8).reshape(28, 28) for sha in unread])
        read = dict(zip(unread, read_with(model, pixels).of(np.arange(len(unread))), strict=True))
        keep_readings(catalogue, champion, read)
        known = {**known, **read}
    found = sorted(
        (Case(image.path, image.sha256, "", known[image.sha256]) for image in images), key=lambda item: item.path
    )
    sure = np.array([known[item.sha256].confidence for item in found], dtype=np.float32)
    looks = np.stack([np.frombuffer(digits[item.sha256].pixels, np.uint8).reshape(28, 28) for item in found])
    return tuple(found[row] for row in evaluate.order_inbox(sure, looks))
