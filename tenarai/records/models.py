"""The data a model learns from, the model, how it learned, and who reigned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """An immutable data set's address and size; the arrays lie in the store.

    Attributes:
        id: Hash of the content; the same images, labels and splits always give the same id.
        labels: Class names in the order of the model's outputs.
        num_train, num_test, num_regression: Images on each side.
        num_withheld: Near-duplicates of regression images, kept out of training and test.
        normaliser: Version of the normaliser behind the pixels.
    """

    id: str
    labels: tuple[str, ...]
    num_train: int
    num_test: int
    num_regression: int
    num_withheld: int
    normaliser: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """`model.json`: what a model is, where it comes from and what it was found to be worth.

    Attributes:
        id: Name of its folder under `models/`.
        labels: Class names in the order of its outputs.
        normaliser: Version of the normaliser it was trained with.
        snapshot: Id of the snapshot; empty for the base model.
        recipe: What trained it: mlp, cnn, transfer or base.
        parameters: The training settings, as given.
        versions: Versions of Keras, its backend, NumPy and Tenarai.
        epochs: Epochs of the final fit; `epochs_by_fold` the best of each fold, empty where no split was possible.
        metrics: Named numbers, such as the cross-validated accuracy and its number of images.
        weights_sha256: Digest of `model.keras`; checked before loading.
        created: ISO 8601 in UTC.
        device: What it was trained on.
        unsure_below: Calibrated threshold under which a reading is called unsure; 0 to 1.
        notes: Sentences for people: why this recipe, why these epochs.
    """

    id: str
    labels: tuple[str, ...]
    normaliser: int
    snapshot: str
    recipe: str
    parameters: dict[str, object]
    versions: dict[str, str]
    epochs: int
    epochs_by_fold: tuple[int, ...]
    metrics: dict[str, float]
    weights_sha256: str
    created: str
    device: str
    unsure_below: float = 0.8
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of one challenger, as `history.json` holds them.

    Attributes:
        folds: One dict a fold: `loss`, `accuracy`, `val_loss`, `val_accuracy`, each a list over epochs.
        refit: The final fit: `loss`, `accuracy` over epochs.
        best_epochs: Best epoch of each fold, from 1.
        chosen_epoch: Epochs of the final fit.
    """

    folds: tuple[dict[str, list[float]], ...]
    refit: dict[str, list[float]]
    best_epochs: tuple[int, ...]
    chosen_epoch: int


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
