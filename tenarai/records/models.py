"""Records of a snapshot, a model, its training, and the promotions."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """Id and counts of a snapshot; its arrays are in the store.

    Attributes:
        id: Hash of the content; the same images, labels and splits always give the same id.
        labels: Class names in the order of the model's outputs.
        num_train, num_test, num_regression: Images in each split.
        num_withheld: Near-duplicates of regression images, left out of the snapshot.
        normaliser: Version of the normaliser behind the pixels.
    """

    id: str
    labels: tuple[str, ...]
    num_train: int
    num_test: int
    num_regression: int
    num_withheld: int
    normaliser: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """`model.json`: what a model is, how it was trained and what was measured.

    Attributes:
        id: Name of its folder under `models/`.
        labels: Class names in the order of its outputs.
        normaliser: Version of the normaliser it was trained with.
        recipe: How it was trained: mlp, cnn, transfer or base.
        epochs: Epochs of the final fit.
        epochs_by_fold: The best epoch of each fold; empty where no split was possible.
        snapshot: Id of the snapshot; empty for the base model.
        parameters: The training settings, as given.
        versions: Versions of Keras, its backend, NumPy and Tenarai.
        metrics: Named numbers, such as the cross-validated accuracy and its number of images.
        created: ISO 8601 in UTC.
        device: What it was trained on.
        unsure_below: Calibrated confidence below which a prediction is called unsure; 0 to 1.
        notes: Sentences for people: why this recipe, why these epochs.
        digests: sha256 of each file of the model by name; checked whenever a file is read.
    """

    id: str
    labels: tuple[str, ...]
    normaliser: int
    recipe: str
    epochs: int
    epochs_by_fold: tuple[int, ...] = ()
    snapshot: str = ""
    parameters: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    created: str = ""
    device: str = ""
    unsure_below: float = 0.8
    notes: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of a challenger, as `history.json` holds them.

    Attributes:
        folds: For each fold `loss`, `accuracy`, `val_loss`, `val_accuracy`, lists over epochs.
        refit: `loss` and `accuracy` of the final fit on all images.
    """

    folds: tuple[dict[str, list[float]], ...]
    refit: dict[str, list[float]]

    @property
    def best_epochs(self) -> tuple[int, ...]:
        """The epoch of each fold with the lowest held-out loss, from 1."""
        return tuple(fold["val_loss"].index(min(fold["val_loss"])) + 1 for fold in self.folds)

    @property
    def chosen_epoch(self) -> int:
        """Epochs of the final fit."""
        return len(self.refit.get("loss", ()))


@dataclass(frozen=True, slots=True)
class Promotion:
    """One line of the champion's history.

    Attributes:
        model: Model id.
        since: ISO 8601 in UTC.
        why: One sentence.
        by: `gate`, or who overrode it.
        action: `first`, `promoted`, `rolled back`.
        snapshot: Snapshot whose exam decided, if any.
    """

    model: str
    since: str
    why: str
    by: str
    action: str
    snapshot: str = ""
