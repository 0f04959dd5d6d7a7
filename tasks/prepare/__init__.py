"""From a file's bytes to the digit that models read: decode, normalise, hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.decode import MAX_BYTES, MAX_PIXELS, decode
from tasks.prepare.images import prepare_images
from tasks.prepare.normalise import NORMALISER_VERSION, normalise
from tasks.prepare.phash import NEAR_DUPLICATE_BITS, hamming, perceptual_hash

__all__ = [
    "NEAR_DUPLICATE_BITS",
    "NORMALISER_VERSION",
    "decode",
    "hamming",
    "normalise",
    "perceptual_hash",
    "prepare_images",
    "read_digit",
]


def read_digit(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode and normalise: bytes of a picture → (28, 28) uint8, ink 255 on paper 0.

    Raises:
        ImageError: They are no usable picture of one character.
    """
    return normalise(decode(data, max_bytes=max_bytes, max_pixels=max_pixels))
