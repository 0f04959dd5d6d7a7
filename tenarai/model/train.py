"""Train a challenger: find the number of epochs on folds with EarlyStopping, then refit on everything for that number.

    fold 1/5, epoch 7: loss 0.21, accuracy 0.94, held out 0.92
    …
    best epochs 11, 9, 14, 10, 12 → refit for 11

With too few images for a split no number can be found: then a schedule is used that was measured on the base model's
development sets, and the notes say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import TrainingError
from tenarai.model.recipes import RECIPES, Recipe, TrainingSet
from tenarai.records import Curves
from tenarai.settings import TrainingSettings

log = logging.getLogger("tenarai.train")

MIN_PER_LABEL = 3  # below this many images a label, on average, no split is possible
CNN_PER_LABEL = 30  # from here on a network of one's own can catch up with the base
NO_UNSURE_BELOW = 0.8  # the threshold where too few held-out readings are there to find one
ERROR_WHEN_SURE = 0.01  # readings that are not called unsure should be wrong at most this often

Say = Callable[[str], None]
Watch = Callable[[str, int, dict[str, float]], None]
Pixels = NDArray[np.uint8]
Targets = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    Attributes:
        network: `keras.Model`, (N, 28, 28) uint8 → (N, K) float32, calibrated.
        labels: Class names in the order of its outputs.
        recipe: mlp, cnn or transfer.
        epochs: Epochs of the final fit.
        curves: Learning curves of the folds and of the final fit.
        out_of_fold: (N, K) float32, each training image read by a fold model that never saw it; NaN without a split.
        metrics: Named numbers.
        unsure_below: Threshold under which a reading is called unsure, 0 to 1.
        notes: Sentences for people.
        device: What it was trained on.
        seeds: (S, M, K) float32, what was only to be read, read by S models that each learned without another part.
    """

    network: Any
    labels: tuple[str, ...]
    recipe: str
    epochs: int
    curves: Curves
    out_of_fold: NDArray[np.float32]
    metrics: dict[str, float]
    unsure_below: float
    notes: tuple[str, ...]
    device: str
    seeds: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))


def train_model(
    pixels: Pixels,
    targets: Targets,
    groups: NDArray[np.str_],
    labels: tuple[str, ...],
    settings: TrainingSettings,
    *,
    normaliser: int,
    only_read: Pixels | None = None,
    on_epoch: Say = log.info,
    watch: Watch | None = None,
) -> Trained:
    """Train by the recipe of the settings; `auto` picks one by cross-validation and says why.

    Args:
        pixels: (N, 28, 28) uint8, ink 255 on paper 0.
        targets: (N,) int64, index into `labels`.
        groups: (N,) str, near-duplicate groups; a group never lies in two folds.
        labels: Class names.
        settings: Recipe, epochs, patience, folds, seed, device.
        normaliser: Version of the normaliser that made the digits; the base model must know the same.
        only_read: (M, 28, 28) uint8, images that no model learns from and every fold's model reads. Default: none.
        on_epoch: Receives a line per epoch.
        watch: Receives the name of the fit, the epoch from 0 and its numbers. Default: nobody watches.

    Raises:
        TrainingError: No GPU where one is asked for, or the loss became no number.
    """
    tell = _teller(on_epoch, watch)
    training_set = TrainingSet(pixels, targets, groups, labels, normaliser, only_read)
    with choose_device(settings.device) as device:
        if settings.recipe == "auto":
            return _train_auto(training_set, settings, device, tell)
        return _train(RECIPES[settings.recipe], training_set, settings, device, tell)


def _train_auto(training_set: TrainingSet, settings: TrainingSettings, device: str, tell: Watch) -> Trained:
    """Fine-tune the base; where images are many, also learn from scratch, and take what reads unseen images better."""
    transfer = _train(RECIPES["transfer"], training_set, settings, device, tell)
    num_images = len(training_set.pixels)
    per_label = num_images / len(training_set.labels)
    if per_label < CNN_PER_LABEL:
        return _with_note(transfer, f"transfer, since {per_label:.0f} images a label are too few to learn from scratch")
    scratch = _train(RECIPES["cnn"], training_set, settings, device, tell)
    ours, theirs = transfer.metrics["cross_validated_accuracy"], scratch.metrics["cross_validated_accuracy"]
    why = f"cross-validated on {num_images} images: transfer {ours:.1%}, cnn {theirs:.1%}"
    return _with_note(scratch if theirs > ours else transfer, why)


