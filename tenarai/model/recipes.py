"""Recipes: the article's MLP, a CNN from scratch, and the base model with its dense layers fine-tuned.

A recipe makes one `Fitter` for a training set. The fitter is fitted on each fold and, last, on everything.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.dataset import TrainingSet
from tenarai.model.augment import (
    GENTLE,
    Augmentation,
    Batches,
    Copy,
    Rows,
    augment,
    augmented_batches,
    feature_batches,
    one_hot,
)
from tenarai.model.backend import keras
from tenarai.model.bundle import BATCH, load_base, predict_with_keras
from tenarai.model.networks import HEAD, build_cnn, build_head, build_mlp, build_transfer, take_convolutions

CHUNK = 64 * BATCH
STEPS_PER_EXECUTION = 16  # gives the same weights to the bit, in half the time


def find_ceiling(recipe: str, max_epochs: int, num_labels: int) -> int:
    """Epochs at most: `transfer` gets a tenth of `max_epochs` for each label beyond ten.

    The head learns new labels from small weights: 27 of them were still improving after 60 epochs.
    """
    return max_epochs * max(num_labels, 10) // 10 if recipe == "transfer" else max_epochs


@dataclass(frozen=True, eq=False)
class Fit:
    """A finished fit.

    Attributes:
        history: Loss and accuracy by epoch, as Keras names them.
        probabilities: (M, K) float32 for the held-out images; none without them.
    """

    history: dict[str, list[float]]
    probabilities: NDArray[np.float32]


class Fitter(ABC):
    """Fits one kind of network on rows of a training set, as often as asked.

    Args:
        training_set: The images.
        seed: Decides everything that is random.
    """

    def __init__(self, training_set: TrainingSet, seed: int) -> None:
        """Keep what every fit needs."""
        self._set, self._seed = training_set, seed

    def fit(
        self,
        train: Rows,
        held_out: Rows | None = None,
        *,
        epochs: int,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
    ) -> Fit:
        """Fit from the beginning.

        Args:
            train: Rows to train on.
            held_out: Rows that are only measured. Default: none.
            epochs: Epochs at most.
            patience: Stop after so many epochs without a lower loss on the held-out rows, and restore the best
                weights. Default: never stop.
            callbacks: Keras callbacks.
        """
        keras.utils.set_random_seed(self._seed)
        chosen = list(callbacks)
        if held_out is not None and patience is not None:
            # Keras' defaults are no patience, and the last weights instead of the best
            chosen.append(
                keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience, restore_best_weights=True)
            )
        history = self._fit(train, held_out, epochs, chosen)
        nothing = np.empty((0, len(self._set.labels)), dtype=np.float32)
        probabilities = nothing if held_out is None else self._predict_rows(held_out)
        return Fit({name: [float(value) for value in values] for name, values in history.items()}, probabilities)

    @abstractmethod
    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(M, 28, 28) uint8 → (M, K) float32 by the last fit."""

    @abstractmethod
    def network(self, temperature: float) -> Any:
        """The last fit as a `keras.Model`, its logits divided by the temperature."""

    @abstractmethod
    def _fit(self, train: Rows, held_out: Rows | None, epochs: int, callbacks: list[Any]) -> dict[str, list[float]]:
        """Fit, and return Keras' history."""

    def _predict_rows(self, rows: Rows) -> NDArray[np.float32]:
        return self.predict(self._set.pixels[rows])


class NetworkFitter(Fitter):
    """Trains whole networks from scratch.

    Args:
        training_set, seed: As in `Fitter`.
        build: Makes a network for a number of labels.
        batch: Images a step.
        augmentation: Its strength; None for none.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        seed: int,
        *,
        build: Callable[[int], Any],
        batch: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        """Keep what is needed; `fit` builds the network."""
        super().__init__(training_set, seed)
        self._build, self._augmentation, self._batch = build, augmentation, batch
        self._network: Any = None

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Fitter`."""
        return predict_with_keras(self._network, pixels)

    def network(self, temperature: float) -> Any:
        """See `Fitter`."""
        divide_logits(self._network, temperature)
        return self._network

    def _fit(self, train: Rows, held_out: Rows | None, epochs: int, callbacks: list[Any]) -> dict[str, list[float]]:
        labels = len(self._set.labels)
        targets = one_hot(self._set.targets, labels)
        pixels, wanted, weights = self._set.pixels[train], targets[train], balance(self._set.targets[train])
        self._network = self._build(labels)
        self._network.compile(
            keras.optimizers.Adam(1e-3),
            "categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
            steps_per_execution=STEPS_PER_EXECUTION,
        )
        if self._augmentation is None:  # Keras is several times faster with arrays than with batches made in Python
            data = {"x": pixels, "y": wanted, "sample_weight": weights, "batch_size": self._batch, "shuffle": True}
        else:
            data = {
                "x": augmented_batches(
                    pixels,
                    wanted,
                    augmentation=self._augmentation,
                    batch=self._batch,
                    seed=self._seed,
                    weights=weights,
                )
            }
        watched = None if held_out is None else (self._set.pixels[held_out], targets[held_out])
        self._network.fit(
            **data, epochs=epochs, validation_data=watched, validation_batch_size=BATCH, callbacks=callbacks, verbose=0
        )
        return self._network.history.history  # type: ignore[no-any-return]


