"""What to write or file next: does advice pay?

.venv/bin/python -m benchmarks.advice OWN POOL.npz…

Each writer begins with two samples a digit, then files or writes twenty more: any digit evenly; in the style of images
that were misread; what the model is least sure of in an inbox, alike or not. Judged on what nobody chose.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.writers import Hand, Hands, Head, fit_head
from tasks.evaluate.advice import order_inbox, rank_styles, soften

START_EACH, MORE, NUM_MISREAD_FROM = 2, 20, 100
Rows = NDArray[np.intp]


def evenly(hand: Hand, pool: Rows) -> Rows:
    """Two more of each digit, as they come."""
    each = MORE // 10
    return np.concatenate([pool[hand.targets[pool] == digit][:each] for digit in range(10)])


def in_style(hand: Hand, pool: Rows, start: Rows, misread: Rows) -> Rows:
    """What looks most like the misread images, the rarest styles first; the rest evenly."""
    order = rank_styles(hand.pixels[misread], hand.targets[misread], hand.pixels[start], hand.targets[start])
    chosen: list[int] = []
    looks = soften(hand.pixels)
    for _ in range(MORE // 2):  # at most half of them: a writer keeps writing evenly, too
        for row in misread[order].tolist():
            same = [n for n in pool.tolist() if hand.targets[n] == hand.targets[row] and n not in chosen]
            if same and len(chosen) < MORE // 2:
                chosen.append(min(same, key=lambda n: float(np.linalg.norm(looks[n] - looks[row]))))
    rest = [n for n in evenly(hand, pool).tolist() if n not in chosen]
    return np.array([*chosen, *rest][:MORE], dtype=np.intp)


def least_sure(hand: Hand, pool: Rows, model: Head, *, diverse: bool) -> Rows:
    """What an inbox with everything in it shows first."""
    sure = model.probabilities(hand.plain[pool]).max(axis=1)
    order = order_inbox(sure, hand.pixels[pool]) if diverse else np.argsort(sure, kind="stable")
    return pool[order[:MORE]]


def try_writer(hand: Hand, seed: int) -> dict[str, float]:
    """Accuracy on what nobody chose, by what was done next."""
    order = np.random.default_rng([seed, 5]).permutation(len(hand.targets))
    start = np.concatenate([order[hand.targets[order] == digit][:START_EACH] for digit in range(10)])
    others = np.setdiff1d(order, start, assume_unique=True)
    others = others[np.random.default_rng([seed, 6]).permutation(len(others))]
    seen, pool = others[:NUM_MISREAD_FROM], others[NUM_MISREAD_FROM:]
    model = fit_head(hand, start, seed)
    misread = seen[model.read(hand.plain[seen]) != hand.targets[seen]]
    choices = {
        "start": start[:0],
        "evenly": evenly(hand, pool),
        "in the style of the misread": in_style(hand, pool, start, misread),
        "least sure": least_sure(hand, pool, model, diverse=False),
        "least sure, diverse": least_sure(hand, pool, model, diverse=True),
    }
    judge = np.setdiff1d(pool, np.concatenate(list(choices.values())))
    found = {}
    for name, more in choices.items():
        heads = [fit_head(hand, np.concatenate([start, more]), seed * 10 + n) for n in range(3)]
        found[name] = float(np.mean([(h.read(hand.plain[judge]) == hand.targets[judge]).mean() for h in heads]))
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
        hand = hands.draw(seed, 400)
        found.append(try_writer(hand, seed))
        print(f"writer {seed} ({hand.name}): " + ", ".join(f"{n} {a:.1%}" for n, a in found[-1].items()), flush=True)
    even = np.array([one["evenly"] for one in found])
    for name in found[0]:
        gain = np.array([one[name] for one in found]) - even
        around = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
        mean = np.mean([one[name] for one in found])
        print(
            f"{name}: {mean:.2%}, against evenly {gain.mean():+.2%} ± {around:.2%} ({(gain > 0).sum()} writers better)"
        )


if __name__ == "__main__":
    main()
