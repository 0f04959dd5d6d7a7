"""Snapshots: an immutable file of images, labels and splits that one night trains and evaluates on.

A snapshot is named by the hash of its content. What keeps the evaluation honest is decided here, before training:

* The regression set (`misread/`) and its near-duplicates never reach the training set or the holdout.
* The hash of an image's near-duplicate group decides its split, so an image never changes sides when others arrive.
  One exception: a label whose images would all be held out lends one group to the training set.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import DatasetError, StoreError
from tenarai.locale import _
from tenarai.prepare import find_near
from tenarai.records import Fingerprint, Image, Rejection, Role, SnapshotInfo
from tenarai.store import Store

MIN_IMAGES = 5
CHUNK = 10_000
TRAIN, TEST, REGRESSION = "train", "test", "regression"
COLUMNS = ("targets", "splits", "groups", "sha256")


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The images that a model is trained on.

    Attributes:
        pixels: (N, 28, 28) uint8, ink 255 on paper 0.
        targets: (N,) int64, index into `labels`.
        groups: (N,) str, near-duplicate groups; a group never lies in two folds.
        labels: Class names.
        normaliser: Version of the normaliser that made the pixels.
        snapshot: Id of the snapshot. Default: none.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: tuple[str, ...]
    normaliser: int
    snapshot: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Manifest:
    """The images of a snapshot, ordered by sha256, without their pixels.

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

    def training_set(self) -> TrainingSet:
        """Copies of what training needs, so that the snapshot's own arrays can be freed."""
        rows, info = self.rows(TRAIN), self.info
        return TrainingSet(
            self.pixels[rows], self.targets[rows], self.groups[rows], info.labels, info.normaliser, info.id
        )


@dataclass(frozen=True, slots=True)
class Frozen:
    """A snapshot and what was left out of it.

    Attributes:
        snapshot: The images to train and evaluate on.
        withheld: Paths left out because they are near-duplicates of regression images.
        conflicts: Files left out because the same picture is filed under two labels.
    """

    snapshot: Snapshot
    withheld: tuple[str, ...]
    conflicts: tuple[Rejection, ...]


def freeze(
    images: Sequence[Image],
    digits: Mapping[str, Fingerprint],
    load_pixels: Callable[[Sequence[str]], Iterable[bytes]],
    *,
    normaliser: int,
    test_share: float,
    chosen: Collection[str] = (),
) -> Frozen:
    """Freeze labelled images into a snapshot.

    Args:
        images: Live catalogue rows; only `digits` and `misread` with a usable digit count.
        digits: Fingerprints of usable digits by sha256.
        load_pixels: Yields the 784 bytes of each digit in the order of the given sha256s. It is called once, for the
            images that are kept, so that the pixels of a million images are never held twice.
        normaliser: Version of the normaliser that made them.
        test_share: Share of the groups held out, 0 to 1.
        chosen: sha256 of images that are no evidence, since a person chose them by looking at a model. They are trained
            on, never held out.

    Raises:
        DatasetError: There are fewer than five usable images, or fewer than two labels.
    """
    usable = [i for i in images if i.label is not None and i.sha256 in digits]
    misread = _by_content(i for i in usable if i.role is Role.MISREAD)
    labelled = _by_content(i for i in usable if i.role is Role.DIGITS)
    conflicts = _find_conflicts(misread, labelled)
    unclear = {rejected.sha256 for rejected, _reason in conflicts}
    regression = {sha: rows[0] for sha, rows in misread.items() if sha not in unclear}
    candidates = {sha: rows[0] for sha, rows in labelled.items() if sha not in unclear}
    leaks = _find_leaks(candidates, regression, digits)
    kept = {sha: image for sha, image in candidates.items() if sha not in leaks}
    _check_enough(kept)
    splits = _split(kept, digits, test_share, chosen) | dict.fromkeys(regression, REGRESSION)
    columns, labels = _make_columns({**kept, **regression}, splits, digits)
    pixels = _stack_pixels(load_pixels(columns["sha256"].tolist()), len(splits))
    info = _describe(columns, [pixels], labels, normaliser, len(leaks))
    withheld = sorted(image.path for sha in leaks for image in labelled[sha])
    return Frozen(
        Snapshot(info=info, pixels=pixels, **columns),
        tuple(withheld),
        tuple(Rejection(image.path, reason) for image, reason in conflicts),
    )


