"""The maintainers' tools: how the base model is trained, and how it is measured on other people's digits."""

import json

import numpy as np
import pytest

from benchmarks.base import data, pretrain
from benchmarks.base.__main__ import main
from benchmarks.base.paper import photograph
from benchmarks.base.score import load_writers, score_folder
from tenarai.errors import DatasetError, ImageError
from tenarai.model import bundle
from tenarai.prepare import NORMALISER_VERSION, normalise
from tests.collections_of_digits import fill, real_digits


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "STROKES_EACH", 10)
    monkeypatch.setattr(data, "NO_DIGITS", 30)
    images, targets = real_digits()
    rows = np.random.default_rng(0).permutation(len(images))
    ink = np.stack([np.kron(np.clip(images[n] * 16, 0, 255).astype(np.uint8), np.ones((3, 3), np.uint8)) for n in rows])
    path = tmp_path / "mnist.npz"
    labels = targets[rows].astype(np.uint8)
    np.savez(path, x_train=ink[:300], y_train=labels[:300], x_test=ink[600:700], y_test=labels[600:700])
    return path


def test_a_small_base_is_trained_from_data_and_its_card_says_so(small_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "BATCH", 16)  # enough steps for batch normalisation to settle
    info = pretrain.pretrain_base(small_mnist, None, tmp_path / "base", epochs=8, seed=0)
    assert info.metrics["MNIST test: images"] == 100
    assert info.metrics["MNIST test: accuracy"] > 0.5
    assert "300 training images" in (tmp_path / "base" / "card.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "base" / "model.json").read_text())["id"] == info.id


def test_the_shipped_base_can_be_trained_further_and_the_card_names_it(small_mnist, tmp_path):
    base = bundle.base_info().id
    info = pretrain.pretrain_base(small_mnist, None, tmp_path / "base", epochs=1, seed=0, share=0.5, go_on=True)
    assert info.id != base
    assert info.metrics["MNIST test: accuracy"] > 0.9  # one epoch on 150 images: it knew that before
    card = (tmp_path / "base" / "card.md").read_text(encoding="utf-8")
    assert "150 training images" in card
    assert f"continued from {base}" in card


def test_a_simulated_photo_of_a_digit_is_still_read():
    rng, base = np.random.default_rng(0), bundle.load_base(normaliser=NORMALISER_VERSION)
    labels = np.repeat(np.arange(10), 10)
    digits = np.stack([normalise_or_blank(photograph(digit, rng)) for digit in bundle.check_digits()])
    read = np.where(digits.any(axis=(1, 2)), base.predict(digits).argmax(axis=1), -1)  # refused is not read
    assert (read == labels).mean() >= 0.8


def normalise_or_blank(picture):
    try:
        return normalise(picture)
    except ImageError:
        return np.zeros((28, 28), np.uint8)


def test_the_same_seed_makes_the_same_photo_and_another_seed_another():
    digit = bundle.check_digits()[0]
    first, again, other = (photograph(digit, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_file_that_is_no_data_set_is_one_clear_message(tmp_path, content):
    path = tmp_path / "mnist.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match="no data set"):
        data.load_npz(path)


def test_the_shipped_check_digits_are_ten_of_each_and_the_base_reads_them():
    base = bundle.load_base(normaliser=NORMALISER_VERSION)
    assert bundle.check_digits().shape == (100, 28, 28)
    assert (base.predict(bundle.check_digits()).argmax(axis=1) == np.repeat(np.arange(10), 10)).mean() > 0.9
    assert base.forward is not None  # it was compared with what Keras predicts for them


def test_sets_are_scored_and_what_is_misread_is_drawn(tmp_path, capsys):
    fill(tmp_path / "sets" / "ann", num_each=3, under=".")
    fill(tmp_path / "sets" / "bob", num_each=2, first=20, under=".")
    sheet = tmp_path / "wrong.png"
    main(["score", "--base-only", "--sheet", str(sheet), str(tmp_path / "sets")])
    printed = capsys.readouterr().out
    assert "| ann | 30 |" in printed
    assert "mean over 2 sets" in printed
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_scores_come_as_json(tmp_path, capsys):
    fill(tmp_path / "ann", num_each=2, labels="01", under=".")
    main(["score", "--base-only", "--json", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert (found["set"], found["images"], found["unreadable"], found["after"]) == ("ann", 4, 0, {})


def test_after_some_samples_only_images_that_were_not_drawn_count(tmp_path):
    fill(tmp_path / "ann", num_each=3, labels="0147", under=".")
    scores = score_folder(tmp_path, draws=1, say=lambda line: None)
    assert set(scores[0].after) == {1, 2}  # three a label: ten cannot be drawn and leave any
    assert all(0.5 <= share <= 1 for shares in scores[0].after.values() for share in shares)
    assert [writer.name for writer in load_writers(tmp_path)] == ["ann"]


def test_a_folder_without_sets_is_one_clear_message(tmp_path):
    with pytest.raises(SystemExit, match="no sets"):
        main(["score", str(tmp_path / "nothing")])
