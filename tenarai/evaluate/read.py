"""What does the champion read here? For the command line and for the `read` deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from tenarai.errors import ImageError
from tenarai.evaluate.predictions import load_champion, load_model_by_id, to_predictions
from tenarai.locale import _
from tenarai.model.bundle import LoadedModel
from tenarai.prepare import THREADS, Character, are_one_piece, read_characters
from tenarai.records import Prediction
from tenarai.settings import Settings
from tenarai.store import find_store

BATCH = 256


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One image and what was read in it, or why it could not be read.

    Attributes:
        file: Path of the image.
        characters: What was read, in reading order; empty where the image could not be read.
        doubt: Why a single reading is unsure however clear the digit is; empty if it is not.
        error: Why the image could not be read.
    """

    file: str
    characters: tuple[Prediction, ...]
    doubt: str = ""
    error: str = ""

    @property
    def reading(self) -> Prediction | None:
        """All characters as one reading, with the probability that all are right."""
        if not self.characters:
            return None
        reading = Prediction.join(self.characters)
        return replace(reading, unsure=True) if self.doubt else reading

    def as_json(self) -> dict[str, object]:
        """`file, label, probability, unsure`; where they apply, `characters`, `doubt` and `error`."""
        found: dict[str, object] = {"file": self.file, **_as_json(self.reading)}
        if len(self.characters) > 1:
            found["characters"] = [_as_json(character) for character in self.characters]
        return found | {name: text for name, text in (("doubt", self.doubt), ("error", self.error)) if text}

    def as_line(self) -> str:
        """For people: file, label, how sure."""
        reading = self.reading
        if reading is None:
            return _("{file}: cannot be read: {error}", file=self.file, error=self.error)
        fields = {"file": self.file, "label": reading.label, "confidence": f"{reading.confidence:.1%}"}
        if self.doubt:
            return _("{file}: {label}  ({confidence}, unsure: {doubt})", doubt=self.doubt, **fields)
        if reading.unsure:
            return _("{file}: {label}  ({confidence}, unsure)", **fields)
        return _("{file}: {label}  ({confidence}, sure)", **fields)


def _as_json(reading: Prediction | None) -> dict[str, object]:
    if reading is None:
        return {"label": None, "probability": None, "unsure": True}
    return {"label": reading.label, "probability": round(reading.confidence, 6), "unsure": reading.unsure}


def read_files(files: Sequence[Path], settings: Settings, *, model: str | None = None) -> Iterator[ReadResult]:
    """Read image files with the champion, in the order given.

    Args:
        files: Paths of images.
        settings: Where the store is; without a store the base model reads.
        model: Id of another model to read with. Default: the champion.

    Raises:
        ModelError: The model is missing, damaged or of another normaliser.
    """
    store = find_store(settings.store)
    loaded = load_model_by_id(store, model) if model else load_champion(store)
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(files), BATCH):
            yield from _read_batch(files[start : start + BATCH], settings, loaded, pool)


def _read_batch(
    files: Sequence[Path], settings: Settings, model: LoadedModel, pool: ThreadPoolExecutor
) -> list[ReadResult]:
    one_piece = are_one_piece(model.info.labels)
    prepared = list(pool.map(partial(_prepare, settings, one_piece), files))
    digits = [character.digit for found in prepared if not isinstance(found, str) for character in found]
    probabilities = model.predict(np.stack(digits)) if digits else np.zeros((0, len(model.info.labels)), np.float32)
    readings = iter(to_predictions(probabilities, model.info.labels, model.info.unsure_below))
    return [
        ReadResult(str(file), (), error=found)
        if isinstance(found, str)
        else ReadResult(str(file), tuple(islice(readings, len(found))), found[0].doubt)
        for file, found in zip(files, prepared, strict=True)
    ]


def _prepare(settings: Settings, one_piece: bool, file: Path) -> list[Character] | str:
    """The characters in a file, or why there are none."""
    limits = {"max_bytes": settings.max_image_bytes, "max_pixels": settings.max_image_pixels}
    try:
        with file.open("rb") as stream:
            data = stream.read(settings.max_image_bytes + 1)  # of a larger one no more than shows that it is
        return read_characters(data, one_piece=one_piece, **limits)
    except OSError as error:
        return error.strerror or str(error)
    except ImageError as error:
        return error.what
