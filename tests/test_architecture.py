"""Imports run one way, and heavy or foreign things stay out of rooms that must not know them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
GROUND = {"errors", "records", "settings", "words"}
HOLDINGS = {"store", "catalogue", "drive"}
STATIONS = {
    "sync",
    "sheets",
    "prepare",
    "dataset",
    "model",
    "train",
    "evaluate",
    "promote",
    "report",
    "publish",
    "sample",
    "study",
    "backup",
}
ALLOWED_NEIGHBOURS = {
    ("train", "model"),
    ("model", "train"),
}  # one station in two folders: networks, and how to fit them


def modules():
    for path in sorted([*PROJECT.glob("tasks/**/*.py"), *PROJECT.glob("flows/**/*.py")]):
        yield path, path.relative_to(PROJECT).with_suffix("").parts


def imports(path, *, at_import_time_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if not at_import_time_only else _top_level(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module in {"tasks", "flows"})


def _top_level(tree):
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from ast.walk(node)


def room(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "tasks" and len(parts) > 1 else None


def test_every_room_is_known_to_this_test():
    rooms = {parts[1] for _, parts in modules() if parts[0] == "tasks"} - {"__init__"}
    assert rooms == GROUND | HOLDINGS | STATIONS


def test_tasks_never_import_flows_or_prefect():
    for path, parts in modules():
        if parts[0] == "tasks":
            found = {name.split(".")[0] for name in imports(path)}
            assert not found & {"flows", "prefect"}, path


def test_stations_do_not_import_each_other_and_the_ground_imports_nothing_above_it():
    for path, parts in modules():
        if parts[0] != "tasks" or parts[1] == "__init__":
            continue
        own = parts[1]
        for other in {room(name) for name in imports(path)} - {None, own}:
            if own in GROUND or own in HOLDINGS:
                assert other in GROUND, (path, other)
            else:
                assert other in GROUND | HOLDINGS or (own, other) in ALLOWED_NEIGHBOURS, (path, other)


def test_keras_is_only_imported_inside_functions_and_tensorflow_never():
    for path, _ in modules():
        assert not {name.split(".")[0] for name in imports(path, at_import_time_only=True)} & {"keras"}, path
        assert not {name.split(".")[0] for name in imports(path)} & {"tensorflow"}, path


def test_no_module_of_flows_hides_a_package_of_the_same_name():
    # a deployment's entry point puts flows/ first on sys.path
    names = {path.stem for path in (PROJECT / "flows").glob("*.py")}
    assert not names & {*sys.stdlib_module_names, "tasks", "keras", "prefect", "numpy", "cv2", "tests"}


@pytest.mark.parametrize("code", ["import flows.cli", "import tasks.sync, tasks.prepare, tasks.dataset, tasks.report"])
def test_what_a_quiet_night_needs_is_imported_without_keras(code):
    check = f"import sys; {code}; sys.exit(bool({{'keras', 'tensorflow', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0


def test_the_command_line_answers_help_without_prefect():
    check = "import sys, flows.cli; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0
