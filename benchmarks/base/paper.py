"""Simulated photos of digits on paper, so that the base is trained on what the normaliser makes of real photos.

MNIST is clean and centred. People's photos have shadows, ruled or squared paper, frames, noise, blur and JPEG blocks,
and each leaves traces in the normalised digit. Every picture made here goes through the normaliser.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def photograph(digit: Picture, rng: np.random.Generator) -> Picture:
    """Simulate a photo of a digit on paper.

    Args:
        digit: (H, W) uint8, ink 255 on 0, as MNIST has them.
        rng: Source of all randomness.

    Returns:
        (H, W) uint8 grey, mostly dark ink on light paper; 14 to 220 pixels high, 0.85 to 1.25 times as wide.
    """
    side = int(rng.choice([14, 18, 22, 28, 28, 28, 36, 56, 90, 140, 220]))
    cover = _trace(digit, side, rng)
    paper, ink = rng.uniform(0.55, 1.0), rng.uniform(0.0, 0.5)
    page = np.full(cover.shape, 1.0, dtype=np.float32)
    kind = rng.random()
    if kind < 0.45:
        _rule(page, side, rng, squared=kind < 0.22)
    elif kind < 0.52:
        _frame(page, side, rng)
    page = np.minimum(page, 1 - cover * (1 - ink))
    picture = 255 * paper * page * _light(cover.shape, rng)
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.012 * side + 0.3))
    picture = picture + rng.normal(0, rng.uniform(0.2, 5), cover.shape)
    taken = np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)
    if rng.random() < 0.12:
        taken = 255 - taken  # a paint program's dark mode, a blackboard
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        taken = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return taken


def _trace(digit: Picture, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The pen's stroke at the picture's size: (side, wide) float32, 0 to 1."""
    large = cv2.resize(digit.astype(np.float32) / 255, (192, 192), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large, (0, 0), 2.5)
    middle = rng.uniform(0.3, 0.65)  # where the pen's edge lies: a thick pen or a thin one
    stroke = np.clip((soft - middle) / 0.2 + 0.5, 0, 1)
    wide = round(side * rng.uniform(0.85, 1.25))
    high = round(side * rng.uniform(0.6, 1.0))
    small = cv2.resize(stroke, (round(high * rng.uniform(0.8, 1.1)), high), interpolation=cv2.INTER_AREA)
    small = small[:, : wide - 2]
    cover = np.zeros((side, wide), dtype=np.float32)
    top = int(rng.integers(0, side - high + 1))
    left = int(rng.integers(0, wide - small.shape[1]))
    cover[top : top + high, left : left + small.shape[1]] = small
    return cover


def _rule(page: NDArray[np.float32], side: int, rng: np.random.Generator, *, squared: bool) -> None:
    gap = max(6, int(side * rng.uniform(0.16, 0.5)))
    shade, width = float(rng.uniform(0.55, 0.92)), max(1, side // 110)
    for y in range(int(rng.integers(gap)), side, gap):
        page[y : y + width] = shade
    if squared:
        for x in range(int(rng.integers(gap)), page.shape[1], gap):
            page[:, x : x + width] = shade


def _frame(page: NDArray[np.float32], side: int, rng: np.random.Generator) -> None:
    inset, width = int(side * rng.uniform(0, 0.05)), max(1, side // 60)
    cv2.rectangle(
        page,
        (inset, inset),
        (page.shape[1] - 1 - inset, side - 1 - inset),
        float(rng.uniform(0.1, 0.6)),
        width,
    )


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light from one side, and sometimes a shadow with an edge: `shape` float32, 0 to 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / max(shape)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    light = 1 - rng.uniform(0, 0.5) * (across + 0.7) / 1.4
    if rng.random() < 0.2:
        edge = rng.uniform(0.01, 0.15)
        light = light * (1 - rng.uniform(0.2, 0.5) / (1 + np.exp(-(across - rng.uniform(-0.3, 0.3)) / edge)))
    return np.asarray(light, dtype=np.float32)
