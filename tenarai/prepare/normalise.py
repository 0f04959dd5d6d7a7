"""One image of one character → the digit that models are trained on and read: (28, 28) uint8, ink 255 on paper 0.

    image ─page─▶ bars and desk cropped ─polarity─▶ dark or light ink? ─paper─▶ ink strength, light divided out
    ─surroundings─▶ without frames, circles, ruled paper, underlines ─threshold─▶ mask ─components─▶ the character alone
    ─layout─▶ 20 × 20 box, centred by mass

Each stage is one function in `surroundings`, `ink`, `lines`, `character`, `several` or `layout`. Training and reading
use the same code. Any change of its output increases `NORMALISER_VERSION`, which every model records.

What geometry cannot decide is kept as a `doubt` with the digit, and a reading in doubt is unsure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.prepare.character import (
    choose_character,
    even_out_paper,
    find_parts,
    is_faint_stroke,
    stands_out,
    threshold_ink,
)
from tenarai.prepare.decode import MAX_BYTES, MAX_PIXELS, decode
from tenarai.prepare.ink import (
    PEN_OF_MANY,
    Float,
    Mask,
    has_dark_ink,
    has_dark_strokes,
    ink_strength,
    measure_grain,
    measure_narrowness,
    square,
)
from tenarai.prepare.layout import lay_out, stroke_width
from tenarai.prepare.lines import heal_crossings, remove_lines
from tenarai.prepare.order import median, percentile, pick
from tenarai.prepare.several import MORE_THAN_ONE, find_characters, is_broken
from tenarai.prepare.surroundings import crop_page, drop_enclosures, drop_underlines

NORMALISER_VERSION = 4

MIN_SIDE = 8
RIM = 5  # pixels
STRONG, MAX_JOINED = 0.6, 0.2  # shares of a character's strength and area that a line which touches it has at most
MAX_TOUCH = 0.25  # share of a side along which a whole character touches it at most
WIDEST, FLATTEST = 2.5, 4  # times its height, and strokes high: beyond it a row that runs together, below it a dash
FULL = 0.85  # share of a stroke's strength that its edge does not have
NARROW_AT_RIM, NARROW_ELSEWHERE = 0.75, 0.55  # ink that is less narrow may be an edge
PAGE_SIDE = 1024  # longest side at which several characters are told apart
NEAR_OF_MANY = 0.06  # the ink of one character is not compared with that of the next, as a share of the longest side
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
    num_characters: int = 1


@dataclass(frozen=True)
class Character:
    """One character of an image.

    Attributes:
        digit: (28, 28) uint8, as `normalise` returns it.
        box: Left, top, width and height as shares of the page.
        picture: (H, W) uint8, dark ink on white paper with nothing beside it; empty where the image shows nothing else.
        doubt: Why its reading must not count as sure; empty if it may.
    """

    digit: NDArray[np.uint8]
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    doubt: str = ""
    picture: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))


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


def run_stages(picture: NDArray[np.uint8], *, dark_ink: bool | None = None, one_piece: bool = True) -> Stages:
    """Normalise and keep the output of each stage; see `normalise`.

    Args:
        picture: As for `normalise`.
        dark_ink: Whether the ink is darker than its paper. Default: estimated from the image.
        one_piece: Whether characters are written in one piece, see `are_one_piece`. Where they are not, all that is
            written belongs to the character.

    Raises:
        ImageError: As `normalise`.
    """
    if min(picture.shape[:2]) < MIN_SIDE:
        raise ImageError(
            _("the image is too small"),
            expected=_("at least {side} × {side} pixels", side=MIN_SIDE),
            received=f"{picture.shape[1]} × {picture.shape[0]}",
        )
    page = scale_to_work(crop_page(_one_channel(picture)))
    polarity = has_dark_ink(page) if dark_ink is None else dark_ink
    found = _look(page, polarity, one_piece) or _look_again(page, polarity)
    if found is None and dark_ink is None:
        found = _look_again(page, not polarity)
    if found is None:
        raise ImageError(
            _("the page is blank: no ink was found"), expected=_("one character, darker or lighter than its paper")
        )
    return found


def _look(page: NDArray[np.uint8], dark_ink: bool, one_piece: bool) -> Stages | None:
    """Find the character; None if nothing stands out from the paper."""
    ink = ink_strength(page, dark_ink=dark_ink)
    grain = measure_grain(ink)
    within, parts, doubt = ink, threshold_ink(ink, grain=grain), ""
    if one_piece:  # before the lines: what is left of a frame drawn by hand encloses nothing
        within, parts, doubt = drop_enclosures(parts, ink)
    cleaned, lines = remove_lines(within, grain=grain if within is ink else None)
    if lines is not None:
        parts = find_parts(heal_crossings(threshold_ink(cleaned).mask, lines, within))
    if one_piece:
        cleaned, parts, under = drop_underlines(parts, cleaned)
        doubt = doubt or under
    mask, chosen = parts.mask, choose_character(parts, cleaned)
    if not stands_out(cleaned, mask, chosen):
        return None
    doubt = doubt or _doubt_edge(page, chosen, dark_ink) or _doubt_cut(cleaned, chosen)
    if lines is not None:
        doubt = doubt or _doubt_line(within, lines, chosen)
    # where a pixel or two are missing in a stroke of a tiny image, it is still one
    joined = (
        parts
        if max(ink.shape) >= WORK
        else find_parts(cv2.morphologyEx(np.uint8(mask), cv2.MORPH_CLOSE, square(9, 9)) > 0)
    )
    characters = find_characters(joined, cleaned) if len(joined.areas) > 1 else []
    if not one_piece:
        chosen = np.logical_or.reduce([chosen, *characters]) & mask
    elif len(characters) > 1:
        doubt = MORE_THAN_ONE
    if one_piece and is_broken(characters, chosen):  # unsure, and not to be cut
        characters = []
    num = max(1, len(characters))
    if one_piece and num == 1 and _is_row(chosen):
        doubt, num = MORE_THAN_ONE, 2  # or more: it is not seen where each ends
    return Stages(page, dark_ink, ink, cleaned, mask, chosen, lay_out(within, chosen), doubt, num)


def _is_row(chosen: Mask) -> bool:
    """Whether what was chosen is several characters that run into each other: wider than any one, and no dash."""
    _left, _top, wide, high = cv2.boundingRect(chosen.view(np.uint8))
    return bool(wide > WIDEST * high and high > FLATTEST * stroke_width(chosen))


def _look_again(page: NDArray[np.uint8], dark_ink: bool) -> Stages | None:
    """Find faint strokes on uneven paper, compared with the paper around them; None if there are none."""
    ink = ink_strength(page, dark_ink=dark_ink)
    cleaned = even_out_paper(ink)
    parts = threshold_ink(cleaned)
    mask, chosen = parts.mask, choose_character(parts, cleaned)
    if not is_faint_stroke(cleaned, mask, chosen):
        return None
    doubt = _doubt_edge(page, chosen, dark_ink)
    return Stages(page, dark_ink, ink, cleaned, mask, chosen, lay_out(cleaned, chosen), doubt)


def _doubt_edge(page: NDArray[np.uint8], chosen: Mask, dark_ink: bool) -> str:
    """A doubt where the chosen parts may be a finger, a table, or a shadow; tiny images show none."""
    if max(page.shape) < WORK:
        return ""
    at_rim = any(rim.any() for rim in (chosen[:RIM], chosen[-RIM:], chosen[:, :RIM], chosen[:, -RIM:]))
    least = NARROW_AT_RIM if at_rim else NARROW_ELSEWHERE
    is_edge = measure_narrowness(page, chosen, dark_ink=dark_ink) < least
    return _("it may be the edge of something dark") if is_edge else ""


def _doubt_cut(ink: Float, chosen: Mask) -> str:
    """A doubt where the rim may cut the character off: full ink along a stretch of it, or in two places of one side.

    The edge of a whole stroke is not as dark as its middle.
    """
    if max(ink.shape) < WORK:  # a pixel of a tiny image is full or empty
        return ""
    rims = [rim for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]) if chosen[rim].any()]
    full = FULL * percentile(pick(ink, chosen), 75) if rims else 0.0
    for rim in rims:
        ends = np.flatnonzero(np.diff(np.pad(np.int8(chosen[rim]), 1))).reshape(-1, 2)
        lengths = [end - start for start, end in ends.tolist() if ink[rim][start:end].max() > full]
        if len(lengths) > 1 or max(lengths, default=0) > MAX_TOUCH * len(ink[rim]):
            return _("the character may be cut off")
    return ""


def _doubt_line(ink: Float, lines: Mask, chosen: Mask) -> str:
    """A doubt where a line that was removed may be a stroke: as strong as the character, and connected with it."""
    strong = ink > STRONG * median(ink[chosen])
    labels = find_parts(strong | chosen).labels
    joined = np.isin(labels, np.unique(labels[chosen])) & strong & lines & ~chosen
    is_stroke = np.count_nonzero(joined) > MAX_JOINED * np.count_nonzero(chosen)
    return _("a line that touches the character may be part of it") if is_stroke else ""


def _one_channel(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) of a grey image that came as (H, W, 3); an image in colour as it is."""
    if picture.ndim == 2:
        return picture
    few = picture[::16, ::16]
    if (few != few[..., :1]).any():
        return picture
    red, green, blue = cv2.split(picture)
    return red if np.array_equal(red, green) and np.array_equal(green, blue) else picture


