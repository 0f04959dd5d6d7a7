"""The networks: (N, 28, 28) uint8 in, (N, K) probabilities out. Each scales its pixels itself."""

from __future__ import annotations

from typing import Any

from tenarai.model.backend import keras

layers = keras.layers

FEATURES = "features"  # the last layer that `transfer` leaves as the base learned it
HEAD = ("dense", "logits")  # the layers that `transfer` fine-tunes


def build_mlp(num_labels: int, *, hidden: int = 128, scale: float = 1 / 255) -> Any:
    """Build the article's network, 784-128-K with ReLU; a `keras.Model`.

    Args:
        num_labels: K.
        hidden: Units of the hidden layer. Default: 128.
        scale: Factor for the pixels; with 1 the network sees 0 to 255, as in the article. Default: 1/255.
    """
    inputs, x = _input(scale)
    x = layers.Flatten()(x)
    x = layers.Dense(hidden, activation="relu", name=HEAD[0])(x)
    return _output(inputs, x, num_labels, name="mlp")


def build_cnn(num_labels: int, *, width: int = 16, dropout: float = 0.3) -> Any:
    """Build a small network to train from scratch: two convolutions, one dense layer; a `keras.Model`."""
    inputs, x = _input()
    for filters in (width, 2 * width):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten(name=FEATURES)(x)
    return _output(inputs, _dense(x, 8 * width, dropout), num_labels, name="cnn")


def build_base(num_labels: int = 10, *, width: int = 32, dropout: float = 0.25) -> Any:
    """Build the base model's network: four convolutions with batch normalisation, 267,000 weights; a `keras.Model`."""
    inputs, x = _input()
    # early strides: four times the images a second of a network that pools
    for filters, kernel, stride in ((width, 5, 2), (3 * width // 2, 3, 1), (2 * width, 3, 2), (3 * width, 3, 1)):
        x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.98)(x)
        x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten(name=FEATURES)(x)
    return _output(inputs, _dense(x, 6 * width, dropout), num_labels, name="base")


def build_head(num_features: int, hidden: int, num_labels: int, *, seed: int, dropout: float = 0.3) -> Any:
    """Build the dense layers of the base alone, (N, F) float32 features in; a `keras.Model`.

    All that is random in it follows from the seed, not from Python's global random numbers: Prefect's threads draw from
    these, too, and the same training would end differently.
    """
    inputs = keras.Input((num_features,), name=FEATURES)
    return _output(inputs, _dense(inputs, hidden, dropout, seed), num_labels, name="head", seed=seed)


def build_transfer(convolutions: Any, head: Any) -> Any:
    """Put a head on the base's convolutions; a `keras.Model` that is not trainable."""
    inputs = keras.Input((28, 28), dtype="uint8", name="digit")
    whole = keras.Model(inputs, head(convolutions(inputs, training=False)), name="transfer")
    whole.trainable = False
    return whole


def take_convolutions(base: Any) -> Any:
    """The base up to the features that `transfer` leaves as they are, (N, 28, 28) uint8 → (N, F) float32."""
    return keras.Model(base.input, base.get_layer(FEATURES).output)


def _input(scale: float = 1 / 255) -> tuple[Any, Any]:
    inputs = keras.Input((28, 28), dtype="uint8", name="digit")
    x = layers.Rescaling(scale, name="to_unit")(inputs)
    return inputs, layers.Reshape((28, 28, 1))(x)


def _dense(x: Any, units: int, dropout: float, seed: int | None = None) -> Any:
    x = layers.Dropout(dropout, seed=seed)(x)
    x = layers.Dense(units, activation="relu", kernel_initializer=_glorot(seed), name=HEAD[0])(x)
    return layers.Dropout(dropout, seed=None if seed is None else seed + 1)(x)


def _glorot(seed: int | None) -> Any:
    """Keras' default initializer."""
    return keras.initializers.GlorotUniform(seed)


def _output(inputs: Any, x: Any, num_labels: int, *, name: str, seed: int | None = None) -> Any:
    x = layers.Dense(num_labels, kernel_initializer=_glorot(seed), name=HEAD[1])(x)
    # the softmax stays in float32 when the rest is trained in mixed precision
    return keras.Model(inputs, layers.Softmax(name="probability", dtype="float32")(x), name=name)
