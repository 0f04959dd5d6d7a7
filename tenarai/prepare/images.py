"""Prepare what the sync brought: decode, normalise and hash every original that has no digit yet.

Near-duplicates are found by a 16 × 16 perceptual hash of the page, almost the same for re-encoded, resized and relit
copies. It is computed from the ink strength of the whole page: light, paper and polarity do not change it, the position
of the writing does. The same character written twice differs in about half of the 256 bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.prepare.decode import THREADS, count_pages, decode
from tenarai.prepare.ink import has_dark_strokes, ink_strength
from tenarai.prepare.normalise import NORMALISER_VERSION, Stages, look_for_characters
from tenarai.prepare.order import median
from tenarai.prepare.several import MORE_THAN_ONE, are_one_piece, count_characters
from tenarai.records import Digit, PrepareResult, Unprepared
from tenarai.settings import Settings
from tenarai.store import Store

if TYPE_CHECKING:
    from tenarai.catalogue import Catalogue

BATCH = 256
PROGRESS_SECONDS = 5
NEAR_DUPLICATE_BITS = 44
"""Two images that differ in at most this many of 256 bits are near-duplicates."""

ROWS, CHUNK = 16, 8192  # pairs that are compared at once: their intermediate arrays stay in the cache


def prepare_images(
    store: Store,
    catalogue: Catalogue,
    source: str,
    settings: Settings,
    *,
    on_progress: Callable[[str], None] | None = None,
) -> PrepareResult:
    """Prepare all live images of a source that have no digit yet, in batches; an interrupted run loses at most one.

    Args:
        store: Holds the originals.
        catalogue: Lists what is to do, and keeps the digits.
        source: Address of the source.
        settings: Limits on bytes and pixels.
        on_progress: Called with a progress line every few seconds.

    Raises:
        StoreError: An original is missing, or the catalogue cannot be written.
    """
    labels = {label for _role, label in catalogue.count_labels(source)}
    shown: dict[str | None, int] = {label: count_characters(label) for label in labels}
    shown[None] = int(are_one_piece(labels))
    todo = catalogue.unprepared(source, NORMALISER_VERSION, shown)
    if not todo:
        return PrepareResult()
    groups = Groups(catalogue.groups(NORMALISER_VERSION))
    prepare = partial(_prepare, store, settings)
    num_rejected, last_said = 0, time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:  # decoders and OpenCV release Python's lock
        for start in range(0, len(todo), BATCH):
            digits = groups.join(list(pool.map(prepare, todo[start : start + BATCH])))
            catalogue.put_digits(digits)
            num_rejected += sum(1 for digit in digits if digit.reason and not digit.parts)
            if on_progress and time.monotonic() - last_said > PROGRESS_SECONDS:
                last_said = time.monotonic()
                on_progress(_("{done} of {total} images", done=start + len(digits), total=len(todo)))
    return PrepareResult(len(todo) - num_rejected, num_rejected)


def _prepare(store: Store, settings: Settings, due: Unprepared) -> Digit:
    """Prepare one original; what was cut out of a photo shares the photo's hash and group, so that none is split."""
    digit = prepare_original(store, due.sha256, settings=settings, characters=due.characters)
    if due.phash:  # a character: edges and shadows were told apart when it was cut out
        return replace(digit, phash=due.phash, group=due.group, doubt="")
    return replace(digit, group=due.group) if due.group else digit


