"""What differs between a champion and its challenger."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.dataset import freeze, save_snapshot
from tenarai.evaluate import promotions
from tenarai.evaluate.champions import find_changes
from tenarai.model.challenger import name_challenger, train_challenger
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.records import Change, Fingerprint, Image, ModelInfo, Role
from tenarai.settings import TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import picture, real_digits

INFO = ModelInfo(
    id="m-1",
    labels=("4", "9"),
    normaliser=1,
    recipe="mlp",
    epochs=1,
    snapshot="s-1",
    parameters={"seed": 0, "recipe": "auto"},
    versions={"keras": "3"},
)
BEFORE = {"a": "4", "b": "4", "c": "9"}


def test_images_added_gone_and_relabelled_are_told_with_their_counts():
    now = {"a": "4", "c": "4", "d": "9", "e": "9"}
    assert find_changes(INFO, INFO, BEFORE, now) == (
        Change("added", "9", "1", "3"),
        Change("gone", "4", "2", "1"),
        Change("relabelled", "1", "9", "4"),
    )


def test_settings_the_recipe_that_auto_took_and_versions_are_told():
    other = replace(INFO, parameters={"seed": 3, "recipe": "auto"}, recipe="cnn", versions={"keras": "4"}, normaliser=2)
    assert find_changes(INFO, other, BEFORE, BEFORE) == (
        Change("setting", "recipe taken", "mlp", "cnn"),
        Change("setting", "seed", "0", "3"),
        Change("version", "keras", "3", "4"),
        Change("version", "normaliser", "1", "2"),
    )


def test_against_the_base_model_only_images_and_versions_are_compared():
    base = replace(INFO, id="base-1", snapshot="", parameters={"epochs": 14})
    assert {change.kind for change in find_changes(base, INFO, {}, BEFORE)} == {"added"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two models: the second learned from more images, with other settings."""
    store = open_store(str(tmp_path_factory.mktemp("why") / "store"))
    promotions.begin_history(store)
    _, targets = real_digits()
    numbers = [int(n) for k in (3, 5, 8) for n in np.flatnonzero(targets == k)[:9]]
    images, prints, pixels = [], {}, {}
    for number in numbers:
        sha = f"{number:064x}"
        label = str(targets[number])
        images.append(Image("s", sha, f"digits/{label}/{number}.png", Role.DIGITS, label, sha, 1))
        prints[sha] = Fingerprint(sha, np.random.default_rng(number).bytes(32), sha)
        pixels[sha] = normalise(picture(number)).tobytes()
    for kept, settings in ((18, {"max_epochs": 1}), (27, {"max_epochs": 2})):
        chosen = [image for n, image in enumerate(images) if n % 9 < kept // 3]
        snapshot = freeze(
            chosen,
            prints,
            lambda shas: [pixels[sha] for sha in shas],
            normaliser=NORMALISER_VERSION,
            test_share=0.3,
        ).snapshot
        save_snapshot(store, snapshot)
        training = TrainingSettings(recipe="mlp", folds=2, patience=1, **settings)
        model = name_challenger(snapshot.info.id, training)
        train_challenger(store, snapshot.info.id, model, training, lambda line: None)
        if kept == 18:
            promotions.promote(store, model, why="better", by="gate", snapshot=snapshot.info.id)
    return store


def test_why_lists_what_differs_between_champion_and_newest_model(store):
    done = CliRunner().invoke(main, ["why", "--store", store.address, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["kind"], line["name"]) for line in lines} >= {("added", "3"), ("setting", "max_epochs")}
    assert "setting max_epochs  1  2" in CliRunner().invoke(main, ["why", "--store", store.address]).output


def test_why_without_a_trained_model_is_one_clear_message(tmp_path):
    open_store(str(tmp_path))
    done = CliRunner().invoke(main, ["why", "--store", str(tmp_path)])
    assert done.exit_code == 1
    assert "no night has trained a model" in done.output
