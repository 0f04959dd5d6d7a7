"""Real tiny trainings: what a model learns, when it stops, what it remembers, and what is refused."""

import random
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenarai.dataset import TrainingSet
from tenarai.errors import ModelError, NormaliserMismatch, TrainingError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import load_champion
from tenarai.locale import translate
from tenarai.model import bundle
from tenarai.model.augment import GENTLE, STRONG, augment, augmented_batches, one_hot
from tenarai.model.forward import Forward
from tenarai.model.networks import build_cnn, build_mlp
from tenarai.model.recipes import RECIPES, TransferFitter, find_ceiling
from tenarai.model.train import choose_device, split_folds, train_model
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.settings import TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import picture, real_digits, save

PROJECT = Path(__file__).resolve().parents[1]

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def training_set():
    """(160, 28, 28) uint8 of real digits and their labels, balanced."""
    _, targets = real_digits()
    rows = np.concatenate([np.flatnonzero(targets == k)[:16] for k in range(10)])
    return np.stack([normalise(picture(int(n))) for n in rows]), targets[rows].astype(np.int64)


def make_set(pixels, targets, labels=DIGITS):
    groups = np.array([f"g{n:03}" for n in range(len(targets))])
    return TrainingSet(pixels, targets, groups, labels, NORMALISER_VERSION)


def learn(training_set, **settings):
    chosen = {"folds": 2, "max_epochs": 10, "patience": 3, **settings}
    return train_model(make_set(*training_set), TrainingSettings(**chosen))


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
    batches = augmented_batches(pixels, one_hot(targets, 10), augmentation=None, batch=32, seed=0)
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


def test_a_label_whose_images_are_of_one_photo_is_in_every_fold():
    targets = np.repeat(np.arange(4), 10)
    groups = np.array([f"photo {target}" for target in targets])
    groups[targets == 3] = [f"own {n // 2}" for n in range(10)]
    folds = split_folds(targets, groups, 5, seed=0)
    assert len(folds) == 5
    for train, held_out in folds:
        assert set(targets[train]) == {0, 1, 2, 3}
        assert not set(groups[train][targets[train] == 3]) & set(groups[held_out][targets[held_out] == 3])


def test_with_two_images_a_label_there_is_nothing_to_split():
    assert split_folds(np.repeat(np.arange(10), 2), np.arange(20).astype(str), 5, seed=0) == []


# ---- training


@pytest.mark.parametrize("recipe", ["mlp", "cnn", "transfer"])
def test_every_recipe_can_memorise_a_few_images(training_set, recipe):
    pixels, targets = training_set[0][::8], training_set[1][::8]  # two a label: no split, a fixed number of epochs
    found = train_model(make_set(pixels, targets), TrainingSettings(recipe=recipe, max_epochs=60))
    assert (found.network.predict(pixels, verbose=0).argmax(axis=1) == targets).mean() >= 0.9
    assert np.isnan(found.out_of_fold).all()
    assert "too few to hold some out" in " ".join(found.info.notes)


def test_the_base_model_fine_tuned_reads_held_out_images(trained, training_set):
    assert trained.info.metrics["cross_validated_accuracy"] >= 0.95
    assert trained.info.metrics["cross_validated_images"] == len(training_set[0])
    assert trained.out_of_fold.shape == (160, 10)
    np.testing.assert_allclose(trained.out_of_fold.sum(axis=1), 1, atol=1e-3)


def test_early_stopping_finds_an_epoch_on_each_fold_and_the_refit_uses_their_median(trained):
    curves = trained.curves
    assert len(curves.folds) == len(curves.best_epochs) == 2
    assert curves.chosen_epoch == int(np.median(curves.best_epochs))
    assert len(curves.refit["loss"]) == curves.chosen_epoch == trained.info.epochs
    for fold, best in zip(curves.folds, curves.best_epochs, strict=True):
        assert len(fold["val_loss"]) <= min(best + 3, 10)
        assert min(fold["val_loss"]) == fold["val_loss"][best - 1]


@pytest.mark.parametrize(
    ("recipe", "num_labels", "most"),
    [("transfer", 2, 60), ("transfer", 10, 60), ("transfer", 27, 162), ("cnn", 27, 60)],
)
def test_the_ceiling_of_epochs_rises_with_the_labels(recipe, num_labels, most):
    assert find_ceiling(recipe, 60, num_labels) == most