def _with_note(trained: Trained, note: str) -> Trained:
    return Trained(**{**vars(trained), "notes": (note, *trained.notes)})


def _train(recipe: Recipe, training_set: TrainingSet, settings: TrainingSettings, device: str, tell: Watch) -> Trained:
    targets, labels = training_set.targets, training_set.labels
    fitter = recipe.prepare(training_set, settings.seed)
    folds = split_folds(targets, training_set.groups, settings.folds, settings.seed)
    out_of_fold = np.full((len(targets), len(labels)), np.nan, dtype=np.float32)
    histories: list[dict[str, list[float]]] = []
    unseen = training_set.pixels[:0] if training_set.only_read is None else training_set.only_read
    seeds: list[NDArray[np.float32]] = []
    for number, (train, held_out) in enumerate(folds, 1):
        say = partial(tell, f"{recipe.name}, fold {number}/{len(folds)}")
        fit = fitter.fit(train, held_out, epochs=settings.max_epochs, patience=settings.patience, say=say)
        out_of_fold[held_out] = fit.probabilities
        seeds.append(fitter.read(unseen))
        histories.append(fit.history)
        _check_finite(fit.history, recipe.name)
    best = tuple(int(np.argmin(history["val_loss"])) + 1 for history in histories)
    epochs = int(np.median(best)) if best else min(recipe.epochs_without_split, settings.max_epochs)
    everything = np.arange(len(targets))
    for part in range(0 if folds or not len(unseen) else settings.folds):
        fitter.fit(everything[everything % settings.folds != part], None, epochs=epochs, patience=0, say=_say_nothing)
        seeds.append(fitter.read(unseen))
    refit = fitter.fit(everything, None, epochs=epochs, patience=0, say=partial(tell, f"{recipe.name}, refit"))
    _check_finite(refit.history, recipe.name)
    temperature, out_of_fold = _calibrate(out_of_fold, targets)
    unsure_below, sure_note = find_threshold(out_of_fold, targets)
    return Trained(
        network=fitter.network(temperature),
        labels=labels,
        recipe=recipe.name,
        epochs=epochs,
        curves=Curves(tuple(histories), refit.history, best, epochs),
        out_of_fold=out_of_fold,
        metrics=_measure(out_of_fold, targets, temperature),
        unsure_below=unsure_below,
        notes=(_epochs_note(best, epochs, len(targets), len(labels)), sure_note),
        device=device,
        seeds=np.stack(seeds) if seeds else np.empty((0, len(unseen), len(labels)), np.float32),
    )


