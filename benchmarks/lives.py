"""Whole lives of collections: how often is "better" ever wrong, and how soon is a gain found?

.venv/bin/python -m benchmarks.lives null      1,000 lives of 1,000 nights in which no challenger is better
.venv/bin/python -m benchmarks.lives gains     lives in which challengers are better from night 100 on

An item is easy, and everybody reads it, or it is hard: then a model reads it if `m + skill + noise > 0`, where `m`
belongs to the item and the noise to item and model. Models of neighbouring nights share most of their noise. The worlds
are fitted to real heads of `benchmarks.writers`: how often two models disagree that were retrained a night apart, ten
nights apart, and on other images. Lives begin with 40 images and gain 3 a night, a fifth of them held out; every third
image that the champion misreads when it comes goes to the regression set; two a night are filed from an inbox of
twenty, the ones the champion is least sure of. Decisions are those of `tenarai.evaluate.gate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from tenarai.evaluate import gate
from tenarai.records import PairedCounts

FIRST, PER_NIGHT, HELD_OUT, FILED, INBOX = 40, 3, 0.2, 2, 20
SURE = 0.5  # of the noise's standard deviation: readings with more are held for more than even odds
GAIN_AT = 100
ALPHA = 0.05

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What a collection's models are like.

    Attributes:
        name: For the table.
        hard: Share of hard items.
        spread: Standard deviation of `m` among hard items; the noise has 1.
        shared: Share of the noise that is kept from night to night, `decay` of it each night.
        skill: Skill of the champion, for its accuracy.
    """

    name: str
    hard: float
    spread: float
    shared: float
    decay: float
    skill: float

    def accuracy(self, skill: float) -> float:
        return float(1 - self.hard * norm.cdf(-skill / np.sqrt(1 + self.spread**2)))

    def skill_for(self, accuracy: float) -> float:
        return float(norm.ppf(1 - (1 - accuracy) / self.hard) * np.sqrt(1 + self.spread**2))


def fit_world(name: str, hard: float, error: float, disagree: tuple[float, float, float]) -> World:
    """Fit a world to shares of all images: error, and disagreement after a night, after ten, and on other noise."""
    m, weight = np.polynomial.hermite_e.hermegauss(81)
    weight = weight / weight.sum()
    a_night, ten_nights, other = (share / hard for share in disagree)

    def skill_of(spread: float) -> float:
        return float(norm.ppf(1 - error / hard) * np.sqrt(1 + spread**2))

    def disagreement(spread: float, correlation: float) -> float:
        at = skill_of(spread) + spread * m
        x, v = np.polynomial.hermite_e.hermegauss(61)
        inside = norm.cdf((at[:, None] + np.sqrt(correlation) * x) / np.sqrt(1 - correlation))
        return float((weight * ((2 * inside * (1 - inside)) @ (v / v.sum()))).sum())

    spread = float(brentq(lambda s: disagreement(s, 0.0) - other, 0.01, 30))
    after_one = float(brentq(lambda r: disagreement(spread, r) - a_night, 0.0, 0.99999))
    after_ten = float(brentq(lambda r: disagreement(spread, r) - ten_nights, 0.0, 0.99999))
    decay = (after_ten / after_one) ** (1 / 9)
    return World(name, hard, spread, min(after_one / decay, 0.99999), decay, skill_of(spread))


FINE_TUNED = fit_world("fine-tuned, 98 %", 0.05, 0.016, (0.0020, 0.0031, 0.0063))
FROM_SCRATCH = fit_world("from scratch, 83 %", 0.6, 0.17, (0.06, 0.09, 0.23))


def at_accuracy(world: World, accuracy: float, *, independent: bool = False) -> World:
    """The same kind of model with another accuracy; independent ones share no noise from night to night."""
    name = f"{accuracy:.0%}" + (", retrained independently" if independent else "")
    shared = 0.0 if independent else world.shared
    return replace(world, name=name, shared=shared, skill=world.skill_for(accuracy))


