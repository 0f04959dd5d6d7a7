"""Readings, scores with their intervals, pairs and confusions, counted from arrays of probabilities."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from tenarai.records import PairedCounts, Prediction, Score


def read_labels(probabilities: NDArray[np.float32], labels: Sequence[str], unsure_below: float) -> list[Prediction]:
    """The most probable label of each row, and whether it is sure enough.

    Args:
        probabilities: (N, K) float32, rows summing to 1.
        labels: K class names.
        unsure_below: Readings less probable than this are unsure, 0 to 1.
    """
    best = probabilities.argmax(axis=1) if len(probabilities) else []
    found = [float(row[column]) for row, column in zip(probabilities, best, strict=True)]
    return [Prediction(labels[column], p, p < unsure_below) for column, p in zip(best, found, strict=True)]


def wilson_score(num_right: int, num_images: int) -> Score:
    """Right answers with their 95 % Wilson interval."""
    return Score.of(num_right, num_images)


def pair_up(champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_]) -> PairedCounts:
    """Count champion against challenger on the same images, (N,) bool each."""
    return PairedCounts(
        won=int((~champion_right & challenger_right).sum()),
        lost=int((champion_right & ~challenger_right).sum()),
        both_right=int((champion_right & challenger_right).sum()),
        both_wrong=int((~champion_right & ~challenger_right).sum()),
    )


def find_fair_rows(
    groups: NDArray[np.str_],
    is_test: NDArray[np.bool_],
    is_cross_fitted: NDArray[np.bool_],
    known: Collection[str],
) -> NDArray[np.intp]:
    """Rows that are a fair exam for champion and challenger: neither the one nor what reads for the other knows them.

    Args:
        groups: (N,) near-duplicate groups.
        is_test: (N,) images that nobody is ever trained on.
        is_cross_fitted: (N,) training images that a fold model reads for the challenger, one that never saw them.
        known: Groups that the champion was trained on, or that may not count for another reason.
    """
    is_new = np.array([group not in known for group in groups.tolist()], dtype=bool)
    return np.flatnonzero(is_new & (is_test | is_cross_fitted))


def confusion_matrix(
    truth: NDArray[np.str_], read: NDArray[np.str_], labels: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """(K, K) counts: what was written by row, what was read by column.

    A reading outside `labels`, which a model with other labels may give, counts in no column.
    """
    index = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for written, answer in zip(truth.tolist(), read.tolist(), strict=True):
        if answer in index:
            counts[index[written], index[answer]] += 1
    return tuple(tuple(int(n) for n in row) for row in counts)
