"""Pictures for the report, fetched from store and catalogue by sha256 when they are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import TenaraiError
from tenarai.records import Digit
from tenarai.store import Store

THUMBNAIL = 96


class StorePictures:
    """Originals as small JPEGs, and the digits that the models saw.

    Args:
        store: Where the originals lie.
        digits: Prepared digits by sha256.
    """

    def __init__(self, store: Store, digits: dict[str, Digit]) -> None:
        """Keep both; nothing is read yet."""
        self._store, self._digits = store, digits

    def thumbnail(self, sha256: str) -> bytes | None:
        """The original as a JPEG of at most 96 pixels a side; None where it cannot be shown."""
        import cv2

        from tenarai.prepare import decode

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
        """(28, 28) uint8, ink 255 on paper 0, as the models saw it; None where there is none."""
        digit = self._digits.get(sha256)
        if digit is None or not digit.pixels:
            return None
        return np.frombuffer(digit.pixels, dtype=np.uint8).reshape(28, 28)
