"""A network as an ONNX graph, built layer by layer: Keras' own way needs tf2onnx, which stopped at an older protobuf.

Each layer that `networks` uses has its few ONNX operators here. Pictures lie channels-last in Keras and channels-first
in ONNX, so a graph turns them once on the way in and once before they are flattened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError

OPSET = 17
IR_VERSION = 9  # read by runtimes since 2023
ACTIVATIONS = {"relu": "Relu", "linear": ""}


class Graph:
    """Operators in a row, each fed by the one before it."""

    def __init__(self, name: str) -> None:
        """Begin with the input, whose name is given."""
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._last = name

    def add(self, operator: str, *weights: NDArray[Any], **attributes: Any) -> None:
        """Append an operator with its weights."""
        from onnx import helper, numpy_helper

        names = [f"w{len(self.weights) + n}" for n in range(len(weights))]
        self.weights += [numpy_helper.from_array(array, name) for array, name in zip(weights, names, strict=True)]
        made = f"x{len(self.nodes) + 1}"
        self.nodes.append(helper.make_node(operator, [self._last, *names], [made], **attributes))
        self._last = made

    def end(self, name: str) -> None:
        """Call what the last operator gives by the name of the output."""
        self.nodes[-1].output[0] = name


def build_onnx(network: Any, about: dict[str, str]) -> bytes:
    """A network as the bytes of an ONNX file: `digit` (N, 28, 28) uint8 in, `probability` (N, K) float32 out.

    Args:
        network: `keras.Model`, a chain of the layers that `networks` uses, models inside models included.
        about: Facts that the file carries, such as the labels.

    Raises:
        ModelError: It has a layer that is not known here.
    """
    from onnx import TensorProto, checker, helper

    graph = Graph("digit")
    for layer in _layers(network):
        writer = _WRITERS.get(type(layer).__name__)
        if writer is None:
            raise _unknown(layer, type(layer).__name__)
        writer(graph, layer)
    graph.end("probability")
    shapes = (["N", 28, 28], ["N", int(network.output_shape[-1])])
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network.name,
            [helper.make_tensor_value_info("digit", TensorProto.UINT8, shapes[0])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, shapes[1])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tenarai",
    )
    helper.set_model_props(model, about)
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _layers(network: Any) -> Iterator[Any]:
    """The layers in the order in which they work, those of models inside the model in their place."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _write_nothing(graph: Graph, layer: Any) -> None:
    """Inputs only name what flows in, and dropout does nothing when reading."""


def _write_rescaling(graph: Graph, layer: Any) -> None:
    graph.add("Cast", to=1)  # float32
    graph.add("Mul", np.array(layer.scale, dtype=np.float32))
    if layer.offset:
        graph.add("Add", np.array(layer.offset, dtype=np.float32))


def _write_reshape(graph: Graph, layer: Any) -> None:
    high, wide, channels = layer.target_shape
    graph.add("Reshape", np.array([-1, high, wide, channels], dtype=np.int64))
    graph.add("Transpose", perm=[0, 3, 1, 2])


def _write_flatten(graph: Graph, layer: Any) -> None:
    graph.add("Transpose", perm=[0, 2, 3, 1])
    graph.add("Flatten", axis=1)


def _write_convolution(graph: Graph, layer: Any) -> None:
    if layer.dilation_rate != (1, 1) or layer.groups != 1 or layer.data_format != "channels_last":
        raise _unknown(layer, "Conv2D with dilation, groups or channels first")
    kernel, *bias = (np.asarray(array, dtype=np.float32) for array in layer.get_weights())
    padding = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
    graph.add(
        "Conv", np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias, strides=layer.strides, auto_pad=padding
    )
    _write_activation(graph, layer)


def _write_normalization(graph: Graph, layer: Any) -> None:
    weights = [layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance]
    graph.add(
        "BatchNormalization", *(np.asarray(w.numpy(), dtype=np.float32) for w in weights), epsilon=float(layer.epsilon)
    )


def _write_relu(graph: Graph, layer: Any) -> None:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise _unknown(layer, "ReLU with a slope, a threshold or a ceiling")
    graph.add("Relu")


def _write_pooling(graph: Graph, layer: Any) -> None:
    if layer.padding != "valid":
        raise _unknown(layer, f"MaxPooling2D with padding {layer.padding}")
    graph.add("MaxPool", kernel_shape=layer.pool_size, strides=layer.strides)


def _write_dense(graph: Graph, layer: Any) -> None:
    kernel, *bias = (np.asarray(array, dtype=np.float32) for array in layer.get_weights())
    graph.add("Gemm", kernel, *bias)
    _write_activation(graph, layer)


def _write_softmax(graph: Graph, layer: Any) -> None:
    graph.add("Softmax", axis=-1)


def _write_activation(graph: Graph, layer: Any) -> None:
    name = layer.activation.__name__
    if name not in ACTIVATIONS:
        raise _unknown(layer, f"{type(layer).__name__} with activation {name}")
    if ACTIVATIONS[name]:
        graph.add(ACTIVATIONS[name])


_WRITERS: dict[str, Callable[[Graph, Any], None]] = {
    "InputLayer": _write_nothing,
    "Dropout": _write_nothing,
    "Rescaling": _write_rescaling,
    "Reshape": _write_reshape,
    "Flatten": _write_flatten,
    "Conv2D": _write_convolution,
    "BatchNormalization": _write_normalization,
    "ReLU": _write_relu,
    "MaxPooling2D": _write_pooling,
    "Dense": _write_dense,
    "Softmax": _write_softmax,
}


def _unknown(layer: Any, received: str) -> ModelError:
    return ModelError(
        f"the layer {layer.name} cannot be written as ONNX",
        expected=f"one of {', '.join(_WRITERS)}, in a chain",
        received=received,
        fix="export as litert or saved_model, or teach tenarai/model/onnx_file.py the layer",
    )
