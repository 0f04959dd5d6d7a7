"""Should tonight's challenger start from the champion, or be averaged with it?

.venv/bin/python benchmarks/warm_start.py <folder of <set>/<label>/<file>> [--draws N] [--each K]

For each set with more than two times K images a label: a champion learns K a label, a challenger twice as many: fresh
from the base, on from the champion's weights, or averaged with the champion's. All read the images that none has seen.
Gain is what the challenger reads more than the champion; lost are the images that the champion read and the challenger
does not. Prints a markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.base.score import Writer, load_writers
from tenarai.dataset import TrainingSet
from tenarai.model import EPOCHS_WITHOUT_SPLIT
from tenarai.model.recipes import Rows, TransferFitter
from tenarai.prepare import NORMALISER_VERSION

WAYS = ("fresh from the base", "from the champion on", "averaged with the champion")
Weights = list[NDArray[np.float32]]


class WarmFitter(TransferFitter):
    """Fine-tunes the base, or goes on from given weights of its dense layers."""

    start: Weights | None = None

    def learn(self, rows: Rows, start: Weights | None = None) -> Weights:
        """Weights of the dense layers after the epochs that few images are given."""
        self.start = start
        self.fit(rows, epochs=EPOCHS_WITHOUT_SPLIT["transfer"])
        return list(self._head.get_weights())

    def read_with(self, weights: Weights, rows: Rows) -> NDArray[np.intp]:
        """(M,) what dense layers of these weights read in rows of the lesson."""
        self._head.set_weights(weights)
        return np.asarray(self._head.predict(self._plain[rows], verbose=0).argmax(axis=1))

    def _new_head(self) -> Any:
        head = super()._new_head()
        if self.start is not None:
            head.set_weights(self.start)
        return head


def compare(writer: Writer, each: int, draws: int) -> Iterator[NDArray[np.float64]]:
    """A draw at a time: (ways, 2) float64, gain and lost as shares of the images that nobody has seen."""
    labels, targets = np.unique(writer.labels, return_inverse=True)
    groups = np.array([str(path) for path in writer.files])
    training_set = TrainingSet(
        writer.digits, targets.astype(np.int64), groups, tuple(map(str, labels)), NORMALISER_VERSION
    )
    for draw in range(draws):
        rng = np.random.default_rng([draw, each])
        order = [rng.permutation(np.flatnonzero(targets == k)) for k in range(len(labels))]
        yesterday, tonight = (np.concatenate([rows[: n * each] for rows in order]) for n in (1, 2))
        unseen = np.setdiff1d(np.arange(len(targets)), tonight)
        fitter = WarmFitter(training_set, draw)
        champion = fitter.learn(yesterday)
        fresh, warm = fitter.learn(tonight), fitter.learn(tonight, champion)
        averaged = [(ours + theirs) / 2 for ours, theirs in zip(warm, champion, strict=True)]
        before = fitter.read_with(champion, unseen) == targets[unseen]
        after = [fitter.read_with(weights, unseen) == targets[unseen] for weights in (fresh, warm, averaged)]
        yield np.array([[now.mean() - before.mean(), (before & ~now).mean()] for now in after])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--each", type=int, default=5, help="images a label that the champion learned")
    given = parser.parse_args()
    found, names = [], []
    for writer in load_writers(given.data):
        if np.unique(writer.labels, return_counts=True)[1].min() > 2 * given.each:
            found += list(compare(writer, given.each, given.draws))
            names.append(f"{writer.name} ({len(writer.files)})")
    if not found:
        parser.error(f"no set has more than {2 * given.each} images of every label")
    print(f"{', '.join(names)}; {given.draws} draws, {given.each} then {2 * given.each} images a label\n")
    print("| challenger | gain | lost |\n| --- | ---: | ---: |")
    for number, way in enumerate(WAYS):
        gain, lost = np.array(found)[:, number].mean(axis=0)
        print(f"| {way} | {100 * gain:+.2f} points | {lost:.2%} |")


if __name__ == "__main__":
    main()
