"""Files to look at: wrong labels, copies; told, never touched."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tasks.freeze import freeze
from tasks.prepare import prepare
from tasks.sync import sync
from tenarai.dataset import load_snapshot
from tenarai.evaluate.suspects import find_duplicates, find_outliers, find_wrong_labels, rank_by_suspicion
from tenarai.night import open_night
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import Fingerprint, Image, Role
from tenarai.settings import Settings
from tests.collections_of_digits import fill, picture, save

LABELS = ("4", "9")


def image(name, role=Role.DIGITS, label="4", sha=None, run="r1"):
    path = f"{role}/{label}/{name}"
    return Image("s", path, path, role, label, sha or name * 8, 1, first_run=run)


def prints(*images, groups=None, hashes=None):
    rng = np.random.default_rng(0)
    return {
        one.sha256: Fingerprint(
            one.sha256, (hashes or {}).get(one.sha256) or rng.bytes(32), (groups or {}).get(one.sha256, one.sha256)
        )
        for one in images
    }


def test_the_less_probable_its_own_label_the_more_suspicious_an_image():
    table = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [np.nan, np.nan]], np.float32)
    assert rank_by_suspicion(table, np.array([0, 0, 0, 0])).tolist() == [2, 1, 0, 3]


def test_only_what_is_read_as_another_label_with_some_certainty_is_told():
    files = [image(name) for name in "abcd"]
    table = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [np.nan, np.nan]], np.float32)
    found = find_wrong_labels(files, table, np.array([0, 0, 0, 0]), LABELS)
    assert [(s.path, s.kind, s.label, s.read_as) for s in found] == [
        ("digits/4/b", "label", "4", "9"),
        ("digits/4/c", "label", "4", "9"),
    ]
    assert abs(found[0].confidence - 0.8) < 1e-6


def test_what_looks_like_none_of_the_labels_is_told_the_oddest_first_and_never_as_a_wrong_label_too():
    files = [image(name) for name in "abcd"]
    table = np.array([[0.9, 0.05, 0.05], [0.35, 0.3, 0.35], [0.34, 0.33, 0.33], [np.nan] * 3], np.float32)
    found = find_outliers(files, table)
    assert [(s.path, s.kind, s.label, s.read_as) for s in found] == [
        ("digits/4/c", "outlier", "4", ""),
        ("digits/4/b", "outlier", "4", ""),
    ]
    assert find_wrong_labels(files, table, np.array([1, 1, 1, 1]), ("4", "9", "7")) == find_wrong_labels(
        files[:1], table[:1], np.array([1]), ("4", "9", "7")
    )


def test_a_byte_copy_and_a_near_copy_are_told_with_the_file_that_was_there_first():
    first, copy, near, other = (
        image("z", sha="1" * 64),
        image("a", sha="1" * 64, run="r2"),
        image("b", label="9", sha="2" * 64, run="r2"),
        image("c", sha="3" * 64),
    )
    found = find_duplicates([copy, near, first, other], prints(first, near, other, groups={"2" * 64: "1" * 64}))
    assert [(s.path, s.other_path, s.kind, s.label) for s in found] == [
        ("digits/4/a", "digits/4/z", "duplicate", "4"),
        ("digits/9/b", "digits/4/z", "duplicate", "9"),
    ]


def test_a_copy_of_a_regression_image_is_told_as_such_whatever_its_group_and_whichever_came_first():
    misread = image("m", Role.MISREAD, sha="4" * 64, run="r3")
    copy = image("c", sha="5" * 64)
    grouped = prints(misread, copy, groups={"4" * 64: "5" * 64})
    alike = prints(misread, copy, hashes={"4" * 64: bytes(32), "5" * 64: bytes(31) + b"\x07"})
    for digits in (grouped, alike):
        (found,) = find_duplicates([copy, misread], digits)
        assert (found.path, found.other_path) == ("digits/4/c", "misread/4/m")


def test_what_lies_in_the_inbox_or_cannot_be_used_is_no_suspect():
    kept = image("a", sha="1" * 64)
    inbox = replace(kept, path="inbox/a", file_id="inbox/a", role=Role.INBOX, label=None)
    broken = image("b", sha="2" * 64)
    assert find_duplicates([kept, inbox, broken], prints(kept)) == ()


@pytest.mark.parametrize("number", [0, 7, 23, 111])
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_a_planted_copy_of_a_regression_image_never_reaches_training(tmp_path, number, factor):
    folder = fill(tmp_path / "folder", num_each=3, first=60)
    image = picture(number, side=96)
    save(folder / "misread" / "4" / "bad.png", image)
    copy = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert done
    (folder / "digits" / "4" / "planted.jpg").write_bytes(data.tobytes())
    night = open_night(Settings(source=f"folder:{folder}", store=str(tmp_path / "store")))
    sync.fn(night)
    prepare.fn(night)
    frozen = freeze.fn(night)
    assert frozen.withheld == ("digits/4/planted.jpg",)
    snapshot = load_snapshot(night.store, frozen.info.id)
    assert len(snapshot.rows("train")) + len(snapshot.rows("test")) == 30
    with night.catalogue() as catalogue:
        images, prints = catalogue.images(night.settings.source), catalogue.fingerprints(NORMALISER_VERSION)
    told = {suspect.path: suspect.other_path for suspect in find_duplicates(images, prints)}
    assert told["digits/4/planted.jpg"] == "misread/4/bad.png"