def prepare_original(store: Store, sha256: str, *, settings: Settings, characters: int = 1) -> Digit:
    """Decode, normalise and hash one original; an unusable one becomes a digit with a reason, in a group by itself.

    Args:
        store: Holds the original.
        sha256: Its digest.
        settings: Limits on bytes and pixels.
        characters: How many characters it is to show, see `count_characters`. Default: one. Where it shows more, it is
            to be cut into them; a label of several takes them together.
    """
    limits = {"max_bytes": settings.max_image_bytes, "max_pixels": settings.max_image_pixels}
    data = store.original(sha256)
    digit = Digit(sha256, NORMALISER_VERSION, b"", b"", sha256, characters=characters)
    try:
        if (num := count_pages(data)) > 1:
            return replace(digit, reason=_("it has {n} pages", n=num), parts=num)
        found = look_for_characters(data, one_piece=characters == 1, **limits)
    except ImageError as error:
        return replace(digit, reason=error.what)
    if not isinstance(found, Stages):
        page = decode(data, **limits)
        phash = perceptual_hash(ink_strength(page, dark_ink=has_dark_strokes(page)))
        return replace(digit, reason=MORE_THAN_ONE, parts=len(found), phash=phash)
    num, phash = found.num_characters, perceptual_hash(found.ink)
    if characters == 1 < num:
        return replace(digit, reason=MORE_THAN_ONE, parts=num, phash=phash)
    if 0 < characters < num:
        reason = _("it shows {n} characters, its label has {characters}", n=num, characters=characters)
        return replace(digit, reason=reason)
    return replace(digit, pixels=found.digit.tobytes(), phash=phash, doubt=found.doubt)


class Groups:
    """Groups of near-duplicates. An image joins the group of its nearest earlier copy, permanently.

    Args:
        known: Hash and group of each digit that has a group.
    """

    def __init__(self, known: Iterable[tuple[bytes, str]]) -> None:
        """Collect the hashes of what is known."""
        known = list(known)
        self._names = [group for _phash, group in known]
        self._hashes = _stack(phash for phash, _group in known)

    def join(self, digits: Sequence[Digit]) -> list[Digit]:
        """The same digits, each with its group."""
        usable = [digit for digit in digits if digit.phash and digit.group == digit.sha256]
        hashes, num_known = _stack(digit.phash for digit in usable), len(self._names)
        self._hashes = np.concatenate([self._hashes, hashes])
        rows, columns, _distances = find_near(hashes, self._hashes)
        nearest: dict[int, int] = {}
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if column < num_known + row:  # a copy that came earlier
                nearest.setdefault(row, column)
        for row, digit in enumerate(usable):
            self._names.append(self._names[nearest[row]] if row in nearest else digit.sha256)
        grouped = {digit.sha256: name for digit, name in zip(usable, self._names[num_known:], strict=True)}
        return [replace(digit, group=grouped.get(digit.sha256, digit.group)) for digit in digits]


def _stack(hashes: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)


def perceptual_hash(ink: NDArray[np.float32]) -> bytes:
    """Hash a page (after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).

    Args:
        ink: (H, W) float32 ink strength, 0 to 1, from `ink_strength`.

    Returns:
        32 bytes: which of the 16 × 16 lowest frequencies are above their median.
    """
    small = cv2.resize(ink, (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:16, :16].ravel()
    return np.packbits(low > median(low)).tobytes()


def find_near(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint16]]:
    """Find the near-duplicates among (N, 32) and (M, 32) uint8 hashes.

    Returns:
        Row in `ours`, row in `theirs` and the number of bits that differ of each pair: for a row of `ours` the nearest
        first, of equally near ones the first.
    """
    a, b = _as_words(ours), _as_words(theirs)
    first, second = np.ascontiguousarray(b[:, 0]), np.ascontiguousarray(b[:, 1])
    rows, columns = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for top in range(0, len(a), ROWS):
        for left in range(0, len(b), CHUNK):  # half of the bits already exclude nearly all pairs
            half = np.bitwise_count(a[top : top + ROWS, :1] ^ first[left : left + CHUNK])
            half += np.bitwise_count(a[top : top + ROWS, 1:2] ^ second[left : left + CHUNK])
            near = np.flatnonzero(half <= NEAR_DUPLICATE_BITS)  # in two dimensions NumPy takes ten times as long
            row, column = np.divmod(near, half.shape[1])
            rows.append(row + top)
            columns.append(column + left)
    row, column = np.concatenate(rows), np.concatenate(columns)
    distance = np.bitwise_count(a[row] ^ b[column]).sum(axis=1, dtype=np.uint16)
    order = np.lexsort((column, distance, row))
    order = order[distance[order] <= NEAR_DUPLICATE_BITS]
    return row[order], column[order], distance[order]


def _as_words(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N, 4) uint64."""
    return np.ascontiguousarray(hashes).view(np.uint64)
