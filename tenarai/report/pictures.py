"""The images of a report: originals and digits from the store, and as data URIs inside a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.errors import ImageError, TenaraiError
from tenarai.prepare import NORMALISER_VERSION, decode, run_stages
from tenarai.settings import Settings
from tenarai.store import Store

if TYPE_CHECKING:
    from tenarai.evaluate.read import ReadResult

THUMBNAIL = 160  # pixels
STAGES = ("image", "page", "ink", "surroundings gone", "what is ink", "character", "digit")
SIDE, MARGIN, CAPTION = 168, 8, 20  # pixels
KINDS = {b"\x89PNG": "image/png", b"%PDF": "application/pdf"}


class Pictures:
    """Images of a store, read when they are asked for.

    Args:
        store: Holds the originals.
        catalogue: Holds the digits.
    """

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        """Nothing is read yet."""
        self._store, self._catalogue = store, catalogue
        self._digits: dict[str, NDArray[np.uint8] | None] = {}

    def thumbnail(self, sha256: str) -> bytes | None:
        """The original as a JPEG of at most `THUMBNAIL` pixels a side; None where it cannot be shown."""
        try:
            picture = decode(self._store.original(sha256))
        except TenaraiError:  # a rejected file has no picture; the report says so in words
            return None
        factor = min(1.0, THUMBNAIL / max(picture.shape[:2]))
        size = tuple(max(1, round(side * factor)) for side in picture.shape[1::-1])
        small = cv2.resize(np.ascontiguousarray(picture[..., ::-1]), size, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()

    def digit(self, sha256: str) -> NDArray[np.uint8] | None:
        """(28, 28) uint8, ink 255 on paper 0, as the models see it; None where there is none."""
        if sha256 not in self._digits:
            found = self._catalogue.digits(NORMALISER_VERSION, [sha256]).get(sha256)
            pixels = np.frombuffer(found.pixels, np.uint8).reshape(28, 28) if found and found.pixels else None
            self._digits[sha256] = pixels
        return self._digits[sha256]


class Album:
    """The images of one page as data URIs, until a budget of bytes is used up.

    Args:
        pictures: Where they come from.
        budget: Bytes that all URIs together may take.
    """

    def __init__(self, pictures: Pictures, budget: int) -> None:
        """Nothing is read yet."""
        self._pictures, self._left, self._number = pictures, budget, 0

    def number(self) -> int:
        """A number that this page has not used: 1, 2, 3 …"""
        self._number += 1
        return self._number

    def original(self, sha256: str) -> str:
        """The original, dark ink on light or as it came; empty where there is none, or the budget is used up."""
        thumbnail = self._pictures.thumbnail(sha256) if self._left else None
        return self._take(thumbnail) if thumbnail else ""

    def digit(self, sha256: str, *, scale: int = 1) -> str:
        """What the models see, dark ink on white; empty where there is none, or the budget is used up."""
        digit = self._pictures.digit(sha256) if self._left else None
        return self._take(to_png(np.kron(255 - digit, np.ones((scale, scale), np.uint8)))) if digit is not None else ""

    def heat(self, sha256: str, heat: bytes) -> str:
        """The digit in grey, coloured where its prediction depends on it; empty as `digit`.

        Args:
            sha256: The image.
            heat: 196 bytes, (14, 14) uint8, 255 where the prediction depends on it most.
        """
        digit = self._pictures.digit(sha256) if self._left else None
        return self._take(to_png(_colour(digit, heat))) if digit is not None and len(heat) == 196 else ""

    def _take(self, data: bytes) -> str:
        uri = data_uri(data)
        if len(uri) > self._left:
            self._left = 0  # no later, smaller one instead: what is shown first matters most
            return ""
        self._left -= len(uri)
        return uri


def data_uri(data: bytes) -> str:
    """The bytes of a PNG, JPEG or PDF as a data URI."""
    kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def to_png(image: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) uint8, BGR, as PNG."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def _colour(digit: NDArray[np.uint8], heat: bytes) -> NDArray[np.uint8]:
    """(56, 56, 3) uint8 BGR: the ink on white paper under a warm colour by its heat."""
    page = cv2.resize(255 - digit, (56, 56), interpolation=cv2.INTER_LINEAR)
    grid = np.frombuffer(heat, dtype=np.uint8).reshape(14, 14)
    weight = cv2.resize(grid, (56, 56), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    warm = np.array([40, 110, 245], dtype=np.float32)
    paper = 0.5 + 0.5 * page.astype(np.float32)[..., None] / 255  # ink stays visible under the colour
    coloured = page[..., None] * (1 - 0.75 * weight) + warm * paper * 0.75 * weight
    return np.asarray(np.clip(coloured, 0, 255).astype(np.uint8))


# ---- `tenarai read --explain`: what each stage of the normaliser makes of an image


def draw_readings(results: Sequence[ReadResult], settings: Settings) -> bytes:
    """Draw the stages of every image, each row over its prediction, as PNG.

    Args:
        results: What was read in which files.
        settings: Limits on bytes and pixels.
    """
    return draw_strips([(_caption(result), _show_stages(Path(result.file), settings)) for result in results], STAGES)


def draw_strips(strips: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]], headings: Sequence[str]) -> bytes:
    """Draw strips of images one below the other, as PNG: its images from left to right, then the caption.

    Args:
        strips: Captions and images of (H, W) or (H, W, 3) uint8; a strip may have fewer images than headings.
        headings: What each column shows.
    """
    wide, high = SIDE + MARGIN, SIDE + MARGIN + CAPTION
    sheet = np.full((CAPTION + len(strips) * high + MARGIN, len(headings) * wide + MARGIN, 3), 255, dtype=np.uint8)
    for column, heading in enumerate(headings):
        _write(sheet, heading, column * wide + MARGIN, CAPTION - 4)
    for number, (caption, images) in enumerate(strips):
        top = CAPTION + number * high + MARGIN
        for column, image in enumerate(images):
            left = column * wide + MARGIN
            sheet[top : top + SIDE, left : left + SIDE] = _fit(image)
        _write(sheet, caption, MARGIN, top + SIDE + CAPTION - 6)
    return to_png(sheet[..., ::-1])


def _write(sheet: NDArray[np.uint8], text: str, left: int, bottom: int) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's font has no other letters
    cv2.putText(sheet, plain, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)


def _fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole image on a square of light grey, (SIDE, SIDE, 3)."""
    high, wide = image.shape[:2]
    factor = SIDE / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    square = np.full((SIDE, SIDE, 3), 235, dtype=np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small if small.ndim == 3 else small[..., None]
    return square


def _caption(result: ReadResult) -> str:
    return replace(result, file=Path(result.file).name).as_line()


def _show_stages(file: Path, settings: Settings) -> list[NDArray[np.uint8]]:
    """As many stages as the image passes, dark on light: each (H, W) or (H, W, 3) uint8."""
    try:
        picture = decode(file.read_bytes(), max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    except (ImageError, OSError):
        return []
    try:
        stages = run_stages(picture)
    except ImageError:
        return [picture]
    layers = (stages.ink, stages.cleaned, stages.mask, stages.chosen, stages.digit / 255)
    drawn = [(255 * (1 - np.asarray(layer, dtype=np.float32))).astype(np.uint8) for layer in layers]
    return [picture, stages.picture, *drawn]