def save_snapshot(store: Store, snapshot: Snapshot) -> None:
    """Write a snapshot under its id; an existing file has the same content and is left alone."""
    info, name = snapshot.info, f"{snapshot.info.id}.npz"
    if store.exists("snapshots", name):
        return
    arrays: dict[str, Any] = {
        **{column: getattr(snapshot, column) for column in ("pixels", *COLUMNS)},
        "labels": np.array(info.labels, dtype=np.str_),
        "numbers": np.array([info.normaliser, info.num_withheld], dtype=np.int64),
    }
    store.write_by(lambda file: np.savez(file, **arrays), "snapshots", name)


def load_snapshot(store: Store, snapshot_id: str) -> Snapshot:
    """Read a snapshot and check its content against its id.

    Raises:
        StoreError: It is missing or was altered.
    """
    with _opened(store, snapshot_id) as arrays:
        pixels = arrays["pixels"]
        return Snapshot(pixels=pixels, **_read_columns(arrays, snapshot_id, [pixels]))


def load_manifest(store: Store, snapshot_id: str) -> Manifest:
    """Read a snapshot without its pixels, which are only checked, a megabyte at a time.

    Raises:
        StoreError: It is missing or was altered.
    """
    with _opened(store, snapshot_id) as arrays, arrays.zip.open("pixels.npy") as file:
        return Manifest(**_read_columns(arrays, snapshot_id, _read_pieces(file)))


def without(snapshot: Snapshot, sha256s: Collection[str]) -> Snapshot:
    """A snapshot without these images; its labels stay."""
    info, keep = snapshot.info, ~np.isin(snapshot.sha256, list(sha256s))
    columns = {name: getattr(snapshot, name)[keep] for name in COLUMNS}
    pixels = snapshot.pixels[keep]
    return Snapshot(
        info=_describe(columns, [pixels], info.labels, info.normaliser, info.num_withheld), pixels=pixels, **columns
    )


def sort_labels(labels: Collection[str]) -> tuple[str, ...]:
    """Sort labels as people expect: numbers by value first, then the rest by code point."""
    return tuple(
        sorted(labels, key=lambda label: (not label.isdecimal(), int(label) if label.isdecimal() else 0, label))
    )


def _by_content(images: Iterable[Image]) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = defaultdict(list)
    for image in sorted(images, key=lambda image: (image.sha256, image.path)):
        found[image.sha256].append(image)
    return dict(found)


def _find_conflicts(*collections: Mapping[str, list[Image]]) -> list[tuple[Image, str]]:
    """Files whose bytes are filed under more than one label; only their owner knows which is right."""
    everywhere: dict[str, list[Image]] = defaultdict(list)
    for collection in collections:
        for sha, images in collection.items():
            everywhere[sha].extend(images)
    found: list[tuple[Image, str]] = []
    for images in everywhere.values():
        labels = sort_labels({image.label or "" for image in images})
        if len(labels) > 1:
            reason = _("the same picture is filed under {labels}: keep the right one", labels=", ".join(labels))
            found.extend((image, reason) for image in images)
    return sorted(found, key=lambda pair: pair[0].path)


def _find_leaks(
    candidates: Mapping[str, Image], regression: Mapping[str, Image], digits: Mapping[str, Fingerprint]
) -> set[str]:
    """sha256 of the candidates that are copies or near-duplicates of a regression image."""
    if not candidates or not regression:
        return set()
    groups = {digits[sha].group for sha in regression}
    ours, theirs = sorted(candidates), sorted(regression)
    near, _theirs, _distances = find_near(_hashes(ours, digits), _hashes(theirs, digits))
    return {ours[row] for row in set(near.tolist())} | {sha for sha in ours if digits[sha].group in groups}


def _hashes(sha256s: Sequence[str], digits: Mapping[str, Fingerprint]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digits[sha].phash for sha in sha256s), dtype=np.uint8).reshape(len(sha256s), 32)


def _check_enough(kept: Mapping[str, Image]) -> None:
    counts: dict[str, int] = defaultdict(int)
    for image in kept.values():
        counts[image.label or ""] += 1
    listed = ", ".join(f"{label}: {counts[label]}" for label in sort_labels(counts)) or _("none")
    if len(counts) < 2:
        raise DatasetError(
            _("only one label has usable images") if counts else _("no label has usable images"),
            expected=_("usable images of two labels or more, such as digits/0/ and digits/1/"),
            received=listed,
            fix=_("add images of another character in a folder named after it"),
        )
    if len(kept) < MIN_IMAGES:
        raise DatasetError(
            _("there are too few images to train on"),
            expected=_("at least {n} usable labelled images", n=MIN_IMAGES),
            received=f"{len(kept)} ({listed})",
            fix=_("add images to digits/<label>/; ten of each label are a good start"),
        )


