"""Collections to measure on: real digits (scikit-learn's copy of UCI optdigits), varied, as files or as rows."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sqlalchemy import insert
from sqlalchemy.dialects import sqlite

from tenarai.catalogue import CATALOGUE_FILE, open_catalogue
from tenarai.catalogue.schema import checksum
from tenarai.catalogue.schema import digits as digits_table
from tenarai.catalogue.schema import images as images_table
from tenarai.prepare import NORMALISER_VERSION
from tenarai.store import open_store

SIDE = 48
NUM_INBOX, NUM_MISREAD = 50, 20


def write_folder(folder: Path, num: int, *, first: int = 0) -> None:
    """Write PNGs of 48 × 48, dark on light, no two alike: digits; from number 0 on an inbox and misread ones, too."""
    bunch = load_digits()
    for number in range(first, first + num):
        row = number % len(bunch.images)
        place = f"digits/{bunch.target[row]}"
        if first == 0 and number < NUM_INBOX + NUM_MISREAD:
            place = "inbox" if number < NUM_INBOX else f"misread/{bunch.target[row]}"
        path = folder / place / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        done, data = cv2.imencode(".png", draw(bunch.images[row], np.random.default_rng(number)))
        assert done
        path.write_bytes(data.tobytes())


def draw(image: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An 8 × 8 digit of 0 to 16 as (48, 48) uint8 ink on paper: turned, stretched, moved, with a little grain."""
    turn = cv2.getRotationMatrix2D((3.5, 3.5), float(rng.uniform(-12, 12)), float(rng.uniform(3.2, 4.4)))
    turn[:, 2] += SIDE / 2 - 3.5 + rng.uniform(-5, 5, 2)
    ink = cv2.warpAffine(image.astype(np.float32) / 16, turn, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    return np.clip(235 - 200 * np.clip(ink, 0, 1) + rng.normal(0, 2, ink.shape), 0, 255).astype(np.uint8)


def insert_rows(store: Path, source: str, places: Sequence[tuple[str, str, str]] | int) -> None:
    """Fill a catalogue with prepared images, fast: what a store of that size would hold, without its originals.

    Args:
        store: Of a local store; made where there is none.
        source: Address of the source.
        places: Path, size and stamp of each file; or how many to make up.
    """
    open_store(str(store))
    with open_catalogue(f"sqlite:///{store / CATALOGUE_FILE}"):
        pass
    with sqlite3.connect(store / CATALOGUE_FILE) as connection:
        for table, rows in ((images_table, _images(source, places)), (digits_table, _digits(places))):
            sealed = ((*row, checksum(row)) for row in rows)
            connection.executemany(str(insert(table).compile(dialect=sqlite.dialect())), sealed)


def _images(source: str, places: Sequence[tuple[str, str, str]] | int) -> Iterator[tuple[object, ...]]:
    for number, (path, size, stamp) in enumerate(_make_up(places) if isinstance(places, int) else places):
        role, _, rest = path.partition("/")
        label = rest.partition("/")[0] if role != "inbox" else None
        sha, night = _sha(number), "20260101-020000-aaaa"
        yield (source, path, path, role, label, sha, int(size), "ok", "", night, night, stamp)


def _digits(places: Sequence[tuple[str, str, str]] | int) -> Iterator[tuple[object, ...]]:
    """Pixels are a real digit's with a little noise; the first one is its label, for `growing.read`."""
    bunch, rng = load_digits(), np.random.default_rng(0)
    small = np.stack([cv2.resize(image * 15.9, (28, 28)) for image in bunch.images]).astype(np.uint8)
    for number, (path, _, _) in enumerate(_make_up(places) if isinstance(places, int) else places):
        role, _, rest = path.partition("/")
        pixels = small[number % len(small)].copy()
        pixels[14, :] ^= np.frombuffer(rng.bytes(28), dtype=np.uint8) & 7
        pixels[0, 0] = int(rest.partition("/")[0]) if role != "inbox" else 0
        sha = _sha(number)
        yield NORMALISER_VERSION, sha, pixels.tobytes(), rng.bytes(32), sha, "", "", 1, 0


def _make_up(num: int) -> Iterator[tuple[str, str, str]]:
    for number in range(num):
        label = number % 10
        place = "inbox" if number < 10 * NUM_INBOX else f"misread/{label}" if number % 5000 == 1 else f"digits/{label}"
        yield f"{place}/{number:07}.png", "1200", f"1200-{1767232800000000000 + number}-{number}"


def _sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()