def split_folds(
    targets: Targets, groups: NDArray[np.str_], num_folds: int, seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Stratified folds that keep near-duplicates together; empty where a split is not possible.

    Args:
        targets: (N,) int64.
        groups: (N,) str.
        num_folds: Folds wished for; fewer where labels are small.
        seed: Decides the split.

    Returns:
        (rows to train on, rows held out) for each fold.
    """
    counts = np.bincount(targets)
    counts = counts[counts > 0]
    if counts.mean() < MIN_PER_LABEL or len(np.unique(groups)) < 2 * MIN_PER_LABEL:
        return []
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    folds = int(max(2, min(num_folds, np.median(counts))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer images than folds is held out where it can be
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(targets, targets, groups))


def find_threshold(probabilities: NDArray[np.float32], targets: Targets) -> tuple[float, str]:
    """The lowest probability above which held-out readings are wrong in at most 1 %, and a sentence that says so.

    Args:
        probabilities: (N, K) calibrated out-of-fold readings, NaN rows left out.
        targets: (N,) int64.
    """
    known = ~np.isnan(probabilities).any(axis=1)
    if known.sum() < 50:
        return NO_UNSURE_BELOW, f"too few held-out readings ({known.sum()}) to find a threshold for unsure"
    sure = probabilities[known].max(axis=1)
    order = np.argsort(-sure, kind="stable")
    wrong = (probabilities[known].argmax(axis=1) != targets[known])[order]
    share = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    answered = int(np.flatnonzero(share <= ERROR_WHEN_SURE).max(initial=0)) + 1
    # never surer than asked: below one half the model itself favours nothing
    threshold = float(np.clip(sure[order][answered - 1], 0.5, 0.99))
    kept = sure >= threshold
    errors = int((probabilities[known].argmax(axis=1) != targets[known])[kept].sum())
    return round(threshold, 4), (
        f"sure of {kept.sum()} of {known.sum()} held-out images, {errors} of these wrong; the rest is called unsure"
    )


def choose_device(wish: str) -> AbstractContextManager[str]:
    """Put what follows on a device and name it.

    Args:
        wish: auto takes a GPU when there is one; gpu refuses to go without; cpu never uses one.

    Raises:
        TrainingError: A GPU is asked for and none is visible.
    """
    import keras

    seen = [str(name) for name in keras.distribution.list_devices()]  # asked for "gpu" where there is none, JAX raises
    gpus = [name for name in seen if name.startswith(("gpu", "cuda", "rocm"))]
    if wish == "gpu" and not gpus:
        raise TrainingError(
            "no GPU is visible to the training",
            expected="at least one GPU, since device is gpu",
            received=f"{keras.backend.backend()} sees {', '.join(seen)}",
            fix="install the driver and `tensorflow[and-cuda]` on the GPU worker, or set device to auto",
        )
    if gpus and wish != "cpu":
        return nullcontext(f"{len(gpus)} GPU ({keras.backend.backend()})")
    return _on_cpu(f"CPU ({keras.backend.backend()})")


def _on_cpu(name: str) -> AbstractContextManager[str]:
    from contextlib import contextmanager

    import keras

    @contextmanager
    def on_cpu() -> Any:
        with keras.device("cpu:0"):
            yield name

    return on_cpu()


def _calibrate(probabilities: NDArray[np.float32], targets: Targets) -> tuple[float, NDArray[np.float32]]:
    """The temperature that makes held-out confidence honest (Guo et al., 2017), and the readings at it."""
    known = ~np.isnan(probabilities).any(axis=1)
    if known.sum() < 20:
        return 1.0, probabilities
    logits, truth = np.log(np.clip(probabilities[known], 1e-7, 1)), targets[known]

    def soften(temperature: float) -> NDArray[np.float32]:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        powers = np.exp(scaled)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    candidates = np.geomspace(0.4, 3.0, 41)
    losses = [-np.log(soften(t)[np.arange(len(truth)), truth] + 1e-7).mean() for t in candidates]
    temperature = float(candidates[int(np.argmin(losses))])
    calibrated = probabilities.copy()
    calibrated[known] = soften(temperature)
    return temperature, calibrated


def _measure(probabilities: NDArray[np.float32], targets: Targets, temperature: float) -> dict[str, float]:
    known = ~np.isnan(probabilities).any(axis=1)
    if not known.any():
        return {"num_images": float(len(targets))}
    right = probabilities[known].argmax(axis=1) == targets[known]
    return {
        "num_images": float(len(targets)),
        "cross_validated_accuracy": float(right.mean()),
        "cross_validated_images": float(known.sum()),
        "temperature": temperature,
    }


def _epochs_note(best: tuple[int, ...], epochs: int, num_images: int, num_labels: int) -> str:
    if not best:
        return (
            f"{num_images} images for {num_labels} labels are too few to hold some out and find the number of epochs: "
            f"{epochs}, as measured elsewhere"
        )
    listed = ", ".join(map(str, best))
    return (
        f"best epoch of each fold: {listed} (spread {min(best)}–{max(best)}); refitted on all {num_images} for {epochs}"
    )


def _teller(on_epoch: Say, watch: Watch | None) -> Watch:
    """Tells of an epoch: a line for people, and the numbers for whoever watches."""

    def tell(fit: str, epoch: int, logs: dict[str, float]) -> None:
        held_out = f", held out {logs['val_accuracy']:.3f}" if "val_accuracy" in logs else ""
        on_epoch(f"{fit}, epoch {epoch + 1}: loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.3f}{held_out}")
        if watch:
            watch(fit, epoch, logs)

    return tell


def _say_nothing(epoch: int, logs: dict[str, float]) -> None:
    """For fits that are nobody's challenger."""


def _check_finite(history: dict[str, list[float]], recipe: str) -> None:
    if not all(np.isfinite(history["loss"])):
        raise TrainingError(
            f"the {recipe} training broke down: its loss became no number",
            expected="a finite loss in every epoch",
            received=f"{history['loss'][-3:]}",
            fix="try another seed or recipe, and report it with the snapshot's id",
        )
