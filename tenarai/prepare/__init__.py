"""From a file's bytes to the digit that models read: decode, normalise, hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenarai.prepare.decode import MAX_BYTES, MAX_PIXELS, THREADS, count_pages, decode
from tenarai.prepare.images import NEAR_DUPLICATE_BITS, find_near, perceptual_hash, prepare_images
from tenarai.prepare.ink import has_dark_ink
from tenarai.prepare.layout import squeeze
from tenarai.prepare.normalise import (
    NORMALISER_VERSION,
    PAGE_SIDE,
    Character,
    cut_characters,
    normalise,
    read_characters,
    run_stages,
)
from tenarai.prepare.several import MORE_THAN_ONE, are_one_piece

__all__ = [
    "MORE_THAN_ONE",
    "NEAR_DUPLICATE_BITS",
    "NORMALISER_VERSION",
    "PAGE_SIDE",
    "THREADS",
    "Character",
    "are_one_piece",
    "count_pages",
    "cut_characters",
    "decode",
    "find_near",
    "has_dark_ink",
    "normalise",
    "perceptual_hash",
    "prepare_images",
    "read_characters",
    "read_digit",
    "run_stages",
    "squeeze",
]


def read_digit(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode and normalise an image: its file's bytes → (28, 28) uint8, ink 255 on paper 0.

    Raises:
        ImageError: The file is not a usable image of one character.
    """
    return normalise(decode(data, max_bytes=max_bytes, max_pixels=max_pixels))
