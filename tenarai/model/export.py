"""Write a model for other programs: LiteRT (phones, microcontrollers), ONNX, or TensorFlow's SavedModel.

In each format digits (N, 28, 28) uint8 go in and probabilities (N, K) float32 come out. `<out>.json` beside it is the
model's record, with the label of each column.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError, SettingsError, writing
from tenarai.locale import _
from tenarai.model.bundle import TOLERANCE, LoadedModel, check_digits, to_record

Format = Literal["litert", "onnx", "saved_model"]

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def export_model(model: LoadedModel, form: Format, out: Path) -> float | None:
    """Write a model in another format and its record beside it, and compare what both predict for a hundred digits.

    Args:
        model: The model.
        form: litert, onnx or saved_model.
        out: A file, or for saved_model a folder; an earlier export there is replaced.

    Returns:
        The largest difference between two probabilities, or None where no runtime of the format is installed.

    Raises:
        SettingsError: The place cannot be written, holds something else, or a package is missing.
        ModelError: The export predicts something else, by more than 1e-5.
    """
    with writing(out, fix=_("give another --out")):
        is_ours = (out / "saved_model.pb").exists() if form == "saved_model" else out.is_file()
        is_free = is_ours or not out.exists()
    if not is_free:
        raise SettingsError(
            _("{out} exists and is no {format} file", out=str(out), format=form),
            expected=_("a free path, or an earlier export as {format}", format=form),
            fix=_("give another --out"),
        )
    with TemporaryDirectory(prefix="tenarai-") as folder:
        draft = Path(folder) / f"model{'.tflite' if form == 'litert' else '.onnx' if form == 'onnx' else ''}"
        _write(model, form, draft)
        difference = _compare(model, form, draft)
        with writing(out, fix=_("give another --out")):
            out.parent.mkdir(parents=True, exist_ok=True)
            if out.is_dir():
                shutil.rmtree(out)
            shutil.move(draft, out)
            record = json.dumps(to_record(model.info), indent=1, sort_keys=True, ensure_ascii=False)
            out.with_name(f"{out.name}.json").write_text(record + "\n", encoding="utf-8")
    return difference


def _write(model: LoadedModel, form: Format, draft: Path) -> None:
    from tenarai.model.backend import keras

    if keras.backend.backend() != "tensorflow":
        raise SettingsError(
            _("Keras exports {format} with TensorFlow only", format=form),
            received=f"KERAS_BACKEND={keras.backend.backend()}",
            fix=_("set KERAS_BACKEND=tensorflow for this command; every backend can load the model"),
        )
    network = model.network
    network(np.zeros((1, 28, 28), dtype=np.uint8))  # Keras exports to ONNX what was called once
    try:
        network.export(draft, format="tf_saved_model" if form == "saved_model" else form, verbose=False)
    except ImportError as error:
        raise SettingsError(
            _("exporting {format} needs a package that is not installed", format=form),
            received=str(error),
            fix=f"pip install 'tenarai[{form}]'",
        ) from error


def _compare(model: LoadedModel, form: Format, draft: Path) -> float | None:
    """The largest difference between the export's and Keras' probabilities for the check digits."""
    pixels = check_digits()
    try:
        predict = _OPEN[form](draft)
    except ImportError:
        return None
    expected = model.network.predict(pixels, verbose=0)
    difference = float(np.abs(predict(pixels) - expected).max())
    if difference > TOLERANCE:
        raise ModelError(
            _("the {format} export of {id} does not predict what the model predicts", format=form, id=model.info.id),
            expected=_("a difference of at most {limit} on {num} digits", limit=TOLERANCE, num=len(pixels)),
            received=f"{difference:.2g}",
            fix=_("report it with the versions of Keras and of the runtime"),
        )
    return difference


def _open_litert(path: Path) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(path))

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(given["index"], pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pixels)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(made["index"]))

    return predict


def _open_onnx(path: Path) -> Predict:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda pixels: np.asarray(session.run(None, {given.name: pixels})[0])


def _open_saved_model(path: Path) -> Predict:
    from tenarai.model.backend import keras

    layer: Any = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda pixels: np.asarray(layer(pixels))


_OPEN: dict[Format, Callable[[Path], Predict]] = {
    "litert": _open_litert,
    "onnx": _open_onnx,
    "saved_model": _open_saved_model,
}
