"""Real tiny trainings: what a model learns, when it stops, what it remembers, and what is refused."""

import json
import warnings
from dataclasses import asdict

import numpy as np
import pytest

from tenarai.errors import DatasetError, ImageError, ModelError, NormaliserMismatch, TrainingError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import load_champion
from tenarai.model import bundle
from tenarai.model.augment import GENTLE, STRONG, augment
from tenarai.model.batches import augmented_batches, one_hot
from tenarai.model.networks import build_mlp
from tenarai.model.recipes import RECIPES, TrainingSet, TransferFitter
from tenarai.model.train import choose_device, find_threshold, split_folds, train_model
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.records import ModelInfo
from tenarai.settings import TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import picture, real_digits

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def training_set():
    """(160, 28, 28) uint8 of real digits and their labels, balanced."""
    _, targets = real_digits()
    rows = np.concatenate([np.flatnonzero(targets == k)[:16] for k in range(10)])
    return np.stack([normalise(picture(int(n))) for n in rows]), targets[rows].astype(np.int64)


def names(count):
    return np.array([f"g{n:03}" for n in range(count)])


def learn(training_set, only_read=None, **settings):
    pixels, targets = training_set
    chosen = {"folds": 2, "max_epochs": 10, "patience": 3, **settings}
    return train_model(
        pixels,
        targets,
        names(len(pixels)),
        DIGITS,
        TrainingSettings(**chosen),
        normaliser=NORMALISER_VERSION,
        only_read=only_read,
        on_epoch=lambda line: None,
    )


@pytest.fixture(scope="module")
def trained(training_set):
    return learn(training_set, recipe="transfer")


# ---- batches and augmentation


def test_augmentation_is_the_same_for_the_same_seed_and_leaves_the_original_alone(training_set):
    pixels = training_set[0][:20]
    before = pixels.copy()
    first, second = (augment(pixels, np.random.default_rng(3), STRONG) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(pixels, before)
    assert not np.array_equal(first, pixels)
    assert first.dtype == np.uint8


def test_an_augmented_digit_is_still_itself(training_set):
    pixels = training_set[0]
    changed = augment(pixels, np.random.default_rng(0), GENTLE)
    flat, other = (a.reshape(len(a), -1).astype(float) for a in (pixels, changed))
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(flat, other, strict=True)]) > 0.6


def test_every_image_is_seen_once_an_epoch_in_another_order(training_set):
    pixels, targets = training_set
    pixels = pixels.copy()
    pixels[:, 0, 0] = np.arange(len(pixels))
    batches = augmented_batches(pixels, one_hot(targets, 10), how=None, batch=32, seed=0)
    epochs = []
    for _ in range(2):
        epochs.append([int(v) for step in range(len(batches)) for v in batches[step][0][:, 0, 0]])
        batches.on_epoch_end()
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(len(pixels)))
    assert epochs[0] != epochs[1]


def test_what_is_no_digit_is_taught_as_an_even_guess():
    rows = one_hot(np.array([2, -1]), 4, smoothing=0.1)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows[1], 0.25)
    assert rows[0, 2] == pytest.approx(0.925)


# ---- folds


def test_near_duplicates_never_lie_on_both_sides_of_a_fold():
    targets = np.repeat(np.arange(4), 12)
    groups = np.array([f"g{n // 3}" for n in range(48)])
    folds = split_folds(targets, groups, 3, seed=0)
    assert len(folds) == 3
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(48))


def test_with_two_images_a_label_there_is_nothing_to_split():
    assert split_folds(np.repeat(np.arange(10), 2), names(20), 5, seed=0) == []


# ---- training


@pytest.mark.parametrize("recipe", ["mlp", "cnn", "transfer"])
def test_every_recipe_can_learn_a_few_images_by_heart(training_set, recipe):
    pixels, targets = training_set[0][::8], training_set[1][::8]  # two a label: no split, a fixed number of epochs
    found = train_model(
        pixels,
        targets,
        names(len(pixels)),
        DIGITS,
        TrainingSettings(recipe=recipe, max_epochs=60),
        normaliser=NORMALISER_VERSION,
        only_read=training_set[0][1:4],
        on_epoch=lambda line: None,
    )
    assert (found.network.predict(pixels, verbose=0).argmax(axis=1) == targets).mean() >= 0.9
    assert np.isnan(found.out_of_fold).all()
    assert found.seeds.shape == (5, 3, 10)
    assert "too few to hold some out" in " ".join(found.notes)


def test_the_base_model_fine_tuned_reads_held_out_images(trained, training_set):
    assert trained.metrics["cross_validated_accuracy"] >= 0.95
    assert trained.metrics["cross_validated_images"] == len(training_set[0])
    assert trained.out_of_fold.shape == (160, 10)
    np.testing.assert_allclose(trained.out_of_fold.sum(axis=1), 1, atol=1e-3)


