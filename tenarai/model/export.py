"""A model for other programs: LiteRT (phones, microcontrollers), ONNX, or TensorFlow's SavedModel.

Whatever the format, digits (N, 28, 28) uint8 go in and probabilities (N, K) float32 come out, as with the `.keras`
file. A `<name>.json` beside it says which label each column stands for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError, SettingsError
from tenarai.model.bundle import LoadedModel
from tenarai.model.onnx_file import build_onnx

Format = Literal["litert", "onnx", "saved_model"]
FORMATS: tuple[Format, ...] = ("litert", "onnx", "saved_model")
TOLERANCE = 1e-5  # largest difference of a probability that still counts as the same reading

Read = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def export_model(model: LoadedModel, form: Format, out: Path) -> Path:
    """Write a model in another format, and its record beside it.

    Args:
        model: What to write.
        form: litert, onnx or saved_model.
        out: A file, or for saved_model a folder; what this command wrote there before is replaced.

    Returns:
        The record's path, `<out>.json`.

    Raises:
        SettingsError: The place cannot be written, holds something else, or a package is missing.
        ModelError: The network cannot be written in this format.
    """
    _check_place(form, out)
    with TemporaryDirectory(prefix="tenarai-") as folder:
        draft = Path(folder) / ("model.tflite" if form == "litert" else "model")
        _write(model, form, draft)
        record = out.with_name(f"{out.name}.json")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            if out.is_dir():
                shutil.rmtree(out)
            shutil.move(draft, out)
            text = json.dumps(asdict(model.info), indent=1, sort_keys=True, ensure_ascii=False)
            record.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"{out} cannot be written", received=error.strerror or str(error)) from error
    return record


def compare_exported(model: LoadedModel, form: Format, out: Path, pixels: NDArray[np.uint8]) -> float | None:
    """The largest difference between a probability of the export and of the model.

    Args:
        model: What was exported.
        form, out: As given to `export_model`.
        pixels: (N, 28, 28) uint8, digits to read.

    Returns:
        The difference, or None where no runtime for the format is installed.

    Raises:
        ModelError: They read differently, by more than 1e-5.
    """
    try:
        read = _READERS[form](out)
    except ImportError:
        return None
    difference = float(np.abs(read(pixels) - model.predict(pixels)).max())
    if difference > TOLERANCE:
        raise ModelError(
            f"{out} reads otherwise than {model.info.id}",
            expected=f"probabilities at most {TOLERANCE} apart on {len(pixels)} digits",
            received=f"{difference:.2g}",
            fix="do not use it, and report it with the versions of Keras and of the runtime",
        )
    return difference


def _check_place(form: Format, out: Path) -> None:
    is_ours = (out / "saved_model.pb").exists() if form == "saved_model" else out.is_file()
    if out.exists() and not is_ours:
        raise SettingsError(
            f"{out} exists already and is no {form}",
            expected=f"a place that is free, or an earlier export as {form}",
            fix="name another --out",
        )


def _write(model: LoadedModel, form: Format, draft: Path) -> None:
    try:
        if form == "onnx":
            draft.write_bytes(build_onnx(model.network, _describe(model)))
        else:
            _check_backend(form)
            kind = "tf_saved_model" if form == "saved_model" else form
            model.network.export(draft, format=kind, verbose=False)
    except ImportError as error:
        raise SettingsError(
            f"writing {form} needs a package that is not installed",
            received=str(error),
            fix=f"pip install 'tenarai[{form}]'" if form != "saved_model" else "pip install tensorflow",
        ) from error


def _check_backend(form: Format) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise SettingsError(
            f"Keras writes {form} on TensorFlow only",
            received=f"KERAS_BACKEND={keras.backend.backend()}",
            fix="set KERAS_BACKEND=tensorflow for this command; the model's weights serve every backend",
        )


def _describe(model: LoadedModel) -> dict[str, str]:
    info = model.info
    return {
        "id": info.id,
        "labels": json.dumps(info.labels, ensure_ascii=False),
        "normaliser": str(info.normaliser),
        "unsure_below": str(info.unsure_below),
    }


def _open_litert(out: Path) -> Read:
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(out))

    def read(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(given["index"], pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pixels)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(made["index"]))

    return read


def _open_onnx(out: Path) -> Read:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run(["probability"], {"digit": pixels})[0])


def _open_saved_model(out: Path) -> Read:
    import keras

    layer: Any = keras.layers.TFSMLayer(out, call_endpoint="serve")
    return lambda pixels: np.asarray(layer(pixels))


_READERS: dict[Format, Callable[[Path], Read]] = {
    "litert": _open_litert,
    "onnx": _open_onnx,
    "saved_model": _open_saved_model,
}
