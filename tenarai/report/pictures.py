"""Pictures inside a report, as data URIs."""

from __future__ import annotations

import base64
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


class Pictures(Protocol):
    """Where pictures come from."""

    def thumbnail(self, sha256: str) -> bytes | None:
        """The original as a small JPEG; None where it cannot be shown."""

    def digit(self, sha256: str) -> NDArray[np.uint8] | None:
        """(28, 28) uint8, ink 255 on paper 0, as the models saw it; None where there is none."""


class Album:
    """The pictures of one page as data URIs; once they are worth a budget of bytes, there are no more.

    Args:
        pictures: Where they come from.
        budget: Bytes that all URIs together may take.
    """

    def __init__(self, pictures: Pictures, budget: int) -> None:
        """Nothing is read yet."""
        self._pictures, self._left = pictures, budget

    def original(self, sha256: str) -> str:
        """The original, or else the digit; empty where there is neither, or no room."""
        thumbnail = self._pictures.thumbnail(sha256) if self._left else None
        return self._take(thumbnail) if thumbnail else self.digit(sha256)

    def digit(self, sha256: str) -> str:
        """What the models saw, dark ink on white; empty where there is nothing, or no room."""
        digit = self._pictures.digit(sha256) if self._left else None
        return self._take(_png(255 - digit)) if digit is not None else ""

    def heat(self, sha256: str, heat: bytes) -> str:
        """The digit in grey, coloured where its reading depends on it; empty where there is nothing, or no room.

        Args:
            sha256: The image.
            heat: 196 bytes, (14, 14) uint8, 255 where the reading depends on it most.
        """
        digit = self._pictures.digit(sha256) if self._left else None
        return self._take(_png(_colour(digit, heat))) if digit is not None and len(heat) == 196 else ""

    def _take(self, data: bytes) -> str:
        uri = data_uri(data)
        if len(uri) > self._left:
            self._left = 0  # no later, smaller one instead: what is shown first is what matters most
            return ""
        self._left -= len(uri)
        return uri


def data_uri(data: bytes) -> str:
    """A picture's bytes as a data URI; its kind is told by its first bytes."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _colour(digit: NDArray[np.uint8], heat: bytes) -> NDArray[np.uint8]:
    """(56, 56, 3) uint8 BGR: the ink on white paper, laid over with warm colour by its heat."""
    page = cv2.resize(255 - digit, (56, 56), interpolation=cv2.INTER_LINEAR)
    grid = np.frombuffer(heat, dtype=np.uint8).reshape(14, 14)
    weight = cv2.resize(grid, (56, 56), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    warm = np.array([40, 110, 245], dtype=np.float32)
    paper = 0.5 + 0.5 * page.astype(np.float32)[..., None] / 255  # ink stays visible under the colour
    coloured = page[..., None] * (1 - 0.75 * weight) + warm * paper * 0.75 * weight
    return np.asarray(np.clip(coloured, 0, 255).astype(np.uint8))


def _png(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", image)
    if not done:
        raise ValueError(f"OpenCV could not write a PNG of {image.shape}")
    return bytes(data.tobytes())
