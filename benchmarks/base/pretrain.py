"""From MNIST (and USPS) to the base model in the package: the network everyone starts from.

gather ─▶ every image through the normaliser, drawn strokes, things that are no digit ─▶ train ─▶ measure ─▶ write
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.base.data import LABELS, Collection, Digits, Targets, gather, gather_tests, load_sources
from benchmarks.base.strokes import draw_digits
from tenarai.model.augment import STRONG, augmented_batches, one_hot
from tenarai.model.bundle import base_info, load_base, pack_weights, to_record, versions, write_card
from tenarai.model.forward import Forward
from tenarai.model.networks import build_base
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import ModelInfo

BATCH = 256
SMOOTHING = 0.05
RATE = 2e-3
CHECK_EACH = 10  # check digits of each label


def pretrain_base(
    mnist: Path | None, usps: Path | None, out: Path, *, epochs: int, seed: int, share: float = 1.0, go_on: bool = False
) -> ModelInfo:
    """Train a base model and write it into a folder.

    Args:
        mnist: `.npz` with x_train, y_train, x_test, y_test as Keras names them; None lets Keras download it.
        usps: The same of USPS; None for none.
        out: Folder for weights.npz, digits.npz, model.json and card.md.
        epochs: Passes over all images.
        seed: The same files and seed give the same weights on one machine.
        share: Share of the training images to use, 0 to 1. Default: all.
        go_on: Continue from the shipped base with a quarter of the learning rate. Default: a new network.

    Raises:
        DatasetError: A file is no such data set.
    """
    collection = gather(mnist, usps, seed=seed, share=share)
    print(f"training on {len(collection.train[0])} images", flush=True)
    # whichever normaliser made the digits it was trained on, it is trained on with today's
    earlier = load_base(normaliser=base_info().normaliser) if go_on else None
    network = earlier.network if earlier else build_base()
    fit(network, collection, epochs=epochs, seed=seed, rate=RATE / 4 if earlier else RATE)
    parameters: dict[str, object] = {"epochs": epochs, "seed": seed, "share": share}
    notes = collection.notes
    if earlier:
        parameters["continued from"] = earlier.info.id
        notes = (*notes, f"continued from {earlier.info.id}, {earlier.info.epochs} epochs on:", *earlier.info.notes)
    info = ModelInfo(
        id="base",
        labels=LABELS,
        normaliser=NORMALISER_VERSION,
        recipe="base",
        epochs=epochs,
        parameters=parameters,
        versions=versions(keras.backend.backend()),
        metrics=measure(network, collection.tests),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=keras.distribution.list_devices()[0].split(":")[0].upper(),
        notes=notes,
    )
    return save_base(out, network, info)


def measure_base(mnist: Path | None, usps: Path | None, out: Path) -> ModelInfo:
    """Measure the shipped base with today's normaliser and write it into a folder; its weights stay.

    For a change of the normaliser that leaves clean digits nearly as they were. Arguments as in `pretrain_base`.

    Raises:
        DatasetError: A file is no such data set.
    """
    base = load_base(normaliser=base_info().normaliser)
    metrics = measure(base.network, gather_tests(load_sources(mnist, usps)))
    return save_base(out, base.network, replace(base.info, normaliser=NORMALISER_VERSION, metrics=metrics))


def fit(network: Any, collection: Collection, *, epochs: int, seed: int, rate: float) -> None:
    """Train with strong augmentation and a cosine schedule; the weights of the last steps are averaged.

    Args:
        network: Network to train.
        collection: Images to train on, and MNIST's test images, which are only watched.
        epochs: Passes over the images.
        seed: Decides order and augmentation.
        rate: Highest learning rate.
    """
    keras.utils.set_random_seed(seed)
    pixels, targets = collection.train
    wanted = one_hot(targets, len(LABELS), smoothing=SMOOTHING)
    batches = augmented_batches(pixels, wanted, augmentation=STRONG, batch=BATCH, seed=seed)
    steps = epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, steps, warmup_target=rate, warmup_steps=max(1, steps // 12)
    )
    momentum = min(0.995, 1 - 10 / max(steps, 20))  # a short training does not have two hundred steps to average
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4, use_ema=True, ema_momentum=momentum)
    network.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    watched, labels = collection.tests["MNIST test"]
    network.fit(
        batches,
        epochs=epochs,
        verbose=2,
        validation_data=(watched, one_hot(labels, len(LABELS))),
        validation_batch_size=1024,
    )


def measure(network: Any, tests: dict[str, tuple[Digits, Targets]]) -> dict[str, float]:
    """Accuracy on each held-out set, and on how many images."""
    forward = Forward("base", network.get_weights())
    metrics: dict[str, float] = {}
    for name, (digits, targets) in tests.items():
        metrics[f"{name}: accuracy"] = float((forward.predict(digits).argmax(axis=1) == targets).mean())
        metrics[f"{name}: images"] = float(len(targets))
    return metrics


def save_base(folder: Path, network: Any, info: ModelInfo) -> ModelInfo:
    """Write the weights as float16, check digits, record and card into a folder.

    float16 halves the size and moves probabilities by less than 1e-3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = [array.astype(np.float16) for array in network.get_weights()]
    network.set_weights([array.astype(np.float32) for array in halves])
    rng = np.random.default_rng(0)
    pixels = np.concatenate([draw_digits(label, CHECK_EACH, rng) for label in LABELS])
    expected = np.asarray(network.predict(pixels, verbose=0), np.float32)
    contents = {"weights.npz": pack_weights(halves), "digits.npz": pack_weights([], pixels=pixels, expected=expected)}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    info = replace(info, id=f"base-{digests['weights.npz'][:8]}", digests=digests)
    record = json.dumps(to_record(info), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    contents |= {"card.md": write_card(info).encode(), "model.json": record.encode()}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return info
