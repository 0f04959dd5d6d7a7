"""Preparing phone photos and small PNGs, against decoding the same bytes with Pillow and nothing else."""

from __future__ import annotations

import argparse
import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.speed.measure import Row, side_by_side
from tenarai.prepare.images import prepare_original
from tenarai.sample import draw
from tenarai.settings import Settings
from tenarai.store import Store, open_store


def make_pictures(num: int, kind: str, *, size: tuple[int, int] | None = None) -> list[bytes]:
    """Real digits as pen on paper: as they are drawn (96 to 520 pixels), or enlarged to a phone's size."""
    rng = np.random.default_rng(0)
    digits = load_digits().images
    found = []
    for number in range(num):
        picture = draw(digits[number], number, rng)
        if size:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, kind, quality=88)
        found.append(buffer.getvalue())
    return found


def prepare(store: Store, sha256s: list[str], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        digits = list(pool.map(partial(prepare_original, store, settings=Settings()), sha256s))
    assert all(digit.pixels or digit.reason for digit in digits)


def decode_only(pictures: list[bytes], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), pictures))


def measure(name: str, pictures: list[bytes], store: Store, *, wanted: int) -> None:
    sha256s = [store.put_original(data) for data in pictures]
    workers = min(2, os.cpu_count() or 1)
    timing = side_by_side(partial(prepare, store, sha256s, workers), partial(decode_only, pictures, workers))
    one, two = partial(prepare, store, sha256s, 1), partial(prepare, store, sha256s, 2)
    scaling = side_by_side(two, one)
    Row(
        f"preparing {len(pictures)} {name}",
        f"decoding alone with Pillow, {workers} threads each",
        f"{len(pictures) / timing.ours:.0f} images/s; two threads {scaling.ratio:.2f} × one",
        f"{wanted} images/s; 1.6 ×",
        len(pictures) / timing.ours >= wanted and scaling.ratio >= 1.6,
        f"{timing.ratio:.2f} × the rate of decoding",
    ).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--pngs", type=int, default=400)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "store"))
        measure("phone photos of 12 Mpx", make_pictures(given.photos, "JPEG", size=(4000, 3000)), store, wanted=80)
        measure("small PNGs", make_pictures(given.pngs, "PNG"), store, wanted=250)


if __name__ == "__main__":
    main()
