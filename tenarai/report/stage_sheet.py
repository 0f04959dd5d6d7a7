"""`tenarai read --explain`: what each stage of the normaliser made of a picture, in one contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.evaluate.read import ReadResult
from tenarai.prepare import decode, run_stages
from tenarai.report.contact_sheet import draw_strips
from tenarai.settings import Settings

HEADINGS = ("picture", "ink", "lines gone", "what is ink", "character", "digit")


def draw_readings(results: Sequence[ReadResult], settings: Settings) -> bytes:
    """Draw the stages of every picture, each over its reading, as PNG.

    Args:
        results: What was read in which files.
        settings: Limits on bytes and pixels.
    """
    return draw_strips([(_caption(result), _show_stages(Path(result.file), settings)) for result in results], HEADINGS)


def _caption(result: ReadResult) -> str:
    if result.reading is None:
        return f"{Path(result.file).name}: {result.error}"
    sure = "unsure" if result.reading.unsure else "sure"
    return f"{Path(result.file).name}: {result.reading.label} ({result.reading.confidence:.1%}, {sure})"


def _show_stages(file: Path, settings: Settings) -> list[NDArray[np.uint8]]:
    """As many of the stages as could be gone through, dark on light: each (H, W) or (H, W, 3) uint8."""
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
