"""A challenger: named by what it learns from, trained from a snapshot of the store, and kept there.

Night and GPU worker share only the store, so the id is known beforehand. `models/<id>/model.json` is written last:
where it exists, the model is complete and is not trained again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tenarai.dataset import REGRESSION, TRAIN, load_snapshot
from tenarai.locale import Message, _
from tenarai.records import ModelInfo
from tenarai.settings import Settings, TrainingSettings
from tenarai.store import Store

if TYPE_CHECKING:
    from tenarai.model.recipes import TrainingSet
    from tenarai.model.train import Trained


def name_challenger(snapshot: str, training: TrainingSettings) -> str:
    """Name the model: the same snapshot and settings always make the same model."""
    text = json.dumps([snapshot, training.model_dump(mode="json", exclude={"device"})], sort_keys=True)
    return f"m-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def is_complete(store: Store, model: str) -> bool:
    """Whether the store holds the model."""
    return store.exists("models", model, "model.json")


def train_challenger(
    store: Store, snapshot: str, model: str, training: TrainingSettings, say: Callable[[str], None]
) -> Message:
    """Train on a snapshot and save the model.

    Args:
        store: Holds the snapshot.
        snapshot, model: Their ids.
        training: How to train.
        say: Called with a line after each epoch.

    Returns:
        What was trained, in one line.

    Raises:
        StoreError: The snapshot cannot be read.
        TrainingError: The training gave no usable model.
        SettingsError: TensorBoard or MLflow is asked for and not installed.
    """
    if is_complete(store, model):
        return _("{model} is complete", model=model)
    from tenarai.model.bundle import save_model
    from tenarai.model.track import open_tracker
    from tenarai.model.train import train_model

    images = load_training_set(store, snapshot)
    with open_tracker(Settings(), model) as tracker:  # type: ignore[call-arg]
        trained = train_model(
            images.pixels,
            images.targets,
            images.groups,
            images.labels,
            training,
            normaliser=images.normaliser,
            only_read=images.only_read,
            on_epoch=say,
            watch=tracker.watch,
        )
        info = save_model(store, _describe(model, snapshot, images.normaliser, training, trained), trained)
        tracker.finish(info)
    return _(
        "{model}: {recipe}, {epochs} epochs on {num_images} images, on {device}",
        model=model,
        recipe=info.recipe,
        epochs=info.epochs,
        num_images=len(images.pixels),
        device=info.device,
    )


def load_training_set(store: Store, snapshot_id: str) -> TrainingSet:
    """Load what is trained on; the rest of a snapshot, which may be over a gigabyte, is not kept in memory.

    Raises:
        StoreError: The snapshot is missing or was altered.
    """
    from tenarai.model.recipes import TrainingSet

    snapshot = load_snapshot(store, snapshot_id)
    rows, info = snapshot.rows(TRAIN), snapshot.info
    return TrainingSet(
        snapshot.pixels[rows],
        snapshot.targets[rows],
        snapshot.groups[rows],
        info.labels,
        info.normaliser,
        snapshot.pixels[snapshot.rows(REGRESSION)],
    )


def _describe(model: str, snapshot: str, normaliser: int, training: TrainingSettings, trained: Trained) -> ModelInfo:
    from tenarai.model.bundle import versions

    return ModelInfo(
        id=model,
        labels=trained.labels,
        normaliser=normaliser,
        snapshot=snapshot,
        recipe=trained.recipe,
        parameters=training.model_dump(mode="json"),
        versions=versions(),
        epochs=trained.epochs,
        epochs_by_fold=trained.curves.best_epochs,
        metrics=trained.metrics,
        weights_sha256="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=trained.device,
        unsure_below=trained.unsure_below,
        notes=trained.notes,
    )
