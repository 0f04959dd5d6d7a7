"""A challenger: named after its training, trained on a snapshot of the store, and saved there.

Night and GPU worker share only the store, so the id is known beforehand. `models/<id>/model.json` is written last:
where it exists, the model is complete and is not trained again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from tenarai.dataset import load_snapshot
from tenarai.locale import Message, _
from tenarai.settings import TrainingSettings, read_settings
from tenarai.store import Store


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
        SettingsError: A setting is invalid, or TensorBoard or MLflow is asked for and not installed.
    """
    if is_complete(store, model):
        return _("{model} is complete", model=model)
    from tenarai.model.bundle import save_model
    from tenarai.model.track import EpochLog, open_trackers
    from tenarai.model.train import train_model

    training_set = load_snapshot(store, snapshot).training_set()
    trackers = [EpochLog(say), *open_trackers(read_settings(), model)]
    info = save_model(store, model, train_model(training_set, training, trackers))
    for tracker in trackers:
        tracker.finish(info)
    return _(
        "{model}: {recipe}, {epochs} epochs on {num_images} images, on {device}",
        model=model,
        recipe=info.recipe,
        epochs=info.epochs,
        num_images=len(training_set.pixels),
        device=info.device,
    )