@pytest.mark.parametrize("recipe", ["mlp", "transfer"])
def test_without_patience_held_out_images_are_measured_in_every_epoch_and_nothing_stops(training_set, recipe):
    rows = np.random.default_rng(0).permutation(len(training_set[0]))
    fitter = RECIPES[recipe](make_set(*training_set), 0)
    fit = fitter.fit(rows[:40], rows[40:], epochs=12)
    assert {len(fit.history[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")} == {12}
    right = (fit.probabilities.argmax(axis=1) == training_set[1][rows[40:]]).mean()
    assert right == pytest.approx(fit.history["val_accuracy"][-1], abs=1e-6)  # the last epoch's weights, not the best


def test_the_base_can_be_fine_tuned_on_the_images_as_they_are(training_set):
    fitter = TransferFitter(make_set(*training_set), 0, augmentation=None)
    rows = np.arange(160)
    fit = fitter.fit(rows, epochs=12)
    assert fit.history["accuracy"][-1] == 1.0


def test_small_heads_are_fitted_as_keras_fit_would_to_the_bit(training_set):
    rows = np.random.default_rng(1).permutation(160)
    fitter = TransferFitter(make_set(*training_set), 0)
    ours = fitter.fit(rows[:110], rows[110:], epochs=4)

    def fit_with_keras(network, batches, watched, epochs, callbacks, rng):
        network.fit(batches, epochs=epochs, validation_data=watched, callbacks=callbacks, verbose=0)
        return network.history.history

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenarai.model.recipes._fit_small", fit_with_keras)
        theirs = fitter.fit(rows[:110], rows[110:], epochs=4)
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(ours.history[name], theirs.history[name], rtol=1e-5)


def test_early_stopping_ends_the_fit_of_a_small_head_and_restores_its_best_weights(training_set):
    rows = np.random.default_rng(2).permutation(160)
    fitter = TransferFitter(make_set(*training_set), 0)
    fit = fitter.fit(rows[:40], rows[40:], epochs=60, patience=2)
    losses = fit.history["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 3 < 60
    own = fit.probabilities[np.arange(120), training_set[1][rows[40:]]]
    assert -np.log(own).mean() == pytest.approx(min(losses), abs=1e-4)


def test_of_more_images_than_fit_into_memory_each_epoch_learns_another_part_and_all_are_read(training_set, monkeypatch):
    given = make_set(*training_set)
    rows = np.arange(160)
    whole = TransferFitter(given, 0)
    monkeypatch.setattr(TransferFitter, "BUDGET", 40 * TransferFitter.COPIES * whole._copies[0].features[0].nbytes)
    fitter = TransferFitter(given, 0)
    assert {copy.features.shape for copy in fitter._copies} == {(40, whole._copies[0].features.shape[1])}
    assert len({row for copy in fitter._copies for row in copy.rows.tolist()}) > 140
    fit = fitter.fit(rows[::2], rows[1::2], epochs=4, patience=4)
    assert fit.probabilities.shape == (80, 10)
    assert (fit.probabilities.argmax(axis=1) == given.targets[1::2]).mean() > 0.9
    np.testing.assert_allclose(fitter.predict(given.pixels[1::2]), fit.probabilities, atol=1e-5)


def test_a_network_fed_from_0_to_255_is_another_than_one_fed_from_0_to_1(training_set):
    raw, scaled = build_mlp(10, scale=1.0), build_mlp(10)
    scaled.set_weights(raw.get_weights())
    assert not np.allclose(
        raw.predict(training_set[0], verbose=0), scaled.predict(training_set[0], verbose=0), atol=0.1
    )


def test_a_fit_leaves_nothing_behind_for_the_next_one(training_set):
    pixels, targets = training_set[0][::4], training_set[1][::4]
    fitter = RECIPES["transfer"](make_set(pixels, targets), 0)
    everything = np.arange(len(pixels))
    histories = [fitter.fit(rows, epochs=3).history for rows in (everything, everything[:20], everything)]
    assert histories[0] == histories[2]
    assert histories[0] != histories[1]


def test_labels_without_a_pattern_are_not_learned(training_set):
    pixels, targets = training_set
    shuffled = np.random.default_rng(0).permutation(targets)
    assert learn((pixels, shuffled), recipe="mlp", max_epochs=6).info.metrics["cross_validated_accuracy"] < 0.3


def test_the_same_images_and_seed_make_the_same_model(training_set):
    first, second = (learn(training_set, recipe="mlp", max_epochs=3) for _ in range(2))
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_threads_that_draw_random_numbers_do_not_change_a_training(training_set):
    def fit():
        return TransferFitter(make_set(*training_set), 3).fit(np.arange(30), np.arange(30, 40), epochs=3).probabilities

    alone, done = fit(), threading.Event()
    other = threading.Thread(target=lambda: [random.random() for _ in iter(done.is_set, True)])  # Prefect has some
    other.start()
    together = fit()
    done.set()
    other.join()
    np.testing.assert_array_equal(alone, together)


def test_labels_need_not_be_digits(training_set):
    pixels, targets = training_set
    kana = ("あ", "い", "う")
    keep = targets < 3
    given = make_set(pixels[keep], targets[keep], kana)
    found = train_model(given, TrainingSettings(recipe="transfer", folds=2, max_epochs=15))
    assert found.info.labels == kana
    assert found.info.metrics["cross_validated_accuracy"] >= 0.9


def test_auto_says_why_it_chose(training_set):
    assert (
        learn(training_set, recipe="auto", max_epochs=4).info.notes[0].startswith("transfer, since 16 images a label")
    )


def test_a_gpu_that_is_asked_for_and_not_there_is_one_clear_message():
    import keras

    if keras.distribution.list_devices("gpu"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(TrainingError, match="no GPU is visible"), choose_device("gpu"):
        pass


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


# ---- models in a store


@pytest.fixture
def kept(tmp_path, trained):
    store = open_store(str(tmp_path / "store"))
    return store, bundle.save_model(store, "m-1", trained)


def load(store):
    return bundle.load_model(store, "m-1", normaliser=NORMALISER_VERSION)


def test_a_saved_model_predicts_as_the_trained_one_did(kept, trained, training_set):
    store, info = kept
    loaded = load(store)
    assert loaded.info == info
    assert loaded.forward is not None
    for predict in (loaded.predict, lambda pixels: loaded.network.predict(pixels, verbose=0)):
        np.testing.assert_allclose(
            predict(training_set[0]), trained.network.predict(training_set[0], verbose=0), atol=1e-5
        )
    np.testing.assert_array_equal(bundle.load_out_of_fold(store, "m-1"), trained.out_of_fold)
    assert bundle.load_curves(store, "m-1") == trained.curves


def test_the_notes_of_a_saved_model_can_be_shown_in_another_language(kept):
    note = bundle.load_info(kept[0], "m-1").notes[-1]
    assert note.template.startswith("sure of {sure}")
    assert note.fields["num"] == 160
    assert translate(note, "en") == str(note)


def test_a_saved_network_is_loaded_without_a_warning(kept):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(kept[0]).network  # noqa: B018


def test_another_version_of_the_normaliser_is_refused(kept):
    with pytest.raises(NormaliserMismatch, match="another version of the normaliser"):
        bundle.load_model(kept[0], "m-1", normaliser=NORMALISER_VERSION + 1)


FILES = ["model.keras", "weights.npz", "history.json", "predictions.npz", "card.md"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped", "empty", "gone"])
def test_damage_in_any_file_of_a_model_is_named_and_the_model_refused(kept, name, damage):
    store, info = kept
    assert sorted(info.digests) == sorted(FILES)
    data = bytearray(store.read("models", "m-1", name))
    data[len(data) // 2] ^= 1
    if damage == "gone":
        store.path("models", "m-1", name).unlink()
    else:
        store.write(b"" if damage == "empty" else bytes(data), "models", "m-1", name)
    with pytest.raises(ModelError, match=rf"m-1/{name} is missing or damaged.*Fix:"):
        load(store)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("history.json", bundle.load_curves),
        ("predictions.npz", bundle.load_out_of_fold),
    ],
)
def test_what_is_loaded_alone_is_checked_too(kept, name, read):
    kept[0].write(b"{}", "models", "m-1", name)
    with pytest.raises(ModelError, match=f"{name} is missing or damaged"):
        read(kept[0], "m-1")


def test_a_network_that_carries_code_is_refused_though_its_digest_fits(kept):
    import hashlib

    import keras

    store, info = kept
    evil = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Lambda(lambda x: x[:, :10])])
    data = bundle._network_bytes(evil)
    store.write(data, "models", "m-1", "model.keras")
    digests = {**info.digests, "model.keras": hashlib.sha256(data).hexdigest()}
    store.write_json(bundle.to_record(replace(info, digests=digests)), "models", "m-1", "model.json")
    with pytest.raises(ModelError, match="damaged"):
        load(store).network  # noqa: B018


@pytest.mark.parametrize("record", ["[]", "{}", '{"id": 1}', "null", '{"labels": 3}', "", "{"])
def test_a_record_that_makes_no_sense_is_one_clear_message(kept, record):
    kept[0].write(record.encode(), "models", "m-1", "model.json")
    with pytest.raises(ModelError, match=r"model\.json is missing or damaged"):
        bundle.load_info(kept[0], "m-1")


def test_a_model_that_is_not_there_is_one_clear_message(kept):
    with pytest.raises(ModelError, match="no model"):
        bundle.load_info(kept[0], "m-2")


# ---- predicting without Keras


@pytest.mark.parametrize("build", [build_mlp, build_cnn])
def test_numpy_predicts_what_keras_predicts(build, training_set):
    network = build(7)
    found = Forward(network.name, network.get_weights()).predict(training_set[0])
    np.testing.assert_allclose(found, network.predict(training_set[0], verbose=0), atol=1e-5)


def test_of_no_images_nothing_is_predicted(kept):
    assert load(kept[0]).predict(np.empty((0, 28, 28), np.uint8)).shape == (0, 10)


def test_a_model_that_numpy_does_not_predict_alike_is_read_with_keras(kept, training_set, monkeypatch, caplog):
    expected = load(kept[0]).predict(training_set[0])
    monkeypatch.setattr("tenarai.model.forward.EPSILON", 0.1)  # as if batch normalisation were computed otherwise
    loaded = load(kept[0])
    assert loaded.forward is None
    assert "m-1 is read with Keras" in caplog.text
    np.testing.assert_allclose(loaded.predict(training_set[0]), expected, atol=1e-5)


def test_a_model_is_saved_without_numpy_weights_where_those_would_predict_otherwise(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("tenarai.model.forward.EPSILON", 0.1)
    store = open_store(str(tmp_path / "store"))
    assert "weights.npz" not in bundle.save_model(store, "m-2", trained).digests
    assert bundle.load_model(store, "m-2", normaliser=NORMALISER_VERSION).forward is None


READ = """
import sys
from tenarai.evaluate.read import read_files
from tenarai.settings import Settings
from pathlib import Path
settings = Settings(_env_file=None, store=sys.argv[1])
(found,) = read_files([Path(sys.argv[2])], settings, model=sys.argv[3] or None)
assert found.reading.label == "4", found
sys.exit("keras" in sys.modules or "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize("model", ["", "m-1"])
def test_an_image_is_read_without_importing_keras(kept, tmp_path, model):
    _, targets = real_digits()
    file = save(tmp_path / "4.png", picture(int(np.flatnonzero(targets == 4)[0])))
    store = kept[0].address if model else str(tmp_path / "none")  # without a store the base reads
    command = [sys.executable, "-c", READ, store, str(file), model]
    assert subprocess.run(command, cwd=PROJECT, check=False).returncode == 0


# ---- the base model


def test_where_an_earlier_base_was_put_back_todays_base_reads(tmp_path):
    store = open_store(str(tmp_path / "store"))
    promotions.promote(store, "base-00000000", why="rolled back before an update", by="me", snapshot="")
    assert load_champion(store).info.id == bundle.base_info().id
    assert bundle.load_info(store, "base-00000000").labels == DIGITS


def test_the_shipped_base_is_small_and_reads_digits_it_was_never_shown(training_set):
    assert (bundle.BASE_FOLDER / "weights.npz").stat().st_size <= 3_000_000
    base = bundle.load_base(normaliser=NORMALISER_VERSION)
    assert (base.predict(training_set[0]).argmax(axis=1) == training_set[1]).mean() >= 0.95


def test_the_card_says_data_licence_recipe_and_scores():
    card = (bundle.BASE_FOLDER / "card.md").read_text(encoding="utf-8")
    info = bundle.base_info()
    assert card == bundle.write_card(info)
    for word in ("MNIST", "epochs", "accuracy", "images", "free"):
        assert word in card
    assert info.normaliser == NORMALISER_VERSION


def test_a_damaged_package_is_one_clear_message(tmp_path, monkeypatch):
    (tmp_path / "weights.npz").write_bytes(b"")
    monkeypatch.setattr(bundle, "BASE_FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"weights\.npz is missing or damaged.*install Tenarai again"):
        bundle.load_base(normaliser=NORMALISER_VERSION)
