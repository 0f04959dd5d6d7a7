"""Models as they lie in a store, and the base model as it ships.

models/<id>/model.keras       the network, loaded in Keras' safe mode, after its checksum
models/<id>/history.json      learning curves
models/<id>/out_of_fold.npy   (N, K) float32: each training image read by a fold model that never saw it
models/<id>/seeds.npy         (S, M, K) float32: the regression images, each read by the S fold models
models/<id>/card.md           the same for people
models/<id>/model.json        `ModelInfo`; written last, so a folder that has it is complete
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ModelError, NormaliserMismatch, StoreError
from tenarai.records import Curves, ModelInfo
from tenarai.store import Store

if TYPE_CHECKING:
    from tenarai.model.train import Trained

BATCH = 256


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to read.

    Attributes:
        info: What it is.
        network: `keras.Model`, (N, 28, 28) uint8 → (N, K) float32.
    """

    info: ModelInfo
    network: Any

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of each label.

        Args:
            pixels: (N, 28, 28) uint8, ink 255 on paper 0, made by the normaliser the model remembers.

        Returns:
            (N, K) float32, rows summing to 1, columns as `info.labels`.
        """
        if not len(pixels):
            return np.empty((0, len(self.info.labels)), dtype=np.float32)
        return np.asarray(self.network.predict(pixels, batch_size=BATCH, verbose=0), dtype=np.float32)


def save_model(store: Store, info: ModelInfo, trained: Trained) -> ModelInfo:
    """Keep a trained model under `info.id`; `model.json` comes last.

    Returns:
        The record with the checksum of the weights filled in.
    """
    data = _network_bytes(trained.network)
    info = ModelInfo(**{**asdict(info), "weights_sha256": hashlib.sha256(data).hexdigest()})
    store.write(data, "models", info.id, "model.keras")
    store.write_json(asdict(trained.curves), "models", info.id, "history.json")
    store.write(_array_bytes(trained.out_of_fold), "models", info.id, "out_of_fold.npy")
    store.write(_array_bytes(trained.seeds), "models", info.id, "seeds.npy")
    store.write(write_card(info).encode(), "models", info.id, "card.md")
    store.write_json(asdict(info), "models", info.id, "model.json")
    return info


def load_info(store: Store, model_id: str) -> ModelInfo:
    """What a model is, without loading it; the base model's record by its id.

    Raises:
        ModelError: There is no such model, or its record is damaged.
    """
    if is_base(model_id):
        return base_info()
    if not store.exists("models", model_id, "model.json"):
        raise ModelError(
            f"there is no model {model_id!r} in the store {store.address}",
            expected="an id that `tenarai models` lists",
            fix="check the id, or restore the store from a backup",
        )
    return _parse_info(store.read_json("models", model_id, "model.json"), model_id)


def load_model(store: Store, model_id: str, *, normaliser: int) -> LoadedModel:
    """Load a model of the store after checking its record, checksum, labels and normaliser.

    Args:
        store: Where it lies.
        model_id: Its id.
        normaliser: Version of the normaliser that makes the digits to be read.

    Raises:
        ModelError: It is missing, damaged or altered.
        NormaliserMismatch: It was trained with another version of the normaliser.
    """
    info = load_info(store, model_id)
    _check_normaliser(info, normaliser)
    try:
        data = store.read("models", model_id, "model.keras")
    except StoreError as error:
        raise _damaged(model_id, error.received) from error
    found = hashlib.sha256(data).hexdigest()
    if found != info.weights_sha256:
        raise _damaged(model_id, f"sha256 {found[:12]}… instead of {info.weights_sha256[:12]}…")
    return LoadedModel(info, _network_from_bytes(data, info))


def load_curves(store: Store, model_id: str) -> Curves:
    """Learning curves of a model.

    Raises:
        StoreError: They are missing or damaged.
    """
    found = store.read_json("models", model_id, "history.json")
    return Curves(tuple(found["folds"]), found["refit"], tuple(found["best_epochs"]), found["chosen_epoch"])


def load_out_of_fold(store: Store, model_id: str) -> NDArray[np.float32]:
    """(N, K) float32: the training images of its snapshot, each read by a fold model that never saw it; NaN without.

    Raises:
        StoreError: They are missing.
    """
    return np.asarray(np.load(io.BytesIO(store.read("models", model_id, "out_of_fold.npy")), allow_pickle=False))


def load_seeds(store: Store, model_id: str) -> NDArray[np.float32]:
    """(S, M, K) float32: the regression images of its snapshot, read by S models of the same recipe, each of which
    learned without another part of the images; (0, 0, 0) of a model that was kept before there were any.

    Raises:
        StoreError: They cannot be read.
    """
    if not store.exists("models", model_id, "seeds.npy"):
        return np.empty((0, 0, 0), dtype=np.float32)
    return np.asarray(np.load(io.BytesIO(store.read("models", model_id, "seeds.npy")), allow_pickle=False))


@cache
def base_info() -> ModelInfo:
    """What the shipped base model is; needs no Keras."""
    return _parse_info(json.loads((_base() / "model.json").read_bytes()), "base")


def is_base(model_id: str) -> bool:
    """Whether an id names the base model: today's, or one that shipped earlier, in whose place today's reads."""
    return model_id.startswith("base-")


def load_base(*, normaliser: int) -> LoadedModel:
    """The shipped base model, champion zero.

    Raises:
        ModelError: The package is damaged.
        NormaliserMismatch: It was trained with another version of the normaliser.
    """
    info = base_info()
    _check_normaliser(info, normaliser)
    data = (_base() / "weights.npz").read_bytes()
    if hashlib.sha256(data).hexdigest() != info.weights_sha256:
        raise _damaged(info.id, "weights that its record does not know")
    from tenarai.model.networks import build_base

    network = build_base(len(info.labels))
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        network.set_weights([arrays[name].astype(np.float32) for name in arrays.files])
    return LoadedModel(info, network)


def save_base(folder: Path, network: Any, info: ModelInfo) -> ModelInfo:
    """Write base weights as float16, their record and their card into a folder.

    float16 halves the size and moves probabilities by less than 1e-3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    weights: Sequence[NDArray[Any]] = network.get_weights()
    halves: dict[str, Any] = {f"w{n:02}": array.astype(np.float16) for n, array in enumerate(weights)}
    np.savez_compressed(buffer, **halves)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    info = ModelInfo(**{**asdict(info), "id": f"base-{digest[:8]}", "weights_sha256": digest})
    (folder / "weights.npz").write_bytes(buffer.getvalue())
    (folder / "card.md").write_text(write_card(info), encoding="utf-8")
    (folder / "model.json").write_text(
        json.dumps(asdict(info), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return info


def write_card(info: ModelInfo) -> str:
    """The model's card: what it is, what it learned from, what it is worth, on how many images."""
    metrics = [
        f"| {name} | {value:,.0f} |" if value.is_integer() and value > 1 else f"| {name} | {value:.4g} |"
        for name, value in sorted(info.metrics.items())
    ]
    lines = [
        f"# {info.id}",
        "",
        f"Reads: {', '.join(info.labels)}. Recipe: {info.recipe}, {info.epochs} epochs.",
        f"Made {info.created} on {info.device}.",
        f"Normaliser version {info.normaliser}; snapshot {info.snapshot or 'none (shipped)'}.",
        f"Readings less probable than {info.unsure_below:.3f} are called unsure.",
        "",
        "| measured | value |",
        "| --- | --- |",
        *metrics,
        "",
        *[f"* {note}" for note in info.notes],
        "",
        f"Meant for pictures of one handwritten character each, laid out by normaliser version {info.normaliser} as",
        "(28, 28) uint8, ink 255 on paper 0. Whatever it is shown, it reads as one of its labels. What it is worth was",
        "measured on the images named above; on other people's writing, expect less.",
        "",
        "Trained with: "
        + (", ".join(f"{name} {value}" for name, value in sorted(info.parameters.items())) or "unknown"),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items())),
        f"sha256 of the weights: {info.weights_sha256}",
        "",
    ]
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Versions of what decides a training's outcome."""
    from importlib.metadata import PackageNotFoundError, version

    import keras

    found = {"keras": keras.__version__, "numpy": np.__version__, "backend": keras.backend.backend()}
    for name in ("tenarai", found["backend"]):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree without installing it
            found[name] = "source tree"
    return found