def scale_to_work(picture: NDArray[np.uint8], side: int = WORK) -> NDArray[np.uint8]:
    """Scale the longest side to 256, or towards `side` if larger; tiny images are enlarged at most four times."""
    height, width = picture.shape[:2]
    factor = min(max(WORK, min(side, max(height, width))) / max(height, width), 4.0)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), dtype=np.uint8)


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
    found = look_for_characters(data, max_bytes=max_bytes, max_pixels=max_pixels, one_piece=one_piece)
    return [Character(found.digit, doubt=found.doubt)] if isinstance(found, Stages) else found


def look_for_characters(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, one_piece: bool = True
) -> Stages | list[Character]:
    """The stages of an image that shows one character, or the characters of one that shows several.

    Arguments and errors as for `read_characters`.
    """
    stages = None
    try:
        stages = run_stages(decode(data, max_bytes=max_bytes, max_pixels=max_pixels), one_piece=one_piece)
        if not (one_piece and stages.doubt):
            return stages
    except ImageError:
        if not one_piece:
            raise
    characters = cut_characters(decode(data, max_bytes=max_bytes, max_pixels=max_pixels, max_side=PAGE_SIDE))
    # a shadow across a row may hide all but one of its characters, and look like a second one beside a digit
    if len(characters) > (2 if stages and stages.num_characters == 1 else 1):
        return characters
    if stages is None:
        raise ImageError(_("the page is blank: no ink was found"))
    return stages


