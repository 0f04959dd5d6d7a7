"""Files that their owner should look at: wrong labels, images unlike anything of their label, and copies.

Tenarai never moves or changes them. Labels are judged by models that were not trained on the image: the less probable
its own label, the more suspicious it is (self-confidence in Northcutt, Jiang and Chuang, "Confident learning", 2021).
Copies are found by the 16 × 16 perceptual hash.

A suspect stays open until a person acts on the file or answers, on quiet nights too. An answer is an event in the
catalogue, keyed by sha256 and label: a file that gets another label, or other bytes, is asked about again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.dataset import REGRESSION, Snapshot
from tenarai.prepare import find_near
from tenarai.records import EventKind, Fingerprint, Image, Role, Suspect

LABELLED = (Role.DIGITS, Role.MISREAD)
SURE_OF_ANOTHER = 0.5  # both are probabilities; `benchmarks/labels.py` measures what they find
NO_LABEL = 0.4
MAX_LISTED = 50


def find_suspects(
    snapshot: Snapshot,
    probabilities: NDArray[np.float32],
    images: Sequence[Image],
    digits: Mapping[str, Fingerprint],
) -> tuple[Suspect, ...]:
    """All files to look at: wrong labels first, then outliers, then copies.

    Args:
        snapshot: N images.
        probabilities: (N, K) float32, each image read by a model that was not trained on it; NaN where there is none.
        images: Catalogue rows of the labelled files.
        digits: Fingerprints by sha256.
    """
    filed = {image.sha256: image for image in images if image.role is Role.DIGITS}
    shas = snapshot.sha256.tolist()
    rows = np.array([row for row, sha in enumerate(shas) if sha in filed], dtype=np.intp)
    rows = rows[snapshot.splits[rows] != REGRESSION]
    judged = [filed[shas[row]] for row in rows]
    wrong = find_wrong_labels(judged, probabilities[rows], snapshot.targets[rows], snapshot.info.labels)
    return (*wrong, *find_outliers(judged, probabilities[rows]), *find_duplicates(images, digits))


def open_suspects(catalogue: Catalogue, source: str, found: Iterable[Suspect] = ()) -> tuple[Suspect, ...]:
    """Labels to check: tonight's suspects, then those of earlier nights, without what a person acted on.

    Args:
        catalogue: Holds the images, the answers, and what earlier nights found.
        source: Address of the source.
        found: What tonight's evaluation found. Default: nothing, as on a quiet night.
    """
    nights = catalogue.nights(source)
    earlier = [Suspect(**item) for item in nights[-1].get("suspects", ())] if nights else []  # type: ignore[attr-defined]
    suspects = {(item.path, item.sha256, item.label): item for item in (*earlier, *found)}  # tonight's evidence wins
    order = dict.fromkeys((item.path, item.sha256, item.label) for item in (*found, *earlier))
    sha256s = {sha256 for item in suspects.values() for sha256 in (item.sha256, item.other_sha256) if sha256}
    images = catalogue.images(source, roles=LABELLED, sha256s=sha256s)
    files = {(image.path, image.sha256, image.label) for image in images}
    answers = catalogue.answers(source)

    def is_open(item: Suspect) -> bool:
        others = [path for path, sha256, _ in files if sha256 == item.other_sha256 and path != item.path]
        is_confirmed = answers.get((item.sha256, item.label)) is EventKind.CONFIRMED
        return not is_confirmed and (not item.other_sha256 or bool(others))

    return tuple(suspects[key] for key in order if key in files and is_open(suspects[key]))


def rank_by_suspicion(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.intp]:
    """Sort rows by how suspicious their labels are, the most suspicious first.

    Args:
        probabilities: (N, K) float32, each image read by a model that was not trained on it; NaN rows come last.
        targets: (N,) int64, the labels they were filed under.
    """
    own = probabilities[np.arange(len(targets)), targets]
    return np.argsort(np.where(np.isnan(own), np.inf, own), kind="stable")


def find_wrong_labels(
    images: Sequence[Image], probabilities: NDArray[np.float32], targets: NDArray[np.int64], labels: Sequence[str]
) -> tuple[Suspect, ...]:
    """Find images that are probably filed under the wrong label, the most suspicious first.

    Args:
        images: N labelled images.
        probabilities: (N, K) float32, each read by a model that was not trained on it; NaN where there is none.
        targets: (N,) int64, index into `labels`.
        labels: K class names.
    """
    found = []
    for row in rank_by_suspicion(probabilities, targets):
        best = int(np.nan_to_num(probabilities[row]).argmax())
        if best != targets[row] and probabilities[row, best] >= SURE_OF_ANOTHER:
            image = images[row]
            read_as, confidence = labels[best], float(probabilities[row, best])
            found.append(Suspect(image.path, image.sha256, image.label or "", "label", read_as, confidence))
    return tuple(found[:MAX_LISTED])


def find_outliers(images: Sequence[Image], probabilities: NDArray[np.float32]) -> tuple[Suspect, ...]:
    """Find images unlike anything of their label, such as a letter or a blot among digits, the oddest first.

    Args:
        images: N labelled images.
        probabilities: (N, K) float32, each read by a model that was not trained on it; NaN where there is none.
    """
    highest = np.where(np.isnan(probabilities).any(axis=1), np.inf, probabilities.max(axis=1))
    odd = [int(row) for row in np.argsort(highest, kind="stable") if highest[row] < NO_LABEL]
    shown = [(images[row], float(highest[row])) for row in odd[:MAX_LISTED]]
    return tuple(Suspect(i.path, i.sha256, i.label or "", "outlier", confidence=sure) for i, sure in shown)


def find_duplicates(images: Sequence[Image], digits: Mapping[str, Fingerprint]) -> tuple[Suspect, ...]:
    """Find copies and near copies among labelled images.

    The original is the file in `misread/` where there is one, else the one that was there first.

    Args:
        images: Live catalogue rows; only `digits` and `misread` with a usable digit count.
        digits: Fingerprints by sha256.
    """
    usable = [image for image in images if image.role in LABELLED and image.sha256 in digits]
    usable.sort(key=lambda image: (image.role is not Role.MISREAD, image.first_run, image.path))
    first: dict[str, Image] = {}
    pairs: dict[str, tuple[Image, Image]] = {}  # one for each file, however many characters it shows
    for image in usable:
        original = first.setdefault(digits[image.sha256].group, image)
        if _file_id(original) != _file_id(image):
            pairs.setdefault(_file_id(image), (image, original))
    for image, original in _copies_of_regression(usable, pairs.keys(), digits):
        pairs.setdefault(_file_id(image), (image, original))
    found = [
        Suspect(i.path, i.sha256, i.label or "", "duplicate", other_path=other.path, other_sha256=other.sha256)
        for i, other in sorted(pairs.values(), key=lambda pair: pair[0].path)
    ]
    return tuple(found[:MAX_LISTED])


def _copies_of_regression(
    images: Sequence[Image], known: Collection[str], digits: Mapping[str, Fingerprint]
) -> list[tuple[Image, Image]]:
    """Copies of regression images that are not in their near-duplicate group."""
    regression = [image for image in images if image.role is Role.MISREAD]
    others = [image for image in images if image.role is Role.DIGITS and _file_id(image) not in known]
    rows, nearest, _distances = find_near(_hashes(others, digits), _hashes(regression, digits))
    first = np.unique(rows, return_index=True)[1]
    return [(others[rows[at]], regression[nearest[at]]) for at in first]


def _file_id(image: Image) -> str:
    return image.photo_id or image.file_id


def _hashes(images: Sequence[Image], digits: Mapping[str, Fingerprint]) -> NDArray[np.uint8]:
    hashes = b"".join(digits[image.sha256].phash for image in images)
    return np.frombuffer(hashes, dtype=np.uint8).reshape(len(images), 32)
