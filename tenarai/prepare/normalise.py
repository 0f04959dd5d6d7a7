"""One image of one character → the digit that models are trained on and read: (28, 28) uint8, ink 255 on paper 0.

    picture ─polarity─▶ dark or light ink? ─paper─▶ ink strength, light and shadow divided out
    ─lines─▶ without frames, ruled and squared paper ─threshold─▶ mask ─components─▶ the character alone
    ─layout─▶ 20 × 20 box, centred by mass

Each stage is one function in `ink`, `lines`, `character` or `layout`. Training and reading use the same code. Any
change of its output increases `NORMALISER_VERSION`, which every model records.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.prepare.character import choose_character, find_parts, stands_out, threshold_ink
from tenarai.prepare.ink import Float, Mask, has_dark_ink, ink_strength
from tenarai.prepare.layout import lay_out
from tenarai.prepare.lines import heal_crossings, remove_lines

NORMALISER_VERSION = 2

MIN_SIDE = 8
WORK = 256  # longest side that the stages work at


@dataclass(frozen=True)
class Stages:
    """The output of each stage, for `tenarai read --explain` and the contact sheet."""

    picture: NDArray[np.uint8]
    dark_ink: bool
    ink: Float
    cleaned: Float
    mask: Mask
    chosen: Mask
    digit: NDArray[np.uint8]
    doubt: str = ""


def normalise(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalise an image of one character.

    Args:
        picture: (H, W, 3) or (H, W) uint8, any size and polarity.

    Returns:
        (28, 28) uint8, ink 255 on paper 0, the ink in a 20 × 20 box with its centre of mass in the middle.

    Raises:
        ImageError: The image is under 8 pixels wide or high, or has no ink.
    """
    return run_stages(picture).digit


def run_stages(picture: NDArray[np.uint8], *, dark_ink: bool | None = None) -> Stages:
    """Normalise and keep the output of each stage; see `normalise`.

    Args:
        picture: As for `normalise`.
        dark_ink: Whether the ink is darker than its paper. Default: estimated from the image.
    """
    if min(picture.shape[:2]) < MIN_SIDE:
        raise ImageError(
            _("the image is too small"),
            expected=_("at least {side} × {side} pixels", side=MIN_SIDE),
            received=f"{picture.shape[1]} × {picture.shape[0]}",
        )
    page = scale_to_work(_one_channel(picture))
    dark_ink = has_dark_ink(page) if dark_ink is None else dark_ink
    ink = ink_strength(page, dark_ink=dark_ink)
    cleaned, lines = remove_lines(ink)
    parts = threshold_ink(cleaned)
    if lines is not None:
        parts = find_parts(heal_crossings(parts.mask, lines, ink))
    mask, chosen = parts.mask, choose_character(parts, cleaned)
    if not stands_out(cleaned, mask, chosen):
        raise ImageError(
            _("the page is blank: no ink was found"), expected=_("one character, darker or lighter than its paper")
        )
    return Stages(page, dark_ink, ink, cleaned, mask, chosen, lay_out(ink, chosen))


def _one_channel(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) of a grey image that came as (H, W, 3); an image in colour as it is."""
    if picture.ndim == 2:
        return picture
    red, green, blue = cv2.split(picture)
    return red if np.array_equal(red, green) and np.array_equal(green, blue) else picture


def scale_to_work(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale so that the longest side is 256; tiny images are enlarged at most four times."""
    height, width = picture.shape[:2]
    factor = min(WORK / max(height, width), 4.0)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), dtype=np.uint8)
