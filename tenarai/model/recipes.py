"""The recipes: the article's MLP, a CNN from scratch, and the base model with its last layers fine-tuned.

A recipe prepares a `Fitter` once for a collection; the fitter is then fitted on each fold and, last, on everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tenarai.model.augment import GENTLE, Augmentation, augment
from tenarai.model.batches import Copy, augmented_batches, feature_batches, one_hot
from tenarai.model.bundle import BATCH, load_base
from tenarai.model.networks import FEATURES, HEAD, build_cnn, build_head, build_mlp

Say = Callable[[int, dict[str, float]], None]
Rows = NDArray[np.intp]

SEEN_AT_ONCE = 64 * BATCH
STEPS_AT_ONCE = 16  # before Python is asked again: the same weights to the bit, in half the time


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What there is to learn.

    Attributes:
        pixels: (N, 28, 28) uint8, ink 255 on paper 0.
        targets: (N,) int64, index into `labels`.
        groups: (N,) str, near-duplicate groups.
        labels: Class names.
        normaliser: Version of the normaliser that made the digits.
        only_read: (M, 28, 28) uint8, what is read and never learned from; or None.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: tuple[str, ...]
    normaliser: int
    only_read: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit: its curves, and what it reads in the held-out images, (M, K) float32, none without held-out images."""

    history: dict[str, list[float]]
    probabilities: NDArray[np.float32]


