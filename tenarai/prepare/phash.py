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

CHUNK = 2048


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


def are_near(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of (N, 32) and (M, 32) uint8 hashes are near-duplicates: (N, M) bool."""
    near = np.empty((len(ours), len(theirs)), dtype=np.bool_)
    for start in range(0, len(ours), CHUNK):
        near[start : start + CHUNK] = hamming(ours[start : start + CHUNK], theirs) <= NEAR_DUPLICATE_BITS
    return near


def hamming(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Number of bits that differ between (N, 32) and (M, 32) uint8 hashes: (N, M) uint16, 0 to 256."""
    a, b = (np.ascontiguousarray(hashes).view(np.uint64) for hashes in (ours, theirs))
    distances = np.empty((len(a), len(b)), dtype=np.uint16)
    for start in range(0, len(b), CHUNK):  # a chunk at a time keeps intermediate arrays in the cache
        part = b[start : start + CHUNK]
        distances[:, start : start + CHUNK] = np.bitwise_count(a[:, None, :] ^ part[None, :, :]).sum(
            -1, dtype=np.uint16
        )
    return distances
