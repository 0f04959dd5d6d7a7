"""What the base model is trained and measured on: MNIST, USPS, both as simulated photos, drawn strokes.

Every image goes through the normaliser that reading uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmarks.base.paper import photograph
from benchmarks.base.strokes import draw_digits, draw_no_digits
from tenarai.errors import DatasetError, ImageError
from tenarai.prepare import normalise

Digits = NDArray[np.uint8]
Targets = NDArray[np.int64]

LABELS = tuple("0123456789")
STROKES_EACH = 1500  # drawn digits a label
NO_DIGITS = 4000  # drawn letters, signs and scribbles
CHUNK = 500  # pictures a process makes at a time
PHOTOGRAPHED = 0.7  # share of the training images of which a simulated photo is made, too


@dataclass(frozen=True, eq=False)
class Collection:
    """Normalised images and labels, -1 for what is no digit: (N, 28, 28) uint8 and (N,) int64."""

    train: tuple[Digits, Targets]
    tests: dict[str, tuple[Digits, Targets]]
    notes: tuple[str, ...]


def gather(mnist: Path | None, usps: Path | None, *, seed: int, share: float = 1.0) -> Collection:
    """Gather what the base is trained and measured on, normalised as every picture is.

    Args:
        mnist, usps: As in `pretrain_base`.
        seed: Of the drawn strokes.
        share: Share of the training images to use, 0 to 1; test images are always used all.
    """
    sources = load_sources(mnist, usps)
    pixels, targets, notes = [], [], []
    for name, arrays in sources.items():
        count = round(share * len(arrays["x_train"]))
        x, y = arrays["x_train"][:count], arrays["y_train"][:count].astype(np.int64)
        print(f"normalising {count} training images of {name}")
        again = np.sort(np.random.default_rng([seed, 2]).permutation(count)[: round(PHOTOGRAPHED * count)])
        plain = _normalise_all(x)
        print(f"photographing {len(again)} of them")
        seen, kept = _photograph_all(x[again], seed)
        pixels += [plain, seen]
        targets += [y, y[again][kept]]
        notes.append(f"{name}: {count} training images")
        notes.append(f"{name}: {len(seen)} of them as simulated photos")
    print("drawing strokes")
    each, none = max(10, round(share * STROKES_EACH)), max(20, round(share * NO_DIGITS))
    drawn = _map_chunks(_draw_chunk, [(k, n, [seed, 1, int(k), at]) for k in LABELS for at, n in _portions(each)])
    labels = np.repeat(np.arange(len(LABELS)), each)
    nothing = _map_chunks(_scribble_chunk, [(n, [seed, 4, at]) for at, n in _portions(none)])
    notes.append(f"drawn by program: {len(drawn)} digits in styles rare in MNIST, {len(nothing)} other things")
    notes.append(
        "MNIST (LeCun, Cortes and Burges) and USPS (Hull, 1994) are free for research; the weights hold no image"
    )
    x = np.concatenate([*pixels, drawn, nothing])
    y = np.concatenate([*targets, labels, np.full(len(nothing), -1)]).astype(np.int64)
    return Collection((x, y), gather_tests(sources), tuple(notes))


def load_sources(mnist: Path | None, usps: Path | None) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The arrays of MNIST and, where it is there, of USPS.

    Raises:
        DatasetError: A file is no such data set, or MNIST cannot be downloaded.
    """
    return {"MNIST": load_npz(mnist) if mnist else _fetch_mnist()} | ({"USPS": load_npz(usps)} if usps else {})


def gather_tests(sources: dict[str, dict[str, NDArray[np.uint8]]]) -> dict[str, tuple[Digits, Targets]]:
    """The test images of each source, normalised, and their labels: none of them is ever trained on."""
    tests = {}
    for name, arrays in sources.items():
        print(f"normalising {len(arrays['x_test'])} test images of {name}")
        tests[f"{name} test"] = (_normalise_all(arrays["x_test"]), arrays["y_test"].astype(np.int64))
    return tests


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
            f"{path} is no data set that can be used",
            expected=f"an .npz file with the arrays {', '.join(names)}",
            received=str(error),
            fix="pass Keras' mnist.npz, or leave --mnist out, and Keras downloads it",
        ) from error
    if found["x_train"].ndim != 3 or found["x_train"].dtype != np.uint8:
        raise DatasetError(
            f"{path} holds no images",
            expected="x_train of (N, H, W) uint8, ink 255",
            received=f"{found['x_train'].shape} {found['x_train'].dtype}",
        )
    return found


def _fetch_mnist() -> dict[str, NDArray[np.uint8]]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DatasetError(
            "MNIST could not be downloaded",
            received=str(error),
            fix="download mnist.npz elsewhere and pass --mnist FILE",
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _normalise_all(images: Digits) -> Digits:
    """Each image as if it were a picture of its own: white ink on black, with a rim of paper."""
    return _map_chunks(_normalise_chunk, [(chunk,) for chunk in _chunks(images)])


def _normalise_chunk(images: Digits) -> Digits:
    return np.stack([_normalise_or_blank(np.pad(image, 4)) for image in images])


def _photograph_all(images: Digits, seed: int) -> tuple[Digits, NDArray[np.bool_]]:
    """Images on paper, normalised: those that the normaliser accepts, and (N,) bool which they are."""
    jobs = [(chunk, [seed, 3, number]) for number, chunk in enumerate(_chunks(images))]
    digits = _map_chunks(_photograph_chunk, jobs)
    kept = np.asarray(digits.any(axis=(1, 2)), dtype=np.bool_)
    return digits[kept], kept


def _photograph_chunk(images: Digits, seed: list[int]) -> Digits:
    rng = np.random.default_rng(seed)
    return np.stack([_normalise_or_blank(photograph(image, rng)) for image in images])


def _normalise_or_blank(picture: Digits) -> Digits:
    try:
        return normalise(picture)
    except ImageError:
        return np.zeros((28, 28), dtype=np.uint8)


def _draw_chunk(label: str, num: int, seed: list[int]) -> Digits:
    return draw_digits(label, num, np.random.default_rng(seed))


def _scribble_chunk(num: int, seed: list[int]) -> Digits:
    return draw_no_digits(num, np.random.default_rng(seed))


def _portions(total: int) -> list[tuple[int, int]]:
    """Start and length of each piece of work."""
    return [(start, min(CHUNK, total - start)) for start in range(0, total, CHUNK)]


def _chunks(images: Digits) -> list[Digits]:
    return [images[start : start + length] for start, length in _portions(len(images))]


def _map_chunks(job: Callable[..., Digits], arguments: list[tuple[Any, ...]]) -> Digits:
    """Many small pictures: a process a core, each with one thread, beats threads that wait for one another."""
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn"), _one_thread) as pool:
        return np.concatenate(list(pool.map(job, *zip(*arguments, strict=True))))


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
