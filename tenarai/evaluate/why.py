"""`tenarai why`: what differs between champion and challenger, and which of it made the difference.

Each cause is tried by itself: a training from what the champion was made from, with one difference taken over. All of
them sit the same exam, the images that nobody is ever trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenarai.dataset import REGRESSION, TEST, TRAIN, Manifest, Snapshot, load_manifest, load_snapshot, sort_labels
from tenarai.errors import ModelError
from tenarai.evaluate import find_changes, pair_up, plan_trials, promote
from tenarai.evaluate.champion import champion_id, load_model_by_id
from tenarai.evaluate.changes import Trial
from tenarai.records import Change, ModelInfo, PairedCounts
from tenarai.settings import Settings, TrainingSettings
from tenarai.store import Store, open_store

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WhyLine:
    """One model on the exam.

    Attributes:
        name: `champion`, `challenger`, or the cause that was tried.
        num_right, num_images: On the images that nobody is ever trained on.
        pairs: Against the champion on the same images.
        regression_right, num_regression: Regression images read.
    """

    name: str
    num_right: int
    num_images: int
    pairs: PairedCounts
    regression_right: int
    num_regression: int

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        return {
            "name": self.name,
            "right": self.num_right,
            "images": self.num_images,
            "won": self.pairs.won,
            "lost": self.pairs.lost,
            "regression_right": self.regression_right,
            "regression_images": self.num_regression,
        }

    def as_line(self) -> str:
        """For people."""
        return (
            f"{self.name:<28} {self.num_right} of {self.num_images} right, won {self.pairs.won}, "
            f"lost {self.pairs.lost}, once misread {self.regression_right} of {self.num_regression}"
        )


@dataclass(frozen=True, eq=False)
class _Sitting:
    """The exam: the images, and what the champion gets right of them."""

    snapshot: Snapshot
    rows: NDArray[np.intp]
    misread: NDArray[np.intp]
    champion_right: NDArray[np.bool_]


def find_models(settings: Settings, model: str | None) -> tuple[Store, ModelInfo, ModelInfo]:
    """The store, the champion and the challenger to explain.

    Args:
        settings: Where the store is.
        model: Id of the challenger. Default: the newest model that a night trained.

    Raises:
        ModelError: There is no such model, or nothing that it could be compared with.
    """
    from tenarai.model.bundle import base_info, load_info

    store = open_store(settings.store, create=False)
    model = model or _newest_model(store)
    reigning = champion_id(store)
    if reigning == model:
        reigning = promote.champion_before(store, base_info().id)
    challenger = load_info(store, model)
    if not challenger.snapshot:
        raise ModelError(f"{model} was not trained by a night", fix="name one of `tenarai models`, or run a night")
    return store, load_info(store, reigning), challenger


def describe_changes(
    store: Store, champion: ModelInfo, challenger: ModelInfo, snapshot: Manifest | None = None
) -> tuple[Change, ...]:
    """What differs between what the two were made from.

    Args:
        store: Where snapshots lie.
        champion, challenger: Their records.
        snapshot: What the challenger learned from. Default: read from the store.

    Raises:
        StoreError: A snapshot is missing or damaged.
    """
    learned = _learned_from(snapshot) if snapshot else _trained_on(store, challenger)
    return find_changes(champion, challenger, _trained_on(store, champion), learned)


def try_causes(store: Store, champion: ModelInfo, challenger: ModelInfo, say: Say) -> Iterator[WhyLine]:
    """Champion, challenger, and one training a cause, on the challenger's exam; one line as soon as it is known.

    Args:
        store: Where models and snapshots lie.
        champion, challenger: Their records.
        say: Receives a line an epoch.

    Raises:
        ModelError, StoreError, TrainingError: Something is missing or damaged, or cannot be trained.
    """
    sitting = _sit(store, champion, challenger)
    for name, info in (("champion", champion), ("challenger", challenger)):
        model = load_model_by_id(store, info.id)
        yield _examine(f"{name} {info.id}", model.predict, info.labels, sitting)
    trials = plan_trials(champion, challenger, _trained_on(store, champion), _trained_on(store, challenger))
    for trial in trials if champion.snapshot else ():
        labels, predict = _train(store, trial, champion, challenger, say)
        yield _examine(trial.cause, predict, labels, sitting)


def _newest_model(store: Store) -> str:
    from tenarai.model.bundle import load_info

    made = [load_info(store, name) for name in store.names("models") if store.exists("models", name, "model.json")]
    if not made:
        raise ModelError("no night has trained a model in this store yet", fix="run `tenarai nightly` once")
    return max(made, key=lambda info: (info.created, info.id)).id


def _trained_on(store: Store, info: ModelInfo) -> dict[str, str]:
    return _learned_from(load_manifest(store, info.snapshot)) if info.snapshot else {}


def _learned_from(snapshot: Manifest) -> dict[str, str]:
    """Labels of the training images by sha256."""
    rows = snapshot.rows(TRAIN)
    return dict(zip(snapshot.sha256[rows].tolist(), snapshot.labels()[rows].tolist(), strict=True))


def _sit(store: Store, champion: ModelInfo, challenger: ModelInfo) -> _Sitting:
    snapshot = load_snapshot(store, challenger.snapshot)
    known = set(_trained_on(store, champion))
    rows = np.array([n for n in snapshot.rows(TEST) if str(snapshot.sha256[n]) not in known], dtype=np.intp)
    misread = snapshot.rows(REGRESSION)
    model = load_model_by_id(store, champion.id)
    return _Sitting(snapshot, rows, misread, _right(model.predict, champion.labels, snapshot, rows))


Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _right(predict: Predict, labels: tuple[str, ...], snapshot: Snapshot, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    if not len(rows):
        return np.zeros(0, dtype=bool)
    read = np.array(labels)[predict(snapshot.pixels[rows]).argmax(axis=1)]
    return np.asarray(read == snapshot.labels()[rows])


def _examine(name: str, predict: Predict, labels: tuple[str, ...], sitting: _Sitting) -> WhyLine:
    right = _right(predict, labels, sitting.snapshot, sitting.rows)
    misread = _right(predict, labels, sitting.snapshot, sitting.misread)
    pairs = pair_up(sitting.champion_right, right)
    return WhyLine(name, int(right.sum()), len(right), pairs, int(misread.sum()), len(misread))


def _train(
    store: Store, trial: Trial, champion: ModelInfo, challenger: ModelInfo, say: Say
) -> tuple[tuple[str, ...], Predict]:
    """Train on a trial's images, which lie in the two snapshots."""
    from tenarai.model.train import train_model

    found: dict[str, tuple[Snapshot, int]] = {}
    for info in (champion, challenger):
        snapshot = load_snapshot(store, info.snapshot)
        found.update({sha: (snapshot, row) for row, sha in enumerate(snapshot.sha256.tolist())})
    shas = sorted(trial.images)
    labels = sort_labels(set(trial.images.values()))
    trained = train_model(
        np.stack([found[sha][0].pixels[found[sha][1]] for sha in shas]),
        np.array([labels.index(trial.images[sha]) for sha in shas], dtype=np.int64),
        np.array([found[sha][0].groups[found[sha][1]] for sha in shas]),
        labels,
        TrainingSettings.model_validate(trial.parameters),
        normaliser=challenger.normaliser,
        on_epoch=lambda line: say(f"{trial.cause}: {line}"),
    )
    return labels, lambda pixels: np.asarray(trained.network.predict(pixels, verbose=0), dtype=np.float32)
