"""What a study is made on: the images read in several ways, and which of them a seed trains on and is examined on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Rows = NDArray[np.intp]

NORMALISED = "normalised"  # as Tenarai reads
SQUEEZED = "squeezed"  # the whole picture made 28 × 28; its polarity judged
DARK = "dark ink"  # normalised as if all ink were dark
GREY = "grey"  # the whole picture made 28 × 28, light and dark as they came, 0 to 1
RAW = "raw"  # the same, fed to the network from 0 to 255
INVERTED = "1 - x"  # the same from 0 to 1, always inverted: how the article reads

NUM_FOLDS = 5
MIN_FOR_FOLDS = 3  # images a label on average; with fewer, one a label is trained on
MIN_FOR_HELD_OUT = 2  # with fewer, nothing can be held out


@dataclass(frozen=True, eq=False)
class Question:
    """The image that was misread.

    Attributes:
        name: Its file name; a stranger's word, escaped wherever it is shown.
        sha256: Digest of its bytes.
        label: What was written.
        pictures: By reading, (28, 28) uint8.
    """

    name: str
    sha256: str
    label: str
    pictures: dict[str, Pixels]

    def read(self, reading: str) -> Pixels:
        """(28, 28) uint8, the image read in one of the ways."""
        return _read(self.pictures, reading)

    @cached_property
    def fingerprint(self) -> str:
        """Names its bytes, its label and what each reading makes of it."""
        digest = hashlib.sha256(f"{self.sha256}\0{self.label}".encode())
        _add_pictures(digest, self.pictures)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Material:
    """The images of a study, without those of the regression set and without copies of the question.

    Attributes:
        labels: Class names.
        targets: (N,) int64, index into `labels`.
        groups: (N,) str, near-duplicate groups; a group never lies on both sides.
        pictures: By reading (`normalised`, `squeezed`, `dark ink`, `grey`), (N, 28, 28) uint8.
        normaliser: Version of the normaliser.
        question: The misread image, or None.
    """

    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]
    pictures: dict[str, Pixels]
    normaliser: int
    question: Question | None = None

    def read(self, reading: str) -> Pixels:
        """(N, 28, 28) uint8, all images read in one of the ways."""
        return _read(self.pictures, reading)

    @property
    def num_images(self) -> int:
        """How many images there are."""
        return len(self.targets)

    @property
    def per_label(self) -> float:
        """Images a label, on average."""
        return len(self.targets) / len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """Names all images, labels and groups; the question has a name of its own."""
        digest = hashlib.sha256("\0".join((*self.labels, *self.groups.tolist())).encode())
        digest.update(self.targets.tobytes())
        _add_pictures(digest, self.pictures)
        return digest.hexdigest()[:16]

    def draw(self, seed: int, per_label: int) -> tuple[Rows, Rows]:
        """Rows to train on, and rows held out.

        Five seeds hold every image out once. With too few images for that, one a label is trained on; with one image a
        label, all are trained on and none is held out.

        Args:
            seed: Decides which.
            per_label: Train on so many a label and hold out all others; 0 for all but a fifth.
        """
        everything = np.arange(self.num_images)
        if per_label or MIN_FOR_HELD_OUT <= self.per_label < MIN_FOR_FOLDS:
            train = self.pick(everything, max(1, per_label), seed)
            return train, everything[~np.isin(self.groups, self.groups[train])]
        if self.per_label < MIN_FOR_HELD_OUT:
            return everything, everything[:0]
        folds = self._deal(seed // NUM_FOLDS)
        is_out = folds == seed % NUM_FOLDS
        return everything[~is_out], everything[is_out]

    def pick(self, rows: Rows, per_label: int, seed: int) -> Rows:
        """Some rows of each label, no two of one group; more of them always include fewer of them."""
        shuffled = np.random.default_rng([seed, 1]).permutation(rows)
        _, first = np.unique(self.groups[shuffled], return_index=True)
        distinct = shuffled[np.sort(first)]
        kept = [distinct[self.targets[distinct] == label][:per_label] for label in range(len(self.labels))]
        return np.sort(np.concatenate(kept))

    def _deal(self, turn: int) -> NDArray[np.int64]:
        """(N,) fold of each image: the groups of each label dealt out like cards, in another order each turn."""
        _, first, group_of = np.unique(self.groups, return_index=True, return_inverse=True)
        shuffled = np.random.default_rng([turn, 2]).permutation(len(first))
        by_label = shuffled[np.argsort(self.targets[first[shuffled]], kind="stable")]
        folds = np.empty(len(first), dtype=np.int64)
        folds[by_label] = np.arange(len(first)) % NUM_FOLDS
        return folds[group_of]


def _add_pictures(digest: hashlib._Hash, pictures: dict[str, Pixels]) -> None:
    for name in sorted(pictures):
        digest.update(np.ascontiguousarray(pictures[name]).tobytes())


def _read(pictures: dict[str, Pixels], reading: str) -> Pixels:
    if reading == RAW:
        return pictures[GREY]
    return 255 - pictures[GREY] if reading == INVERTED else pictures[reading]
