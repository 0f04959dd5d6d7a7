"""The images of a study, each read in several ways, and which of them a seed trains on.

Files are synced and prepared by the same code as in a night, but into a temporary store: a study must not touch the
catalogue, or tonight's images would no longer be new to the night.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue, open_catalogue
from tenarai.cut import cut_files
from tenarai.dataset import REGRESSION, TrainingSet, freeze
from tenarai.errors import ImageError, SettingsError
from tenarai.evaluate.inbox import soften
from tenarai.locale import _, plural
from tenarai.prepare import NORMALISER_VERSION, decode, has_dark_ink, prepare_images, run_stages, squeeze
from tenarai.records import Image, Role
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.sync import open_source

Pixels = NDArray[np.uint8]
Rows = NDArray[np.intp]

NORMALISED = "normalised"  # as Tenarai reads
SQUEEZED = "squeezed"  # the whole image resized to 28 × 28, ink made light
DARK = "dark ink"  # normalised on the assumption that all ink is dark
RAW = "raw"  # the whole image resized to 28 × 28, 0 to 255
GREY = "grey"  # the same, divided by 255
INVERTED = "1 - x"  # the same, divided by 255 and inverted: how the article reads

NUM_FOLDS = 5
MIN_FOR_FOLDS = 3  # images per label; with fewer, one per label is trained on
MIN_FOR_HELD_OUT = 2  # with fewer, nothing can be held out


@dataclass(frozen=True, eq=False)
class MisreadImage:
    """The image whose misreading is studied.

    Attributes:
        name: Its file name. Escape it wherever it is shown.
        sha256: Digest of its bytes.
        label: The true label.
        readings: (28, 28) uint8 by way of reading.
    """

    name: str
    sha256: str
    label: str
    readings: dict[str, Pixels]

    @cached_property
    def fingerprint(self) -> str:
        """Identifies bytes, label and readings."""
        return _fingerprint([self.sha256, self.label], self.readings)


@dataclass(frozen=True, eq=False)
class StudyData:
    """The images of a study, without the regression set and without copies of the misread image.

    Attributes:
        labels: Class names.
        targets: (N,) int64, index into `labels`.
        groups: (N,) str, near-duplicate groups. A group is never split between training and held-out images.
        readings: (N, 28, 28) uint8 by way of reading.
        normaliser: Version of the normaliser.
        misread: The misread image, or None.
    """

    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    groups: NDArray[np.str_]
    readings: dict[str, Pixels]
    normaliser: int
    misread: MisreadImage | None = None

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.targets)

    @property
    def per_label(self) -> float:
        """Mean number of images per label."""
        return len(self.targets) / len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies images, labels and groups, without the misread image."""
        return _fingerprint([*self.labels, *self.groups.tolist(), *self.targets.tolist()], self.readings)

    @cached_property
    def similar(self) -> Rows:
        """(N,) rows by how much they look like the misread image, the most similar first; none without one."""
        if self.misread is None:
            return np.empty(0, dtype=np.intp)
        looks = soften(np.concatenate([self.readings[NORMALISED], self.misread.readings[NORMALISED][None]]))
        return np.argsort(-(looks[:-1] @ looks[-1]), kind="stable")

    def training_set(self, reading: str, rows: Rows | slice = slice(None)) -> TrainingSet:
        """Rows read in one way, to train on; all of them by default."""
        pixels, targets, groups = self.readings[reading][rows], self.targets[rows], self.groups[rows]
        return TrainingSet(pixels, targets, groups, self.labels, self.normaliser)

    def draw(self, seed: int, per_label: int) -> tuple[Rows, Rows]:
        """Rows to train on, and rows held out.

        Five seeds hold out every image once. With too few images for that, one per label is trained on. With one image
        per label, all are trained on and none is held out.

        Args:
            seed: Decides the draw.
            per_label: Train on this many images per label and hold out all others; 0 holds out a fifth.
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
        """A number of rows per label, no two of one group. A larger pick contains every smaller one."""
        shuffled = np.random.default_rng([seed, 1]).permutation(rows)
        first = np.unique(self.groups[shuffled], return_index=True)[1]
        distinct = shuffled[np.sort(first)]
        kept = [distinct[self.targets[distinct] == label][:per_label] for label in range(len(self.labels))]
        return np.sort(np.concatenate(kept))

    def _deal(self, turn: int) -> NDArray[np.int64]:
        """(N,) fold of each image: the groups of each label are dealt out like cards, in a new order each turn."""
        _names, first, group_of = np.unique(self.groups, return_index=True, return_inverse=True)
        shuffled = np.random.default_rng([turn, 2]).permutation(len(first))
        by_label = shuffled[np.argsort(self.targets[first[shuffled]], kind="stable")]
        folds = np.empty(len(first), dtype=np.int64)
        folds[by_label] = np.arange(len(first)) % NUM_FOLDS
        return folds[group_of]


def load_data(
    settings: Settings, say: Callable[[str], None], *, image: Path | None = None, label: str = ""
) -> StudyData:
    """Read a source, and the misread image if there is one.

    The source's `misread/` and copies of the misread image are left out: they are never trained on.

    Args:
        settings: The source, and limits on files.
        say: Receives progress messages.
        image: A misread image. Default: none.
        label: Its true label.

    Raises:
        SourceError, SettingsError: The source or the image cannot be read, or the label is missing.
        ImageError: The image is not a usable picture of one character.
        DatasetError: There are too few images to learn from.
    """
    misread, data = (None, b"") if image is None else _load_misread(image, label)
    with TemporaryDirectory(prefix="tenarai-study-") as folder:
        store = open_store(folder)
        with open_catalogue(f"sqlite:///{folder}/catalogue.sqlite") as catalogue:
            open_source(settings).sync(store, catalogue, "study")
            if misread:
                store.put_original(data)
                _file_as_misread(catalogue, settings.source, misread, len(data))
            prepare_images(store, catalogue, settings.source, settings, on_progress=say)
            cut_files(store, catalogue, settings, "study", say)
            images = catalogue.images(settings.source)
            snapshot = freeze(
                images,
                catalogue.fingerprints(NORMALISER_VERSION),
                lambda sha256s: catalogue.pixels(NORMALISER_VERSION, sha256s),
                normaliser=NORMALISER_VERSION,
                test_share=0.2,
            ).snapshot
        rows = np.flatnonzero(snapshot.splits != REGRESSION)
        others = [_read_plainly(decode(store.original(sha256))) for sha256 in snapshot.sha256[rows].tolist()]
    readings = {way: np.stack([found[way] for found in others]) for way in others[0]}
    used, targets = np.unique(snapshot.targets[rows], return_inverse=True)
    labels = tuple(snapshot.info.labels[number] for number in used)
    counts = {"labels": len(labels), "unused": len(images) - len(rows)}
    used_images = plural("{n} image", "{n} images", len(rows))
    say(_("{images} of {labels} labels; {unused} files are not used", images=used_images, **counts))
    return StudyData(
        labels,
        targets.astype(np.int64),
        snapshot.groups[rows],
        {NORMALISED: snapshot.pixels[rows], **readings},
        NORMALISER_VERSION,
        misread,
    )


def _load_misread(image: Path, label: str) -> tuple[MisreadImage, bytes]:
    if not label:
        raise SettingsError(
            _("the true label of {path} is not known", path=str(image)), fix=_("add --label, such as --label 4")
        )
    try:
        data = image.read_bytes()
    except OSError as error:
        raise SettingsError(
            _("the image {path} cannot be read", path=str(image)),
            received=error.strerror or str(error),
            fix=_("check the path"),
        ) from error
    picture = decode(data)
    readings = {NORMALISED: run_stages(picture).digit, **_read_plainly(picture)}
    return MisreadImage(image.name, hashlib.sha256(data).hexdigest(), label, readings), data


def _file_as_misread(catalogue: Catalogue, source: str, misread: MisreadImage, size: int) -> None:
    """Treat the image, and files with the same bytes, as if they lay in `misread/`: no copy is trained on."""
    rows = [replace(row, role=Role.MISREAD, label=misread.label) for row in catalogue.images(source)]
    copies = [row for row in rows if row.sha256 == misread.sha256]
    own = Image(source, "study", misread.name, Role.MISREAD, misread.label, misread.sha256, size)
    catalogue.apply_sync(source, [*copies, own], [])


def _read_plainly(picture: Pixels) -> dict[str, Pixels]:
    """(28, 28) uint8 for each way of reading that does without all or part of the normaliser."""
    plain, grey = squeeze(picture, smooth=True), squeeze(picture)
    try:
        dark = run_stages(picture, dark_ink=True).digit
    except ImageError:
        dark = np.zeros((28, 28), dtype=np.uint8)  # no character is found: misread, whatever it is
    light_ink = 255 - plain if has_dark_ink(picture) else plain
    return {SQUEEZED: light_ink, DARK: dark, RAW: grey, GREY: grey, INVERTED: 255 - grey}


def _fingerprint(words: list[object], readings: Mapping[str, Pixels]) -> str:
    digest = hashlib.sha256("\0".join(map(str, words)).encode())
    for way in sorted(readings):
        digest.update(np.ascontiguousarray(readings[way]).tobytes())
    return digest.hexdigest()[:16]
