"""Write a model for other programs, and check on a hundred digits that it reads as before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.base.strokes import draw_digits
from tenarai.evaluate.predictions import load_champion, load_model_by_id
from tenarai.model.export import Format, compare_exported, export_model
from tenarai.prepare import normalise
from tenarai.settings import Settings
from tenarai.store import find_store

NUM_EACH = 10


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        model: Id of the model.
        out, record: Where it and its record are.
        num_checked: Digits that both read; 0 where no runtime for the format is installed.
        difference: Largest difference of a probability on them.
    """

    model: str
    out: Path
    record: Path
    num_checked: int
    difference: float

    def as_line(self) -> str:
        """For people."""
        checked = (
            f"reads {self.num_checked} digits as before, probabilities at most {self.difference:.1g} apart"
            if self.num_checked
            else "not checked, since no runtime for it is installed here"
        )
        return f"{self.model} → {self.out}: {checked}\nlabels and the rest of its record: {self.record}"


def export_to(settings: Settings, form: Format, out: Path, *, model: str | None = None) -> Exported:
    """Write the champion, or another model, in another format.

    Args:
        settings: Where the store is; without a store it is the base model.
        form: litert, onnx or saved_model.
        out: A file, or for saved_model a folder.
        model: Id of the model. Default: the champion.

    Raises:
        ModelError: The model is missing or damaged, or reads otherwise once it is written.
        SettingsError: The place cannot be written, or a package is missing.
    """
    store = find_store(settings.store)
    loaded = load_model_by_id(store, model) if model else load_champion(store)
    record = export_model(loaded, form, out)
    rng = np.random.default_rng(0)
    digits = np.concatenate([draw_digits(label, NUM_EACH, rng, normalise) for label in "0123456789"])
    difference = compare_exported(loaded, form, out, digits)
    return Exported(loaded.info.id, out, record, len(digits) if difference is not None else 0, difference or 0.0)
