"""The confidence from which a prediction is called sure: the share of wrong ones among the sure has a bound.

Thresholds are fixed beforehand and tested from the strictest to the laxest on held-out predictions. What passes holds
with 95 % confidence (exact binomial test, Clopper and Pearson): of 149 predictions none may be wrong to show that at
most 2 % are, of 299 none to show 1 %, of 59 none to show 5 %.
"""

from __future__ import annotations

from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from tenarai.locale import _

THRESHOLDS = (0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
SECOND_START = 0.9
LAXER_BOUNDS = (0.02, 0.05, 0.1, 0.2)  # tried in turn where the bound asked for cannot be shown
DOUBT = 0.05  # one minus the confidence in the bound
DEFAULT_UNSURE_BELOW = 0.8  # where no bound can be shown


def find_threshold(probabilities: NDArray[np.float32], targets: NDArray[np.int64], bound: float) -> tuple[float, str]:
    """Find the confidence from which on predictions are called sure, and a note about it.

    Args:
        probabilities: (N, K) calibrated out-of-fold predictions; NaN rows are ignored.
        targets: (N,) int64.
        bound: Share of sure predictions that may be wrong, 0 to 1.
    """
    known = ~np.isnan(probabilities).any(axis=1)
    confidence = probabilities[known].max(axis=1, initial=0)
    is_wrong = probabilities[known].argmax(axis=1) != targets[known]
    for reached in (bound, *(lax for lax in LAXER_BOUNDS if lax > bound)):
        threshold = _pass_tests(confidence, is_wrong, reached)
        if threshold is not None:
            break
    else:
        return DEFAULT_UNSURE_BELOW, _(
            "sure predictions have no bound yet: {num} held-out predictions are too few, or too many are wrong",
            num=len(confidence),
        )
    kept = confidence >= threshold
    num_sure, num_wrong = int(kept.sum()), int(is_wrong[kept].sum())
    facts = {"sure": num_sure, "num": len(confidence), "wrong": num_wrong, "reached": reached, "bound": bound}
    if reached == bound:
        return threshold, _(
            "sure of {sure} of {num} held-out images, {wrong} of them wrong: at most {reached:.0%} of sure predictions "
            "are wrong (95 % sure)",
            **facts,
        )
    return threshold, _(
        "sure of {sure} of {num} held-out images, {wrong} of them wrong: at most {reached:.0%} of sure predictions are "
        "wrong (95 % sure); to show {bound:.0%}, about {missing} more images are needed",
        missing=max(1, count_needed(num_wrong, bound) - num_sure),
        **facts,
    )


def count_needed(num_wrong: int, bound: float, doubt: float = DOUBT) -> int:
    """So many predictions show the bound if so many of them are wrong."""
    num = ceil(log(doubt) / log(1 - bound))
    while chance_of_few(num_wrong, num, bound) > doubt:
        num += max(1, num // 100)
    return num


def chance_of_few(num_wrong: int, num: int, share: float) -> float:
    """Chance that at most so many of `num` predictions are wrong if a share of all are: the binomial distribution."""
    k = np.arange(1, num_wrong + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log((num - k + 1) / k * share / (1 - share)))]) + num * log(1 - share)
    return float(np.exp(logs).sum())


def _pass_tests(confidence: NDArray[np.float32], is_wrong: NDArray[np.bool_], bound: float) -> float | None:
    """The laxest threshold that passes; None if none does.

    Half of the doubt begins at the strictest threshold with enough predictions, the other half at `SECOND_START`: a
    wrong label among the surest predictions costs the first half only. Each test passes on what it was given, a test
    that fails uses it up (fallback procedure, Wiens, 2003).
    """
    counts = {threshold: int((confidence >= threshold).sum()) for threshold in THRESHOLDS}
    has_two_starts = counts[SECOND_START] >= count_needed(0, bound, DOUBT / 2)
    part = DOUBT / 2 if has_two_starts else DOUBT
    first = next((t for t, num in counts.items() if num >= count_needed(0, bound, part)), None)
    doubt, passed = 0.0, None
    for threshold, num in counts.items():
        doubt += part * ((threshold == first) + (threshold == SECOND_START and has_two_starts))
        if not doubt:
            continue
        if chance_of_few(int(is_wrong[confidence >= threshold].sum()), num, bound) <= doubt:
            passed = threshold
        else:
            doubt = 0.0
    return passed
