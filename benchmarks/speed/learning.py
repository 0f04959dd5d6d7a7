"""Training, against a compiled loop written by hand and against a script in the article's style; and reading."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import PIL.Image
from sklearn.datasets import load_digits

from benchmarks.speed.measure import Row, side_by_side
from tenarai.dataset import TrainingSet
from tenarai.evaluate.read import read_files
from tenarai.model.bundle import load_base
from tenarai.model.networks import build_cnn, build_mlp
from tenarai.model.recipes import RECIPES, TransferFitter
from tenarai.model.train import split_folds
from tenarai.prepare import NORMALISER_VERSION
from tenarai.sample import draw
from tenarai.settings import Settings

EPOCHS = 6
LABELS = tuple("0123456789")
BUILD = {"mlp": (build_mlp, 16), "cnn": (build_cnn, 32)}


def make_lesson(num: int) -> TrainingSet:
    """Real digits, 8 × 8 enlarged to 28 × 28, repeated as often as needed: only speed is asked here."""
    bunch = load_digits()
    small = np.stack([cv2.resize(image * 15.9, (28, 28)) for image in bunch.images]).astype(np.uint8)
    rows = np.arange(num) % len(small)
    return TrainingSet(small[rows], bunch.target[rows].astype(np.int64), rows.astype(str), LABELS, NORMALISER_VERSION)


def fit_ours(name: str, training_set: TrainingSet) -> list[float]:
    """Moments at which the epochs ended, as both others tell them."""
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    fitter = RECIPES[name](training_set, 0, augmentation=None)
    fitter.fit(np.arange(len(training_set.pixels)), epochs=EPOCHS, callbacks=[note])
    return ends


def fit_by_hand(name: str, training_set: TrainingSet) -> list[float]:
    """The same network, batches and optimiser in a `tf.function` and nothing else."""
    import tensorflow as tf

    build, batch = BUILD[name]
    network = build(len(LABELS))
    optimiser = keras.optimizers.Adam(1e-3)
    optimiser.build(network.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    data = (
        tf.data.Dataset.from_tensor_slices((training_set.pixels, training_set.targets))
        .shuffle(len(training_set.pixels))
        .batch(batch)
    )

    @tf.function(reduce_retracing=True)
    def step(images: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(targets, network(images, training=True))
        optimiser.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    ends = []
    for _ in range(EPOCHS):
        for images, targets in data:
            loss = step(images, targets)
        float(loss)  # it is done only now
        ends.append(time.perf_counter())
    return ends


def fit_as_in_the_article(folder: Path, num: int) -> list[float]:
    """`ImageDataGenerator` with `rescale` and a `preprocessing_function`, files read again in each epoch, and `fit`."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(rescale=1 / 255, preprocessing_function=lambda image: 255.0 - image)
    flow = generator.flow_from_directory(
        str(folder), target_size=(28, 28), color_mode="grayscale", batch_size=16, class_mode="categorical"
    )
    network = build_mlp(len(LABELS))
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    network.fit(flow, steps_per_epoch=-(-num // 16), epochs=EPOCHS, verbose=0, callbacks=[note])
    return ends


def write_pictures(folder: Path, num: int) -> list[Path]:
    rng, bunch = np.random.default_rng(0), load_digits()
    files = []
    for number in range(num):
        path = folder / str(bunch.target[number]) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw(bunch.images[number], number, rng)[..., ::-1])
        files.append(path)
    return files


def per_epoch(fit: Any, *arguments: Any) -> float:
    """Seconds of an epoch, the median over all but the first, in which everything is built and compiled."""
    return float(np.median(np.diff(fit(*arguments))))


def measure_training(files: list[Path], num: int) -> None:
    training_set = make_lesson(num)
    for name in ("cnn", "mlp"):
        pairs = [
            (per_epoch(fit_by_hand, name, training_set), per_epoch(fit_ours, name, training_set)) for _ in range(3)
        ]
        ratio = float(np.median([theirs / ours for theirs, ours in pairs]))
        rate = len(training_set.pixels) / float(np.median([ours for _, ours in pairs]))
        Row(
            f"training the {name}, {len(training_set.pixels):,} digits an epoch",
            "a hand-written compiled loop for the same network and batches",
            f"{ratio:.2f} ×",
            "0.9 ×",
            ratio >= 0.9,
            f"{rate:,.0f} images/s",
        ).print()
    small = make_lesson(len(files))
    folder = files[0].parents[1]
    pairs = [
        (per_epoch(fit_as_in_the_article, folder, len(files)), per_epoch(fit_ours, "mlp", small)) for _ in range(3)
    ]
    ratio = float(np.median([theirs / ours for theirs, ours in pairs]))
    Row(
        f"training the mlp, an epoch of {len(files)} own images",
        "a script in the article's style: `ImageDataGenerator.flow_from_directory`, `fit`",
        f"{ratio:.1f} ×",
        "10 ×",
        ratio >= 10,
    ).print()


def measure_folds(num: int = 155) -> None:
    """CPU time of a night's folds of `transfer`, fitted step by step and by Keras' `fit`."""
    training_set = make_lesson(num)
    fitter = TransferFitter(training_set, 0)
    folds = split_folds(training_set.targets, training_set.groups, 5, 0)

    def fit_folds() -> float:
        start = time.process_time()
        for train, held_out in folds:
            fitter.fit(train, held_out, epochs=60, patience=8)
        return time.process_time() - start

    def fit_with_keras(network: Any, batches: Any, watched: Any, epochs: int, callbacks: list[Any]) -> Any:
        network.fit(batches, epochs=epochs, validation_data=watched, callbacks=callbacks, verbose=0)
        return network.history.history

    fit_folds()  # compiles
    pairs = []
    for _ in range(3):
        ours = fit_folds()
        with patch("tenarai.model.recipes._fit_small", fit_with_keras):
            pairs.append((ours, fit_folds()))
    ratio = float(np.median([ours / theirs for ours, theirs in pairs]))
    Row(
        f"five folds of `transfer`, {num} images",
        "the same with Keras' `fit`, to the bit",
        f"{ratio:.2f} × its CPU time",
        "0.34 ×",
        ratio <= 0.34,
        f"{np.median([ours for ours, _ in pairs]):.1f} CPU s",
    ).print()


def measure_reading(files: list[Path]) -> None:
    base = load_base(normaliser=NORMALISER_VERSION)
    digits = make_lesson(len(files)).pixels
    settings = Settings(_env_file=None, store=str(files[0].parents[1] / "no store"))

    def read_all() -> None:
        assert len(list(read_files(files, settings))) == len(files)

    def decode_all() -> None:
        for file in files:
            with PIL.Image.open(file) as image:
                np.asarray(image.convert("L").resize((28, 28)))

    timing = side_by_side(read_all, decode_all)
    rate = len(files) / timing.ours
    Row(
        f"reading {len(files):,} image files, from bytes to labels, the model's loading included",
        f"Pillow's decoding and resizing alone, no model: {len(files) / timing.theirs:.0f} images/s",
        f"{rate:.0f} images/s",
        "100 images/s a core",
        rate >= 100 * (os.cpu_count() or 1),
    ).print()
    timing = side_by_side(lambda: base.predict(digits), lambda: base.network.predict(digits, batch_size=256, verbose=0))
    Row(
        f"reading {len(files):,} prepared digits, as a night does",
        "`model.predict` alone",
        f"{timing.ratio:.2f} ×",
        "0.5 ×",
        timing.ratio >= 0.5,
    ).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="files to read, and of the article's script")
    parser.add_argument("--digits", type=int, default=4000, help="to train on")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        files = write_pictures(Path(folder), given.images)
        measure_training(files, given.digits)
        measure_folds()
        measure_reading(files)


if __name__ == "__main__":
    main()
