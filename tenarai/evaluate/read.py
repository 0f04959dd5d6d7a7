"""What does the champion read here? For the command line and for the `read` deployment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.evaluate.predictions import load_champion, load_model_by_id, to_predictions
from tenarai.prepare import read_digit
from tenarai.records import Prediction
from tenarai.settings import Settings
from tenarai.store import find_store

if TYPE_CHECKING:
    from tenarai.model.bundle import LoadedModel

BATCH = 256


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One image and what was read in it, or why it could not be read."""

    file: str
    reading: Prediction | None
    error: str = ""

    def as_json(self) -> dict[str, object]:
        """`file, label, probability, unsure`, and `error` where the image could not be read."""
        if self.reading is None:
            return {"file": self.file, "label": None, "probability": None, "unsure": True, "error": self.error}
        reading = self.reading
        return {
            "file": self.file,
            "label": reading.label,
            "probability": round(reading.confidence, 6),
            "unsure": reading.unsure,
        }

    def as_line(self) -> str:
        """For people: file, label, how sure."""
        if self.reading is None:
            return f"{self.file}: cannot be read: {self.error}"
        sure = "unsure" if self.reading.unsure else "sure"
        return f"{self.file}: {self.reading.label}  ({self.reading.confidence:.1%}, {sure})"


def read_files(files: Sequence[Path], settings: Settings, *, model: str | None = None) -> Iterator[ReadResult]:
    """Read image files with the champion, in the order given.

    Args:
        files: Paths of pictures of one character each.
        settings: Where the store is; without a store the base model reads.
        model: Id of another model to read with. Default: the champion.

    Raises:
        ModelError: The model is missing, damaged or of another normaliser.
    """
    store = find_store(settings.store)
    loaded = load_model_by_id(store, model) if model else load_champion(store)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(files), BATCH):
            yield from _read_batch(files[start : start + BATCH], settings, loaded, pool)


def _read_batch(
    files: Sequence[Path], settings: Settings, model: LoadedModel, pool: ThreadPoolExecutor
) -> list[ReadResult]:
    prepared = list(pool.map(partial(_prepare, settings), files))
    digits = {number: digit for number, digit in enumerate(prepared) if not isinstance(digit, str)}
    readings: list[Prediction] = []
    if digits:
        probabilities = model.predict(np.stack(list(digits.values())))
        readings = to_predictions(probabilities, model.info.labels, model.info.unsure_below)
    found = dict(zip(digits, readings, strict=True))
    return [
        ReadResult(str(file), found.get(number), digit if isinstance(digit, str) else "")
        for number, (file, digit) in enumerate(zip(files, prepared, strict=True))
    ]


def _prepare(settings: Settings, file: Path) -> NDArray[np.uint8] | str:
    """The digit in a file, (28, 28) uint8, or why there is none."""
    try:
        return read_digit(file.read_bytes(), max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    except OSError as error:
        return error.strerror or str(error)
    except ImageError as error:
        return error.what
