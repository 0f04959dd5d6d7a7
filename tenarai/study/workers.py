"""Train the trials of a study in one process per core, and keep each result at once: a stopped study resumes there.

Every process computes with one thread, so numbers do not depend on how many cores there are.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from tenarai.errors import StoreError, TrainingError
from tenarai.locale import _
from tenarai.store import Store
from tenarai.study.data import StudyData
from tenarai.study.experiment import Experiment
from tenarai.study.plan import Result, Trial

VERSION = 2  # raise it when the same trial would give other numbers
FOLDER = "studies"
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}


class ResultCache:
    """Results as small files, `studies/trials/<key>.json`, under a key of everything that decides their content.

    Args:
        store: Where they lie.
        data: What the trials train on.
        environment: Whatever else decides the numbers, such as versions.
        ignore: Find nothing, so that everything is trained again. Default: False.
    """

    def __init__(self, store: Store, data: StudyData, environment: Mapping[str, str], *, ignore: bool = False) -> None:
        """Nothing is read yet."""
        self._store, self._data, self._environment, self._ignore = store, data, dict(environment), ignore

    def key(self, trial: Trial) -> str:
        """The key of a trial. Only trials that ask depend on the misread image."""
        misread = self._data.misread
        asked = misread.fingerprint if misread and (trial.asks or trial.add_similar) else ""
        words = [VERSION, asdict(trial), self._data.fingerprint, asked, self._environment]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:24]

    def find(self, trial: Trial) -> Result | None:
        """An earlier result; None where there is none or its file is damaged."""
        parts = (FOLDER, "trials", f"{self.key(trial)}.json")
        if self._ignore or not self._store.exists(*parts):
            return None
        try:
            found = self._store.read_json(*parts)["result"]
            return Result(**found) if set(found) == {field.name for field in fields(Result)} else None
        except (StoreError, KeyError, TypeError):
            return None  # trained and written again

    def keep(self, trial: Trial, result: Result) -> None:
        """Write a result.

        Raises:
            StoreError: It cannot be written.
        """
        value = {"trial": asdict(trial), "result": asdict(result)}
        self._store.write_json(value, FOLDER, "trials", f"{self.key(trial)}.json")


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
