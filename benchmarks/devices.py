"""Training images a second on each device that this machine has: what a GPU, large batches, XLA and half precision pay.

    .venv/bin/python benchmarks/devices.py
    KERAS_BACKEND=jax .venv/bin/python benchmarks/devices.py

The networks are the recipe `cnn` and the base model's; images are noise, made beforehand, as their content changes no
speed. Each row is the best of several timed fits after one that compiles; the rows take turns, so that other work on
the machine hits all alike. Augmentation is timed apart: it runs on the CPU beside the training, wherever that is. On a
busy machine `--cpu-seconds` counts those instead of the clock's, all cores together; of a GPU that says nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tenarai.model.augment import GENTLE, augment
from tenarai.model.networks import build_base, build_cnn

NETWORKS = {"cnn": build_cnn, "base": build_base}


@dataclass(frozen=True)
class Way:
    """One way to train a network."""

    device: str
    network: str
    batch: int
    precision: str
    jit: bool


def ways(batches: list[int], precisions: list[str]) -> Iterator[Way]:
    for parts in product(keras.distribution.list_devices(), NETWORKS, batches, precisions, (False, True)):
        yield Way(*parts)


def prepare(
    way: Way, images: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], clock: Callable[[], float]
) -> Callable[[], float]:
    """A compiled fit; each call is one pass over the images and gives images a second."""
    num_images = len(images) - len(images) % way.batch  # whole batches only: another size would be compiled again
    keras.config.set_dtype_policy(way.precision)
    with keras.device(way.device):
        keras.utils.set_random_seed(0)
        network = NETWORKS[way.network](10)
        network.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", jit_compile=way.jit)
    keras.config.set_dtype_policy("float32")

    def fit() -> float:
        with keras.device(way.device):
            start = clock()
            network.fit(images[:num_images], targets[:num_images], batch_size=way.batch, verbose=0)
            return num_images / (clock() - start)

    fit()
    return fit


def measure_augmentation(images: np.ndarray[Any, Any], clock: Callable[[], float]) -> float:
    start = clock()
    augment(images, np.random.default_rng(0), GENTLE)
    return len(images) / (clock() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 256, 2048])
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_float16"])
    parser.add_argument("--images", type=int, default=8192, help="in one pass")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu-seconds", action="store_true", help="of all cores together, for a busy machine")
    given = parser.parse_args()
    clock = time.process_time if given.cpu_seconds else time.perf_counter
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (given.images, 28, 28), dtype=np.uint8)
    targets = np.eye(10, dtype=np.float32)[rng.integers(0, 10, given.images)]
    fits = {way: prepare(way, images, targets, clock) for way in ways(given.batches, given.precisions)}
    best = dict.fromkeys(fits, 0.0)
    for _ in range(given.repeats):
        for way, fit in fits.items():
            best[way] = max(best[way], fit())
    made = max(measure_augmentation(images, clock) for _ in range(given.repeats))

    second = "CPU second" if given.cpu_seconds else "second"
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, {os.cpu_count()} cores; images a {second}\n")
    print("| device | network | batch | precision | plain | XLA |\n| --- | --- | ---: | --- | ---: | ---: |")
    for way in (way for way in fits if not way.jit):
        told = f"| {way.device} | {way.network} | {way.batch} | {way.precision} | {best[way]:,.0f} "
        print(told + f"| {best[Way(way.device, way.network, way.batch, way.precision, True)]:,.0f} |")
    print(f"\nAugmented by one thread of the CPU: {made:,.0f} images a {second}.")


if __name__ == "__main__":
    main()
