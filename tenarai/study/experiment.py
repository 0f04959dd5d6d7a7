"""Train the cells of a study, on as many processes as there are cores; what each gives is kept as soon as it is there.

A cell uses the recipes that a night trains by; nothing here knows how a network is fitted. Every process computes with
one thread, so that numbers do not depend on how many cores there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import TrainingError
from tenarai.settings import TrainingSettings
from tenarai.study import INVERTED, NORMALISED, RAW, Cell, Material, Outcome

if TYPE_CHECKING:
    from tenarai.model.recipes import Fitter, TrainingSet

OnDone = Callable[[Cell, Outcome], None]
Rows = NDArray[np.intp]
NUM_ALIKE = 10
NUM_NEAREST = 5
FOLDS = 3  # of the EarlyStopping; a night uses five, a study repeats everything over seeds
PATIENCE = 8


def count_workers(asked: int | None, cells: Sequence[Cell]) -> int:
    """How many processes train cells: as asked, or one a core; never more than there are cells."""
    return min(asked or os.cpu_count() or 1, max(1, len(cells)))


def train_cells(material: Material, cells: Sequence[Cell], on_done: OnDone, *, workers: int) -> None:
    """Train cells; each that is done is told at once, in the order they end.

    Args:
        material: What they are trained on.
        cells: What is to do.
        on_done: Receives each cell and its outcome, in this process.
        workers: Processes; 1 trains in this one.

    Raises:
        TrainingError: A process was killed, or a loss became no number.
    """
    if workers == 1:
        laboratory = Laboratory(material)
        for cell in cells:
            on_done(cell, laboratory.run(cell))
        return
    with _processes(material, workers) as pool:
        running: dict[Future[Outcome], Cell] = {pool.submit(_run_there, cell): cell for cell in cells}
        for future in as_completed(running):
            on_done(running[future], future.result())


@contextmanager
def _processes(material: Material, workers: int) -> Iterator[ProcessPoolExecutor]:
    from concurrent.futures.process import BrokenProcessPool

    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"), "CUDA_VISIBLE_DEVICES": "-1"}
    before = {name: os.environ.get(name) for name in threads | quiet}
    os.environ.update(threads | quiet)  # a process that is spawned inherits them before it imports anything
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_there, (material,))
    try:
        yield pool
        pool.shutdown()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process of the study was killed",
            received=str(error),
            fix="most often memory ran out: start it again with --workers 1; what was finished is kept",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


_here: dict[str, Laboratory] = {}


def _begin_there(material: Material) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    parent = multiprocessing.parent_process()
    if parent is not None:  # a parent that is killed must not leave them waiting for work for ever
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _import_quietly()
    _here["laboratory"] = Laboratory(material)


def _import_quietly() -> None:
    """Import Keras without what its backend writes to the terminal: it would break up the words of progress."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _run_there(cell: Cell) -> Outcome:
    return _here["laboratory"].run(cell)


@dataclass(frozen=True, eq=False)
class Learned:
    """A fitted network, what it reads in the held-out images, (M, K) float32, and how it learned."""

    network: Callable[[], Any]
    probabilities: NDArray[np.float32]
    history: dict[str, list[float]]
    best_epochs: tuple[int, ...] = ()


