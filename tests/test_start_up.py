"""What is imported when: heavy libraries only where they are used, so that commands start at once."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
IMPORT_ALL = """
import importlib, pkgutil
import flows, tasks, tenarai
for package in (flows, tasks, tenarai):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in TRAINING:
            importlib.import_module(module.name)
"""
READ_MISSING = """
from tenarai.cli.main import main
try:
    main(["read", "missing.png"])
except SystemExit as end:
    assert end.code == 1
"""
TRAINING = {f"tenarai.model.{name}" for name in ("augment", "backend", "networks", "recipes", "track", "train")}


def imported_by(code):
    """Top-level packages in `sys.modules` after some code, in a new interpreter."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_no_module_but_those_that_train_imports_keras_before_it_is_used():
    assert not imported_by(f"TRAINING = {TRAINING}{IMPORT_ALL}") & {"keras", "tensorflow", "jax"}


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        (READ_MISSING, {"numpy", "cv2", "sqlalchemy", "keras"}),
        ("import tenarai.evaluate.read", {"prefect", "sqlalchemy", "keras", "sklearn"}),
        ("import tenarai.cli.main", {"prefect", "numpy", "cv2", "sqlalchemy", "pydantic"}),
        ("import tenarai.sync, tenarai.prepare, tenarai.dataset, tenarai.report", {"prefect", "sklearn", "google"}),
    ],
)
def test_a_command_starts_without_what_it_does_not_need(code, unneeded):
    assert not imported_by(code) & unneeded


def test_no_module_of_flows_shadows_a_package():
    # Prefect puts an entry point's folder, flows/, first on sys.path.
    names = {path.stem for path in (PROJECT / "flows").glob("[!_]*.py")}
    assert names
    assert not names & {*sys.stdlib_module_names, "tasks", "tenarai", "keras", "prefect", "numpy", "cv2", "tests"}
