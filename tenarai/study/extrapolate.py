"""How many images a label would be enough: a power law through the errors, and when it is not worth believing.

On other collections such a law was off by one to three points, so its answer is never given to better than two; where
that leaves no bound, or the law fails on what was measured, the answer is that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tenarai.study.results import Forecast

TARGETS = (0.95, 0.98, 0.99)
MARGIN = 0.02  # no extrapolated accuracy is known better than this
FURTHEST = 8.0  # times the largest number measured
MIN_SIZES = 3
DRAWS = 400
Errors = NDArray[np.float64]


def forecast(
    recipe: str, sizes: Sequence[float], accuracies: Sequence[Sequence[float]], num_images: int, target: float
) -> Forecast:
    """How many images a label reach an accuracy.

    Args:
        recipe: Whose.
        sizes: Images a label, ascending.
        accuracies: For each size one share a seed, seeds in the same order.
        num_images: Different held-out images behind them.
        target: Accuracy asked for.
    """
    means = [float(np.mean(shares)) for shares in accuracies]
    reached = [size for number, size in enumerate(sizes) if min(means[number:]) >= target]
    if reached:
        return Forecast(recipe, target, "measured", reached[0], None, None, f"{_name(reached[0])} a label reached it")
    too_few = _say_too_few(sizes, num_images, target)
    if too_few:
        return _cannot_tell(recipe, target, too_few)
    errors = np.clip(1 - np.array([list(shares) for shares in accuracies]), 0.5 / num_images, 1)
    log_sizes = np.log(np.array(sizes))
    missed = _miss_last(log_sizes, errors)
    if missed > MARGIN:
        return _cannot_tell(
            recipe,
            target,
            f"fitted without the largest number, the law misses it by {100 * missed:.1f} points",
        )
    return _bound(recipe, target, log_sizes, errors)


def _say_too_few(sizes: Sequence[float], num_images: int, target: float) -> str:
    if len(sizes) < MIN_SIZES:
        return f"{len(sizes)} different numbers of images are too few for a curve"
    if num_images * (1 - target) < 1:
        return f"{num_images} held-out images are too few to see {target:.0%}"
    return ""


def _bound(recipe: str, target: float, log_sizes: Errors, errors: Errors) -> Forecast:
    """Fit again on redrawn seeds; the answer holds where the target is allowed to be missed by the margin."""
    rng = np.random.default_rng(0)
    seeds = errors.shape[1]
    laws = [_fit(log_sizes, errors[:, rng.integers(0, seeds, seeds)].mean(axis=1)) for _ in range(DRAWS)]
    steepness = np.array([law[1] for law in laws])
    if np.quantile(steepness, 0.05) < 0.05:
        return _cannot_tell(recipe, target, "more images did not help clearly enough to draw a curve through it")
    largest = float(np.exp(log_sizes[-1]))
    low = max(largest, float(np.quantile([_needed(law, 1 - target + MARGIN) for law in laws], 0.05)))
    if low > FURTHEST * largest:
        return _cannot_tell(
            recipe, target, f"it lies more than {FURTHEST:.0f} times beyond the {_name(largest)} a label measured"
        )
    high = np.inf
    if 1 - target > MARGIN:
        high = float(np.quantile([_needed(law, 1 - target - MARGIN) for law in laws], 0.95))
    if high > FURTHEST * largest:
        why = f"more than {_name(low)} a label; no upper bound can be told"
        return Forecast(recipe, target, "at least", None, round(low, 1), None, why)
    middle = max(largest, float(np.median([_needed(law, 1 - target) for law in laws])))
    why = f"about {_name(middle)} a label, between {_name(low)} and {_name(high)}"
    return Forecast(recipe, target, "about", round(middle, 1), round(low, 1), round(high, 1), why)


def _fit(log_sizes: Errors, errors: Errors) -> tuple[float, float]:
    """(a, b) of error = exp(a) · size^-b, by least squares on logarithms."""
    slope, start = np.polyfit(log_sizes, np.log(errors), 1)
    return float(start), float(-slope)


def _needed(law: tuple[float, float], error: float) -> float:
    start, steepness = law
    return float(np.exp(min((start - np.log(error)) / max(steepness, 1e-3), 50.0)))


def _miss_last(log_sizes: Errors, errors: Errors) -> float:
    """By how much the law through all but the largest size misses the largest, in shares of 1."""
    means = errors.mean(axis=1)
    start, steepness = _fit(log_sizes[:-1], means[:-1])
    return float(abs(np.exp(start - steepness * log_sizes[-1]) - means[-1]))


def _cannot_tell(recipe: str, target: float, why: str) -> Forecast:
    return Forecast(recipe, target, "cannot tell", None, None, None, why)


def _name(size: float) -> str:
    return f"{size:.0f}"
