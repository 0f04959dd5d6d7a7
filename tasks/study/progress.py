"""How far a study is, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.study.cells import Cell, Outcome
from tasks.study.sentences import percent

# seconds of one cell against another's, as measured; only their proportions matter
COSTS = {"base": 2.0, "article": 1.5, "mlp": 3.0, "transfer": 4.0, "cnn": 6.0}
STOPPING = 4.0  # folds and the last fit


class Progress:
    """Counts cells, and weighs those that are left by those that are done.

    Args:
        todo: All cells that are to be trained.
        start: When the first began, in seconds of any clock.
    """

    def __init__(self, todo: Sequence[Cell], start: float) -> None:
        """Nothing is done yet."""
        self._num, self._start = len(todo), start
        self._whole = sum(_cost(cell) for cell in todo)
        self._done, self._num_done = 0.0, 0

    def tell(self, cell: Cell, outcome: Outcome, now: float) -> str:
        """A line on a cell that is done; the clock is the one that `start` was taken from."""
        self._done += _cost(cell)
        self._num_done += 1
        left = (now - self._start) * (self._whole - self._done) / max(self._done, 1e-9)
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
    share = 0.3 + 0.7 * cell.epochs / 40  # building a network takes its time, too
    return COSTS[cell.recipe] * share * (STOPPING if cell.stopping else 1)
