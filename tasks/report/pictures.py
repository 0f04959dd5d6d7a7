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


def data_uri(data: bytes) -> str:
    """A picture's bytes as a data URI; its kind is told by its first bytes."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def png_of_digit(digit: NDArray[np.uint8]) -> bytes:
    """A digit as dark ink on white, twice its size, as PNG."""
    large = cv2.resize(255 - digit, (56, 56), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode(".png", large)
    if not done:
        raise ValueError("OpenCV could not write a PNG of 56 × 56 pixels")
    return bytes(data.tobytes())


def picture_uri(pictures: Pictures, sha256: str) -> str:
    """The original, or else the digit, as a data URI; empty where there is neither."""
    thumbnail = pictures.thumbnail(sha256)
    if thumbnail:
        return data_uri(thumbnail)
    return digit_uri(pictures, sha256)


def digit_uri(pictures: Pictures, sha256: str) -> str:
    """What the models saw, as a data URI; empty where there is nothing."""
    digit = pictures.digit(sha256)
    return data_uri(png_of_digit(digit)) if digit is not None else ""
