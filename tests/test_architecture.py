"""Imports run one way, and heavy or foreign things stay out of rooms that must not know them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def modules():
    for path in sorted(path for folder in ("flows", "tasks", "tenarai") for path in (PROJECT / folder).rglob("*.py")):
        yield path, path.relative_to(PROJECT).with_suffix("").parts


def imports(path, *, at_import_time_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if not at_import_time_only else _top_level(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if node.module in {"tasks", "flows", "tenarai"}
            )


def _top_level(tree):
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from ast.walk(node)


def test_the_library_knows_no_prefect_outside_orchestration():
    for path, parts in modules():
        if parts[0] == "tenarai" and parts[1] not in {"orchestration", "cli"}:
            assert "prefect" not in {name.split(".")[0] for name in imports(path)}, path


def test_keras_is_only_imported_inside_functions_and_tensorflow_never():
    for path, _ in modules():
        assert not {name.split(".")[0] for name in imports(path, at_import_time_only=True)} & {"keras"}, path
        assert not {name.split(".")[0] for name in imports(path)} & {"tensorflow"}, path


def test_no_module_of_flows_hides_a_package_of_the_same_name():
    # a deployment's entry point puts flows/ first on sys.path
    names = {path.stem for path in (PROJECT / "flows").glob("*.py")}
    assert not names & {*sys.stdlib_module_names, "tasks", "tenarai", "keras", "prefect", "numpy", "cv2", "tests"}


@pytest.mark.parametrize(
    "code", ["import tenarai.cli.main", "import tenarai.sync, tenarai.prepare, tenarai.dataset, tenarai.report"]
)
def test_what_a_quiet_night_needs_is_imported_without_keras(code):
    check = f"import sys; {code}; sys.exit(bool({{'keras', 'tensorflow', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0


def test_the_command_line_answers_help_without_prefect():
    check = "import sys, tenarai.cli.main; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0
