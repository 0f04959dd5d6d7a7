"""Wrong labels and things that are no digits, planted: how many of the most suspicious images are those?

.venv/bin/python -m benchmarks.labels OWN

In each set of OWN (<set>/<label>/<file>) one label in twenty is changed at random, the heads of `benchmarks.writers`
are cross-fitted on what is left of the truth, and `tenarai.evaluate.suspects` ranks the images. Then letters and
scribbles, one for every twenty images, are filed under random labels, and the outliers are counted.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.base.score import Writer, load_writers
from benchmarks.writers import COPIES, LABELS, Hand, fit_head, see
from tenarai.evaluate.suspects import NO_LABEL, SURE_OF_ANOTHER, rank_by_suspicion
from tenarai.model.augment import GENTLE, augment
from tenarai.model.train import split_folds
from tenarai.prepare import normalise

SHARE, FOLDS = 0.05, 5


def cross_fit(hand: Hand, targets: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """(N, K): each image read by a head that never saw it, all of them trained on the labels given."""
    table = np.full((len(targets), len(LABELS)), np.nan, np.float32)
    groups = np.arange(len(targets)).astype(str)
    for learn, held_out in split_folds(targets, groups, FOLDS, seed):
        table[held_out] = fit_head(hand, learn, seed, targets).probabilities(hand.plain[held_out])
    return table


def cross_fit_by_regression(hand: Hand, targets: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """The same by scikit-learn's logistic regression on the base's features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    found = cross_val_predict(
        LogisticRegression(C=0.01, max_iter=300), hand.plain, targets, cv=FOLDS, method="predict_proba"
    )
    return np.asarray(found, np.float32)


def draw_no_digit(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A letter, a sign or a scribble, through the normaliser: (28, 28) uint8."""
    page = np.full((96, 96), 255, np.uint8)
    if rng.random() < 0.5:
        sign = str(rng.choice(list("ABCDEFGHJKMNPQRTUVWXYabdefghkmnprtwxy&@#%+?")))
        font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)[rng.integers(3)]
        cv2.putText(page, sign, (20, 70), font, 2.2, 0, int(rng.integers(3, 7)), cv2.LINE_AA)
    else:
        corners = (rng.random((int(rng.integers(5, 12)), 2)) * 70 + 13).astype(int)
        cv2.polylines(page, [corners], False, 0, int(rng.integers(3, 6)), cv2.LINE_AA)
    return normalise(page)


def count_outliers(writer: Writer, rng: np.random.Generator) -> tuple[int, int, int]:
    """Planted, found among them, and genuine digits listed as well."""
    truth = np.array([int(label) for label in writer.labels], np.int64)
    count = max(1, round(SHARE * len(truth)))
    digits = np.concatenate([writer.digits, np.stack([draw_no_digit(rng) for _ in range(count)])])
    labels = np.concatenate([truth, rng.integers(0, 10, count)])
    copies = tuple(see(augment(digits, rng, GENTLE)) for _ in range(COPIES))
    table = cross_fit(Hand(writer.name, digits, labels, see(digits), copies), labels, 0)
    is_odd = table.max(axis=1) < NO_LABEL
    return count, int(is_odd[len(truth) :].sum()), int(is_odd[: len(truth)].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    given = parser.parse_args()
    sets = [writer for writer in load_writers(given.own) if len(writer.files) >= 100]
    ways = {"cross-fitted heads": cross_fit, "logistic regression": cross_fit_by_regression}
    hits, planted, listed, true = dict.fromkeys(ways, 0), 0, 0, 0
    for writer in sets:
        truth = np.array([int(label) for label in writer.labels], np.int64)
        rng = np.random.default_rng(len(truth))
        copies = tuple(see(augment(writer.digits, rng, GENTLE)) for _ in range(8))
        hand = Hand(writer.name, writer.digits, truth, see(writer.digits), copies)
        own = dict.fromkeys(ways, 0)
        count = max(1, round(SHARE * len(truth)))
        for draw in range(given.draws):
            flipped = rng.permutation(len(truth))[:count]
            labels = truth.copy()
            labels[flipped] = (truth[flipped] + rng.integers(1, 10, count)) % 10
            for name, way in ways.items():
                table = way(hand, labels, draw)
                own[name] += len(set(rank_by_suspicion(table, labels)[:count].tolist()) & set(flipped.tolist()))
                if name == "cross-fitted heads":
                    named = np.flatnonzero((table.argmax(1) != labels) & (table.max(1) >= SURE_OF_ANOTHER))
                    listed, true = listed + len(named), true + len(set(named.tolist()) & set(flipped.tolist()))
        planted += count * given.draws
        for name in ways:
            hits[name] += own[name]
        told = ", ".join(f"{name} {n} of {count * given.draws}" for name, n in own.items())
        print(f"{writer.name} ({len(truth)} images): {told}", flush=True)
    for name, n in hits.items():
        print(f"{name}: {n / planted:.1%} of the k most suspicious are flips ({n} of {planted}, {given.draws} draws)")
    print(f"listed in the report: {listed}, of these flips {true} ({true / listed:.1%}), found {true / planted:.1%}")
    odd = np.sum([count_outliers(writer, np.random.default_rng(7)) for writer in sets], axis=0)
    print(f"outliers: {odd[1]} of {odd[0]} letters and scribbles found, and {odd[2]} genuine digits listed with them")


if __name__ == "__main__":
    main()
