"""A trial is one training of a study. Its result is kept in the store, so a stopped study resumes where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from tenarai.errors import StoreError
from tenarai.store import Store
from tenarai.study.data import NORMALISED, StudyData

VERSION = 2  # raise it when the same trial would give other numbers
FOLDER = "studies"


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        recipe: `article` (its network, one batch per epoch), `mlp`, `cnn`, `transfer`, or `base`: not trained at all.
        reading: How images become 28 × 28 pixels, for training and for evaluation.
        augmented: Whether training images are distorted a little in each epoch.
        epochs: Number of epochs; the maximum with `stopping`.
        stopping: EarlyStopping on folds of the training images finds the number of epochs, as in a night.
        draw: Images per label to train on; 0 for all but a held-out fifth.
        samples: Images per label of these; 0 for all.
        add_similar: Add the ten images of the misread image's label that look most like it.
        asks: Whether the misread image is read, too.
        seed: Decides draw, initial weights and order.
    """

    recipe: str
    reading: str = NORMALISED
    augmented: bool = False
    epochs: int = 40
    stopping: bool = False
    draw: int = 0
    samples: int = 0
    add_similar: bool = False
    asks: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """The result of a trial.

    Attributes:
        num_train: Number of training images.
        history: `loss`, `accuracy`, `val_loss`, `val_accuracy` by epoch. Without `val_` where nothing was held out or
            EarlyStopping chose the epochs; empty for the base model.
        right: `1` or `0` for each held-out image, in order.
        right_as_article: The same with images read as in the article; empty for other recipes.
        answer: The label read in the misread image; empty where the trial does not ask.
        confidence: Of that answer, 0 to 1.
        seconds: Duration.
    """

    num_train: int
    history: dict[str, list[float]] = field(default_factory=dict)
    right: str = ""
    right_as_article: str = ""
    answer: str = ""
    confidence: float = 0.0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs of the last fit."""
        return len(self.history.get("loss", ()))


class ResultCache:
    """Results as small files, `studies/trials/<key>.json`, under a key of everything that decides their content.

    Args:
        store: Where they lie.
        data: What the trials train on.
        environment: Whatever else decides the numbers, such as versions.
        ignore: Find nothing, so that everything is trained again. Default: False.
    """

    def __init__(self, store: Store, data: StudyData, environment: Mapping[str, str], *, ignore: bool = False) -> None:
        """Nothing is read yet."""
        self._store, self._data, self._environment, self._ignore = store, data, dict(environment), ignore

    def key(self, trial: Trial) -> str:
        """The key of a trial. Only trials that ask depend on the misread image."""
        misread = self._data.misread
        asked = misread.fingerprint if misread and (trial.asks or trial.add_similar) else ""
        words = [VERSION, asdict(trial), self._data.fingerprint, asked, self._environment]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:24]

    def find(self, trial: Trial) -> Result | None:
        """An earlier result; None where there is none or its file is damaged."""
        parts = (FOLDER, "trials", f"{self.key(trial)}.json")
        if self._ignore or not self._store.exists(*parts):
            return None
        try:
            found = self._store.read_json(*parts)["result"]
            return Result(**found) if set(found) == {field.name for field in fields(Result)} else None
        except (StoreError, KeyError, TypeError):
            return None  # trained and written again

    def keep(self, trial: Trial, result: Result) -> None:
        """Write a result.

        Raises:
            StoreError: It cannot be written.
        """
        value = {"trial": asdict(trial), "result": asdict(result)}
        self._store.write_json(value, FOLDER, "trials", f"{self.key(trial)}.json")
