"""Models in a store, and the base model in the package.

models/<id>/model.keras       the network; Keras opens it in safe mode
models/<id>/weights.npz       its weights, check digits and Keras' probabilities for them: read without Keras
models/<id>/history.json      learning curves
models/<id>/predictions.npz   of the fold models: `out_of_fold`, see `Trained`
models/<id>/card.md           what the model is, for people
models/<id>/model.json        `ModelInfo` with the digests of the other files; written last: the model is complete
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError, NormaliserMismatch, StoreError
from tenarai.locale import _, from_json, to_json
from tenarai.model.forward import Forward
from tenarai.records import Curves, ModelInfo
from tenarai.store import Store

log = logging.getLogger("tenarai.model")
BATCH = 256
TOLERANCE = 1e-5  # largest difference between two probabilities that count as equal
NUM_PROBED = 10  # check digits that are saved with a model and predicted whenever it is loaded
BASE_FOLDER: Any = files("tenarai.model") / "base"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to predict.

    Attributes:
        info: What it is.
        load_network: Loads the `keras.Model`; called at most once, and not at all where `forward` suffices.
        forward: Predicts without Keras; None where it does not agree with Keras.
    """

    info: ModelInfo
    load_network: Callable[[], Any]
    forward: Forward | None

    @classmethod
    def from_network(cls, info: ModelInfo, network: Any) -> LoadedModel:
        """A model whose network is at hand: its forward pass in NumPy is compared with Keras' on the check digits."""
        pixels = check_digits()
        forward = _open_forward(info, network.get_weights(), pixels, predict_with_keras(network, pixels))
        return cls(info, lambda: network, forward)

    @cached_property
    def network(self) -> Any:
        """The `keras.Model`, (N, 28, 28) uint8 → (N, K) float32."""
        return self.load_network()

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict the probability of each label.

        Args:
            pixels: (N, 28, 28) uint8, ink 255 on paper 0, made by the normaliser that the model names.

        Returns:
            (N, K) float32, rows summing to 1, columns as `info.labels`.
        """
        return self.forward.predict(pixels) if self.forward else predict_with_keras(self.network, pixels)

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 28, 28) uint8 → (N, F) float32, the last hidden layer; the probabilities where only Keras predicts."""
        return self.forward.features(pixels) if self.forward else self.predict(pixels)


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training.

    Attributes:
        info: What it is; `save_model` adds id and digests.
        network: `keras.Model`, (N, 28, 28) uint8 → (N, K) float32, calibrated.
        curves: Learning curves of the folds and of the final fit.
        out_of_fold: (N, K) float32, each training image predicted by a model that never saw it; NaN without a split.
    """

    info: ModelInfo
    network: Any
    curves: Curves
    out_of_fold: NDArray[np.float32]


def save_model(store: Store, model_id: str, trained: Trained) -> ModelInfo:
    """Save a trained model; `model.json` comes last.

    Returns:
        Its record with id and digests.
    """
    info, network = replace(trained.info, id=model_id), trained.network
    contents = {
        "model.keras": _network_bytes(network),
        "history.json": json.dumps(asdict(trained.curves)).encode(),
        "predictions.npz": _pack(out_of_fold=trained.out_of_fold),
        "card.md": write_card(info).encode(),
    }
    if LoadedModel.from_network(info, network).forward:
        pixels = check_digits()[:NUM_PROBED]
        contents["weights.npz"] = pack_weights(
            network.get_weights(), pixels=pixels, expected=predict_with_keras(network, pixels)
        )
    for name, data in contents.items():
        store.write(data, "models", model_id, name)
    info = replace(info, digests={name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
    store.write_json(to_record(info), "models", model_id, "model.json")
    return info


def rename_snapshot(store: Store, model_id: str, snapshot: str, note: str) -> None:
    """Give a model's snapshot another id, with a note why; what the fold models predicted for its rows goes.

    Killed anywhere, the model stays whole, and the same call completes it.
    """
    info = load_info(store, model_id)
    kept = {name: digest for name, digest in info.digests.items() if name not in {"card.md", "predictions.npz"}}
    store.write_json(to_record(replace(info, digests=kept)), "models", model_id, "model.json")
    info = replace(info, snapshot=snapshot, notes=(*info.notes, note))
    card = write_card(info).encode()
    store.write(card, "models", model_id, "card.md")
    info = replace(info, digests={**kept, "card.md": hashlib.sha256(card).hexdigest()})
    store.write_json(to_record(info), "models", model_id, "model.json")
    store.remove("models", model_id, "predictions.npz")


def load_info(store: Store, model_id: str) -> ModelInfo:
    """Load the record of a model; for any id of a base model, that of today's base.

    Raises:
        ModelError: There is no such model, or its record is damaged.
    """
    if is_base(model_id):
        return base_info()
    if not store.exists("models", model_id, "model.json"):
        raise ModelError(
            _("there is no model {id} in the store {store}", id=model_id, store=store.address),
            expected=_("an id that `tenarai models` lists"),
            fix=_("check the id"),
        )
    try:
        return _parse_info(store.read_json("models", model_id, "model.json"))
    except StoreError as error:
        raise _damaged(_address(store, model_id, "model.json"), error.received) from error


def load_model(store: Store, model_id: str, *, normaliser: int) -> LoadedModel:
    """Load a model of the store after checking all of its files.

    Args:
        store: The store.
        model_id: The model's id.
        normaliser: Version of the normaliser that makes the digits to predict.

    Raises:
        ModelError: It is missing, damaged or altered.
        NormaliserMismatch: It was trained with another version of the normaliser.
    """
    info = load_info(store, model_id)
    _check_normaliser(info, normaliser)
    forward = None
    for name in info.digests:
        data = _read(store, info, name)
        if name == "weights.npz":
            forward = _open_weights(info, data)
    return LoadedModel(info, lambda: _load_network(store, info), forward)


def verify_model(store: Store, model_id: str) -> None:
    """Check all files of a model against their digests.

    Raises:
        ModelError: One is missing or damaged.
    """
    info = load_info(store, model_id)
    for name in () if is_base(model_id) else info.digests:
        _read(store, info, name)


def load_curves(store: Store, model_id: str) -> Curves:
    """Load the learning curves of a model.

    Raises:
        ModelError: They are missing or damaged.
    """
    found = json.loads(_read(store, load_info(store, model_id), "history.json"))
    return Curves(tuple(found["folds"]), found["refit"])


def load_out_of_fold(store: Store, model_id: str) -> NDArray[np.float32]:
    """Load what the fold models predicted, `out_of_fold` of `Trained`.

    Raises:
        ModelError: They are missing or damaged.
    """
    return _load_arrays(_read(store, load_info(store, model_id), "predictions.npz"))["out_of_fold"]


@cache
def base_info() -> ModelInfo:
    """The record of the base model in the package."""
    return _parse_info(json.loads((BASE_FOLDER / "model.json").read_bytes()))


def is_base(model_id: str) -> bool:
    """Whether an id is that of the base model: today's, or that of an earlier release, which today's replaces."""
    return model_id.startswith("base-")


def load_base(*, normaliser: int) -> LoadedModel:
    """Load the base model, champion zero.

    Raises:
        ModelError: The package is damaged.
        NormaliserMismatch: It was trained with another version of the normaliser.
    """
    info = base_info()
    _check_normaliser(info, normaliser)
    data = _read(None, info, "weights.npz")  # float16; the check digits are in a file beside it
    digits = _load_arrays(_read(None, info, "digits.npz"))
    return LoadedModel(info, lambda: _build_base(info, data), _open_weights(info, data, digits))


def predict_with_keras(network: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """(N, …) inputs → (N, K) float32, what a `keras.Model` predicts; Keras itself takes no empty batch."""
    if not len(inputs):
        return np.empty((0, network.output_shape[-1]), dtype=np.float32)
    return np.asarray(network.predict(inputs, batch_size=BATCH, verbose=0), dtype=np.float32)


def check_digits() -> NDArray[np.uint8]:
    """(100, 28, 28) uint8, ten of each digit, drawn by program: what models are compared on."""
    return np.asarray(_load_arrays(_read(None, base_info(), "digits.npz"))["pixels"])


def pack_weights(weights: Iterable[NDArray[Any]], **arrays: Any) -> bytes:
    """Weights in Keras' order, and other arrays by name, as the bytes of an `.npz` file."""
    return _pack(**arrays, **{f"w{number:02}": array for number, array in enumerate(weights)})


