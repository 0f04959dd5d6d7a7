"""What the README promises exists, and what exists is in the README."""

import re
from pathlib import Path

from tenarai.cli.main import main

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
JAPANESE = (PROJECT / "README.ja.md").read_text(encoding="utf-8")
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme_and_every_command_of_the_readme_exists():
    named = set(re.findall(r"`tenarai ([a-z][a-z-]*)", README))
    assert named == set(main.commands)


def test_the_japanese_readme_has_the_same_commands_and_no_figure_of_its_own():
    assert set(re.findall(r"`tenarai ([a-z][a-z-]*)", JAPANESE)) == set(main.commands)
    for figure in re.findall(r"\d+\.\d+ %|\d+,\d+", JAPANESE):
        assert figure in README, figure
    for path in re.findall(r"\]\(((?!http)[^)#]+)", JAPANESE):
        assert (PROJECT / path).exists(), path


def test_every_make_target_that_a_text_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    for file in (PROJECT / "README.md", PROJECT / "deployments/README.md", PROJECT / ".ci/run"):
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", file.read_text(encoding="utf-8"), re.M):
            assert target in targets, (file, target)


def test_every_file_and_link_that_the_readme_names_exists():
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (PROJECT / path).exists(), path
    for path in re.findall(r"`((?:flows|tasks|tests|deployments)/[\w./-]+\.\w+)`", README):
        assert (PROJECT / path).exists(), path


def test_every_dependency_is_locked_with_hashes_once_and_no_registry_is_named():
    locks = [(PROJECT / name).read_text() for name in ("requirements.lock", "requirements-dev.lock")]
    running, on_top = ({*re.findall(r"^([a-z0-9-]+)==\S+", lock, re.M)} for lock in locks)
    assert running >= {"prefect", "keras", "tensorflow", "numpy", "pillow", "matplotlib"}
    assert on_top >= {"pytest", "babel", "ruff"}
    assert not running & on_top
    for lock in locks:
        assert len(re.findall(r"^[a-z0-9-]+==", lock, re.M)) <= lock.count("    --hash=sha256:")
        assert "://" not in lock
