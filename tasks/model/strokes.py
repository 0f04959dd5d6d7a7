"""Digits drawn by program: shapes common on people's own paper and rare in MNIST, and shapes that are no digit at all.

MNIST is American handwriting. A flagged or serifed 1, a crossed or hooked 7, an open 4, a slashed 0 or a hooked 9 are rare in
it. Here each style is a few control points in a unit box, jittered, bent into curves and drawn with a pen of random width.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Style = tuple[tuple[Point, ...], ...]  # strokes of control points; a stroke of two is straight, others are curved
Normalise = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

STYLES: dict[str, tuple[Style, ...]] = {
    "0": (
        (((0.5, 0), (0.1, 0.25), (0.08, 0.7), (0.5, 1), (0.9, 0.7), (0.9, 0.25), (0.5, 0)),),
        (((0.6, 0.02), (0.15, 0.3), (0.1, 0.75), (0.5, 1), (0.88, 0.65), (0.8, 0.15), (0.45, 0.05)),),
        (((0.5, 0), (0.1, 0.3), (0.1, 0.7), (0.5, 1), (0.9, 0.7), (0.9, 0.3), (0.5, 0)), ((0.85, 0.08), (0.15, 0.92))),
        (((0.45, 0.1), (0.1, 0.4), (0.15, 0.85), (0.55, 1), (0.9, 0.6), (0.75, 0.1), (0.4, 0.0), (0.6, 0.2)),),
    ),
    "1": (
        (((0.5, 0), (0.5, 1)),),
        (((0.25, 0.25), (0.55, 0)), ((0.55, 0), (0.55, 1))),
        (((0.1, 0.45), (0.6, 0)), ((0.6, 0), (0.6, 1))),
        (((0.25, 0.22), (0.5, 0)), ((0.5, 0), (0.5, 1)), ((0.2, 1), (0.8, 1))),
        (((0.1, 0.4), (0.55, 0)), ((0.55, 0), (0.55, 1)), ((0.25, 1), (0.85, 1))),
        (((0.3, 0.12), (0.5, 0)), ((0.5, 0), (0.45, 1))),
        (((0.0, 0.55), (0.3, 0.35), (0.62, 0)), ((0.62, 0), (0.55, 1))),
    ),
    "2": (
        (((0.1, 0.25), (0.4, 0), (0.85, 0.2), (0.65, 0.6), (0.1, 1)), ((0.1, 1), (0.95, 0.98))),
        (((0.12, 0.2), (0.5, 0), (0.85, 0.25), (0.5, 0.7), (0.1, 0.98), (0.2, 0.8), (0.5, 0.95), (0.95, 0.9)),),
        (((0.1, 0.1), (0.5, 0), (0.9, 0.2), (0.5, 0.65), (0.05, 1)), ((0.05, 1), (0.5, 0.95), (0.95, 1))),
        (((0.1, 0.05), (0.85, 0.05)), ((0.85, 0.05), (0.1, 0.95)), ((0.1, 0.95), (0.9, 0.95))),
    ),
    "3": (
        (((0.1, 0.12), (0.5, 0), (0.85, 0.2), (0.4, 0.47)), ((0.4, 0.47), (0.9, 0.7), (0.5, 1), (0.05, 0.88))),
        (((0.1, 0.02), (0.85, 0.02)), ((0.85, 0.02), (0.4, 0.42)), ((0.4, 0.42), (0.9, 0.65), (0.6, 1), (0.05, 0.9))),
        (((0.15, 0.05), (0.8, 0.1), (0.7, 0.4), (0.35, 0.5), (0.85, 0.6), (0.8, 0.95), (0.1, 0.95)),),
    ),
    "4": (
        (((0.3, 0), (0.05, 0.6)), ((0.05, 0.6), (0.95, 0.6)), ((0.7, 0.25), (0.7, 1))),
        (((0.15, 0), (0.15, 0.5)), ((0.15, 0.5), (0.85, 0.5)), ((0.85, 0), (0.85, 1))),
        (((0.65, 0), (0.05, 0.65)), ((0.05, 0.65), (0.95, 0.65)), ((0.65, 0), (0.65, 1))),
        (((0.1, 0), (0.1, 0.35), (0.4, 0.5), (0.8, 0.4)), ((0.85, 0), (0.8, 1))),
        (((0.5, 0), (0.05, 0.7)), ((0.05, 0.7), (0.9, 0.62)), ((0.6, 0.4), (0.5, 1))),
        (((0.75, 0), (0.1, 0.55)), ((0.1, 0.55), (0.95, 0.5)), ((0.75, 0), (0.7, 1))),
        (((0.3, 0), (0.1, 0.5)), ((0.1, 0.5), (0.9, 0.48)), ((0.65, 0.0), (0.45, 1))),
    ),
    "5": (
        (((0.2, 0.03), (0.15, 0.45)), ((0.15, 0.45), (0.6, 0.38), (0.9, 0.7), (0.5, 1), (0.05, 0.9)), ((0.2, 0.03), (0.9, 0.0))),
        (((0.9, 0.02), (0.25, 0.02)), ((0.25, 0.02), (0.2, 0.4)), ((0.2, 0.4), (0.8, 0.5), (0.75, 0.9), (0.1, 0.95))),
        (((0.9, 0.02), (0.4, 0.05), (0.15, 0.3), (0.75, 0.55), (0.7, 0.95), (0.05, 0.95)),),
        (((0.3, 0.1), (0.2, 0.45)), ((0.2, 0.45), (0.65, 0.42), (0.8, 0.75), (0.4, 1), (0.05, 0.9)), ((0.35, 0.05), (1, 0.1))),
    ),
    "6": (
        (((0.7, 0), (0.2, 0.4), (0.1, 0.8), (0.5, 1), (0.88, 0.75), (0.5, 0.52), (0.15, 0.75)),),
        (((0.5, 0), (0.1, 0.6)), ((0.1, 0.6), (0.2, 0.98), (0.8, 0.9), (0.75, 0.55), (0.15, 0.65))),
        (((0.85, 0.08), (0.5, 0.02), (0.1, 0.5), (0.2, 0.95), (0.75, 0.95), (0.8, 0.6), (0.4, 0.5), (0.12, 0.7)),),
    ),
    "7": (
        (((0.05, 0.02), (0.9, 0.02)), ((0.9, 0.02), (0.35, 1))),
        (((0.05, 0.02), (0.9, 0.02)), ((0.9, 0.02), (0.35, 1)), ((0.25, 0.5), (0.9, 0.48))),
        (((0.08, 0.2), (0.1, 0.02)), ((0.1, 0.02), (0.9, 0.02)), ((0.9, 0.02), (0.45, 1))),
        (((0.08, 0.2), (0.1, 0.02)), ((0.1, 0.02), (0.9, 0.02)), ((0.9, 0.02), (0.45, 1)), ((0.3, 0.5), (0.95, 0.45))),
        (((0.05, 0.12), (0.4, 0.02), (0.9, 0.05), (0.6, 0.5), (0.45, 1)),),
        (((0.05, 0.1), (0.5, 0.0), (0.9, 0.05)), ((0.9, 0.05), (0.55, 0.5), (0.5, 1)), ((0.2, 0.55), (0.85, 0.5))),
        (((0.1, 0.25), (0.12, 0.08), (0.3, 0.1), (0.6, 0.12), (0.85, 0.0)), ((0.85, 0.0), (0.5, 0.5), (0.4, 1))),
    ),
    "8": (
        (((0.85, 0.15), (0.45, 0), (0.15, 0.22), (0.8, 0.7), (0.5, 1), (0.12, 0.75), (0.85, 0.2)),),
        (
            ((0.5, 0), (0.15, 0.22), (0.5, 0.46), (0.85, 0.22), (0.5, 0)),
            ((0.5, 0.46), (0.08, 0.72), (0.5, 1), (0.92, 0.72), (0.5, 0.46)),
        ),
        (((0.6, 0.05), (0.15, 0.2), (0.5, 0.5), (0.85, 0.8), (0.4, 1), (0.12, 0.75), (0.55, 0.45), (0.85, 0.2), (0.7, 0.05)),),
    ),
    "9": (
        (((0.85, 0.2), (0.5, 0), (0.12, 0.25), (0.45, 0.5), (0.85, 0.2)), ((0.85, 0.2), (0.8, 1))),
        (((0.85, 0.2), (0.5, 0), (0.12, 0.25), (0.45, 0.5), (0.85, 0.2)), ((0.85, 0.2), (0.85, 0.7), (0.5, 1), (0.1, 0.88))),
        (((0.85, 0.25), (0.4, 0.0), (0.15, 0.35), (0.6, 0.5), (0.85, 0.15), (0.8, 0.6), (0.35, 1)),),
        (((0.8, 0.05), (0.3, 0.05), (0.15, 0.35), (0.5, 0.5), (0.8, 0.3)), ((0.8, 0.05), (0.75, 0.6), (0.7, 1))),
    ),
}  # fmt: skip

NO_DIGITS: tuple[Style, ...] = (
    (((0.0, 1), (0.5, 0)), ((0.5, 0), (1, 1)), ((0.2, 0.62), (0.8, 0.62))),  # A
    (((0.1, 0), (0.1, 1)), ((0.1, 0), (0.9, 0)), ((0.1, 0.5), (0.7, 0.5)), ((0.1, 1), (0.9, 1))),  # E
    (((0.1, 0), (0.1, 1)), ((0.1, 0), (0.9, 0)), ((0.1, 0.5), (0.7, 0.5))),  # F
    (((0.1, 0), (0.1, 1)), ((0.9, 0), (0.9, 1)), ((0.1, 0.5), (0.9, 0.5))),  # H
    (((0.1, 0), (0.1, 1)), ((0.9, 0), (0.1, 0.55)), ((0.3, 0.45), (0.9, 1))),  # K
    (((0.05, 1), (0.1, 0)), ((0.1, 0), (0.5, 0.7)), ((0.5, 0.7), (0.9, 0)), ((0.9, 0), (0.95, 1))),  # M
    (((0.1, 1), (0.1, 0)), ((0.1, 0), (0.9, 1)), ((0.9, 1), (0.9, 0))),  # N
    (((0.1, 0), (0.1, 1)), ((0.1, 0), (0.9, 0.1), (0.8, 0.5), (0.1, 0.5)), ((0.4, 0.5), (0.9, 1))),  # R
    (((0.0, 0), (1, 0)), ((0.5, 0), (0.5, 1))),  # T
    (((0.1, 0), (0.1, 0.7), (0.5, 1), (0.9, 0.7), (0.9, 0)),),  # U
    (((0, 0), (0.25, 1)), ((0.25, 1), (0.5, 0.2)), ((0.5, 0.2), (0.75, 1)), ((0.75, 1), (1, 0))),  # W
    (((0, 0), (1, 1)), ((1, 0), (0, 1))),  # X
    (((0.5, 0), (0.5, 1)), ((0, 0.5), (1, 0.5))),  # +
    (((0.0, 0.6), (0.35, 1)), ((0.35, 1), (1, 0))),  # check mark
    (((0.3, 0), (0.3, 1)), ((0.7, 0), (0.7, 1)), ((0, 0.33), (1, 0.33)), ((0, 0.66), (1, 0.66))),  # hash
    (((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0))),  # empty box
)


def draw_digits(
    num_each: int, rng: np.random.Generator, normalise: Normalise
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw digits in styles that MNIST lacks.

    Args:
        num_each: How many of each of the ten digits.
        rng: Source of all randomness.
        normalise: (H, W) uint8, dark ink on light paper → (28, 28) uint8; the one that reading uses.

    Returns:
        (10 × num_each, 28, 28) uint8 and their labels, int64.
    """
    drawn, labels = [], []
    for label, styles in STYLES.items():
        for _ in range(num_each):
            drawn.append(normalise(_draw(styles[rng.integers(len(styles))], rng)))
            labels.append(int(label))
    return np.stack(drawn), np.array(labels, dtype=np.int64)


