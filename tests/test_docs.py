"""What README and docs name exists, and what exists is in the docs."""

import re
from pathlib import Path

from tenarai.cli.main import main
from tenarai.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
FILES = {file for folder in ("", "docs", "deployments") for file in (PROJECT / folder).glob("*.md")}
TEXTS = {str(file.relative_to(PROJECT)): file.read_text("utf-8") for file in FILES - {PROJECT / "CHANGELOG.md"}}


def commands_in(text):
    return set(re.findall(r"`tenarai ([a-z][a-z-]*)", text))


def test_every_command_is_in_the_docs_and_every_command_that_a_text_names_exists():
    assert commands_in(TEXTS["docs/commands.md"]) == set(main.commands)
    for name, text in TEXTS.items():
        assert commands_in(text) <= set(main.commands), name


def test_the_readmes_have_the_same_commands_links_and_figures():
    english, japanese = TEXTS["README.md"], TEXTS["README.ja.md"]
    assert commands_in(japanese) == commands_in(english)
    for figure in re.findall(r"\d+\.\d+ %|\d+,\d+", japanese):
        assert figure in english, figure
    assert len(english.splitlines()) <= 150


def test_every_make_target_that_a_text_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.M))
    for name, text in {**TEXTS, ".ci/run": (PROJECT / ".ci/run").read_text(encoding="utf-8")}.items():
        for target in re.findall(r"(?:^|`|step )make ([a-z-]+)", text, re.M):
            assert target in targets, (name, target)


def test_every_link_and_file_that_a_text_names_exists():
    for name, text in TEXTS.items():
        folder = (PROJECT / name).parent
        for path in re.findall(r"\]\(((?!http)[^)#]+)", text):
            assert (folder / path).exists(), (name, path)
        for path in re.findall(r"`((?:flows|tasks|tenarai|tests|deployments|benchmarks|docs)/[\w./-]+\.\w+)`", text):
            assert (PROJECT / path).exists(), (name, path)


def test_every_test_that_a_promise_of_security_names_exists():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXTS["SECURITY.md"])
    assert len(named) > 25
    for file, test in named:
        assert f"def {test}(" in (PROJECT / "tests" / file).read_text("utf-8"), (file, test)


def test_the_command_behind_every_figure_exists_with_its_options():
    """Such as `.venv/bin/python -m benchmarks.lives null --lives 200`, in a package or a module."""
    for name, text in TEXTS.items():
        for module, arguments in re.findall(r"python (?:-m )?((?:benchmarks|tests)[\w./]*)([^`\n]*)", text):
            place = PROJECT / module.removesuffix(".py").replace(".", "/")
            code = "".join(
                file.read_text("utf-8") for file in [*place.glob("*.py"), *place.parent.glob(f"{place.name}.py")]
            )
            assert code, (name, module)
            for option in re.findall(r"--[a-z-]+", arguments):
                assert f'"{option}"' in code, (name, module, option)


def test_every_picture_of_a_text_is_there_has_words_for_those_who_cannot_see_it_and_is_small():
    for name, text in TEXTS.items():
        folder = (PROJECT / name).parent
        shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
        shown += [(alt, src) for src, alt in re.findall(r'<img src="([^"]+)"[^>]*alt="([^"]*)"', text)]
        assert text.count("<img") == len(re.findall(r'<img src="([^"]+)"[^>]*alt="([^"]+)"', text)), name
        for path in [src for _, src in shown] + re.findall(r'srcset="([^"]+)"', text):
            assert (folder / path).stat().st_size < 200_000, (name, path)
        assert all(alt for alt, _ in shown), name


def test_every_setting_that_a_text_names_exists():
    for name, text in TEXTS.items():
        for setting in re.findall(r"TENARAI_([A-Z_]+)", text):
            assert setting.lower() in Settings.model_fields, (name, setting)


def test_every_setting_is_in_the_docs():
    text = (PROJECT / "docs/commands.md").read_text(encoding="utf-8")
    assert not [name for name in Settings.model_fields if f"`TENARAI_{name.upper()}`" not in text]


def test_every_dependency_is_locked_with_hashes_once_and_no_registry_is_named():
    locks = [(PROJECT / name).read_text() for name in ("requirements.lock", "requirements-dev.lock")]
    running, on_top = ({*re.findall(r"^([a-z0-9-]+)==\S+", lock, re.M)} for lock in locks)
    assert running >= {"prefect", "keras", "tensorflow", "numpy", "pillow", "matplotlib"}
    assert on_top >= {"pytest", "babel", "ruff"}
    assert not running & on_top
    for lock in locks:
        assert len(re.findall(r"^[a-z0-9-]+==", lock, re.M)) <= lock.count("    --hash=sha256:")
        assert "://" not in lock
