"""Freeze what the catalogue holds tonight into a snapshot: an immutable file of images, labels and splits.

A snapshot is named by its content.

Rules that make an exam honest are kept here, before anything trains:

* The regression set (`misread/`) and its near-duplicates never reach training or test.
* Whether an image is trained on or examined is decided by the hash of its near-duplicate group, so it never changes
  sides, whatever else arrives. (One exception: a label whose images would all be held out lends one group to training.)
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import DatasetError, StoreError
from tenarai.records import Fingerprint, Image, Rejection, Role, SnapshotInfo
from tenarai.store import Store

MIN_IMAGES = 5
CHUNK = 10_000
TRAIN, TEST, REGRESSION = "train", "test", "regression"

Near = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.bool_]]
"""Says of (N, 32) and (M, 32) uint8 perceptual hashes which pairs are near-duplicates: (N, M) bool."""

LoadPixels = Callable[[Sequence[str]], Iterable[bytes]]
"""Gives the 784 bytes of each of these digits, by sha256, in the order asked for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Manifest:
    """Which images a snapshot holds, ordered by sha256, without their pixels.

    Attributes:
        info: Id, labels and counts.
        targets: (N,) int64, index into `info.labels`.
        splits: (N,) str: train, test or regression.
        groups: (N,) str: name of the near-duplicate group.
        sha256: (N,) str: digest of the original.
    """

    info: SnapshotInfo
    targets: NDArray[np.int64]
    splits: NDArray[np.str_]
    groups: NDArray[np.str_]
    sha256: NDArray[np.str_]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Row numbers of a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def labels(self) -> NDArray[np.str_]:
        """(N,) str: the label of each image."""
        return np.array(self.info.labels)[self.targets]


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot(Manifest):
    """The images of one night.

    Attributes:
        pixels: (N, 28, 28) uint8, ink 255 on paper 0.
    """

    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A snapshot and what was left out of it.

    Attributes:
        snapshot: The images to learn from and to be examined on.
        withheld: Paths left out because they are near-duplicates of regression images.
        conflicts: Files left out because the same picture lies under two labels.
    """

    snapshot: Snapshot
    withheld: tuple[str, ...]
    conflicts: tuple[Rejection, ...]


def freeze(
    images: Sequence[Image],
    digits: Mapping[str, Fingerprint],
    load_pixels: LoadPixels,
    *,
    normaliser: int,
    test_share: float,
    near: Near,
) -> Frozen:
    """Freeze labelled images into a snapshot.

    Args:
        images: Live catalogue rows; only `digits` and `misread` with a usable digit count.
        digits: Fingerprints of usable digits by sha256; pixels are only loaded of what is kept.
        load_pixels: Gives their pixels.
        normaliser: Version of the normaliser that made them.
        test_share: Share of the groups held out, 0 to 1.
        near: Decides which perceptual hashes are near-duplicates.

    Raises:
        DatasetError: Fewer than five usable images, or fewer than two labels.
    """
    usable = [i for i in images if i.label is not None and i.sha256 in digits]
    misread = _by_content(i for i in usable if i.role is Role.MISREAD)
    labelled = _by_content(i for i in usable if i.role is Role.DIGITS)
    conflicts = _find_conflicts(misread, labelled)
    unclear = {image.sha256 for image, _ in conflicts}
    regression = {sha: rows[0] for sha, rows in misread.items() if sha not in unclear}
    candidates = {sha: rows[0] for sha, rows in labelled.items() if sha not in unclear}
    leaks = _find_leaks(candidates, regression, digits, near)
    kept = {sha: image for sha, image in candidates.items() if sha not in leaks}
    _check_enough(kept)
    splits = _split(kept, digits, test_share) | dict.fromkeys(regression, REGRESSION)
    snapshot = _assemble({**kept, **regression}, splits, digits, load_pixels, normaliser, num_withheld=len(leaks))
    withheld = sorted(image.path for sha in leaks for image in labelled[sha])
    return Frozen(snapshot, tuple(withheld), tuple(Rejection(i.path, reason) for i, reason in conflicts))


def save_snapshot(store: Store, snapshot: Snapshot) -> None:
    """Write a snapshot under its id; what is there already is the same and is left alone."""
    if store.exists("snapshots", f"{snapshot.info.id}.npz"):
        return
    info = snapshot.info
    columns: dict[str, Any] = {
        "pixels": snapshot.pixels,
        "targets": snapshot.targets,
        "splits": snapshot.splits,
        "groups": snapshot.groups,
        "sha256": snapshot.sha256,
        "labels": np.array(info.labels, dtype=np.str_),
        "numbers": np.array([info.normaliser, info.num_withheld], dtype=np.int64),
    }
    store.write_by(lambda file: np.savez(file, **columns), "snapshots", f"{info.id}.npz")


def load_snapshot(store: Store, snapshot_id: str) -> Snapshot:
    """Read a snapshot and check that its content is the one its id names.

    Raises:
        StoreError: It is missing or was altered.
    """
    with _opened(store, snapshot_id) as arrays:
        pixels = arrays["pixels"]
        return Snapshot(pixels=pixels, **_read_columns(arrays, snapshot_id, [pixels]))


def load_manifest(store: Store, snapshot_id: str) -> Manifest:
    """The same without the pixels: they are checked a few at a time, and never held all at once.

    Raises:
        StoreError: It is missing or was altered.
    """
    with _opened(store, snapshot_id) as arrays, arrays.zip.open("pixels.npy") as file:
        return Manifest(**_read_columns(arrays, snapshot_id, _read_pieces(file)))


def sort_labels(labels: Collection[str]) -> tuple[str, ...]:
    """Labels in the order people expect: numbers by value first, then the rest by code point."""
    return tuple(
        sorted(labels, key=lambda label: (not label.isdecimal(), int(label) if label.isdecimal() else 0, label))
    )


def _by_content(images: Any) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = defaultdict(list)
    for image in sorted(images, key=lambda image: (image.sha256, image.path)):
        found[image.sha256].append(image)
    return dict(found)


def _find_conflicts(*collections: Mapping[str, list[Image]]) -> list[tuple[Image, str]]:
    """Files whose bytes lie under more than one label; nobody but their owner can say which is right."""
    everywhere: dict[str, list[Image]] = defaultdict(list)
    for collection in collections:
        for sha, images in collection.items():
            everywhere[sha].extend(images)
    found: list[tuple[Image, str]] = []
    for images in everywhere.values():
        labels = sort_labels({image.label or "" for image in images})
        if len(labels) > 1:
            reason = f"the same picture lies under {len(labels)} labels ({', '.join(labels)}): keep the right one"
            found.extend((image, reason) for image in images)
    return sorted(found, key=lambda pair: pair[0].path)


def _find_leaks(
    candidates: Mapping[str, Image], regression: Mapping[str, Image], digits: Mapping[str, Fingerprint], near: Near
) -> set[str]:
    """sha256 of the candidates that are copies or near-duplicates of a regression image."""
    leaks = set(candidates) & set(regression)
    if not candidates or not regression:
        return leaks
    groups = {digits[sha].group for sha in regression}
    ours, theirs = sorted(candidates), sorted(regression)
    close = near(_hashes(ours, digits), _hashes(theirs, digits))
    leaks.update(sha for sha, row in zip(ours, close, strict=True) if row.any() or digits[sha].group in groups)
    return leaks


def _hashes(sha256s: Sequence[str], digits: Mapping[str, Fingerprint]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digits[sha].phash for sha in sha256s), dtype=np.uint8).reshape(len(sha256s), 32)


def _check_enough(kept: Mapping[str, Image]) -> None:
    counts: dict[str, int] = defaultdict(int)
    for image in kept.values():
        counts[image.label or ""] += 1
    listed = ", ".join(f"{label}: {counts[label]}" for label in sort_labels(counts)) or "none"
    if len(counts) < 2:
        raise DatasetError(
            "there is nothing to tell apart",
            expected="usable images under two labels or more, such as digits/0/ and digits/1/",
            received=f"usable images by label: {listed}",
            fix="file some images of another character under its own label folder",
        )
    if len(kept) < MIN_IMAGES:
        raise DatasetError(
            "there are too few images to learn from",
            expected=f"at least {MIN_IMAGES} usable labelled images",
            received=f"{len(kept)} ({listed})",
            fix="file more images under digits/<label>/; ten a label make a good start",
        )


def _split(kept: Mapping[str, Image], digits: Mapping[str, Fingerprint], test_share: float) -> dict[str, str]:
    """Decide train or test for each sha256, by near-duplicate group."""
    draws = {sha: _draw(digits[sha].group) for sha in kept}
    splits = {sha: TEST if draw < test_share else TRAIN for sha, draw in draws.items()}
    by_label: dict[str, list[str]] = defaultdict(list)
    for sha, image in kept.items():
        by_label[image.label or ""].append(sha)
    for members in by_label.values():
        if all(splits[sha] == TEST for sha in members):
            lent = max(draws[sha] for sha in members)
            splits.update({sha: TRAIN for sha in members if draws[sha] == lent})
    return splits


def _draw(group: str) -> float:
    """A number in [0, 1) that depends on the group alone."""
    return int.from_bytes(hashlib.sha256(f"split:{group}".encode()).digest()[:8], "big") / 2**64


def _assemble(
    images: Mapping[str, Image],
    splits: Mapping[str, str],
    digits: Mapping[str, Fingerprint],
    load_pixels: LoadPixels,
    normaliser: int,
    *,
    num_withheld: int,
) -> Snapshot:
    order = sorted(images)
    labels = sort_labels({image.label or "" for image in images.values()})
    index = {label: i for i, label in enumerate(labels)}
    pixels = np.empty((len(order), 28, 28), dtype=np.uint8)
    for row, data in enumerate(load_pixels(order)):
        pixels[row] = np.frombuffer(data, dtype=np.uint8).reshape(28, 28)
    columns: dict[str, Any] = {
        "targets": np.array([index[images[sha].label or ""] for sha in order], dtype=np.int64),
        "splits": np.array([splits[sha] for sha in order], dtype=np.str_),
        "groups": np.array([digits[sha].group for sha in order], dtype=np.str_),
        "sha256": np.array(order, dtype=np.str_),
    }
    return Snapshot(info=_describe(columns, [pixels], labels, normaliser, num_withheld), pixels=pixels, **columns)


def _describe(
    columns: Mapping[str, Any], pixels: Iterable[Any], labels: tuple[str, ...], normaliser: int, num_withheld: int
) -> SnapshotInfo:
    """Name and counts of a snapshot; its pixels come in pieces."""
    counts = {split: int((columns["splits"] == split).sum()) for split in (TRAIN, TEST, REGRESSION)}
    return SnapshotInfo(
        id=_content_id(columns, pixels, labels, normaliser),
        labels=labels,
        num_train=counts[TRAIN],
        num_test=counts[TEST],
        num_regression=counts[REGRESSION],
        num_withheld=num_withheld,
        normaliser=normaliser,
    )


def _content_id(columns: Mapping[str, Any], pixels: Iterable[Any], labels: tuple[str, ...], normaliser: int) -> str:
    digest = hashlib.sha256(f"snapshot 1, normaliser {normaliser}\0".encode())
    digest.update("\0".join(labels).encode())
    for name in ("targets", "splits", "groups", "sha256"):
        for start in range(0, len(columns[name]), CHUNK):  # of a million, the text alone would be 200 MB
            digest.update(b"\0" if start else b"")
            digest.update("\0".join(map(str, columns[name][start : start + CHUNK].tolist())).encode())
    for piece in pixels:
        digest.update(piece)
    return digest.hexdigest()[:16]


@contextmanager
def _opened(store: Store, snapshot_id: str) -> Iterator[Any]:
    """The arrays of a snapshot's file, to be read one by one; whatever is wrong with them is told as damage."""
    name = f"{snapshot_id}.npz"
    if not store.exists("snapshots", name):
        store.read("snapshots", name)  # says what is missing, and how to mend it
    try:
        with store.local_copy("snapshots", name) as path, np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (ValueError, KeyError, TypeError, OSError, BadZipFile) as error:
        raise _damaged(snapshot_id, str(error)) from error


def _read_columns(arrays: Any, snapshot_id: str, pixels: Iterable[Any]) -> dict[str, Any]:
    """Everything but the pixels, which are only looked at to see that the content is the one the id names."""
    columns = {name: arrays[name] for name in ("targets", "splits", "groups", "sha256")}
    labels = tuple(str(label) for label in arrays["labels"])
    normaliser, num_withheld = (int(n) for n in arrays["numbers"])
    info = _describe(columns, pixels, labels, normaliser, num_withheld)
    if info.id != snapshot_id:
        raise _damaged(snapshot_id, f"content {info.id}")
    return {"info": info, **columns}


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of an array in NumPy's format, a megabyte at a time."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("pixels in another format than they are written in")
    np.lib.format.read_array_header_1_0(file)
    yield from iter(partial(file.read, 1 << 20), b"")


def _damaged(snapshot_id: str, received: str) -> StoreError:
    return StoreError(
        f"the snapshot {snapshot_id} is damaged",
        expected="the content that its name was made from",
        received=received,
        fix="delete it and run the night again; it is made anew from the originals",
    )
