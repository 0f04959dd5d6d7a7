"""Files that their owner should look at: probably wrong labels, what is no character of theirs, and copies.

Nothing is ever done to them. Labels are judged by readings of models that never saw the image: the less probable its
own label, the more suspicious it is (Northcutt, Jiang and Chuang, "Confident learning", 2021, call it self-confidence).
Copies are found by the 16 × 16 perceptual hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tenarai.records import Fingerprint, Image, Role, Suspect

# both thresholds are probabilities; `benchmarks/labels.py` tells what they find
SURE_OF_ANOTHER = 0.5  # from here on a reading speaks against the label
NO_LABEL = 0.4  # what looks like no label more than this is unlike everything that was trained on
MAX_LISTED = 50

Near = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.bool_]]


def rank_by_suspicion(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows in the order in which their labels should be looked at.

    Args:
        probabilities: (N, K) float32, each image read by a model that never saw it; NaN rows come last.
        targets: (N,) int64, the labels they were filed under.
    """
    own = probabilities[np.arange(len(targets)), targets]
    return np.argsort(np.where(np.isnan(own), np.inf, own), kind="stable")


def find_wrong_labels(
    images: Sequence[Image], probabilities: NDArray[np.float32], targets: NDArray[np.int64], labels: Sequence[str]
) -> tuple[Suspect, ...]:
    """Images that are probably filed under the wrong label, the most suspicious first.

    Args:
        images: N labelled images.
        probabilities: (N, K) float32, each read by a model that never saw it; NaN where there is none.
        targets: (N,) int64, index into `labels`.
        labels: K class names.
    """
    found = []
    for row in rank_by_suspicion(probabilities, targets):
        best = int(np.nan_to_num(probabilities[row]).argmax())
        if best != targets[row] and probabilities[row, best] >= SURE_OF_ANOTHER:
            image = images[row]
            found.append(
                Suspect(
                    path=image.path,
                    sha256=image.sha256,
                    label=image.label or "",
                    kind="label",
                    read_as=labels[best],
                    confidence=float(probabilities[row, best]),
                )
            )
    return tuple(found[:MAX_LISTED])


def find_outliers(images: Sequence[Image], probabilities: NDArray[np.float32]) -> tuple[Suspect, ...]:
    """Images that look like nothing that was trained on, such as a letter or a blot among digits, the oddest first.

    Args:
        images: N labelled images.
        probabilities: (N, K) float32, each read by a model that never saw it; NaN where there is none.
    """
    highest = np.where(np.isnan(probabilities).any(axis=1), np.inf, probabilities.max(axis=1))
    odd = [int(row) for row in np.argsort(highest, kind="stable") if highest[row] < NO_LABEL]
    shown = [(images[row], float(highest[row])) for row in odd[:MAX_LISTED]]
    return tuple(Suspect(i.path, i.sha256, i.label or "", "outlier", confidence=sure) for i, sure in shown)


def find_duplicates(images: Sequence[Image], digits: Mapping[str, Fingerprint], near: Near) -> tuple[Suspect, ...]:
    """Byte copies and near copies among labelled images, each named with the file it is a copy of.

    That file is the misread one where there is one, else the one that was there first.

    Args:
        images: Live catalogue rows; only `digits` and `misread` with a usable digit count.
        digits: Fingerprints by sha256.
        near: Says of (N, 32) and (M, 32) uint8 hashes which are near-duplicates: (N, M) bool.
    """
    usable = [image for image in images if image.role in {Role.DIGITS, Role.MISREAD} and image.sha256 in digits]
    usable.sort(key=lambda image: (image.role is not Role.MISREAD, image.first_run, image.path))
    first: dict[str, Image] = {}
    pairs = []
    for image in usable:
        original = first.setdefault(digits[image.sha256].group, image)
        if original is not image:
            pairs.append((image, original))
    pairs += _copies_of_regression(usable, {image.file_id for image, _ in pairs}, digits, near)
    found = [
        Suspect(
            path=image.path,
            sha256=image.sha256,
            label=image.label or "",
            kind="duplicate",
            other_path=original.path,
            other_sha256=original.sha256,
        )
        for image, original in sorted(pairs, key=lambda pair: pair[0].path)
    ]
    return tuple(found[:MAX_LISTED])


def _copies_of_regression(
    images: Sequence[Image], told: set[str], digits: Mapping[str, Fingerprint], near: Near
) -> list[tuple[Image, Image]]:
    """Copies of regression images that their group does not give away."""
    regression = [image for image in images if image.role is Role.MISREAD]
    others = [image for image in images if image.role is Role.DIGITS and image.file_id not in told]
    if not regression or not others:
        return []
    close = near(_hashes(others, digits), _hashes(regression, digits))
    return [(image, regression[int(row.argmax())]) for image, row in zip(others, close, strict=True) if row.any()]


def _hashes(images: Sequence[Image], digits: Mapping[str, Fingerprint]) -> NDArray[np.uint8]:
    hashes = b"".join(digits[image.sha256].phash for image in images)
    return np.frombuffer(hashes, dtype=np.uint8).reshape(len(images), 32)
