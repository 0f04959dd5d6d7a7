"""`tenarai pretrain`: from MNIST (and USPS) to the base model that ships in the package.

gather ─▶ every image through the normaliser, drawn strokes, things that are no digit ─▶ train ─▶ measure ─▶ write
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.base.collection import LABELS, Digits, Say, Targets, gather, gather_tests, load_sources
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import ModelInfo


def pretrain_base(
    mnist: Path | None,
    usps: Path | None,
    out: Path,
    *,
    epochs: int,
    seed: int,
    say: Say,
    share: float = 1.0,
    go_on: bool = False,
) -> ModelInfo:
    """Train a base model and write it into a folder.

    Args:
        mnist: `.npz` with x_train, y_train, x_test, y_test as Keras names them; None lets Keras fetch it.
        usps: The same of USPS; None goes without.
        out: Folder for weights.npz, model.json and card.md.
        epochs: Passes over all images.
        seed: The same files and seed give the same weights on one machine.
        say: Receives progress.
        share: Part of the training images that is used, 0 to 1. Default: all.
        go_on: Go on from the shipped base, with a quarter of the learning rate. Default: a new network.

    Raises:
        DatasetError: A file is no such data set.
    """
    from benchmarks.base.training import RATE, pretrain
    from tenarai.model.bundle import base_info, load_base, save_base

    collection = gather(mnist, usps, seed=seed, say=say, share=share)
    say(f"training on {len(collection.train[0])} images")
    # its weights learn on from today's digits, whichever normaliser made those of before
    earlier = load_base(normaliser=base_info().normaliser) if go_on else None
    network = pretrain(
        *collection.train,
        held_out=collection.tests["MNIST test"],
        epochs=epochs,
        seed=seed,
        rate=RATE / 4 if earlier else RATE,
        start=earlier.network if earlier else None,
        on_epoch=say,
    )
    parameters: dict[str, object] = {"epochs": epochs, "seed": seed, "share": share}
    notes = collection.notes
    if earlier:
        parameters["went on from"] = earlier.info.id
        notes = (*notes, f"went on from {earlier.info.id}, {earlier.info.epochs} epochs on:", *earlier.info.notes[:-1])
    return save_base(out, network, _describe(network, collection.tests, epochs, parameters, notes))


def measure_base(mnist: Path | None, usps: Path | None, out: Path, *, say: Say) -> ModelInfo:
    """Measure the shipped base anew and write it into a folder: its weights stay, its card tells of today's normaliser.

    For a change of the normaliser that leaves clean digits nearly as they were. Arguments as in `pretrain_base`.

    Raises:
        DatasetError: A file is no such data set.
    """
    from tenarai.model.bundle import base_info, load_base, save_base

    base = load_base(normaliser=base_info().normaliser)
    metrics = measure(base.predict, gather_tests(load_sources(mnist, usps), say))
    info = ModelInfo(**{**asdict(base.info), "normaliser": NORMALISER_VERSION, "metrics": metrics})
    return save_base(out, base.network, info)


def measure(
    predict: Callable[[Digits], NDArray[np.float32]], tests: dict[str, tuple[Digits, Targets]]
) -> dict[str, float]:
    """Accuracy on each held-out set, and on how many images."""
    metrics: dict[str, float] = {}
    for name, (digits, targets) in tests.items():
        metrics[f"{name}: accuracy"] = float((predict(digits).argmax(axis=1) == targets).mean())
        metrics[f"{name}: images"] = float(len(targets))
    return metrics


def _describe(
    network: Any,
    tests: dict[str, tuple[Digits, Targets]],
    epochs: int,
    parameters: dict[str, object],
    notes: tuple[str, ...],
) -> ModelInfo:
    import keras

    from tenarai.model.bundle import LoadedModel, versions

    info = ModelInfo(
        id="base",
        labels=LABELS,
        normaliser=NORMALISER_VERSION,
        snapshot="",
        recipe="base",
        parameters=parameters,
        versions=versions(),
        epochs=epochs,
        epochs_by_fold=(),
        metrics={},
        weights_sha256="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=keras.distribution.list_devices()[0].split(":")[0].upper(),
        notes=notes,
    )
    return ModelInfo(**{**asdict(info), "metrics": measure(LoadedModel(info, network).predict, tests)})
