"""Train one trial, evaluate it on what it was not trained on, and let it read the misread image.

A trial uses the recipes of a night; nothing here knows how a network is fitted.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import TrainingError
from tenarai.locale import _
from tenarai.settings import TrainingSettings
from tenarai.study.data import INVERTED, NORMALISED, RAW, Pixels, Rows, StudyData
from tenarai.study.plan import Result, Trial

if TYPE_CHECKING:
    from tenarai.model.recipes import Fitter

NUM_SIMILAR = 10
FOLDS = 3  # of EarlyStopping; a night uses five, but a study repeats everything over seeds
PATIENCE = 8
History = dict[str, list[float]]


class Experiment:
    """Trains trials on one set of images, and keeps what trials of one recipe and seed share.

    Args:
        data: The images.
    """

    def __init__(self, data: StudyData) -> None:
        """Nothing is computed yet."""
        self._data = data
        self._fitter = lru_cache(maxsize=1)(self._make_fitter)  # its features serve all trials of one recipe and seed

    def run(self, trial: Trial) -> Result:
        """Train and evaluate one trial.

        Raises:
            TrainingError: The loss became NaN.
        """
        from tenarai.model.train import choose_device

        start = time.perf_counter()
        with choose_device("cpu"):
            result = self._read_untouched(trial) if trial.recipe == "base" else self._train(trial)
        return replace(result, seconds=round(time.perf_counter() - start, 3))

    def _train(self, trial: Trial) -> Result:
        data = self._data
        train, held_out = self._split(trial)
        network, history = (self._stop_early if trial.stopping else self._fit)(trial, train, held_out)
        if not np.isfinite(history["loss"]).all():
            raise TrainingError(_("the loss of {trial} became NaN", trial=str(trial)), fix=_("try other seeds"))
        targets = data.targets[held_out]
        as_trained = _predict(network, data.readings[trial.reading][held_out]).argmax(axis=1)
        asked, reading, as_article = network, trial.reading, ""
        if trial.recipe == "article":  # whatever it was trained on, the article reads x / 255, inverted
            asked, reading = _scale_input(network), INVERTED
            as_article = _mark(_predict(asked, data.readings[INVERTED][held_out]).argmax(axis=1) == targets)
        answer, confidence = "", 0.0
        if trial.asks and data.misread:
            row = _predict(asked, data.misread.readings[reading][None])[0]
            answer, confidence = data.labels[int(row.argmax())], round(float(row.max()), 6)
        return Result(
            num_train=len(train),
            history={name: [round(value, 6) for value in values] for name, values in history.items()},
            right=_mark(as_trained == targets),
            right_as_article=as_article,
            answer=answer,
            confidence=confidence,
        )

    def _split(self, trial: Trial) -> tuple[Rows, Rows]:
        """Rows to train on and rows held out."""
        train, held_out = self._data.draw(trial.seed, trial.draw)
        if trial.samples:
            train = self._data.pick(train, trial.samples, trial.seed)
        if trial.asks and not trial.draw:
            train, held_out = np.arange(self._data.num_images), held_out[:0]  # the misread image is what is evaluated
        if trial.add_similar and self._data.misread:
            labels = np.array(self._data.labels)[self._data.targets]
            is_more = np.isin(self._data.similar, held_out) & (labels[self._data.similar] == self._data.misread.label)
            train = np.union1d(train, self._data.similar[is_more][:NUM_SIMILAR])
            held_out = np.setdiff1d(held_out, train)
        return train, held_out

    def _fit(self, trial: Trial, train: Rows, held_out: Rows) -> tuple[Any, History]:
        batch = len(train) if trial.recipe == "article" else 0
        fitter = self._fitter(trial.recipe, trial.reading, trial.augmented, trial.seed, batch)
        watched = held_out if len(held_out) else None
        fit = fitter.fit(train, watched, epochs=trial.epochs)
        return fitter.network(1.0), fit.history

    def _make_fitter(self, recipe: str, reading: str, augmented: bool, seed: int, batch: int) -> Fitter:
        from tenarai.model.augment import GENTLE
        from tenarai.model.networks import build_mlp
        from tenarai.model.recipes import RECIPES, NetworkFitter

        images = self._data.training_set(reading)
        if recipe == "article":
            scale = 1.0 if reading == RAW else 1 / 255
            return NetworkFitter(images, seed, build=lambda k: build_mlp(k, scale=scale), batch=batch)
        return RECIPES[recipe](images, seed, augmentation=GENTLE if augmented else None)

    def _stop_early(self, trial: Trial, train: Rows, held_out: Rows) -> tuple[Any, History]:
        """As a night trains: folds of the training images find the number of epochs, then all of them are learned."""
        from tenarai.model.train import train_model

        trained = train_model(
            self._data.training_set(trial.reading, train),
            TrainingSettings(
                recipe=trial.recipe,  # type: ignore[arg-type]
                max_epochs=trial.epochs,
                patience=PATIENCE,
                folds=FOLDS,
                seed=trial.seed,
                device="cpu",
            ),
        )
        return trained.network, trained.curves.refit

    def _read_untouched(self, trial: Trial) -> Result:
        from tenarai.model.bundle import load_base

        data, base = self._data, load_base(normaliser=self._data.normaliser)
        names = np.array(base.info.labels)
        if trial.asks and data.misread:
            row = base.predict(data.misread.readings[NORMALISED][None])[0]
            return Result(0, answer=str(names[row.argmax()]), confidence=round(float(row.max()), 6))
        held_out = self._split(trial)[1]
        read = names[base.predict(data.readings[NORMALISED][held_out]).argmax(axis=1)]
        return Result(0, right=_mark(read == np.array(data.labels)[data.targets[held_out]]))


def _scale_input(network: Any) -> Any:
    """The article's network for input from 0 to 1, with the weights of one that was trained on other input."""
    from tenarai.model.networks import build_mlp

    other = build_mlp(network.output_shape[-1])
    other.set_weights(network.get_weights())
    return other


def _predict(network: Any, pixels: Pixels) -> NDArray[np.float32]:
    if not len(pixels):
        return np.empty((0, network.output_shape[-1]), dtype=np.float32)
    return np.asarray(network.predict(pixels, batch_size=256, verbose=0), dtype=np.float32)


def _mark(right: NDArray[np.bool_]) -> str:
    return "".join("1" if yes else "0" for yes in right.tolist())
