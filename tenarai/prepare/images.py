"""Prepare what the sync brought: every original that has no digit yet is decoded, normalised and hashed, once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.prepare.decode import decode
from tenarai.prepare.normalise import NORMALISER_VERSION, run_stages
from tenarai.prepare.phash import NEAR_DUPLICATE_BITS, hamming, perceptual_hash
from tenarai.records import Digit, Fingerprint, PrepareResult
from tenarai.settings import Settings
from tenarai.store import Store

BATCH = 256


class DigitBook(Protocol):
    """What preparing needs of the catalogue."""

    def unprepared(self, source: str, normaliser: int) -> list[str]:
        """sha256 of live images without a digit."""

    def fingerprints(self, normaliser: int) -> dict[str, Fingerprint]:
        """What near-duplicates of usable digits are found by, by sha256."""

    def put_digits(self, digits: Iterable[Digit]) -> None:
        """Keep digits."""


def prepare_images(
    store: Store,
    catalogue: DigitBook,
    source: str,
    settings: Settings,
    *,
    workers: int | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> PrepareResult:
    """Prepare all live images of a source that have no digit yet, in batches: a killed night loses one at most.

    Args:
        store: Holds the originals.
        catalogue: Tells what is to do, and keeps the digits.
        source: Address of the source.
        settings: Limits on bytes and pixels.
        workers: Threads; decoders and OpenCV work outside Python's lock. Default: one a processor.
        on_progress: Receives a line every few seconds.

    Raises:
        StoreError: An original is missing, or the catalogue cannot be written.
    """
    todo = catalogue.unprepared(source, NORMALISER_VERSION)
    if not todo:
        return PrepareResult()
    groups = Groups(catalogue.fingerprints(NORMALISER_VERSION).values())
    prepare = partial(prepare_original, store, max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    num_rejected, told = 0, time.monotonic()
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start in range(0, len(todo), BATCH):
            digits = groups.join(list(pool.map(prepare, todo[start : start + BATCH])))
            catalogue.put_digits(digits)
            num_rejected += sum(1 for digit in digits if digit.reason)
            if on_progress and time.monotonic() - told > 5:
                told = time.monotonic()
                on_progress(f"{start + len(digits)} of {len(todo)} images")
    return PrepareResult(len(todo) - num_rejected, num_rejected)


def prepare_original(store: Store, sha256: str, *, max_bytes: int, max_pixels: int) -> Digit:
    """Decode, normalise and hash one original; an unusable one becomes a digit with a reason, in its own group."""
    try:
        stages = run_stages(decode(store.original(sha256), max_bytes=max_bytes, max_pixels=max_pixels))
    except ImageError as error:
        return Digit(sha256, NORMALISER_VERSION, b"", b"", sha256, error.what)
    return Digit(sha256, NORMALISER_VERSION, stages.digit.tobytes(), perceptual_hash(stages.ink), sha256)


class Groups:
    """Near-duplicate groups: an image joins the group of its nearest copy that came before it, for good.

    Args:
        known: Those that have their group already.
    """

    def __init__(self, known: Iterable[Fingerprint]) -> None:
        """Gather the hashes of what is known."""
        known = list(known)
        self._names = [digit.group for digit in known]
        self._hashes = _stack(known)

    def join(self, digits: Sequence[Digit]) -> list[Digit]:
        """The same digits, each with its group."""
        usable = [digit for digit in digits if digit.phash]
        hashes = _stack(usable)
        to_known = _nearest(hashes, self._hashes)
        among = hamming(hashes, hashes)
        names: list[str] = []
        for number, digit in enumerate(usable):
            name, distance = digit.sha256, NEAR_DUPLICATE_BITS + 1
            if to_known[number][1] < distance:
                name, distance = self._names[to_known[number][0]], to_known[number][1]
            if number and int(among[number, :number].min()) < distance:
                name = names[int(among[number, :number].argmin())]
            names.append(name)
        self._names += names
        self._hashes = np.concatenate([self._hashes, hashes])
        grouped = {digit.sha256: name for digit, name in zip(usable, names, strict=True)}
        return [
            Digit(d.sha256, d.normaliser, d.pixels, d.phash, grouped.get(d.sha256, d.group), d.reason) for d in digits
        ]


def _stack(digits: Sequence[Digit | Fingerprint]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digit.phash for digit in digits), dtype=np.uint8).reshape(len(digits), 32)


def _nearest(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(index, distance) of the nearest of theirs for each of ours; distance 257 where there are none."""
    if not len(theirs) or not len(ours):
        return [(0, 257)] * len(ours)
    distances = hamming(ours, theirs)
    best = distances.argmin(axis=1)
    return [(int(column), int(distances[row, column])) for row, column in enumerate(best)]
