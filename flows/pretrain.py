"""`tenarai pretrain`: from MNIST (and USPS) to the base model that ships in the package.

gather ─▶ every image through the normaliser, drawn strokes, things that are no digit ─▶ train ─▶ measure ─▶ write
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DatasetError, ImageError
from tasks.prepare import NORMALISER_VERSION, normalise
from tasks.records import ModelInfo

Say = Callable[[str], None]
Digits = NDArray[np.uint8]
Targets = NDArray[np.int64]

LABELS = tuple("0123456789")
STROKES_EACH = 1500  # drawn digits a label
NO_DIGITS = 4000  # drawn letters, signs and scribbles


@dataclass(frozen=True, eq=False)
class Collection:
    """Normalised images and labels, -1 for what is no digit: (N, 28, 28) uint8 and (N,) int64."""

    train: tuple[Digits, Targets]
    tests: dict[str, tuple[Digits, Targets]]
    notes: tuple[str, ...]


def pretrain_base(mnist: Path | None, usps: Path | None, out: Path, *, epochs: int, seed: int, say: Say) -> ModelInfo:
    """Train a base model and write it into a folder.

    Args:
        mnist: `.npz` with x_train, y_train, x_test, y_test as Keras names them; None lets Keras fetch it.
        usps: The same of USPS; None goes without.
        out: Folder for weights.npz, model.json and card.md.
        epochs: Passes over all images.
        seed: The same files and seed give the same weights on one machine.
        say: Receives progress.

    Raises:
        DatasetError: A file is no such data set.
    """
    from tasks.model.bundle import LoadedModel, save_base, versions
    from tasks.model.pretrain import pretrain

    collection = gather(mnist, usps, seed=seed, say=say)
    say(f"training on {len(collection.train[0])} images")
    network = pretrain(
        *collection.train, held_out=collection.tests["MNIST test"], epochs=epochs, seed=seed, on_epoch=say
    )
    info = ModelInfo(
        id="base",
        labels=LABELS,
        normaliser=NORMALISER_VERSION,
        snapshot="",
        recipe="base",
        parameters={"epochs": epochs, "seed": seed},
        versions=versions(),
        epochs=epochs,
        epochs_by_fold=(),
        metrics=measure(LoadedModel(_blank_info(), network).predict, collection.tests),
        weights_sha256="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device="CPU",
        notes=collection.notes,
    )
    return save_base(out, network, info)


def gather(mnist: Path | None, usps: Path | None, *, seed: int, say: Say, share: float = 1.0) -> Collection:
    """Everything that the base learns from and is measured on, normalised as every picture is.

    Args:
        mnist, usps: As in `pretrain_base`.
        seed: Of the drawn strokes.
        say: Receives progress.
        share: Part of everything that is used, 0 to 1; tests use little.
    """
    from tasks.model.strokes import draw_digits, draw_no_digits

    sources = {"MNIST": load_npz(mnist) if mnist else _fetch_mnist()} | ({"USPS": load_npz(usps)} if usps else {})
    pixels, targets, tests, notes = [], [], {}, []
    for name, arrays in sources.items():
        for split, into in (("train", None), ("test", f"{name} test")):
            x, y = arrays[f"x_{split}"], arrays[f"y_{split}"].astype(np.int64)
            count = max(100, round(share * len(x)))
            say(f"normalising {count} images of {name}, {split}")
            digits = _normalise_all(x[:count])
            if into:
                tests[into] = (digits, y[:count])
            else:
                pixels.append(digits)
                targets.append(y[:count])
                notes.append(f"{name}: {count} training images")
    say("drawing strokes")
    rng = np.random.default_rng([seed, 1])
    drawn, labels = draw_digits(max(10, round(share * STROKES_EACH)), rng, normalise)
    nothing = draw_no_digits(max(20, round(share * NO_DIGITS)), rng, normalise)
    notes.append(f"drawn by program: {len(drawn)} digits in styles rare in MNIST, {len(nothing)} things that are none")
    notes.append(
        "MNIST (LeCun, Cortes and Burges) and USPS (Hull, 1994) are free for research; the weights hold no image"
    )
    x = np.concatenate([*pixels, drawn, nothing])
    y = np.concatenate([*targets, labels, np.full(len(nothing), -1)]).astype(np.int64)
    return Collection((x, y), tests, tuple(notes))


def load_npz(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Arrays of a data set, named as Keras names MNIST's; nothing pickled is ever loaded.

    Raises:
        DatasetError: It is missing, or not laid out so.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DatasetError(
            f"{path} is no data set that can be learned from",
            expected=f"an .npz file with the arrays {', '.join(names)}",
            received=str(error),
            mend="pass Keras' mnist.npz, or leave --mnist out to have it fetched",
        ) from error
    if found["x_train"].ndim != 3 or found["x_train"].dtype != np.uint8:
        raise DatasetError(
            f"{path} holds no images",
            expected="x_train of (N, H, W) uint8, ink 255",
            received=f"{found['x_train'].shape} {found['x_train'].dtype}",
        )
    return found


def measure(
    predict: Callable[[Digits], NDArray[np.float32]], tests: dict[str, tuple[Digits, Targets]]
) -> dict[str, float]:
    """Accuracy on each held-out set, and on how many images."""
    metrics: dict[str, float] = {}
    for name, (digits, targets) in tests.items():
        metrics[f"{name}: accuracy"] = float((predict(digits).argmax(axis=1) == targets).mean())
        metrics[f"{name}: images"] = float(len(targets))
    return metrics


def _fetch_mnist() -> dict[str, NDArray[np.uint8]]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DatasetError(
            "MNIST could not be fetched", received=str(error), mend="fetch mnist.npz elsewhere and pass --mnist FILE"
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _normalise_all(images: Digits) -> Digits:
    """Each image as if it were a picture of its own: white ink on black, with a rim of paper."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # many small pictures: a thread each is faster than many a picture
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return np.stack(list(pool.map(_normalise_one, images)))
    finally:
        cv2.setNumThreads(threads)


def _normalise_one(image: Digits) -> Digits:
    try:
        return normalise(np.pad(image, 4))
    except ImageError:
        return np.zeros((28, 28), dtype=np.uint8)


def _blank_info() -> ModelInfo:
    return ModelInfo("base", LABELS, NORMALISER_VERSION, "", "base", {}, {}, 0, (), {}, "", "", "")
