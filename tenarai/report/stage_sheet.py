"""`tenarai read --explain`: what each stage of the normaliser makes of an image, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.evaluate.read import ReadResult
from tenarai.prepare import decode, run_stages
from tenarai.report.pictures import to_png
from tenarai.settings import Settings

HEADINGS = ("picture", "ink", "lines gone", "what is ink", "character", "digit")
SIDE, MARGIN, CAPTION = 96, 8, 20  # pixels


def draw_readings(results: Sequence[ReadResult], settings: Settings) -> bytes:
    """Draw the stages of every image, each row over its prediction, as PNG.

    Args:
        results: What was read in which files.
        settings: Limits on bytes and pixels.
    """
    return draw_strips([(_caption(result), _show_stages(Path(result.file), settings)) for result in results], HEADINGS)


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
    if result.reading is None:
        return f"{Path(result.file).name}: {result.error}"
    sure = "unsure" if result.reading.unsure else "sure"
    return f"{Path(result.file).name}: {result.reading.label} ({result.reading.confidence:.1%}, {sure})"


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
    return [picture, *((255 * (1 - np.asarray(layer, dtype=np.float32))).astype(np.uint8) for layer in layers)]
