"""Near-duplicates: a 16 × 16 perceptual hash of the page, almost the same for re-encoded, resized and relit copies.

The hash is computed from the ink strength of the whole page: light, paper and polarity do not change it, the position
of the writing does. The same character written twice differs in about half of the 256 bits.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR_DUPLICATE_BITS = 44
"""Two images that differ in at most this many of 256 bits are near-duplicates."""

ROWS, CHUNK = 16, 8192  # pairs that are compared at once: their intermediate arrays stay in the cache


def perceptual_hash(ink: NDArray[np.float32]) -> bytes:
    """Hash a page (after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).

    Args:
        ink: (H, W) float32 ink strength, 0 to 1, from `ink_strength`.

    Returns:
        32 bytes: which of the 16 × 16 lowest frequencies are above their median.
    """
    small = cv2.resize(ink, (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:16, :16].ravel()
    return np.packbits(low > np.median(low)).tobytes()


def find_near(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint16]]:
    """Find the near-duplicates among (N, 32) and (M, 32) uint8 hashes.

    Returns:
        Row in `ours`, row in `theirs` and the number of bits that differ of each pair: for a row of `ours` the nearest
        first, of equally near ones the first.
    """
    a, b = _as_words(ours), _as_words(theirs)
    first, second = np.ascontiguousarray(b[:, 0]), np.ascontiguousarray(b[:, 1])
    rows, columns = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for top in range(0, len(a), ROWS):
        for left in range(0, len(b), CHUNK):  # half of the bits already exclude nearly all pairs
            half = np.bitwise_count(a[top : top + ROWS, :1] ^ first[left : left + CHUNK])
            half += np.bitwise_count(a[top : top + ROWS, 1:2] ^ second[left : left + CHUNK])
            row, column = np.nonzero(half <= NEAR_DUPLICATE_BITS)
            rows.append(row + top)
            columns.append(column + left)
    row, column = np.concatenate(rows), np.concatenate(columns)
    distance = np.bitwise_count(a[row] ^ b[column]).sum(axis=1, dtype=np.uint16)
    order = np.lexsort((column, distance, row))
    order = order[distance[order] <= NEAR_DUPLICATE_BITS]
    return row[order], column[order], distance[order]


def hamming(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Number of bits that differ between (N, 32) and (M, 32) uint8 hashes: (N, M) uint16, 0 to 256."""
    return np.asarray(np.bitwise_count(_as_words(ours)[:, None] ^ _as_words(theirs)).sum(axis=-1, dtype=np.uint16))


def _as_words(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N, 4) uint64."""
    return np.ascontiguousarray(hashes).view(np.uint64)