def draw_no_digits(num: int, rng: np.random.Generator, normalise: Normalise) -> NDArray[np.uint8]:
    """Draw letters, signs, boxes and scribbles: (num, 28, 28) uint8; what a recogniser of digits should be unsure of."""
    return np.stack(
        [
            normalise(_draw(NO_DIGITS[rng.integers(len(NO_DIGITS))] if rng.random() < 0.55 else _scribble(rng), rng))
            for _ in range(num)
        ]
    )


def _scribble(rng: np.random.Generator) -> Style:
    strokes = []
    for _ in range(int(rng.integers(1, 4))):
        points = rng.random((int(rng.integers(3, 9)), 2))
        strokes.append(tuple((float(x), float(y)) for x, y in points))
    return tuple(strokes)


def _draw(style: Style, rng: np.random.Generator, side: int = 128) -> NDArray[np.uint8]:
    """A style as dark ink on light paper, (side, side) uint8."""
    paper = np.full((side, side), 255, dtype=np.uint8)
    jitter = rng.uniform(0.02, 0.075)
    wide, slant = rng.uniform(0.45, 1.0), rng.normal(0, 0.12)
    size, width = rng.uniform(0.55, 0.7) * side, int(rng.integers(4, 14))
    angle = np.deg2rad(rng.normal(0, 5))
    for stroke in style:
        points = np.array(stroke) + rng.normal(0, jitter, (len(stroke), 2))
        curve = _bend(points, rng) - 0.5
        x = curve[:, 0] * wide - slant * curve[:, 1]
        turned = np.stack(
            [x * np.cos(angle) - curve[:, 1] * np.sin(angle), x * np.sin(angle) + curve[:, 1] * np.cos(angle)], axis=1
        )
        fixed = np.rint((turned * size + side / 2) * 16).astype(np.int32)
        cv2.polylines(paper, [fixed], False, 0, width, cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(paper, (0, 0), rng.uniform(0.5, 1.5)), dtype=np.uint8)


def _bend(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth curve through the points (Catmull–Rom); a straight stroke gets a slight bow."""
    if len(points) == 2:
        along = points[1] - points[0]
        middle = points.mean(axis=0) + np.array([-along[1], along[0]]) * rng.normal(0, 0.045)
        points = np.stack([points[0], middle, points[1]])
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True)
    ]
    return np.concatenate([*pieces, points[-1:]])
