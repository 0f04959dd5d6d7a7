"""Percentiles and medians by sorting: what NumPy's own give, to the bit, in a fraction of the time.

NumPy sorts with SIMD instructions, but partitions around several values without them; on a picture of 256 × 256 that
makes a sort five times as fast as a percentile, and one sort serves any number of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def in_order(values: NDArray[Any]) -> NDArray[Any]:
    """All values, flat and ascending, as `percentile` and `median` want them."""
    return np.sort(values, axis=None)


def percentile(ordered: NDArray[Any], share: float) -> float:
    """What `np.percentile` gives: linear between neighbours.

    Args:
        ordered: (N,) float32 or float64, ascending, at least one value, no NaN.
        share: 0 to 100.
    """
    place = (len(ordered) - 1) * (share / 100)
    below = int(place)
    if below >= len(ordered) - 1:
        return float(ordered[-1])
    low, high, beyond = ordered[below], ordered[below + 1], place - below
    # from both ends, as NumPy does: so that equal neighbours give their own value
    return float(low + (high - low) * beyond if beyond < 0.5 else high - (high - low) * (1 - beyond))


def median(ordered: NDArray[Any]) -> float:
    """What `np.median` gives.

    Args:
        ordered: (N,) float32 or float64, ascending, at least one value, no NaN.
    """
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else float(ordered[middle - 1 : middle + 1].mean())