def _base() -> Any:
    return files("tenarai.model") / "base"


def _parse_info(found: Any, model_id: str) -> ModelInfo:
    try:
        fields = dict(found)
        for name in ("labels", "epochs_by_fold", "notes"):
            fields[name] = tuple(fields[name])
        return ModelInfo(**fields)
    except (TypeError, ValueError, KeyError) as error:
        raise _damaged(model_id, f"a record that does not fit ({error})") from error


def _check_normaliser(info: ModelInfo, normaliser: int) -> None:
    if info.normaliser != normaliser:
        raise NormaliserMismatch(
            f"the model {info.id} was trained with another normaliser",
            expected=f"version {normaliser}",
            received=f"version {info.normaliser}",
            fix="run a night: it trains a challenger with today's normaliser",
        )


def _damaged(model_id: str, received: str) -> ModelError:
    return ModelError(
        f"the model {model_id} is damaged and was not loaded",
        received=received,
        fix="restore it from a backup, or put an earlier champion back with `tenarai rollback`",
    )


def _network_bytes(network: Any) -> bytes:
    with TemporaryDirectory(prefix="tenarai-") as folder:
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def _network_from_bytes(data: bytes, info: ModelInfo) -> Any:
    import keras

    with TemporaryDirectory(prefix="tenarai-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            # Keras raises many kinds on a file it does not trust or understand; each means: not this model
            raise _damaged(info.id, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    if tuple(network.input_shape[1:]) != (28, 28) or network.output_shape[-1] != len(info.labels):
        raise _damaged(info.id, f"a network {network.input_shape} → {network.output_shape}")
    return network


def _array_bytes(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()
