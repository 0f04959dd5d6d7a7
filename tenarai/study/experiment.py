"""Train the trials of a study in one process per core, and keep each result at once: a stopped study resumes there.

A trial is trained by a recipe of a night, evaluated on what it was not trained on, and reads the misread image. Every
process computes with one thread, so numbers do not depend on how many cores there are.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import StoreError, TrainingError
from tenarai.locale import _
from tenarai.model.bundle import load_base, predict_with_keras
from tenarai.settings import TrainingSettings
from tenarai.store import Store
from tenarai.study.data import INVERTED, NORMALISED, RAW, Rows, StudyData
from tenarai.study.plan import Result, Trial

if TYPE_CHECKING:
    from tenarai.model.recipes import Fitter

VERSION = 2  # raise it when the same trial would give other numbers
FOLDER = "studies"
FOLDS = 3  # of EarlyStopping; a night uses five, but a study repeats everything over seeds
PATIENCE = 8
History = dict[str, list[float]]
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@dataclass(frozen=True)
class ResultCache:
    """Results as small files, `studies/trials/<key>.json`, under a key of everything that decides their content.

    Attributes:
        store: Where they lie.
        data: What the trials train on.
        environment: Whatever else decides the numbers, such as versions.
        ignore: Find nothing, so that everything is trained again. Default: False.
    """

    store: Store
    data: StudyData
    environment: Mapping[str, str]
    ignore: bool = False

    def key(self, trial: Trial) -> str:
        """The key of a trial. Only trials that ask depend on the misread image."""
        misread = self.data.misread
        asked = misread.fingerprint if misread and trial.asks else ""
        words = [VERSION, asdict(trial), self.data.fingerprint, asked, self.environment]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:24]

    def find(self, trial: Trial) -> Result | None:
        """An earlier result; None where there is none or its file is damaged."""
        parts = (FOLDER, "trials", f"{self.key(trial)}.json")
        if self.ignore or not self.store.exists(*parts):
            return None
        try:
            found = self.store.read_json(*parts)["result"]
            return Result(**found) if set(found) == {field.name for field in fields(Result)} else None
        except (StoreError, KeyError, TypeError):
            return None  # trained and written again

    def keep(self, trial: Trial, result: Result) -> None:
        """Write a result.

        Raises:
            StoreError: It cannot be written.
        """
        value = {"trial": asdict(trial), "result": asdict(result)}
        self.store.write_json(value, FOLDER, "trials", f"{self.key(trial)}.json")


def train_all(
    trials: Sequence[Trial], data: StudyData, cache: ResultCache, say: Callable[[str], None], *, workers: int | None
) -> dict[Trial, Result]:
    """Train trials, and keep each result as soon as it is there.

    Args:
        trials: What to train.
        data: What they train on.
        cache: Earlier results, which are not trained again, and the place for new ones.
        say: Receives a line per trial: its result, and the time left.
        workers: Processes. Default: one per core; 1 trains in this process.

    Raises:
        TrainingError: A process was killed, or a loss became NaN.
    """
    results = {trial: result for trial in trials if (result := cache.find(trial))}
    todo = [trial for trial in trials if trial not in results]
    if results:
        say(_("{kept} of {total} trainings were done before", kept=len(results), total=len(trials)))
    workers = min(workers or os.cpu_count() or 1, max(1, len(todo)))
    cost_left, cost_done, seconds = sum(map(_cost, todo)), 0.0, 0.0
    for number, (trial, result) in enumerate(_train(todo, data, workers), 1):
        cache.keep(trial, result)
        results[trial] = result
        cost_left, cost_done, seconds = cost_left - _cost(trial), cost_done + _cost(trial), seconds + result.seconds
        left = round(cost_left * seconds / cost_done / workers)
        counts = {"number": number, "total": len(todo), "minutes": -(-left // 60)}
        say(_("{number} of {total}: {trial}, {minutes} min left", trial=_describe(trial, result), **counts))
    return results


def _describe(trial: Trial, result: Result) -> str:
    asked = {"recipe": trial.recipe, "reading": trial.reading, "seed": trial.seed}
    done = {"epochs": result.epochs, "images": result.num_train}
    words = _("{recipe}, {reading}, {epochs} epochs, {images} images, seed {seed}", **asked, **done)
    if result.answer:
        return _("{trial}: reads {label}", trial=words, label=result.answer)
    if not result.right:
        return words
    share = f"{result.right.count('1') / len(result.right):.1%}"
    return _("{trial}: held-out accuracy {share}", trial=words, share=share)


def _cost(trial: Trial) -> float:
    """What a trial costs in relation to others: its start, its epochs, and its folds."""
    return (50 + trial.epochs * (2 if trial.recipe == "cnn" else 1)) * (4 if trial.stopping else 1)


def _train(trials: Sequence[Trial], data: StudyData, workers: int) -> Iterator[tuple[Trial, Result]]:
    """Trials with their results, in the order in which they end."""
    if workers == 1:
        experiment = Experiment(data)
        yield from ((trial, experiment.run(trial)) for trial in trials)
        return
    with _processes(data, workers) as pool:
        running = {pool.submit(_run_there, trial): trial for trial in trials}
        yield from ((running[future], future.result()) for future in as_completed(running))


@contextmanager
def _processes(data: StudyData, workers: int) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_there, (data,))
    try:
        yield pool
        pool.shutdown()
    except BrokenProcessPool as error:
        raise TrainingError(
            _("a process of the study was killed"),
            received=str(error),
            fix=_("most often memory ran out: start it again with --workers 1; finished trainings are kept"),
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


_here: dict[str, Experiment] = {}


def _begin_there(data: StudyData) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    parent: Any = multiprocessing.parent_process()

    def end_with_parent() -> None:  # a parent that is killed must not leave processes behind
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.update(ONE_THREAD)
    import tenarai.model.backend  # noqa: F401 - once a process, not within the first trial

    _here["experiment"] = Experiment(data)


def _run_there(trial: Trial) -> Result:
    return _here["experiment"].run(trial)


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
        as_trained = predict_with_keras(network, data.readings[trial.reading][held_out]).argmax(axis=1)
        asked, reading, as_article = network, trial.reading, ""
        if trial.recipe == "article":  # whatever it was trained on, the article reads x / 255, inverted
            asked, reading = _scale_input(network), INVERTED
            as_article = _mark(predict_with_keras(asked, data.readings[INVERTED][held_out]).argmax(axis=1) == targets)
        answer, confidence = "", 0.0
        if trial.asks and data.misread:
            row = predict_with_keras(asked, data.misread.readings[reading][None])[0]
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


def _mark(right: NDArray[np.bool_]) -> str:
    return "".join("1" if yes else "0" for yes in right.tolist())
