"""One picture of one character → the digit that models are trained on and read: (28, 28) uint8, ink 255 on paper 0.

    picture ─polarity─▶ dark or light ink? ─paper─▶ ink strength, light and shadow divided out
    ─lines─▶ frames, ruled and squared paper gone ─threshold─▶ mask ─components─▶ the character alone
    ─layout─▶ 20 × 20 box, centred by mass

Each stage is a function of its own, in `ink`, `lines`, `character` and `layout`. The same code serves training and
reading; whatever changes its output raises `NORMALISER_VERSION`, which every model remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.prepare.character import choose_character, stands_out, threshold_ink
from tenarai.prepare.ink import Float, Mask, has_dark_ink, ink_strength
from tenarai.prepare.layout import lay_out
from tenarai.prepare.lines import heal_crossings, remove_lines

NORMALISER_VERSION = 2

MIN_SIDE = 8
WORK = 256  # longest side that the stages work at


@dataclass(frozen=True)
class Stages:
    """What each stage made of a picture, for `tenarai read --explain` and the contact sheet."""

    picture: NDArray[np.uint8]
    dark_ink: bool
    ink: Float
    cleaned: Float
    mask: Mask
    chosen: Mask
    digit: NDArray[np.uint8]


def normalise(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalise a picture of one character.

    Args:
        picture: (H, W, 3) or (H, W) uint8, any size and polarity.

    Returns:
        (28, 28) uint8, ink 255 on paper 0, the ink in a 20 × 20 box with its centre of mass in the middle.

    Raises:
        ImageError: It is under 8 pixels wide or high, or there is no ink.
    """
    return run_stages(picture).digit


def run_stages(picture: NDArray[np.uint8], *, dark_ink: bool | None = None) -> Stages:
    """Normalise and keep what each stage made; see `normalise`.

    Args:
        picture: As for `normalise`.
        dark_ink: Whether the ink is darker than its paper. Default: judged by the picture.
    """
    if min(picture.shape[:2]) < MIN_SIDE:
        raise ImageError(
            "the picture is too small to hold a character",
            expected=f"at least {MIN_SIDE} × {MIN_SIDE} pixels",
            received=f"{picture.shape[1]} × {picture.shape[0]}",
        )
    colour = scale_to_work(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))
    dark_ink = has_dark_ink(colour) if dark_ink is None else dark_ink
    ink = ink_strength(colour, dark_ink=dark_ink)
    cleaned, lines = remove_lines(ink)
    mask = heal_crossings(threshold_ink(cleaned), lines, ink)
    chosen = choose_character(mask, cleaned)
    if not stands_out(cleaned, mask, chosen):
        raise ImageError(
            "the page is blank: no ink was found", expected="one character, darker or lighter than its paper"
        )
    return Stages(colour, dark_ink, ink, cleaned, mask, chosen, lay_out(ink, chosen))


def scale_to_work(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale so that the longest side is 256; tiny pictures are enlarged four times at most."""
    height, width = picture.shape[:2]
    factor = min(WORK / max(height, width), 4.0)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), dtype=np.uint8)