class Lives:
    """Lives of one world under one gate, side by side.

    Args:
        world: What models are like.
        num: Lives.
        nights: Nights of each.
        seed: Decides everything.
        before: The gate of before: mid-p at 5 % every night, and a quarter more images, behind by at most one.
        count_filed: Count images filed from the inbox as evidence, as before.
        only_proof: Promote nothing without proof.
        to_regression: Share of the images that the champion misreads when they come that go to the regression set.
    """

    def __init__(
        self,
        world: World,
        num: int,
        nights: int,
        seed: int,
        *,
        before: bool = False,
        count_filed: bool = False,
        only_proof: bool = False,
        to_regression: float = 1 / 3,
    ) -> None:
        self.to_regression = to_regression
        self.world, self.num, self.nights = world, num, nights
        self.before, self.count_filed, self.only_proof = before, count_filed, only_proof
        self.rng = rng = np.random.default_rng(seed)
        items = round((FIRST + PER_NIGHT * nights) * world.hard)
        arrival = np.maximum(0, np.ceil((np.arange(items) / world.hard - FIRST) / PER_NIGHT)).astype(int)
        filed = np.repeat(np.arange(nights), FILED) + 1  # reserved places, filled as the nights go by
        self.arrival = np.concatenate([arrival, filed])
        self.is_filed = np.concatenate([np.zeros(items, bool), np.ones(len(filed), bool)])
        self.held_out = (rng.random(len(self.arrival)) < HELD_OUT) & ~self.is_filed
        shape = (num, len(self.arrival))
        self.m = (world.spread * rng.standard_normal(shape)).astype(np.float32)
        self.slow = rng.standard_normal(shape, np.float32)
        self.regression = np.zeros(shape, bool)
        self.champion = self._draw(world.skill)
        self.skill, self.learned, self.born = np.full(num, world.skill), np.full(num, 0.8 * FIRST), np.zeros(num, int)
        self.looks, self.last, self.recipe = np.zeros(num, int), np.zeros(num), np.zeros(num, int)
        self.wrong, self.better, self.promoted = (np.full(num, -1) for _ in range(3))
        self.num_better, self.num_promoted, self.num_lost = (np.zeros(num, int) for _ in range(3))
        self.harmed = 0

    def run(self, skill_of: Callable[[int], float], *, new_recipe_at: int = -1) -> None:
        for night in range(1, self.nights + 1):
            self._night(night, skill_of(night), int(0 <= new_recipe_at <= night))

    def _night(self, night: int, skill: float, recipe: int) -> None:
        there = int(np.searchsorted(self.arrival[~self.is_filed], night, side="right"))
        rows = np.concatenate([np.arange(there), np.flatnonzero(self.is_filed & (self.arrival <= night))])
        self._file_from_inbox(night)
        margin = self._draw(skill, rows)
        reads, read = margin > 0, self.champion[:, rows] > 0
        new = self.arrival[rows] == night
        misread = new & ~self.is_filed[rows] & ~read & (self.rng.random(read.shape) < self.to_regression)
        self.regression[:, rows] |= misread
        regression = self.regression[:, rows]
        allowed = ~regression & (True if self.count_filed else ~self.is_filed[rows])
        counted = allowed & (self.held_out[rows] | (self.arrival[rows] > self.born[:, None]))
        won, lost = (counted & reads & ~read).sum(axis=1), (counted & read & ~reads).sum(axis=1)
        loses = (regression & (self.champion[:, rows] > SURE) & ~reads).any(axis=1)
        size = FIRST + PER_NIGHT * night
        born_size = FIRST + PER_NIGHT * self.born
        images = np.round(HELD_OUT * born_size + (size - born_size)).astype(int)
        learned = (1 - HELD_OUT) * size + FILED * night
        better = ~loses & self._is_better(won, lost, images, size, loses, recipe)
        unproven = ~loses & ~better & self._is_unproven(won, lost, images, learned)
        promoted = better | unproven
        is_wrong = better & (skill <= self.skill + 1e-9)
        self.wrong[(self.wrong < 0) & is_wrong] = night
        worse = [self.world.accuracy(float(s)) - self.world.accuracy(skill) > 0.005 for s in self.skill[unproven]]
        self.harmed += sum(worse)
        self.num_better += better
        self.num_promoted += promoted
        if night >= GAIN_AT:
            self.better[(self.better < 0) & better] = night - GAIN_AT
            self.promoted[(self.promoted < 0) & promoted] = night - GAIN_AT
        self.num_lost[promoted] += (read & ~reads)[promoted].sum(axis=1)
        self.champion[np.ix_(promoted, rows)] = margin[promoted]
        self.skill[promoted], self.learned[promoted], self.born[promoted] = skill, learned, night

    def _is_better(self, won: Counts, lost: Counts, images: Counts, size: float, loses: Flags, recipe: int) -> Flags:
        p = _by_pair(exact_p, won, lost)
        if self.before:
            return np.asarray(_by_pair(mid_p, won, lost) <= ALPHA)
        levels = np.array([gate.level_of(int(look) + 1, ALPHA) for look in self.looks])
        due = (self.looks == 0) | (size >= gate.LOOK_GROWTH * self.last) | (recipe != self.recipe)
        look = due & (images >= gate.MIN_EVIDENCE) & (0.5 ** (won + lost) <= levels)
        self.looks[look] += 1
        self.last[look], self.recipe[look] = size, recipe
        return np.asarray(look & (p <= levels))

    def _is_unproven(self, won: Counts, lost: Counts, images: Counts, learned: float) -> Flags:
        growth = learned / np.maximum(self.learned, gate.MIN_LEARNED)
        if self.only_proof:
            return np.zeros(self.num, bool)
        if self.before:
            return np.asarray((_by_pair(mid_p, lost, won) > ALPHA) & (growth >= gate.GROWTH) & (lost <= won + 1))
        found = np.zeros(self.num, bool)
        for n in np.flatnonzero((growth >= gate.GROWTH) & (_by_pair(exact_p, lost, won) > gate.WORSE)):
            small = bound_loss(int(won[n]), int(lost[n]), int(images[n])) <= gate.MARGIN
            found[n] = small or (growth[n] >= gate.DOUBLED and lost[n] <= won[n] + 1)
        return found

    def _file_from_inbox(self, night: int) -> None:
        """Of twenty unlabelled images the two that the champion is least sure of are filed for tomorrow."""
        places = np.flatnonzero(self.is_filed & (self.arrival == night + 1))
        if not len(places):
            return
        shape = (self.num, INBOX)
        m = (self.world.spread * self.rng.standard_normal(shape)).astype(np.float32)
        slow = self.rng.standard_normal(shape, np.float32)
        seen = self._see(m, slow, self.skill[:, None])
        seen[self.rng.random(shape) >= self.world.hard] = np.inf  # easy ones
        order = np.argsort(np.abs(seen), axis=1)[:, : len(places)]
        for name, values in (("m", m), ("slow", slow), ("champion", seen)):
            getattr(self, name)[:, places] = np.take_along_axis(values, order, axis=1)
        easy = np.isinf(self.champion[:, places])
        self.m[:, places] = np.where(easy, 1e6, self.m[:, places])

    def _draw(self, skill: float, rows: NDArray[np.intp] | None = None) -> NDArray[np.float32]:
        """What a challenger makes of the items: above 0 is right."""
        if rows is None:
            return self._see(self.m, self.slow, skill)
        slow, decay = self.slow[:, rows], np.float32(self.world.decay)
        slow *= decay
        slow += np.sqrt(1 - decay**2) * self.rng.standard_normal(slow.shape, np.float32)
        self.slow[:, rows] = slow
        return self._see(self.m[:, rows], slow, skill)

    def _see(self, m: NDArray[np.float32], slow: NDArray[np.float32], skill: object) -> NDArray[np.float32]:
        fresh = self.rng.standard_normal(m.shape, np.float32)
        kept = np.float32(self.world.shared)
        return np.asarray(m + skill + np.sqrt(kept) * slow + np.sqrt(1 - kept) * fresh, np.float32)


