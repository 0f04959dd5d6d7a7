"""How far a study is, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence

from tenarai.study.cells import Cell, Outcome
from tenarai.study.sentences import percent

# CPU seconds of one cell before its first epoch, and of forty epochs on 200 images; only their proportions matter
START = 2.0
EPOCHS = {"base": 0.5, "article": 1.2, "mlp": 1.5, "transfer": 1.5, "cnn": 2.8}
STOPPING = 4.0  # folds and the last fit


class Progress:
    """Counts cells, and weighs those that are left by what those that are done took.

    Args:
        todo: All cells that are to be trained.
        workers: How many are trained at a time.
    """

    def __init__(self, todo: Sequence[Cell], workers: int) -> None:
        """Nothing is done yet."""
        self._num, self._workers = len(todo), workers
        self._left = sum(_cost(cell) for cell in todo)
        self._num_done, self._cost_done, self._seconds = 0, 0.0, 0.0

    def tell(self, cell: Cell, outcome: Outcome) -> str:
        """A line on a cell that is done."""
        self._num_done += 1
        self._cost_done += _cost(cell)
        self._left -= _cost(cell)
        self._seconds += outcome.seconds
        left = self._left * self._seconds / self._cost_done / self._workers
        end = f", about {say_seconds(left)} left" if self._num_done < self._num else ""
        return f"{self._num_done} of {self._num}: {describe(cell, outcome)}{end}"


def describe(cell: Cell, outcome: Outcome) -> str:
    """A cell in a few words, and what came out."""
    words = [cell.recipe]
    if cell.reading != "normalised":
        words.append(cell.reading)
    if cell.recipe != "base":
        words.append("EarlyStopping" if cell.stopping else f"{cell.epochs} epochs")
        words.append(f"{outcome.num_train} images")
    words.append(f"seed {cell.seed}")
    if outcome.answer:
        words.append(f"reads {outcome.answer}")
    elif outcome.right:
        words.append(f"held out {percent(outcome.right.count('1') / len(outcome.right))}")
    return ", ".join(words)


def say_seconds(seconds: float) -> str:
    """`40 s`, `3 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _cost(cell: Cell) -> float:
    return (START + EPOCHS[cell.recipe] * cell.epochs / 40) * (STOPPING if cell.stopping else 1)
