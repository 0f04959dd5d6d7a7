"""What a study is made on: the images of a source, read in several ways.

Source and images are read as a night reads them, into a temporary folder: a study leaves the store's catalogue alone,
or tonight's images would no longer be new to the night.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import open_catalogue
from tenarai.dataset import REGRESSION, freeze
from tenarai.errors import ImageError, SettingsError
from tenarai.prepare import (
    NORMALISER_VERSION,
    are_near,
    decode,
    has_dark_ink,
    perceptual_hash,
    prepare_images,
    run_stages,
    squeeze,
)
from tenarai.records import Fingerprint, Image, Role
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.study import DARK, GREY, NORMALISED, SQUEEZED, Material, Question
from tenarai.sync import open_source

Pixels = NDArray[np.uint8]
BLANK = np.zeros((28, 28), dtype=np.uint8)  # where a way of reading finds no character: misread, whatever it is


def gather_material(
    settings: Settings, say: Callable[[str], None], *, image: Path | None = None, label: str = ""
) -> Material:
    """Read a source, and the misread image if there is one.

    Images of the source's `misread/` and copies of the question are left out: they are never trained on.

    Args:
        settings: Where the source is, and limits on files.
        say: Receives a line now and then.
        image: A misread image. Default: none.
        label: What was written in it.

    Raises:
        SourceError, SettingsError: The source or the image cannot be read, or the label is missing.
        ImageError: The image is no usable picture of one character.
        DatasetError: Too few images to learn from.
    """
    data = _read_question(image, label) if image else b""
    with TemporaryDirectory(prefix="tenarai-study-") as folder:
        store = open_store(folder)
        with open_catalogue(f"sqlite:///{folder}/catalogue.sqlite") as catalogue:
            open_source(settings).sync(store, catalogue, "study")
            prepare_images(store, catalogue, settings.source, settings, on_progress=say)
            images = catalogue.images(settings.source)
            prints = catalogue.fingerprints(NORMALISER_VERSION)
            question = _make_question(data, image, label) if image else None
            if question:
                images, prints = _file_as_misread(images, prints, data, question)

            def load_pixels(sha256s: Iterable[str]) -> Iterator[bytes]:
                for sha256 in sha256s:
                    if question and sha256 == question.sha256:
                        yield question.read(NORMALISED).tobytes()
                    else:
                        yield from catalogue.pixels(NORMALISER_VERSION, [sha256])

            frozen = freeze(
                images, prints, load_pixels, normaliser=NORMALISER_VERSION, test_share=0.2, near=are_near
            ).snapshot
        rows = np.flatnonzero(frozen.splits != REGRESSION)
        pictures = _read_in_every_way([store.original(sha) for sha in frozen.sha256[rows].tolist()])
    pictures[NORMALISED] = frozen.pixels[rows]
    labels, targets = _labels_in_use(frozen.info.labels, frozen.targets[rows])
    say(f"{len(rows)} images of {len(labels)} labels; {len(images) - len(rows)} files are not used")
    return Material(labels, targets, frozen.groups[rows], pictures, NORMALISER_VERSION, question)


def _read_question(image: Path, label: str) -> bytes:
    if not label:
        raise SettingsError(
            f"what is written in {image} is not known", expected="its true label", fix="add --label, such as --label 4"
        )
    try:
        return image.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the image {image} cannot be read", received=error.strerror or str(error), fix="check the path"
        ) from error


def _make_question(data: bytes, image: Path, label: str) -> Question:
    picture = decode(data)
    pictures = {NORMALISED: run_stages(picture).digit, **_ways(picture)}
    return Question(image.name, hashlib.sha256(data).hexdigest(), label, pictures)


def _file_as_misread(
    images: list[Image], prints: dict[str, Fingerprint], data: bytes, question: Question
) -> tuple[list[Image], dict[str, Fingerprint]]:
    """As if the image lay in `misread/`: freezing then keeps it and its copies out of training, as in every night."""
    phash = perceptual_hash(run_stages(decode(data)).ink)
    others = [
        replace(row, role=Role.MISREAD, label=question.label) if row.sha256 == question.sha256 else row
        for row in images
    ]
    source = others[0].source if others else ""
    row = Image(source, "question", "question", Role.MISREAD, question.label, question.sha256, len(data))
    return [*others, row], {**prints, question.sha256: Fingerprint(question.sha256, phash, question.sha256)}


def _read_in_every_way(originals: list[bytes]) -> dict[str, Pixels]:
    found = [_ways(decode(data)) for data in originals]
    return {name: np.stack([ways[name] for ways in found]) for name in (SQUEEZED, DARK, GREY)}


def _ways(picture: Pixels) -> dict[str, Pixels]:
    """The picture read without normaliser, without judging polarity, and as Keras loads it; each (28, 28) uint8."""
    plain = squeeze(picture, smooth=True)
    try:
        dark = run_stages(picture, dark_ink=True).digit
    except ImageError:
        dark = BLANK
    return {SQUEEZED: 255 - plain if has_dark_ink(picture) else plain, DARK: dark, GREY: squeeze(picture)}


def _labels_in_use(labels: tuple[str, ...], targets: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Labels that have an image; the regression set may know others."""
    used, numbers = np.unique(targets, return_inverse=True)
    return tuple(labels[number] for number in used), numbers.astype(np.int64)
