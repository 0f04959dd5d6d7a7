"""The cells of a study: each is one training, told in a few words; what came out of it is kept in a file of its own.

A file is named by all that decides its content, so a study that was interrupted, or asked for more seeds, goes on from
what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tenarai.errors import StoreError
from tenarai.store import Store
from tenarai.study.material import NORMALISED, Material

VERSION = 1  # raise it when a cell of the same words would give other numbers
FOLDER = "studies"


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        recipe: `article` (its network, one batch an epoch), `mlp`, `cnn`, `transfer`, or `base`: untouched.
        reading: How pictures become 28 × 28 pixels, for training and for reading.
        augmented: Whether training images are changed a little in each epoch.
        epochs: How many; with `stopping` at most so many.
        stopping: EarlyStopping on folds of the training images finds the number, as a night does.
        draw: Images a label to train on; 0: all but a held-out fifth.
        samples: Of these, so many a label; 0: all.
        extra: `` or `alike`: ten more images of the question's label that look most like it.
        asks: Whether it reads the question.
        seed: Decides the draw, the start and the order.
    """

    recipe: str
    reading: str = NORMALISED
    augmented: bool = False
    epochs: int = 40
    stopping: bool = False
    draw: int = 0
    samples: int = 0
    extra: str = ""
    asks: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came out of a cell.

    Attributes:
        num_train: Images trained on.
        epochs: Epochs of the last fit.
        history: `loss`, `accuracy`, `val_loss`, `val_accuracy` over epochs; without `val_` where nothing was held out
            or EarlyStopping chose the epochs, none for the base.
        right: `1` or `0` for each held-out image, in their order.
        article_right: The same, read the way the article reads; empty for other recipes.
        best_epochs: Of each fold, with `stopping`.
        answer: What is read in the question; empty where it is not asked.
        probability: Of that answer, 0 to 1.
        nearest: Rows of the images most like the question to the base model, nearest first; of the base only.
        seconds: How long it took.
    """

    num_train: int
    epochs: int
    history: dict[str, list[float]] = field(default_factory=dict)
    right: str = ""
    article_right: str = ""
    best_epochs: tuple[int, ...] = ()
    answer: str = ""
    confidence: float = 0.0
    nearest: tuple[int, ...] = ()
    seconds: float = 0.0


class Notebook:
    """Outcomes as small files in a store, `studies/cells/<name>.json`.

    Args:
        store: Where they lie.
        material: What the cells are trained on.
        environment: Whatever else decides the numbers, such as versions.
    """

    def __init__(self, store: Store, material: Material, environment: Mapping[str, str]) -> None:
        """Keep them; nothing is read yet."""
        self._store, self._material, self._environment = store, material, dict(environment)

    def name(self, cell: Cell) -> str:
        """Name of a cell's file."""
        question = self._material.question if cell.asks else None
        asked = question.fingerprint if question else ""
        words = [VERSION, asdict(cell), self._material.fingerprint, asked, self._environment]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:24]

    def find(self, cell: Cell) -> Outcome | None:
        """What came out of a cell earlier; None where it was never finished, or its file makes no sense."""
        parts = (FOLDER, "cells", f"{self.name(cell)}.json")
        if not self._store.exists(*parts):
            return None
        try:
            return _parse(self._store.read_json(*parts)["outcome"])
        except (StoreError, KeyError, TypeError, ValueError):
            return None  # trained again, and written anew

    def keep(self, cell: Cell, outcome: Outcome) -> None:
        """Keep what came out.

        Raises:
            StoreError: It cannot be written.
        """
        value = {"cell": asdict(cell), "outcome": asdict(outcome)}
        self._store.write_json(value, FOLDER, "cells", f"{self.name(cell)}.json")


def _parse(found: dict[str, Any]) -> Outcome:
    if set(found) != {field.name for field in fields(Outcome)}:
        raise ValueError(f"fields {sorted(found)}")
    return Outcome(**{**found, "best_epochs": tuple(found["best_epochs"]), "nearest": tuple(found["nearest"])})
