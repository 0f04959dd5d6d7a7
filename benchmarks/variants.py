"""The same picture, taken otherwise: how often is it read as before, and how often right?

.venv/bin/python benchmarks/variants.py <folder of <set>/<label>/<file>> [--every N]

Each picture is changed in one way at a time, as phones, scanners and paint programs would, and read by the base model.
Prints a markdown table for docs/accuracy.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.model.bundle import load_base
from tenarai.prepare import NORMALISER_VERSION, decode, normalise

Picture = NDArray[np.uint8]


def scale(picture: Picture, factor: float) -> Picture:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how), dtype=np.uint8)


def invert(picture: Picture) -> Picture:
    return np.asarray(255 - picture, dtype=np.uint8)


def fade(picture: Picture) -> Picture:
    """Pencil: a quarter of the contrast."""
    paper = np.median(picture, axis=(0, 1))
    return _to_bytes(paper + 0.25 * (picture - paper))


def shade(picture: Picture) -> Picture:
    """Light from one side, falling to two fifths."""
    return _lit(picture, np.linspace(1.0, 0.4, picture.shape[1], dtype=np.float32)[None, :])


def cast_shadow(picture: Picture) -> Picture:
    """The hard edge of a hand's shadow, aslant through the picture."""
    high, wide = picture.shape[:2]
    y, x = np.mgrid[:high, :wide]
    side = np.clip((x / wide + 0.4 * y / high - 0.7) * wide / max(2.0, 0.03 * wide) + 0.5, 0, 1)
    return _lit(picture, (1 - 0.45 * side).astype(np.float32))


def rule(picture: Picture, *, squared: bool) -> Picture:
    """Printed lines, a third of the way from paper to ink."""
    high, wide = picture.shape[:2]
    step, thick = max(9, min(high, wide) // 3), max(1, min(high, wide) // 90)
    lines = np.zeros((high, wide), dtype=bool)
    for start in range(step // 2, high, step):
        lines[start : start + thick] = True
    for start in range(step // 3, wide if squared else 0, step):
        lines[:, start : start + thick] = True
    paper = np.median(picture, axis=(0, 1))
    ink = 255 - paper
    printed = np.where(lines[..., None], paper + (ink - paper) / 3, picture.astype(np.float64))
    darker = np.abs(picture - paper) > np.abs(printed - paper)
    return _to_bytes(np.where(darker, picture, printed))


def grain(picture: Picture) -> Picture:
    noise = np.random.default_rng(picture.size).normal(0, 12, picture.shape)
    return _to_bytes(picture + noise)


def compress(picture: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def turn(picture: Picture, degrees: float) -> Picture:
    high, wide = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


VARIANTS: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda picture: picture,
    "inverted": invert,
    "half the size": partial(scale, factor=0.5),
    "twice the size": partial(scale, factor=2.0),
    "turned by 8°": partial(turn, degrees=8),
    "pencil (a quarter of the contrast)": fade,
    "light from one side": shade,
    "hard shadow across": cast_shadow,
    "ruled paper": partial(rule, squared=False),
    "squared paper": partial(rule, squared=True),
    "grain": grain,
    "JPEG at 30": compress,
}


def _lit(picture: Picture, light: NDArray[np.float32]) -> Picture:
    return _to_bytes(picture.astype(np.float32) * light[..., None])


def _to_bytes(picture: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def normalise_variants(file: Path) -> Picture:
    """(V, 28, 28) uint8, one a variant; blank where the normaliser refuses."""
    cv2.setNumThreads(1)
    blank = np.zeros((28, 28), dtype=np.uint8)
    try:
        picture = decode(file.read_bytes())
    except ImageError:
        return np.stack([blank] * len(VARIANTS))
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    digits = []
    for change in VARIANTS.values():
        try:
            digits.append(normalise(change(picture)))
        except ImageError:
            digits.append(blank)
    return np.stack(digits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every N-th picture of each label")
    given = parser.parse_args()
    folders = sorted(path for path in given.data.glob("*/*") if path.is_dir())
    files = [file for folder in folders for file in sorted(folder.iterdir())[:: given.every] if file.is_file()]
    written = np.array([file.parent.name for file in files])
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        digits = np.stack(list(pool.map(normalise_variants, files, chunksize=16)))
    model = load_base(normaliser=NORMALISER_VERSION)
    names = np.array(model.info.labels)
    read = names[model.predict(digits.reshape(-1, 28, 28)).argmax(axis=1)].reshape(len(files), -1)
    print(f"| {len(files)} pictures | read right | read as before |\n| --- | ---: | ---: |")
    for number, name in enumerate(VARIANTS):
        right, same = (read[:, number] == written).mean(), (read[:, number] == read[:, 0]).mean()
        print(f"| {name} | {right:.1%} | {same:.1%} |")


if __name__ == "__main__":
    main()