def test_early_stopping_finds_an_epoch_on_each_fold_and_the_refit_uses_their_median(trained):
    curves = trained.curves
    assert len(curves.folds) == len(curves.best_epochs) == 2
    assert curves.chosen_epoch == int(np.median(curves.best_epochs))
    assert len(curves.refit["loss"]) == curves.chosen_epoch == trained.epochs
    for fold, best in zip(curves.folds, curves.best_epochs, strict=True):
        assert len(fold["val_loss"]) <= min(best + 3, 10)
        assert min(fold["val_loss"]) == fold["val_loss"][best - 1]


@pytest.mark.parametrize("recipe", ["mlp", "transfer"])
def test_without_patience_held_out_images_are_measured_in_every_epoch_and_nothing_stops(training_set, recipe):
    rows = np.random.default_rng(0).permutation(len(training_set[0]))
    fitter = RECIPES[recipe].prepare(TrainingSet(*training_set, names(160), DIGITS, NORMALISER_VERSION), 0)
    fit = fitter.fit(rows[:40], rows[40:], epochs=12, patience=None, say=lambda epoch, logs: None)
    assert {len(fit.history[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")} == {12}
    right = (fit.probabilities.argmax(axis=1) == training_set[1][rows[40:]]).mean()
    assert right == pytest.approx(fit.history["val_accuracy"][-1], abs=1e-6)  # the last epoch's weights, not the best


def test_the_base_can_be_fine_tuned_on_the_images_as_they_are(training_set):
    fitter = TransferFitter(TrainingSet(*training_set, names(160), DIGITS, NORMALISER_VERSION), 0, how=None)
    rows = np.arange(160)
    fit = fitter.fit(rows, None, epochs=12, patience=0, say=lambda epoch, logs: None)
    assert fit.history["accuracy"][-1] == 1.0


def test_of_more_images_than_fit_into_memory_each_epoch_learns_another_part_and_all_are_read(training_set, monkeypatch):
    given = TrainingSet(*training_set, names(160), DIGITS, NORMALISER_VERSION)
    rows = np.arange(160)
    whole = TransferFitter(given, 0)
    monkeypatch.setattr(TransferFitter, "BUDGET", 40 * TransferFitter.COPIES * whole._copies[0].features[0].nbytes)
    fitter = TransferFitter(given, 0)
    assert {copy.features.shape for copy in fitter._copies} == {(40, whole._copies[0].features.shape[1])}
    assert len({row for copy in fitter._copies for row in copy.rows.tolist()}) > 140
    fit = fitter.fit(rows[::2], rows[1::2], epochs=4, patience=4, say=lambda epoch, logs: None)
    assert fit.probabilities.shape == (80, 10)
    assert (fit.probabilities.argmax(axis=1) == given.targets[1::2]).mean() > 0.9
    np.testing.assert_allclose(fitter.read(given.pixels[1::2]), fit.probabilities, atol=1e-5)


def test_a_network_fed_from_0_to_255_is_another_than_one_fed_from_0_to_1(training_set):
    raw, scaled = build_mlp(10, scale=1.0), build_mlp(10)
    scaled.set_weights(raw.get_weights())
    assert not np.allclose(
        raw.predict(training_set[0], verbose=0), scaled.predict(training_set[0], verbose=0), atol=0.1
    )


def test_a_fit_leaves_nothing_behind_for_the_next_one(training_set):
    pixels, targets = training_set[0][::4], training_set[1][::4]
    fitter = RECIPES["transfer"].prepare(
        TrainingSet(pixels, targets, names(len(pixels)), DIGITS, NORMALISER_VERSION), 0
    )
    everything = np.arange(len(pixels))
    histories = [
        fitter.fit(rows, None, epochs=3, patience=0, say=lambda *_: None).history
        for rows in (everything, everything[:20], everything)
    ]
    assert histories[0] == histories[2]
    assert histories[0] != histories[1]


def test_labels_without_a_pattern_are_not_learned(training_set):
    pixels, targets = training_set
    shuffled = np.random.default_rng(0).permutation(targets)
    assert learn((pixels, shuffled), recipe="mlp", max_epochs=6).metrics["cross_validated_accuracy"] < 0.3


def test_the_same_images_and_seed_make_the_same_model_whatever_is_only_read(training_set):
    first = learn(training_set, recipe="mlp", max_epochs=3)
    second = learn(training_set, recipe="mlp", max_epochs=3, only_read=training_set[0][:7])
    assert first.seeds.shape == (2, 0, 10)
    assert second.seeds.shape == (2, 7, 10)
    np.testing.assert_allclose(second.seeds.sum(axis=2), 1, atol=1e-4)
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_need_not_be_digits(training_set):
    pixels, targets = training_set
    kana = ("あ", "い", "う")
    keep = targets < 3
    found = train_model(
        pixels[keep],
        targets[keep],
        names(int(keep.sum())),
        kana,
        TrainingSettings(recipe="transfer", folds=2, max_epochs=15),
        normaliser=NORMALISER_VERSION,
        on_epoch=lambda line: None,
    )
    assert found.labels == kana
    assert found.metrics["cross_validated_accuracy"] >= 0.9


def test_auto_says_why_it_chose(training_set):
    assert learn(training_set, recipe="auto", max_epochs=4).notes[0].startswith("transfer, since")


def test_a_gpu_that_is_asked_for_and_not_there_is_one_clear_message():
    import keras

    if keras.distribution.list_devices("gpu"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(TrainingError, match="no GPU is visible"):
        choose_device("gpu")


@pytest.mark.parametrize("seen", [["gpu:0", "gpu:1"], ["cpu:0", "gpu:0", "gpu:1"]])  # as JAX and as TensorFlow tell it
def test_a_gpu_is_taken_where_one_is_seen_and_left_alone_when_asked_to(monkeypatch, seen):
    import keras

    def list_devices(kind=None):
        if kind:
            raise RuntimeError("Unknown backend: JAX raises when asked for a kind that is not there")
        return seen

    monkeypatch.setattr(keras.distribution, "list_devices", list_devices)
    for wish in ("auto", "gpu"):
        with choose_device(wish) as device:
            assert device.startswith("2 GPU")
    with choose_device("cpu") as device:
        assert device.startswith("CPU")


def test_sure_readings_are_wrong_at_most_as_often_as_promised():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 10, 4000)
    sure = rng.uniform(0.3, 1, 4000)
    read = np.where(rng.random(4000) < sure, targets, (targets + 1) % 10)
    table = np.full((4000, 10), 0.0, np.float32)
    table[np.arange(4000), read] = sure
    threshold, note = find_threshold(table, targets)
    kept = sure >= threshold
    assert (read != targets)[kept].mean() <= 0.0125
    assert "unsure" in note


# ---- models in a store


@pytest.fixture
def kept(tmp_path, trained):
    store = open_store(str(tmp_path / "store"))
    info = ModelInfo(
        "m-1", trained.labels, NORMALISER_VERSION, "s-1", "transfer", {}, {}, trained.epochs, (), {}, "", "", "CPU"
    )
    return store, bundle.save_model(store, info, trained)


def test_a_kept_model_reads_as_the_trained_one_did(kept, trained, training_set):
    store, info = kept
    loaded = bundle.load_model(store, "m-1", normaliser=NORMALISER_VERSION)
    assert loaded.info == info
    np.testing.assert_allclose(
        loaded.predict(training_set[0]), trained.network.predict(training_set[0], verbose=0), atol=1e-5
    )
    assert bundle.load_out_of_fold(store, "m-1").shape == (160, 10)
    assert bundle.load_curves(store, "m-1").chosen_epoch == trained.epochs


def test_a_kept_model_is_loaded_without_a_warning(kept):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bundle.load_model(kept[0], "m-1", normaliser=NORMALISER_VERSION)


def test_reading_with_another_normaliser_is_refused(kept):
    with pytest.raises(NormaliserMismatch, match="another normaliser"):
        bundle.load_model(kept[0], "m-1", normaliser=NORMALISER_VERSION + 1)


def test_an_altered_model_is_refused_before_it_is_opened(kept):
    store, _ = kept
    data = bytearray(store.read("models", "m-1", "model.keras"))
    data[len(data) // 2] ^= 1
    store.write(bytes(data), "models", "m-1", "model.keras")
    with pytest.raises(ModelError, match="damaged"):
        bundle.load_model(store, "m-1", normaliser=NORMALISER_VERSION)


def test_a_model_that_carries_code_is_refused_though_its_checksum_fits(kept):
    import hashlib

    import keras

    store, info = kept
    evil = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Lambda(lambda x: x[:, :10])])
    data = bundle._network_bytes(evil)
    store.write(data, "models", "m-1", "model.keras")
    store.write_json(
        {**asdict(info), "weights_sha256": hashlib.sha256(data).hexdigest()}, "models", "m-1", "model.json"
    )
    with pytest.raises(ModelError, match="damaged"):
        bundle.load_model(store, "m-1", normaliser=NORMALISER_VERSION)


@pytest.mark.parametrize("record", ["[]", "{}", '{"id": 1}', "null", '{"labels": 3}'])
def test_a_record_that_makes_no_sense_is_one_clear_message(kept, record):
    kept[0].write(record.encode(), "models", "m-1", "model.json")
    with pytest.raises(ModelError, match="damaged"):
        bundle.load_info(kept[0], "m-1")


def test_a_model_that_is_not_there_is_one_clear_message(kept):
    with pytest.raises(ModelError, match="no model"):
        bundle.load_info(kept[0], "m-2")


# ---- the base model


def test_where_an_earlier_base_was_put_back_todays_base_reads(tmp_path):
    store = open_store(str(tmp_path / "store"))
    promotions.promote(store, "base-00000000", why="rolled back before an update", by="me", snapshot="")
    assert load_champion(store).info.id == bundle.base_info().id
    assert bundle.load_info(store, "base-00000000").labels == DIGITS


def test_the_shipped_base_is_small_and_reads_digits_it_was_never_shown(training_set):
    assert (bundle._base() / "weights.npz").stat().st_size <= 3_000_000
    base = bundle.load_base(normaliser=NORMALISER_VERSION)
    assert (base.predict(training_set[0]).argmax(axis=1) == training_set[1]).mean() >= 0.95


def test_the_card_says_data_licence_recipe_and_scores():
    card = (bundle._base() / "card.md").read_text(encoding="utf-8")
    info = bundle.base_info()
    assert card == bundle.write_card(info)
    for word in ("MNIST", "epochs", "accuracy", "images", "free"):
        assert word in card
    assert info.normaliser == NORMALISER_VERSION


@pytest.fixture
def small_mnist(tmp_path, training_set):
    images, targets = real_digits()
    rows = np.random.default_rng(0).permutation(len(images))
    ink = np.stack([np.kron(np.clip(images[n] * 16, 0, 255).astype(np.uint8), np.ones((3, 3), np.uint8)) for n in rows])
    path = tmp_path / "mnist.npz"
    labels = targets[rows].astype(np.uint8)
    np.savez(path, x_train=ink[:300], y_train=labels[:300], x_test=ink[600:700], y_test=labels[600:700])
    return path


def test_a_small_base_is_built_from_data_by_the_command_and_its_card_tells_of_it(small_mnist, tmp_path, monkeypatch):
    from benchmarks.base import collection, pretrain

    monkeypatch.setattr("benchmarks.base.training.BATCH", 16)  # enough steps for batch normalisation to settle
    monkeypatch.setattr(collection, "STROKES_EACH", 10)
    monkeypatch.setattr(collection, "NO_DIGITS", 30)
    lines = []
    info = pretrain.pretrain_base(small_mnist, None, tmp_path / "base", epochs=8, seed=0, say=lines.append)
    assert info.metrics["MNIST test: images"] == 100
    assert info.metrics["MNIST test: accuracy"] > 0.5
    assert "300 training images" in (tmp_path / "base" / "card.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "base" / "model.json").read_text())["id"] == info.id


def test_going_on_from_the_shipped_base_forgets_nothing_and_its_card_tells_what_it_went_on_from(
    small_mnist, tmp_path, monkeypatch
):
    from benchmarks.base import collection, pretrain

    monkeypatch.setattr(collection, "STROKES_EACH", 10)
    monkeypatch.setattr(collection, "NO_DIGITS", 30)
    base = bundle.base_info().id
    info = pretrain.pretrain_base(
        small_mnist, None, tmp_path / "base", epochs=1, seed=0, share=0.5, go_on=True, say=lambda line: None
    )
    assert info.id != base
    assert info.metrics["MNIST test: accuracy"] > 0.9  # one epoch on 150 images: it knew that before
    card = (tmp_path / "base" / "card.md").read_text(encoding="utf-8")
    assert "150 training images" in card
    assert f"went on from {base}" in card


def test_a_digit_that_is_put_on_paper_by_program_is_still_read(training_set):
    from benchmarks.base.paper import photograph

    rng, base = np.random.default_rng(0), bundle.load_base(normaliser=NORMALISER_VERSION)
    digits = np.stack([normalise_or_blank(photograph(digit, rng)) for digit in training_set[0]])
    read = np.where(digits.any(axis=(1, 2)), base.predict(digits).argmax(axis=1), -1)  # refused is not read
    assert (read == training_set[1]).mean() >= 0.8


def normalise_or_blank(picture):
    try:
        return normalise(picture)
    except ImageError:
        return np.zeros((28, 28), np.uint8)


def test_the_same_seed_takes_the_same_photograph_and_another_seed_another(training_set):
    from benchmarks.base.paper import photograph

    first, again, other = (photograph(training_set[0][0], np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_file_that_is_no_data_set_is_one_clear_message(tmp_path, content):
    from benchmarks.base.collection import load_npz

    path = tmp_path / "mnist.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match="no data set"):
        load_npz(path)
