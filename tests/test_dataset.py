"""What goes into a snapshot, what stays out, and on which side."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tenarai.dataset import freeze, load_manifest, load_snapshot, save_snapshot, sort_labels
from tenarai.errors import DatasetError, StoreError
from tenarai.records import Digit, Image, Role
from tenarai.store import open_store


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def make(name, label, role=Role.DIGITS, *, looks_like=None):
    """One catalogue row and its digit; `looks_like` gives it the perceptual hash of another."""
    rng = np.random.default_rng(int(sha(looks_like or name)[:8], 16))
    digit = Digit(sha(name), 1, rng.bytes(784), rng.bytes(32), group=sha(looks_like or name))
    return Image("folder:x", name, f"{role}/{label}/{name}", role, label, sha(name), 1), digit


def collection(num_each=12, labels="0123456789"):
    return [make(f"{label}-{n}.png", label) for label in labels for n in range(num_each)]


def pixels_of(digits):
    return lambda names: (digits[name].pixels for name in names)


def frozen(pairs, test_share=0.2):
    digits = {digit.sha256: digit for _, digit in pairs}
    return freeze([image for image, _ in pairs], digits, pixels_of(digits), normaliser=1, test_share=test_share)


def sides(result):
    return dict(zip(result.snapshot.sha256.tolist(), result.snapshot.splits.tolist(), strict=True))


def test_an_image_never_changes_sides_when_others_arrive():
    before = sides(frozen(collection(12)))
    after = sides(frozen(collection(40)))
    assert {after[name] for name in before} == {"train", "test"}
    assert all(after[name] == side for name, side in before.items())


def test_near_duplicates_stay_on_one_side():
    twins = [make(f"twin-{n}", "3", looks_like="3-0.png") for n in range(20)]
    found = sides(frozen(collection() + twins))
    assert len({found[sha(f"twin-{n}")] for n in range(20)} | {found[sha("3-0.png")]}) == 1


def test_regression_images_and_their_near_duplicates_are_never_trained_on():
    misread = make("bad four.png", "4", Role.MISREAD)
    copy = make("bad four again.jpg", "4", looks_like="bad four.png")
    other_group = (copy[0], replace(copy[1], group=sha("another group")))
    for leak in (copy, other_group):
        result = frozen([*collection(), misread, leak])
        found = sides(result)
        assert found[sha("bad four.png")] == "regression"
        assert sha("bad four again.jpg") not in found
        assert result.withheld == ("digits/4/bad four again.jpg",)
        assert result.snapshot.info.num_withheld == 1


def test_the_same_bytes_in_digits_and_misread_count_as_misread():
    misread = make("7-0.png", "7", Role.MISREAD)
    result = frozen([*collection(), misread])
    assert sides(result)[sha("7-0.png")] == "regression"


def test_one_picture_under_two_labels_is_left_out_and_named():
    wrong = Image("folder:x", "copy", "digits/9/copy", Role.DIGITS, "9", sha("4-0.png"), 1)
    pairs = collection()
    digits = {digit.sha256: digit for _, digit in pairs}
    result = freeze([i for i, _ in pairs] + [wrong], digits, pixels_of(digits), normaliser=1, test_share=0.2)
    assert sha("4-0.png") not in sides(result)
    assert [c.path for c in result.conflicts] == ["digits/4/4-0.png", "digits/9/copy"]
    assert "4, 9" in result.conflicts[0].reason


def test_every_label_is_trained_on_even_with_one_image_each():
    result = frozen(collection(1))
    trained = result.snapshot.targets[result.snapshot.rows("train")]
    assert sorted(trained.tolist()) == list(range(10))


def test_the_same_images_give_the_same_id_and_any_difference_another():
    one, two = frozen(collection()), frozen(list(reversed(collection())))
    assert one.snapshot.info.id == two.snapshot.info.id
    relabelled = [make("0-0.png", "1") if image.name == "0-0.png" else (image, digit) for image, digit in collection()]
    assert frozen(relabelled).snapshot.info.id != one.snapshot.info.id
    assert frozen(collection(), test_share=0.3).snapshot.info.id != one.snapshot.info.id


def test_moving_a_file_within_its_label_changes_nothing():
    pairs = collection()
    moved = [(replace(pairs[0][0], path="digits/0/holiday/new name.png"), pairs[0][1]), *pairs[1:]]
    assert frozen(moved).snapshot.info.id == frozen(pairs).snapshot.info.id


def test_a_snapshot_reads_back_as_it_was_written(tmp_path):
    store, snapshot = open_store(str(tmp_path)), frozen(collection()).snapshot
    save_snapshot(store, snapshot)
    back = load_snapshot(store, snapshot.info.id)
    assert back.info == snapshot.info
    for name in ("pixels", "targets", "splits", "groups", "sha256"):
        np.testing.assert_array_equal(getattr(back, name), getattr(snapshot, name))


def test_a_manifest_is_the_snapshot_without_its_pixels(tmp_path):
    store, snapshot = open_store(str(tmp_path)), frozen(collection()).snapshot
    save_snapshot(store, snapshot)
    manifest = load_manifest(store, snapshot.info.id)
    assert manifest.info == snapshot.info
    assert not hasattr(manifest, "pixels")
    for name in ("targets", "splits", "groups", "sha256"):
        np.testing.assert_array_equal(getattr(manifest, name), getattr(snapshot, name))


@pytest.mark.parametrize("load", [load_snapshot, load_manifest])
def test_an_altered_snapshot_is_refused(tmp_path, load):
    store, snapshot = open_store(str(tmp_path)), frozen(collection()).snapshot
    save_snapshot(store, snapshot)
    path = store.path("snapshots", f"{snapshot.info.id}.npz")
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="damaged"):
        load(store, snapshot.info.id)


@pytest.mark.parametrize("load", [load_snapshot, load_manifest])
def test_a_snapshot_whose_pixels_were_swapped_for_others_is_refused(tmp_path, load):
    store, snapshot = open_store(str(tmp_path)), frozen(collection()).snapshot
    save_snapshot(store, replace(snapshot, pixels=snapshot.pixels[::-1]))
    with pytest.raises(StoreError, match=r"damaged.*content"):
        load(store, snapshot.info.id)


def test_one_label_only_is_refused_with_what_to_do():
    with pytest.raises(DatasetError, match=r"only one label has usable images.*4: 12.*another character"):
        frozen(collection(12, "4"))


def test_two_images_in_all_are_refused_with_their_number():
    with pytest.raises(DatasetError, match=r"too few images.*at least 5.*2 \(0: 1, 1: 1\)"):
        frozen(collection(1, "01"))


def test_labels_are_sorted_as_people_expect():
    assert sort_labels({"10", "9", "あ", "b"}) == ("9", "10", "b", "あ")