class Laboratory:
    """Trains cells on one material, and keeps what the cells of one recipe and seed share.

    Args:
        material: The images.
    """

    def __init__(self, material: Material) -> None:
        """Keep the material; nothing is computed yet."""
        self._material = material
        self._fitter: tuple[object, Fitter] | None = None
        self._embedded: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def run(self, cell: Cell) -> Outcome:
        """Train one cell, examine it on what it did not see, and ask it the question.

        Raises:
            TrainingError: The loss became no number.
        """
        from tenarai.model.train import choose_device

        start = time.perf_counter()
        with choose_device("cpu"):
            outcome = self._read_untouched(cell) if cell.recipe == "base" else self._train(cell)
        return Outcome(**{**vars(outcome), "seconds": round(time.perf_counter() - start, 3)})

    def _train(self, cell: Cell) -> Outcome:
        train, held_out = self._rows(cell)
        learned = self._stop_early(cell, train, held_out) if cell.stopping else self._fit(cell, train, held_out)
        if not np.isfinite(learned.history["loss"]).all():
            raise TrainingError(f"the loss of {cell} became no number", fix="try other seeds, and report it")
        targets = self._material.targets[held_out]
        answer, confidence = self._ask(cell, learned)
        return Outcome(
            num_train=len(train),
            epochs=len(learned.history["loss"]),
            history={name: [round(value, 6) for value in values] for name, values in learned.history.items()},
            right=_as_marks(learned.probabilities.argmax(axis=1) == targets),
            article_right=self._read_as_the_article(cell, learned, held_out),
            best_epochs=learned.best_epochs,
            answer=answer,
            confidence=confidence,
        )

    def _rows(self, cell: Cell) -> tuple[Rows, Rows]:
        """Rows to train on and rows held out."""
        material = self._material
        train, held_out = material.draw(cell.seed, cell.draw)
        if cell.samples:
            train = material.pick(train, cell.samples, cell.seed)
        if cell.asks and not cell.draw:
            train, held_out = np.arange(material.num_images), held_out[:0]  # whatever is there may help the question
        if cell.extra == "alike":
            train = np.union1d(train, self._alike(held_out))
            held_out = np.setdiff1d(held_out, train)
        return train, held_out

    def _fit(self, cell: Cell, train: Rows, held_out: Rows) -> Learned:
        fitter = self._find_fitter(cell, len(train))
        watched = held_out if len(held_out) else None
        fit = fitter.fit(train, watched, epochs=cell.epochs, patience=None, say=lambda epoch, logs: None)
        return Learned(lambda: fitter.network(1.0), fit.probabilities, fit.history)

    def _stop_early(self, cell: Cell, train: Rows, held_out: Rows) -> Learned:
        """As a night trains: folds of the training images find the number of epochs, then all of them are learned."""
        from tenarai.model.train import train_model

        material = self._material
        trained = train_model(
            material.read(cell.reading)[train],
            material.targets[train],
            material.groups[train],
            material.labels,
            TrainingSettings(
                recipe=cell.recipe,  # type: ignore[arg-type]
                max_epochs=cell.epochs,
                patience=PATIENCE,
                folds=FOLDS,
                seed=cell.seed,
                device="cpu",
            ),
            normaliser=material.normaliser,
            on_epoch=lambda line: None,
        )
        probabilities = _read(trained.network, material.read(cell.reading)[held_out])
        return Learned(lambda: trained.network, probabilities, trained.curves.refit, trained.curves.best_epochs)

    def _find_fitter(self, cell: Cell, num_train: int) -> Fitter:
        """The fitter of a cell; the last one is kept, since its features serve all cells of one recipe and seed."""
        name = (cell.recipe, cell.reading, cell.augmented, cell.seed, num_train if cell.recipe == "article" else 0)
        if self._fitter is None or self._fitter[0] != name:
            material = self._material
            from tenarai.model.recipes import TrainingSet

            training_set = TrainingSet(
                material.read(cell.reading), material.targets, material.groups, material.labels, material.normaliser
            )
            self._fitter = (name, _make_fitter(cell, training_set, num_train))
        return self._fitter[1]

    def _read_as_the_article(self, cell: Cell, learned: Learned, held_out: Rows) -> str:
        """Right and wrong when what was trained on pixels of any kind reads `/255` and `1 - x`."""
        if cell.recipe != "article":
            return ""
        probabilities = _read(_from_0_to_1(learned.network()), self._material.read(INVERTED)[held_out])
        return _as_marks(probabilities.argmax(axis=1) == self._material.targets[held_out])

    def _ask(self, cell: Cell, learned: Learned) -> tuple[str, float]:
        question = self._material.question
        if not cell.asks or question is None:
            return "", 0.0
        if cell.recipe == "article":
            row = _read(_from_0_to_1(learned.network()), question.read(INVERTED)[None])[0]
        else:
            row = _read(learned.network(), question.read(cell.reading)[None])[0]
        return self._material.labels[int(row.argmax())], round(float(row.max()), 6)

    def _read_untouched(self, cell: Cell) -> Outcome:
        from tenarai.model.bundle import load_base

        material = self._material
        base = load_base(normaliser=material.normaliser)
        _, held_out = self._rows(cell)
        names = np.array(base.info.labels)
        if not cell.asks:
            read = names[base.predict(material.pictures[NORMALISED][held_out]).argmax(axis=1)]
            truth = np.array(material.labels)[material.targets[held_out]]
            return Outcome(0, 0, right=_as_marks(read == truth))
        assert material.question is not None
        row = base.predict(material.question.read(NORMALISED)[None])[0]
        nearest = self._distances().argsort(kind="stable")[:NUM_NEAREST]
        return Outcome(
            0,
            0,
            answer=str(names[row.argmax()]),
            confidence=round(float(row.max()), 6),
            nearest=tuple(int(number) for number in nearest),
        )

    def _alike(self, rows: Rows) -> Rows:
        """The images of the question's label that look most like it, ten of them at most."""
        material = self._material
        if material.question is None or material.question.label not in material.labels:
            return rows[:0]
        same = rows[material.targets[rows] == material.labels.index(material.question.label)]
        return np.asarray(same[np.argsort(self._distances()[same], kind="stable")[:NUM_ALIKE]])

    def _distances(self) -> NDArray[np.float32]:
        """(N,) float32, how unlike each image is to the question, by the cosine of what the base makes of them."""
        if self._embedded is None:
            self._embedded = _embed(self._material)
        images, question = self._embedded
        return np.asarray(1 - images @ question)


