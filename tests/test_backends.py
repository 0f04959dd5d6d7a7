"""The same code on TensorFlow and on JAX: what one trained, the other reads, and alike."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tenarai.prepare import read_digit
from tests.collections_of_digits import fill

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed; `make test-jax` brings it"),
]
TRAIN = """
import sys
from tenarai.model.challenger import train_challenger
from tenarai.settings import TrainingSettings
from tenarai.store import open_store
store, snapshot, model, recipe = sys.argv[1:]
settings = TrainingSettings(recipe=recipe, max_epochs=3, folds=2, device="cpu")
print(train_challenger(open_store(store), snapshot, model, settings, lambda line: None))
"""
READ = """
import sys
import numpy as np
from tenarai.evaluate.predictions import load_model_by_id
from tenarai.store import open_store
store, model, digits, out = sys.argv[1:]
np.save(out, load_model_by_id(open_store(store), model).network.predict(np.load(digits), verbose=0))
"""


def on(backend, code, *arguments):
    env = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a snapshot of 80 real digits; 40 others to read."""
    from tasks.freeze import freeze
    from tasks.prepare import prepare
    from tasks.sync import sync
    from tenarai.night import open_night
    from tenarai.settings import Settings

    home = tmp_path_factory.mktemp("backends")
    folder = fill(home / "folder", num_each=8)
    others = sorted(fill(home / "others", num_each=4, first=20).rglob("*.png"))
    np.save(home / "digits.npy", np.stack([read_digit(file.read_bytes()) for file in others]))
    night = open_night(Settings(source=f"folder:{folder}", store=str(home / "store")))
    sync.fn(night)
    prepare.fn(night)
    return home, freeze.fn(night).info.id


@pytest.mark.parametrize("recipe", ["mlp", "transfer"])
@pytest.mark.parametrize("trainer", ["tensorflow", "jax"])
def test_what_one_trained_both_read_alike(place, trainer, recipe):
    home, snapshot = place
    model = f"m-{trainer}-{recipe}"
    assert f"({trainer})" in on(trainer, TRAIN, home / "store", snapshot, model, recipe)
    read = {}
    for backend in ("tensorflow", "jax"):
        on(backend, READ, home / "store", model, home / "digits.npy", home / f"{backend}.npy")
        read[backend] = np.load(home / f"{backend}.npy")
    assert read["jax"].shape == (40, 10)
    np.testing.assert_allclose(read["jax"], read["tensorflow"], atol=1e-4)


def test_the_base_model_reads_alike_on_both(place):
    from tenarai.model.bundle import base_info

    home, _ = place
    read = {}
    for backend in ("tensorflow", "jax"):
        on(backend, READ, home / "store", base_info().id, home / "digits.npy", home / f"{backend}.npy")
        read[backend] = np.load(home / f"{backend}.npy")
    np.testing.assert_allclose(read["jax"], read["tensorflow"], atol=1e-4)