class Fitter(Protocol):
    """Fits one kind of network on rows of a lesson, as often as asked."""

    def fit(self, train: Rows, held_out: Rows | None, *, epochs: int, patience: int | None, say: Say) -> Fit:
        """Fit anew; with held-out rows EarlyStopping watches their loss and puts the best weights back.

        A patience of None only measures them, epoch by epoch, and stops nothing.
        """

    def read(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the last fit reads in (M, 28, 28) uint8: (M, K) float32."""

    def network(self, temperature: float) -> Any:
        """The last fit as a `keras.Model`, its logits divided by the temperature."""


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        name: mlp, cnn or transfer.
        epochs_without_split: Epochs where too few images are there to find their number.
        prepare: Makes the fitter from a lesson and a seed; `how=` gives it another augmentation than its own.
    """

    name: str
    epochs_without_split: int
    prepare: Callable[..., Fitter]


class NetworkFitter:
    """Whole networks from scratch."""

    def __init__(
        self, training_set: TrainingSet, seed: int, *, build: Callable[[int], Any], how: Augmentation | None, batch: int
    ) -> None:
        """Keep what is needed; nothing is built yet."""
        self._lesson, self._seed, self._build, self._how, self._batch = training_set, seed, build, how, batch
        self._network: Any = None

    def fit(self, train: Rows, held_out: Rows | None, *, epochs: int, patience: int | None, say: Say) -> Fit:
        """See `Fitter`."""
        import keras

        keras.utils.set_random_seed(self._seed)
        training_set = self._lesson
        targets = one_hot(training_set.targets, len(training_set.labels))
        network = self._build(len(training_set.labels))
        _compile(network, keras.optimizers.Adam(1e-3))
        pixels, wanted, weights = training_set.pixels[train], targets[train], balance(training_set.targets[train])
        if self._how is None:  # arrays go through Keras several times faster than batches that we make
            data = {"x": pixels, "y": wanted, "sample_weight": weights, "batch_size": self._batch, "shuffle": True}
        else:
            data = {
                "x": augmented_batches(
                    pixels, wanted, how=self._how, batch=self._batch, seed=self._seed, weights=weights
                )
            }
        watched = None if held_out is None else (training_set.pixels[held_out], targets[held_out])
        history = _run(network, data, watched, epochs=epochs, patience=patience, say=say)
        self._network = network
        return Fit(
            history, _read(network, training_set.pixels[held_out]) if held_out is not None else _nothing(training_set)
        )

    def read(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Fitter`."""
        return _read(self._network, pixels) if len(pixels) else _nothing(self._lesson)

    def network(self, temperature: float) -> Any:
        """See `Fitter`."""
        divide_logits(self._network, temperature)
        return self._network


class TransferFitter:
    """The base model with its dense layers fine-tuned; its convolutions stay as they are.

    What they make of each image and of `COPIES` augmented copies is computed once for all folds, and an
    epoch is one pass over another copy of everything: seconds for hundreds of images. All fits use one network, put
    back to its beginning each time: compiling it anew would take longer than a fit.

    Where the copies of everything would not fit into `BUDGET`, each is of another random part, as large as fits:
    neither memory nor the time of an epoch grows any further.
    """

    COPIES = 16
    BATCH = 32
    RATE = 7e-4
    BUDGET = 2**29  # bytes of all copies: some 9,000 images whole

    def __init__(self, training_set: TrainingSet, seed: int, *, how: Augmentation | None = GENTLE) -> None:
        """Compute the features of every image and of its augmented copies; without augmentation the images serve."""
        import keras

        keras.utils.set_random_seed(seed)
        self._lesson, self._seed = training_set, seed
        base = load_base(normaliser=training_set.normaliser)
        self._base, self._base_labels = base.network, base.info.labels
        self._convolutions = keras.Model(base.network.input, base.network.get_layer(FEATURES).output)
        self._num_features = int(self._convolutions.output_shape[1])
        self._room = max(self.BATCH, self.BUDGET // (self.COPIES * 4 * self._num_features))
        fits = len(training_set.pixels) <= self._room
        self._plain = self._see(training_set.pixels) if fits else None
        self._copies = self._make_copies(how)
        self._head = self._new_head()
        _compile(self._head, keras.optimizers.Adam(self.RATE))
        self._head.optimizer.build(self._head.trainable_variables)
        self._beginning = [keras.ops.convert_to_numpy(variable) for variable in self._variables()]

    def fit(self, train: Rows, held_out: Rows | None, *, epochs: int, patience: int | None, say: Say) -> Fit:
        """See `Fitter`."""
        import keras

        keras.utils.set_random_seed(self._seed)
        training_set = self._lesson
        targets = one_hot(training_set.targets, len(training_set.labels), smoothing=0.05)
        for variable, value in zip(self._variables(), self._beginning, strict=True):
            variable.assign(value)
        weights = np.zeros(len(targets), dtype=np.float32)
        weights[train] = balance(training_set.targets[train])
        batches = feature_batches(self._copies, train, targets, batch=self.BATCH, seed=self._seed, weights=weights)
        watched = None
        if held_out is not None:
            seen = held_out[:: -(-len(held_out) // self._room)]
            watched = (self._features(seen), one_hot(training_set.targets[seen], len(training_set.labels)))
        history = _run(self._head, {"x": batches}, watched, epochs=epochs, patience=patience, say=say)
        return Fit(history, self._read_rows(held_out) if held_out is not None else _nothing(training_set))

    def read(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Fitter`."""
        parts = [pixels[start : start + self._room] for start in range(0, len(pixels), self._room)]
        return np.concatenate([_nothing(self._lesson), *(_read(self._head, self._see(part)) for part in parts)])

    def network(self, temperature: float) -> Any:
        """See `Fitter`."""
        import keras

        divide_logits(self._head, temperature)
        head = self._build_head()  # without the optimizer, which would be kept with it and never used
        head.set_weights(self._head.get_weights())
        inputs = keras.Input((28, 28), dtype="uint8", name="digit")
        whole = keras.Model(inputs, head(self._convolutions(inputs, training=False)), name="transfer")
        whole.trainable = False
        return whole

    def _variables(self) -> list[Any]:
        """Everything that a fit changes: weights, the optimizer's state, and the dice of dropout."""
        return [*self._head.variables, *self._head.optimizer.variables]

    def _make_copies(self, how: Augmentation | None) -> list[Copy]:
        """Features of augmented copies: of everything where that fits, else each of another random part."""
        pixels, rng = self._lesson.pixels, np.random.default_rng([self._seed, 1])
        everything = np.arange(len(pixels))
        if how is None and self._plain is not None:
            return [Copy(everything, self._plain)]
        parts = [everything] * self.COPIES
        if self._plain is None:
            draw = np.random.default_rng([self._seed, 2])
            parts = [np.sort(draw.choice(len(pixels), self._room, replace=False)) for _ in parts]
        shown = [augment(pixels[part], rng, how) if how else pixels[part] for part in parts]
        features = np.split(self._see(np.concatenate(shown)), len(parts))
        return [Copy(part, seen) for part, seen in zip(parts, features, strict=True)]

    def _features(self, rows: Rows) -> NDArray[np.float32]:
        return self._see(self._lesson.pixels[rows]) if self._plain is None else self._plain[rows]

    def _read_rows(self, rows: Rows) -> NDArray[np.float32]:
        return self.read(self._lesson.pixels[rows]) if self._plain is None else _read(self._head, self._plain[rows])

    def _see(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, F) float32, written as they come: Keras would hold all of them twice."""
        features = np.empty((len(pixels), self._num_features), dtype=np.float32)
        for start in range(0, len(pixels), SEEN_AT_ONCE):
            part = slice(start, start + SEEN_AT_ONCE)
            features[part] = self._convolutions.predict(pixels[part], batch_size=BATCH, verbose=0)
        return features

    def _build_head(self) -> Any:
        return build_head(self._num_features, self._base.get_layer(HEAD[0]).units, len(self._lesson.labels))

    def _new_head(self) -> Any:
        """The base's dense layers; labels that the base does not know get new, small weights."""
        labels = self._lesson.labels
        head = self._build_head()
        head.get_layer(HEAD[0]).set_weights(self._base.get_layer(HEAD[0]).get_weights())
        known_kernel, known_bias = self._base.get_layer(HEAD[1]).get_weights()
        kernel, bias = (0.1 * array for array in head.get_layer(HEAD[1]).get_weights())
        for column, label in enumerate(labels):
            if label in self._base_labels:
                kernel[:, column] = known_kernel[:, self._base_labels.index(label)]
                bias[column] = known_bias[self._base_labels.index(label)]
        head.get_layer(HEAD[1]).set_weights([kernel, bias])
        return head


def balance(targets: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) float32 weights of mean 1 that lift rare labels, by the square root, so that a single image never rules."""
    counts = np.bincount(targets).astype(np.float64)
    weights = 1 / np.sqrt(counts[targets])
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def divide_logits(network: Any, temperature: float) -> None:
    """Bake a temperature into the last layer, so that readings are calibrated wherever the model is loaded."""
    layer = network.get_layer(HEAD[1])
    layer.set_weights([array / temperature for array in layer.get_weights()])


def _compile(network: Any, optimizer: Any) -> None:
    network.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
        steps_per_execution=STEPS_AT_ONCE,
    )


def _run(
    network: Any, data: dict[str, Any], watched: Any, *, epochs: int, patience: int | None, say: Say
) -> dict[str, list[float]]:
    import keras

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=say)]
    if watched is not None and patience is not None:
        # Keras' defaults neither wait nor put the best weights back
        callbacks.append(
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience, restore_best_weights=True)
        )
    fitted = network.fit(
        **data, epochs=epochs, validation_data=watched, validation_batch_size=BATCH, callbacks=callbacks, verbose=0
    )
    return {name: [float(value) for value in values] for name, values in fitted.history.items()}


def _read(network: Any, images: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(network.predict(images, batch_size=BATCH, verbose=0), dtype=np.float32)


def _nothing(training_set: TrainingSet) -> NDArray[np.float32]:
    return np.empty((0, len(training_set.labels)), dtype=np.float32)


def _prepare_mlp(training_set: TrainingSet, seed: int, *, how: Augmentation | None = None) -> Fitter:
    return NetworkFitter(training_set, seed, build=build_mlp, how=how, batch=16)


def _prepare_cnn(training_set: TrainingSet, seed: int, *, how: Augmentation | None = GENTLE) -> Fitter:
    return NetworkFitter(training_set, seed, build=build_cnn, how=how, batch=32)


RECIPES = {
    "mlp": Recipe("mlp", 40, _prepare_mlp),
    "cnn": Recipe("cnn", 40, _prepare_cnn),
    "transfer": Recipe("transfer", 12, TransferFitter),
}
