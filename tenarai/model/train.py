"""Train a challenger: folds with EarlyStopping find the number of epochs, then a final fit uses all images.

    transfer, fold 1 of 5, epoch 7: loss 0.21, accuracy 0.94, held out 0.92
    …
    best epochs 11, 9, 14, 10, 12 → final fit of 11 epochs

Where there are too few images for a split, a number of epochs is used that was measured on other people's digits.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tenarai.dataset import TrainingSet
from tenarai.errors import TrainingError
from tenarai.locale import _
from tenarai.model import EPOCHS_WITHOUT_SPLIT
from tenarai.model.augment import Rows
from tenarai.model.backend import keras
from tenarai.model.bundle import Trained, versions
from tenarai.model.confidence import find_threshold
from tenarai.model.recipes import RECIPES, Fit, find_ceiling
from tenarai.model.track import Tracker
from tenarai.records import Curves, ModelInfo
from tenarai.settings import TrainingSettings

log = logging.getLogger("tenarai.train")

MIN_PER_LABEL = 3  # fewer images a label, on average, cannot be split
CNN_PER_LABEL = 30  # from here on a network trained from scratch can be as good as the base


def train_model(training_set: TrainingSet, settings: TrainingSettings, trackers: Sequence[Tracker] = ()) -> Trained:
    """Train by the recipe of the settings; `auto` chooses one by cross-validation and says why.

    Args:
        training_set: The images.
        settings: Recipe, epochs, patience, folds, seed, device.
        trackers: Keras callbacks that follow each fit. Default: none.

    Raises:
        TrainingError: A GPU is asked for and there is none, or the loss became NaN.
    """
    with choose_device(settings.device) as device:
        if settings.recipe != "auto":
            return _train(settings.recipe, training_set, settings, device, trackers)
        transfer = _train("transfer", training_set, settings, device, trackers)
        num_images = len(training_set.pixels)
        per_label = num_images / len(training_set.labels)
        if per_label < CNN_PER_LABEL:
            why = _("transfer, since {num} images a label are too few to train from scratch", num=f"{per_label:.0f}")
            return _add_note(transfer, why)
        scratch = _train("cnn", training_set, settings, device, trackers)
        ours, theirs = (found.info.metrics["cross_validated_accuracy"] for found in (transfer, scratch))
        why = _(
            "cross-validated on {num} images: transfer {transfer}, cnn {cnn}",
            num=num_images,
            transfer=f"{ours:.1%}",
            cnn=f"{theirs:.1%}",
        )
        return _add_note(scratch if theirs > ours else transfer, why)


def _add_note(trained: Trained, note: str) -> Trained:
    return replace(trained, info=replace(trained.info, notes=(note, *trained.info.notes)))


def _train(
    recipe: str, training_set: TrainingSet, settings: TrainingSettings, device: str, trackers: Sequence[Tracker]
) -> Trained:
    targets, labels = training_set.targets, training_set.labels
    fitter = RECIPES[recipe](training_set, settings.seed)
    folds = split_folds(targets, training_set.groups, settings.folds, settings.seed)

    def fit(name: str, train: Rows, held_out: Rows | None, epochs: int) -> Fit:
        for tracker in trackers:
            tracker.fit = name
        done = fitter.fit(train, held_out, epochs=epochs, patience=settings.patience, callbacks=trackers)
        _check_finite(done.history["loss"], recipe)
        return done

    out_of_fold = np.full((len(targets), len(labels)), np.nan, dtype=np.float32)
    histories = []
    for number, (train, held_out) in enumerate(folds, 1):
        share = {"done": number - 1, "total": len(folds) + 1}
        name = _("{recipe}, fold {fold} of {folds}", recipe=recipe, fold=number, folds=len(folds), **share)
        done = fit(name, train, held_out, find_ceiling(recipe, settings.max_epochs, len(labels)))
        out_of_fold[held_out] = done.probabilities
        histories.append(done.history)
    best = Curves(tuple(histories), {}).best_epochs
    epochs = int(np.median(best)) if best else min(EPOCHS_WITHOUT_SPLIT[recipe], settings.max_epochs)
    name = _("{recipe}, final fit", recipe=recipe, done=len(folds), total=len(folds) + 1)
    refit = fit(name, np.arange(len(targets)), None, epochs)
    temperature, out_of_fold = calibrate(out_of_fold, targets)
    unsure_below, threshold_note = find_threshold(out_of_fold, targets, settings.error_when_sure)
    info = ModelInfo(
        id="",
        labels=labels,
        normaliser=training_set.normaliser,
        recipe=recipe,
        epochs=epochs,
        epochs_by_fold=best,
        snapshot=training_set.snapshot,
        parameters=settings.model_dump(mode="json"),
        versions=versions(keras.backend.backend()),
        metrics=_measure(out_of_fold, targets, temperature),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        unsure_below=unsure_below,
        notes=(_describe_epochs(best, epochs, training_set), threshold_note),
    )
    return Trained(info, fitter.network(temperature), Curves(tuple(histories), refit.history), out_of_fold)


def split_folds(
    targets: NDArray[np.int64], groups: NDArray[np.str_], num_folds: int, seed: int
) -> list[tuple[Rows, Rows]]:
    """Split into stratified folds that keep near-duplicates together.

    The images of a label that lie in one group alone, such as one photo of a row, are dealt out one by one: a fold that
    is trained without a label says nothing.

    Args:
        targets: (N,) int64.
        groups: (N,) str.
        num_folds: Folds at most; fewer where labels have few images.
        seed: Decides the split.

    Returns:
        (rows to train on, held-out rows) of each fold; empty where a split is not possible.
    """
    counts = np.bincount(targets)
    counts = counts[counts > 0]
    alone = [target for target in np.unique(targets) if len(np.unique(groups[targets == target])) == 1]
    rows = np.arange(len(targets)).astype(str)
    groups = np.where(np.isin(targets, alone), np.char.add("row ", rows), groups)
    if counts.mean() < MIN_PER_LABEL or len(np.unique(groups)) < 2 * MIN_PER_LABEL:
        return []
    from sklearn.model_selection import StratifiedGroupKFold

    folds = int(max(2, min(num_folds, np.median(counts))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels with fewer images than folds
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(targets, targets, groups))


@contextmanager
def choose_device(wish: str) -> Iterator[str]:
    """Run what follows on a device, and yield its name.

    Args:
        wish: auto uses a GPU if there is one; gpu requires one; cpu never uses one.

    Raises:
        TrainingError: A GPU is asked for and none is visible.
    """
    backend = keras.backend.backend()
    seen = [str(name) for name in keras.distribution.list_devices()]  # asked for "gpu" where there is none, JAX raises
    gpus = [name for name in seen if name.startswith(("gpu", "cuda", "rocm"))]
    if wish == "gpu" and not gpus:
        raise TrainingError(
            _("no GPU is visible to the training"),
            expected=_("at least one GPU, since device is gpu"),
            received=_("{backend} sees {devices}", backend=backend, devices=", ".join(seen)),
            fix=_("install the driver and `tensorflow[and-cuda]` on the GPU worker, or set device to auto"),
        )
    if gpus and wish != "cpu":
        yield f"{len(gpus)} GPU ({backend})"
        return
    with keras.device("cpu:0"):
        yield f"CPU ({backend})"


def calibrate(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> tuple[float, NDArray[np.float32]]:
    """Find the temperature that calibrates held-out confidence (Guo et al., 2017), and apply it."""
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


def _measure(probabilities: NDArray[np.float32], targets: NDArray[np.int64], temperature: float) -> dict[str, float]:
    known = ~np.isnan(probabilities).any(axis=1)
    metrics = {"num_images": float(len(targets))}
    if known.any():
        metrics |= {
            "cross_validated_accuracy": float((probabilities[known].argmax(axis=1) == targets[known]).mean()),
            "cross_validated_images": float(known.sum()),
            "temperature": temperature,
        }
    return metrics


def _describe_epochs(best: tuple[int, ...], epochs: int, training_set: TrainingSet) -> str:
    num_images = len(training_set.targets)
    if not best:
        return _(
            "{num} images of {labels} labels are too few to hold some out and find the number of epochs: {epochs}, "
            "as measured on other people's digits",
            num=num_images,
            labels=len(training_set.labels),
            epochs=epochs,
        )
    return _(
        "best epoch of each fold: {best} ({least} to {most}); final fit on all {num} images: {epochs} epochs",
        best=", ".join(map(str, best)),
        least=min(best),
        most=max(best),
        num=num_images,
        epochs=epochs,
    )


def _check_finite(losses: list[float], recipe: str) -> None:
    if not np.isfinite(losses).all():
        raise TrainingError(
            _("the {recipe} training failed: the loss became NaN", recipe=recipe),
            expected=_("a finite loss in every epoch"),
            received=f"{losses[-3:]}",
            fix=_("try another seed or recipe, and report it with the snapshot's id"),
        )
