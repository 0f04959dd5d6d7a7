"""The images of a report: originals and digits from the store, and as data URIs inside a page."""

from __future__ import annotations

import base64
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.errors import TenaraiError
from tenarai.prepare import NORMALISER_VERSION, decode
from tenarai.store import Store

THUMBNAIL = 160  # pixels
KINDS = {b"\x89PNG": "image/png", b"%PDF": "application/pdf"}


class Pictures(Protocol):
    """Where images come from."""

    def thumbnail(self, sha256: str) -> bytes | None:
        """The original as a small JPEG; None where it cannot be shown."""

    def digit(self, sha256: str) -> NDArray[np.uint8] | None:
        """(28, 28) uint8, ink 255 on paper 0, as the models see it; None where there is none."""


class StorePictures:
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
        done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return bytes(data.tobytes()) if done else None

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
    done, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise ValueError(f"OpenCV could not write a PNG of {image.shape}")
    return bytes(data.tobytes())


def _colour(digit: NDArray[np.uint8], heat: bytes) -> NDArray[np.uint8]:
    """(56, 56, 3) uint8 BGR: the ink on white paper under a warm colour by its heat."""
    page = cv2.resize(255 - digit, (56, 56), interpolation=cv2.INTER_LINEAR)
    grid = np.frombuffer(heat, dtype=np.uint8).reshape(14, 14)
    weight = cv2.resize(grid, (56, 56), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    warm = np.array([40, 110, 245], dtype=np.float32)
    paper = 0.5 + 0.5 * page.astype(np.float32)[..., None] / 255  # ink stays visible under the colour
    coloured = page[..., None] * (1 - 0.75 * weight) + warm * paper * 0.75 * weight
    return np.asarray(np.clip(coloured, 0, 255).astype(np.uint8))