class TransferFitter(Fitter):
    """Fine-tunes the dense layers of the base model; its convolutions stay as they are.

    The features of each image and of `COPIES` augmented copies are computed once for all folds, and an epoch is one
    pass over another copy: seconds for hundreds of images. All fits reset and reuse one network, since compiling
    another would take longer than a fit.

    Where the copies of all images would not fit into `BUDGET`, each holds another random part, as large as fits, so
    that neither memory nor the time of an epoch grows further.
    """

    COPIES = 16
    BATCH = 32
    RATE = 7e-4
    BUDGET = 2**29  # bytes of all copies: about 9,000 images

    def __init__(self, training_set: TrainingSet, seed: int, *, augmentation: Augmentation | None = GENTLE) -> None:
        """Compute the features of every image and of its augmented copies; without augmentation the images serve."""
        super().__init__(training_set, seed)
        base = load_base(normaliser=training_set.normaliser)
        self._base, self._base_labels = base.network, base.info.labels
        self._convolutions = take_convolutions(self._base)
        self._num_features = int(self._convolutions.output_shape[1])
        self._capacity = max(self.BATCH, self.BUDGET // (self.COPIES * 4 * self._num_features))
        fits = len(training_set.pixels) <= self._capacity
        self._plain = self._extract(training_set.pixels) if fits else None
        self._copies = self._make_copies(augmentation)
        self._head = self._new_head()
        self._head.compile(
            keras.optimizers.Adam(self.RATE), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False
        )
        self._head.optimizer.build(self._head.trainable_variables)
        self._initial = [keras.ops.convert_to_numpy(variable) for variable in self._variables()]

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Fitter`."""
        parts = [pixels[start : start + self._capacity] for start in range(0, max(len(pixels), 1), self._capacity)]
        return np.concatenate([predict_with_keras(self._head, self._extract(part)) for part in parts])

    def network(self, temperature: float) -> Any:
        """See `Fitter`."""
        divide_logits(self._head, temperature)
        head = self._build_head()  # without the optimizer, which would be saved and never used
        head.set_weights(self._head.get_weights())
        return build_transfer(self._convolutions, head)

    def _fit(self, train: Rows, held_out: Rows | None, epochs: int, callbacks: list[Any]) -> dict[str, list[float]]:
        truth, labels = self._set.targets, len(self._set.labels)
        for variable, value in zip(self._variables(), self._initial, strict=True):
            variable.assign(value)
        weights = np.zeros(len(truth), dtype=np.float32)
        weights[train] = balance(truth[train])
        batches = feature_batches(
            self._copies,
            train,
            one_hot(truth, labels, smoothing=0.05),
            batch=self.BATCH,
            seed=self._seed,
            weights=weights,
        )
        watched = None
        if held_out is not None:
            part = held_out[:: -(-len(held_out) // self._capacity)]
            watched = (self._features(part), one_hot(truth[part], labels))
        return _fit_small(self._head, batches, watched, epochs, callbacks, random.Random(self._seed))

    def _predict_rows(self, rows: Rows) -> NDArray[np.float32]:
        return super()._predict_rows(rows) if self._plain is None else predict_with_keras(self._head, self._plain[rows])

    def _variables(self) -> list[Any]:
        """Everything that a fit changes: weights, the optimizer's state, and the seeds of dropout."""
        return [*self._head.variables, *self._head.optimizer.variables]

    def _make_copies(self, augmentation: Augmentation | None) -> list[Copy]:
        """Features of augmented copies: of all images where they fit, else each of another random part."""
        pixels, rng = self._set.pixels, np.random.default_rng([self._seed, 1])
        parts = [np.arange(len(pixels))] * self.COPIES
        if augmentation is None and self._plain is not None:
            return [Copy(parts[0], self._plain)]
        if self._plain is None:
            draw = np.random.default_rng([self._seed, 2])
            parts = [np.sort(draw.choice(len(pixels), self._capacity, replace=False)) for _ in parts]
        shown = [augment(pixels[part], rng, augmentation) if augmentation else pixels[part] for part in parts]
        features = np.split(self._extract(np.concatenate(shown)), len(parts))
        return [Copy(part, found) for part, found in zip(parts, features, strict=True)]

    def _features(self, rows: Rows) -> NDArray[np.float32]:
        return self._extract(self._set.pixels[rows]) if self._plain is None else self._plain[rows]

    def _extract(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, F) float32, a chunk at a time: Keras would hold all of them twice."""
        features = np.empty((len(pixels), self._num_features), dtype=np.float32)
        for start in range(0, len(pixels), CHUNK):
            part = slice(start, start + CHUNK)
            features[part] = self._convolutions.predict(pixels[part], batch_size=BATCH, verbose=0)
        return features

    def _build_head(self) -> Any:
        hidden, labels = self._base.get_layer(HEAD[0]).units, len(self._set.labels)
        return build_head(self._num_features, hidden, labels, seed=self._seed)

    def _new_head(self) -> Any:
        """The base's dense layers; labels that the base does not know get new, small weights."""
        head = self._build_head()
        head.get_layer(HEAD[0]).set_weights(self._base.get_layer(HEAD[0]).get_weights())
        known_kernel, known_bias = self._base.get_layer(HEAD[1]).get_weights()
        kernel, bias = (0.1 * array for array in head.get_layer(HEAD[1]).get_weights())
        for column, label in enumerate(self._set.labels):
            if label in self._base_labels:
                kernel[:, column] = known_kernel[:, self._base_labels.index(label)]
                bias[column] = known_bias[self._base_labels.index(label)]
        head.get_layer(HEAD[1]).set_weights([kernel, bias])
        return head


RECIPES: dict[str, Callable[..., Fitter]] = {
    "mlp": partial(NetworkFitter, build=build_mlp, batch=16),
    "cnn": partial(NetworkFitter, build=build_cnn, batch=32, augmentation=GENTLE),
    "transfer": TransferFitter,
}
"""Makes the fitter of a training set and a seed; `augmentation=` replaces the recipe's own."""


def balance(targets: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) float32 weights of mean 1 that raise rare labels, by the square root, so that no single image dominates."""
    counts = np.bincount(targets).astype(np.float64)
    weights = 1 / np.sqrt(counts[targets])
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def divide_logits(network: Any, temperature: float) -> None:
    """Put a temperature into the last layer, so that probabilities are calibrated wherever the model is loaded."""
    layer = network.get_layer(HEAD[1])
    layer.set_weights([array / temperature for array in layer.get_weights()])


def _fit_small(
    network: Any, batches: Batches, watched: Any, epochs: int, callbacks: list[Any], rng: random.Random
) -> dict[str, list[float]]:
    """As `network.fit`, without its overhead per epoch, which is most of the time where an epoch is a few steps.

    `fit` shuffles batches by Python's global random numbers, from which other threads draw, too; here by `rng`.
    """
    listeners = keras.callbacks.CallbackList(callbacks, add_history=True, model=network, epochs=epochs)
    network.stop_training = False
    listeners.on_train_begin()
    for epoch in range(epochs):
        listeners.on_epoch_begin(epoch)
        logs: dict[str, float] = {}
        num_seen, steps = 0, list(range(len(batches)))
        batches.on_epoch_end()  # in the order of `fit`, so that the weights are the same to the bit
        rng.shuffle(steps)
        for step in steps:
            x, y, weights = batches[step]
            num_seen += len(y)
            for name, value in network.train_on_batch(x, y, sample_weight=weights, return_dict=True).items():
                logs[name] = logs.get(name, 0.0) + (float(value) - logs.get(name, 0.0)) * len(y) / num_seen
        if watched is not None:
            measured = network.test_on_batch(*watched, return_dict=True)
            logs |= {f"val_{name}": float(value) for name, value in measured.items()}
        listeners.on_epoch_end(epoch, logs)
        if network.stop_training:
            break
    listeners.on_train_end()
    return network.history.history  # type: ignore[no-any-return]