def cut_characters(picture: NDArray[np.uint8]) -> list[Character]:
    """The characters of an image that shows several.

    Args:
        picture: (H, W, 3) uint8.
    """
    page = scale_to_work(crop_page(picture), PAGE_SIDE)
    ink = ink_strength(page, dark_ink=has_dark_strokes(page), pen=PEN_OF_MANY)
    cleaned, lines = remove_lines(ink)
    even = even_out_paper(cleaned, full=1.0)
    parts = threshold_ink(even, near=NEAR_OF_MANY)
    if lines is not None:
        parts = find_parts(heal_crossings(parts.mask, lines, ink))
    even, parts, _doubt = drop_enclosures(parts, even)
    high, wide = ink.shape
    found = []
    for mask in find_characters(parts, even):
        if not stands_out(even, parts.mask, mask):
            continue
        left, top, across, tall = cv2.boundingRect(mask.view(np.uint8))
        box = left / wide, top / high, across / wide, tall / high
        found.append(Character(lay_out(even, mask), box, picture=_draw_alone(even, mask)))
    return found


def _draw_alone(ink: Float, mask: Mask) -> NDArray[np.uint8]:
    """(H, W) uint8: one character in black on white, with a margin, and without what is beside it."""
    left, top, wide, high = cv2.boundingRect(mask.view(np.uint8))
    pad = max(MIN_SIDE, max(wide, high) // 4)
    alone = np.where(cv2.dilate(mask.view(np.uint8), square(3, 3)) > 0, ink / max(percentile(ink[mask], 75), 1e-3), 0)
    here = np.pad(np.clip(alone[top : top + high, left : left + wide], 0, 1), pad)
    return np.asarray(np.rint(255 * (1 - here)), dtype=np.uint8)