def _split(
    kept: Mapping[str, Image], digits: Mapping[str, Fingerprint], test_share: float, chosen: Collection[str]
) -> dict[str, str]:
    """Decide train or test for each sha256, by near-duplicate group."""
    draws = {sha: _draw(digits[sha].group) for sha in kept}
    evidence = {digits[sha].group for sha in kept if sha not in chosen}
    held_out = {sha for sha, draw in draws.items() if draw < test_share and digits[sha].group in evidence}
    splits = {sha: TEST if sha in held_out else TRAIN for sha in kept}
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


def _make_columns(
    images: Mapping[str, Image], splits: Mapping[str, str], digits: Mapping[str, Fingerprint]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The columns of a snapshot in the order of sha256, and its labels."""
    order = sorted(images)
    labels = sort_labels({image.label or "" for image in images.values()})
    index = {label: i for i, label in enumerate(labels)}
    return {
        "targets": np.array([index[images[sha].label or ""] for sha in order], dtype=np.int64),
        "splits": np.array([splits[sha] for sha in order], dtype=np.str_),
        "groups": np.array([digits[sha].group for sha in order], dtype=np.str_),
        "sha256": np.array(order, dtype=np.str_),
    }, labels


def _stack_pixels(images: Iterable[bytes], num: int) -> NDArray[np.uint8]:
    pixels = np.empty((num, 28, 28), dtype=np.uint8)
    for row, data in enumerate(images):
        pixels[row] = np.frombuffer(data, dtype=np.uint8).reshape(28, 28)
    return pixels


def _describe(
    columns: Mapping[str, Any], pixels: Iterable[Any], labels: tuple[str, ...], normaliser: int, num_withheld: int
) -> SnapshotInfo:
    """Name and counts of a snapshot; its pixels come in pieces."""
    return SnapshotInfo(
        id=_content_id(columns, pixels, labels, normaliser),
        labels=labels,
        **{f"num_{split}": int((columns["splits"] == split).sum()) for split in (TRAIN, TEST, REGRESSION)},
        num_withheld=num_withheld,
        normaliser=normaliser,
    )


def _content_id(columns: Mapping[str, Any], pixels: Iterable[Any], labels: tuple[str, ...], normaliser: int) -> str:
    digest = hashlib.sha256(f"snapshot 1, normaliser {normaliser}\0".encode())
    digest.update("\0".join(labels).encode())
    for name in COLUMNS:
        for start in range(0, len(columns[name]), CHUNK):  # of a million, the text alone would be 200 MB
            digest.update(b"\0" if start else b"")
            digest.update("\0".join(map(str, columns[name][start : start + CHUNK].tolist())).encode())
    for piece in pixels:
        digest.update(piece)
    return digest.hexdigest()[:16]


@contextmanager
def _opened(store: Store, snapshot_id: str) -> Iterator[Any]:
    """The arrays of a snapshot's file, read one by one; any error is reported as damage."""
    try:
        path = store.path("snapshots", f"{snapshot_id}.npz")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except StoreError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds of exceptions on a file that they do not understand
        raise _damaged(snapshot_id, f"{type(error).__name__}: {error}") from error


def _read_columns(arrays: Any, snapshot_id: str, pixels: Iterable[Any]) -> dict[str, Any]:
    """Everything but the pixels, which are only used to check the content against the id."""
    columns = {name: arrays[name] for name in COLUMNS}
    labels = tuple(str(label) for label in arrays["labels"])
    normaliser, num_withheld = (int(n) for n in arrays["numbers"])
    info = _describe(columns, pixels, labels, normaliser, num_withheld)
    if info.id != snapshot_id:
        raise _damaged(snapshot_id, _("content {id}", id=info.id))
    return {"info": info, **columns}


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of an array in NumPy's format, a megabyte at a time."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("unexpected version of the .npy format")
    np.lib.format.read_array_header_1_0(file)
    yield from iter(partial(file.read, 1 << 20), b"")


def _damaged(snapshot_id: str, received: str) -> StoreError:
    return StoreError(
        _("the snapshot {id} is missing or damaged", id=snapshot_id),
        expected=_("content that matches its name"),
        received=received,
        fix=_(
            "delete snapshots/{id}.npz and run `tenarai nightly` again: it is made from the originals", id=snapshot_id
        ),
    )