@cache
def exact_p(won: int, lost: int) -> float:
    return gate.exact_p(won, lost)


@cache
def mid_p(won: int, lost: int) -> float:
    return gate.exact_p(won, lost) - comb(won + lost, won) / 2 ** (won + lost + 1)


@cache
def bound_loss(won: int, lost: int, images: int) -> float:
    return gate.bound_loss(PairedCounts(won, lost, images - won - lost, 0))


def _by_pair(function: Callable[[int, int], float], first: Counts, second: Counts) -> NDArray[np.float64]:
    return np.array([function(int(a), int(b)) for a, b in zip(first, second, strict=True)])


def show_null(num: int, nights: int) -> None:
    worlds = [
        at_accuracy(FINE_TUNED, 0.98),
        at_accuracy(FROM_SCRATCH, 0.85),
        at_accuracy(FINE_TUNED, 0.98, independent=True),
        at_accuracy(FROM_SCRATCH, 0.85, independent=True),
    ]
    print('| champion | gate | any wrong "better" after 100 nights | after all | promotions a life | readings lost |')
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for world in worlds:
        for name, options in (("now", {}), ("before", {"before": True, "count_filed": True})):
            lives = Lives(world, num if name == "now" else num // 4, nights, 1, **options)
            lives.run(lambda night, world=world: world.skill)
            early = ((lives.wrong >= 0) & (lives.wrong <= 100)).mean()
            print(
                f"| {world.name} | {name} | {early:.1%} | {(lives.wrong >= 0).mean():.1%} "
                f"| {lives.num_promoted.mean():.1f} | {lives.num_lost.mean():.1f} |",
                flush=True,
            )


def show_gains(num: int) -> None:
    """When a gain of night 100 is found: by proof, if nothing else is promoted, and by any promotion of the gate."""
    print('| accuracy | gain | misread images filed as such | "better" in 30 nights | median | any promotion, median |')
    print("| ---: | ---: | --- | ---: | ---: | ---: |")
    for base, accuracy, gain in (
        (FINE_TUNED, 0.98, 0.018),
        (FINE_TUNED, 0.95, 0.04),
        (FROM_SCRATCH, 0.85, 0.04),
        (FINE_TUNED, 0.95, 0.02),
        (FROM_SCRATCH, 0.85, 0.02),
    ):
        world = at_accuracy(replace(base, hard=max(base.hard, 3 * (1 - accuracy))), accuracy)
        better = world.skill_for(accuracy + gain)
        for name, share in (("none", 0.0), ("a third", 1 / 3)):
            cells = []
            for only_proof in (True, False):
                lives = Lives(world, num, 400, 2, only_proof=only_proof, to_regression=share)
                lives.run(lambda night, w=world, b=better: b if night >= GAIN_AT else w.skill, new_recipe_at=GAIN_AT)
                found = np.where((x := lives.better if only_proof else lives.promoted) < 0, 10_000, x)
                median = np.median(found)
                cells += [f"{(found <= 30).mean():.0%}"] if only_proof else []
                cells.append("not within 300" if median > 9_000 else f"{median:.0f}")
            print(f"| {accuracy:.0%} | +{100 * gain:.1f} | {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["null", "gains"])
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=1000)
    given = parser.parse_args()
    for world in (FINE_TUNED, FROM_SCRATCH):
        print(world)
    if given.what == "null":
        show_null(given.lives, given.nights)
    else:
        show_gains(given.lives)


if __name__ == "__main__":
    main()
