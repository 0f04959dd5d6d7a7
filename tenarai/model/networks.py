"""The networks: (N, 28, 28) uint8 in, (N, K) probabilities out; scaling happens inside, so nobody can forget it."""

from __future__ import annotations

from typing import Any

FEATURES = "features"  # the last layer that `transfer` leaves as the base learned it
HEAD = ("dense", "logits")  # the layers that `transfer` fine-tunes


def build_mlp(num_labels: int, *, hidden: int = 128, scale: float = 1 / 255) -> Any:
    """The article's network: 784-128-K with ReLU; a `keras.Model`.

    Args:
        num_labels: K.
        hidden: Units of the hidden layer. Default: 128.
        scale: What pixels are multiplied by; 1 feeds the network 0 to 255, as the article did. Default: 1/255.
    """
    import keras

    inputs, x = _input(keras, scale)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(hidden, activation="relu", name=HEAD[0])(x)
    return _output(keras, inputs, x, num_labels, name="mlp")


def build_cnn(num_labels: int, *, width: int = 16, dropout: float = 0.3) -> Any:
    """A small network for learning from scratch: two convolutions, one dense layer; a `keras.Model`."""
    import keras

    layers = keras.layers
    inputs, x = _input(keras)
    for filters in (width, 2 * width):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten(name=FEATURES)(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(8 * width, activation="relu", name=HEAD[0])(x)
    x = layers.Dropout(dropout)(x)
    return _output(keras, inputs, x, num_labels, name="cnn")


def build_base(num_labels: int = 10, *, width: int = 32, dropout: float = 0.25) -> Any:
    """The base model's network: four convolutions with batch normalisation, 267,000 weights; a `keras.Model`."""
    import keras

    layers = keras.layers
    inputs, x = _input(keras)
    # strides early: four times the images a second of a network that pools
    for filters, kernel, stride in ((width, 5, 2), (3 * width // 2, 3, 1), (2 * width, 3, 2), (3 * width, 3, 1)):
        x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.98)(x)
        x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten(name=FEATURES)(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(6 * width, activation="relu", name=HEAD[0])(x)
    x = layers.Dropout(dropout)(x)
    return _output(keras, inputs, x, num_labels, name="base")


def build_head(num_features: int, hidden: int, num_labels: int, *, dropout: float = 0.3) -> Any:
    """The dense layers of the base by themselves, (N, F) float32 features in; a `keras.Model`."""
    import keras

    inputs = keras.Input((num_features,), name=FEATURES)
    x = keras.layers.Dropout(dropout)(inputs)
    x = keras.layers.Dense(hidden, activation="relu", name=HEAD[0])(x)
    x = keras.layers.Dropout(dropout)(x)
    return _output(keras, inputs, x, num_labels, name="head")


def _input(keras: Any, scale: float = 1 / 255) -> tuple[Any, Any]:
    inputs = keras.Input((28, 28), dtype="uint8", name="digit")
    x = keras.layers.Rescaling(scale, name="to_unit")(inputs)
    return inputs, keras.layers.Reshape((28, 28, 1))(x)


def _output(keras: Any, inputs: Any, x: Any, num_labels: int, *, name: str) -> Any:
    x = keras.layers.Dense(num_labels, name=HEAD[1])(x)
    # the softmax stays in float32 when the rest is trained in mixed precision
    return keras.Model(inputs, keras.layers.Softmax(name="probability", dtype="float32")(x), name=name)