def _make_fitter(cell: Cell, training_set: TrainingSet, num_train: int) -> Fitter:
    from tenarai.model.augment import GENTLE
    from tenarai.model.networks import build_mlp
    from tenarai.model.recipes import RECIPES, NetworkFitter

    if cell.recipe == "article":
        scale = 1.0 if cell.reading == RAW else 1 / 255
        return NetworkFitter(
            training_set, cell.seed, build=lambda k: build_mlp(k, scale=scale), how=None, batch=num_train
        )
    return RECIPES[cell.recipe].prepare(training_set, cell.seed, how=GENTLE if cell.augmented else None)


def _from_0_to_1(network: Any) -> Any:
    """A network of the article's that is fed from 0 to 1 instead, its weights as they are."""
    from tenarai.model.networks import build_mlp

    other = build_mlp(network.output_shape[-1])
    other.set_weights(network.get_weights())
    return other


def _embed(material: Material) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the base's first dense layer makes of all images and of the question, of length 1: (N, F) and (F,)."""
    import keras

    from tenarai.model.bundle import load_base
    from tenarai.model.networks import HEAD

    assert material.question is not None
    base = load_base(normaliser=material.normaliser).network
    look = keras.Model(base.input, base.get_layer(HEAD[0]).output)
    pixels = np.concatenate([material.read(NORMALISED), material.question.read(NORMALISED)[None]])
    found = np.asarray(look.predict(pixels, verbose=0), dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-9
    return found[:-1], found[-1]


def _read(network: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    if not len(pixels):
        return np.empty((0, network.output_shape[-1]), dtype=np.float32)
    return np.asarray(network.predict(pixels, batch_size=256, verbose=0), dtype=np.float32)


def _as_marks(right: NDArray[np.bool_]) -> str:
    return "".join("1" if yes else "0" for yes in right.tolist())