def to_record(info: ModelInfo) -> dict[str, Any]:
    """A model's record as plain values for `model.json`."""
    return {**asdict(info), "notes": [to_json(note) for note in info.notes]}


def write_card(info: ModelInfo) -> str:
    """Write the model's card: what it is, what it was trained on, and how good it is on how many images."""
    metrics = [
        f"| {name} | {value:,.0f} |" if value.is_integer() and value > 1 else f"| {name} | {value:.4g} |"
        for name, value in sorted(info.metrics.items())
    ]
    lines = [
        f"# {info.id}",
        "",
        f"Labels: {', '.join(info.labels)}. Recipe: {info.recipe}, {info.epochs} epochs.",
        f"Trained {info.created} on {info.device}.",
        f"Normaliser version {info.normaliser}; snapshot {info.snapshot or 'none (shipped)'}.",
        f"Predictions with a confidence below {info.unsure_below:.3f} are called unsure.",
        "",
        "| metric | value |",
        "| --- | --- |",
        *metrics,
        "",
        *[f"* {note}" for note in info.notes],
        "",
        "Input: one handwritten character, normalised to (28, 28) uint8, ink 255 on paper 0. The model predicts one",
        "of its labels for any input. The metrics hold for the images named above; expect less on other people's.",
        "",
        "Parameters: " + (", ".join(f"{name} {value}" for name, value in sorted(info.parameters.items())) or "unknown"),
        "Versions: " + ", ".join(f"{name} {number}" for name, number in sorted(info.versions.items())),
        "",
    ]
    return "\n".join(lines)


