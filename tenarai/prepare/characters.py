"""Every character of an image, in reading order, each normalised by itself."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.prepare.character import even_out_paper, find_parts, stands_out, threshold_ink
from tenarai.prepare.decode import MAX_BYTES, MAX_PIXELS, decode
from tenarai.prepare.ink import has_dark_ink, ink_strength
from tenarai.prepare.layout import lay_out
from tenarai.prepare.lines import heal_crossings, remove_lines
from tenarai.prepare.normalise import run_stages, scale_to_work
from tenarai.prepare.several import find_characters
from tenarai.prepare.surroundings import crop_page, drop_enclosures

PAGE_SIDE = 1024  # longest side at which several characters are told apart


@dataclass(frozen=True)
class Character:
    """One character of an image.

    Attributes:
        digit: (28, 28) uint8, as `normalise` returns it.
        box: Left, top, width and height as shares of the page.
        doubt: Why its reading must not count as sure; empty if it may.
    """

    digit: NDArray[np.uint8]
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    doubt: str = ""


def read_characters(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, one_piece: bool = True
) -> list[Character]:
    """Decode an image and normalise each of its characters.

    Where there seem to be several but they cannot be told apart, the main one is returned, with that doubt.

    Args:
        data: Content of an image file.
        max_bytes, max_pixels: As for `decode`.
        one_piece: Whether characters are written in one piece, see `are_one_piece`; else the image shows one.

    Raises:
        ImageError: The file is not an image, or shows no character.
    """
    try:
        stages = run_stages(decode(data, max_bytes=max_bytes, max_pixels=max_pixels), one_piece=one_piece)
    except ImageError:
        if not one_piece:
            raise
        stages = None
    if stages is None or stages.num_characters > 1:
        page = decode(data, max_bytes=max_bytes, max_pixels=max_pixels, max_side=PAGE_SIDE)
        if len(characters := cut_characters(page)) > 1:
            return characters
    if stages is None:
        raise ImageError(_("the page is blank: no ink was found"))
    return [Character(stages.digit, doubt=stages.doubt)]


def cut_characters(picture: NDArray[np.uint8]) -> list[Character]:
    """The characters of an image that shows several.

    Args:
        picture: (H, W, 3) uint8.
    """
    page = scale_to_work(crop_page(picture), PAGE_SIDE)
    ink = ink_strength(page, dark_ink=has_dark_ink(page))
    cleaned, lines = remove_lines(ink)
    even = even_out_paper(cleaned, full=1.0)
    parts = threshold_ink(even)
    if lines is not None:
        parts = find_parts(heal_crossings(parts.mask, lines, ink))
    even, parts, _doubt = drop_enclosures(parts, even)
    high, wide = ink.shape
    found = []
    for mask in find_characters(parts, even):
        if not stands_out(even, parts.mask, mask):
            continue
        left, top, across, tall = cv2.boundingRect(mask.view(np.uint8))
        found.append(Character(lay_out(even, mask), (left / wide, top / high, across / wide, tall / high)))
    return found
