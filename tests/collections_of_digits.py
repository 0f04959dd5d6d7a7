"""Small collections for tests: real people's digits (scikit-learn's UCI optdigits) as pictures in folders."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np


@cache
def real_digits():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images, bunch.target


def picture(number: int, *, side: int = 64, inverted: bool = False) -> np.ndarray:
    """Digit `number` of the set as dark ink on a white page, (side × 1.5,) * 2 uint8."""
    images, _ = real_digits()
    ink = np.clip(cv2.resize(images[number] / 16, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    page = 255 - np.pad((ink * 235).astype(np.uint8), side // 4)
    return 255 - page if inverted else page


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, image)
    assert done
    path.write_bytes(data.tobytes())
    return path


def fill(folder: Path, *, num_each: int, labels: str = "0123456789", first: int = 0, under: str = "digits") -> Path:
    """Save `num_each` images a label under `<folder>/<under>/<label>/`, leaving out the first ones of each label."""
    _, targets = real_digits()
    for label in labels:
        for number in np.flatnonzero(targets == int(label))[first : first + num_each]:
            save(folder / under / label / f"{number:04}.png", picture(int(number)))
    return folder
