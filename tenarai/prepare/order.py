"""Percentiles and medians: NumPy's values to the bit, in a fraction of the time.

NumPy's own partition is fast up to some size. In larger arrays only the values near each wanted rank are sorted; a
sorted sample gives their bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LARGE = 4096  # values from which NumPy's partition is slower
SAMPLE, MARGIN = 1024, 64  # a value is this near to its place in the sample; where it is not, all are partitioned


def percentiles(values: NDArray[Any], *shares: float) -> list[float]:
    """`np.percentile` with linear interpolation.

    Args:
        values: Any shape, float32 or float64, at least one value, no NaN.
        shares: 0 to 100, ascending.
    """
    last = values.size - 1
    places = [last * (share / 100) for share in shares]
    found = _ranked(values, sorted({min(int(place) + step, last) for place in places for step in (0, 1)}))
    return [
        _between(found[int(place)], found[min(int(place) + 1, last)], place - min(int(place), last)) for place in places
    ]


def percentile(values: NDArray[Any], share: float) -> float:
    """`np.percentile` for one share; see `percentiles`."""
    return percentiles(values, share)[0]


def median(values: NDArray[Any]) -> float:
    """`np.median` of float32 or float64 values, at least one, no NaN."""
    middle = values.size // 2
    ranks = [middle] if values.size % 2 else [middle - 1, middle]
    return float(np.array(list(_ranked(values, ranks).values()), values.dtype).mean())


def median_colour(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`np.median(pixels, axis=0)`."""
    low, high = (len(pixels) - 1) // 2, len(pixels) // 2
    ordered = np.partition(pixels, (low, high), axis=0)
    return np.asarray((ordered[low].astype(np.float64) + ordered[high]) / 2)


def median_level(levels: NDArray[np.uint8], where: NDArray[np.uint8]) -> float:
    """`np.median` of the pixels of an (H, W) image at which `where` is not 0."""
    ends = np.cumsum(cv2.calcHist([levels], [0], where, [256], [0, 256]))
    return float(np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right").mean())


def _between(low: Any, high: Any, share: float) -> float:
    """Interpolate from the nearer end, as NumPy does: equal neighbours give their own value."""
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def _ranked(values: NDArray[Any], ranks: Sequence[int]) -> dict[int, Any]:
    """The values at some ranks, ascending, of the sorted array."""
    flat = values.ravel()
    if flat.size < LARGE:
        return _partition(flat, ranks)
    step = flat.size // SAMPLE
    sample = np.sort(flat[::step])
    found: dict[int, Any] = {}
    for rank in ranks:
        if rank in found:
            continue
        low = sample[max(rank // step - MARGIN, 0)]
        high = sample[min(rank // step + MARGIN, len(sample) - 1)]
        below = flat < low
        first = int(np.count_nonzero(below))
        near = np.compress((flat <= high) ^ below, flat)
        here = [other - first for other in ranks if first <= other < first + len(near)]
        if rank - first in here:
            found |= {first + place: value for place, value in _partition(near, here).items()}
        else:
            return _partition(flat, ranks)
    return found


def _partition(flat: NDArray[Any], ranks: Sequence[int]) -> dict[int, Any]:
    ordered = np.partition(flat, ranks)
    return {rank: ordered[rank] for rank in ranks}


def pick(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """`values[mask]`: as fast where the mask is patchy."""
    return np.compress(mask.ravel(), values.ravel())