def versions(backend: str) -> dict[str, str]:
    """Versions of what decides the result of a training with a backend of Keras; Keras is not imported for it."""
    found = {"backend": backend}
    for name in ("keras", "numpy", "tenarai", backend):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree that is not installed
            found[name] = "source tree"
    return found


def _parse_info(found: Mapping[str, Any]) -> ModelInfo:
    fields = dict(found)
    fields["notes"] = tuple(from_json(note) for note in fields["notes"])
    for name in ("labels", "epochs_by_fold"):
        fields[name] = tuple(fields[name])
    return ModelInfo(**fields)


def _check_normaliser(info: ModelInfo, normaliser: int) -> None:
    if info.normaliser != normaliser:
        raise NormaliserMismatch(
            _("the model {id} was trained with another version of the normaliser", id=info.id),
            expected=_("version {version}", version=normaliser),
            received=_("version {version}", version=info.normaliser),
            fix=_("run `tenarai nightly`: it trains a new model with today's normaliser"),
        )


def _read(store: Store | None, info: ModelInfo, name: str) -> bytes:
    """A file of a model, of the base model where there is no store, checked against its digest."""
    place = _address(store, info.id, name)
    try:
        data = store.read("models", info.id, name) if store else bytes((BASE_FOLDER / name).read_bytes())
    except (StoreError, OSError) as error:
        raise _damaged(place, getattr(error, "received", "") or str(error)) from error
    expected, found = info.digests.get(name, ""), hashlib.sha256(data).hexdigest()
    if found != expected:
        raise _damaged(place, f"sha256 {found[:12]}…", expected=f"sha256 {expected[:12]}…")
    return data


def _address(store: Store | None, model_id: str, name: str) -> str:
    return f"{store.address.rstrip('/')}/models/{model_id}/{name}" if store else str(BASE_FOLDER / name)


def _damaged(place: str, received: str, *, expected: str = "") -> ModelError:
    return ModelError(
        _("the model file {path} is missing or damaged", path=place),
        expected=expected,
        received=received,
        fix=_("restore it from a copy of the store, or go back to an earlier model with `tenarai rollback`")
        if "/models/" in place
        else _("install Tenarai again"),
    )


def _pack(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _load_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _open_weights(info: ModelInfo, data: bytes, probe: Mapping[str, NDArray[Any]] | None = None) -> Forward | None:
    """The forward pass of weights in a file, checked on the probe beside them or on another one."""
    arrays = _load_arrays(data)
    probe = probe or arrays
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("w")]
    return _open_forward(info, weights, probe["pixels"], probe["expected"])


def _open_forward(
    info: ModelInfo, weights: Iterable[NDArray[Any]], pixels: NDArray[np.uint8], expected: NDArray[np.float32]
) -> Forward | None:
    """The forward pass in NumPy, or None where it does not predict what Keras predicts."""
    try:
        forward = Forward(info.recipe, weights)
        difference = float(np.abs(forward.predict(pixels) - expected).max())
    except ValueError as error:
        log.warning("%s is read with Keras: %s", info.id, error)
        return None
    if difference > TOLERANCE:
        log.warning("%s is read with Keras: without it, probabilities differ by %.2g", info.id, difference)
        return None
    return forward


def _load_network(store: Store, info: ModelInfo) -> Any:
    data = _read(store, info, "model.keras")
    from tenarai.model.backend import keras

    place = _address(store, info.id, "model.keras")
    with TemporaryDirectory(prefix="tenarai-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many kinds of exceptions on a file it does not trust or understand
            raise _damaged(place, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    if tuple(network.input_shape[1:]) != (28, 28) or network.output_shape[-1] != len(info.labels):
        raise _damaged(place, f"{network.input_shape} → {network.output_shape}")
    return network


def _build_base(info: ModelInfo, data: bytes) -> Any:
    from tenarai.model.networks import build_base

    network = build_base(len(info.labels))
    network.set_weights([array.astype(np.float32) for array in _load_arrays(data).values()])
    return network


def _network_bytes(network: Any) -> bytes:
    with TemporaryDirectory(prefix="tenarai-") as folder:
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()
