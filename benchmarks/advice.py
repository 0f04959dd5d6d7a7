"""What to write or file next: does advice pay?

.venv/bin/python -m benchmarks.advice OWN POOL.npz…

Each writer begins with two samples a digit, then files or writes twenty more: any digit evenly, or what the model is
least sure of in an inbox, alike or not. Judged on later images, which nobody could choose, and on the inbox itself:
what was filed is right, the rest is read.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.writers import Hand, Hands, Head, fit_head
from tenarai.evaluate.inbox import order_inbox

START_EACH, MORE, NUM_SET_ASIDE = 2, 20, 60
Rows = NDArray[np.intp]


def evenly(hand: Hand, pool: Rows) -> Rows:
    """Two more of each digit, as they come."""
    each = MORE // 10
    return np.concatenate([pool[hand.targets[pool] == digit][:each] for digit in range(10)])


def least_sure(hand: Hand, pool: Rows, model: Head, *, diverse: bool) -> Rows:
    """What an inbox with everything in it shows first."""
    sure = model.probabilities(hand.plain[pool]).max(axis=1)
    order = order_inbox(sure, hand.pixels[pool]) if diverse else np.argsort(sure, kind="stable")
    return pool[order[:MORE]]


def try_writer(hand: Hand, seed: int) -> dict[str, tuple[float, float]]:
    """By what was done next: accuracy on later images, and the share of the inbox that is filed or read right."""
    order = np.random.default_rng([seed, 5]).permutation(len(hand.targets))
    start = np.concatenate([order[hand.targets[order] == digit][:START_EACH] for digit in range(10)])
    others = np.setdiff1d(order, start, assume_unique=True)
    others = others[np.random.default_rng([seed, 6]).permutation(len(others))]
    rest = others[NUM_SET_ASIDE:]
    pool, judge = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    model = fit_head(hand, start, seed)
    choices = {
        "start": start[:0],
        "evenly": evenly(hand, pool),
        "least sure": least_sure(hand, pool, model, diverse=False),
        "least sure, diverse": least_sure(hand, pool, model, diverse=True),
    }
    found = {}
    for name, more in choices.items():
        heads = [fit_head(hand, np.concatenate([start, more]), seed * 10 + n) for n in range(3)]
        right = np.mean([h.read(hand.plain) == hand.targets for h in heads], axis=0)
        found[name] = (float(right[judge].mean()), float(np.where(np.isin(pool, more), 1.0, right[pool]).mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path)
    parser.add_argument("pools", type=Path, nargs="*")
    parser.add_argument("--writers", type=int, default=20)
    given = parser.parse_args()
    hands = Hands(given.own, given.pools)
    found = []
    for seed in range(given.writers):
        hand = hands.draw(seed, 320)
        found.append(try_writer(hand, seed))
        told = ", ".join(f"{name} {later:.1%} ({inbox:.1%})" for name, (later, inbox) in found[-1].items())
        print(f"writer {seed} ({hand.name}): {told}", flush=True)
    print("| | later images | against evenly | inbox, filed or read right | against evenly |")
    print("| --- | ---: | ---: | ---: | ---: |")
    even = np.array([one["evenly"] for one in found])
    for name in found[0]:
        shares = np.array([one[name] for one in found])
        gains = shares - even
        around = 1.96 * gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
        cells = [f"{shares[:, n].mean():.2%} | {gains[:, n].mean():+.2%} ± {around[n]:.2%}" for n in (0, 1)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
