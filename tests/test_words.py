"""Every reason a file is rejected for, and every note on a training, is said in Japanese, too."""

import ast
import re
import string
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.drive.faults import DAMAGED, REFUSALS
from tenarai.locale import translate
from tenarai.locale.japanese import JAPANESE

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE = "7"


def sentences(node):
    """Sentences in an expression, whatever varies replaced by a sample."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else SAMPLE for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (text for branch in (node.body, node.orelse) for text in sentences(branch))
    elif isinstance(node, ast.Tuple | ast.BoolOp):
        yield from (text for part in getattr(node, "elts", getattr(node, "values", ())) for text in sentences(part))


def _told(node):
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ImageError":
        return node.args[:1]
    if isinstance(node, ast.keyword) and node.arg in {"reason", "note"}:
        return [node.value]
    if isinstance(node, ast.Return) and node.value is not None:
        return [node.value]
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {"reason", "note"}:
        return [node.value]
    return []


def reasons(folder):
    """What a room tells a person about a file: `ImageError(what)`, `reason=…`, and sentences that functions return."""
    files = [folder.with_suffix(".py")] if not folder.is_dir() else folder.rglob("*.py")
    for path in sorted(files):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for text in (text for expression in _told(node) for text in sentences(expression)):
                if text.count(" ") >= 2:
                    yield path.name, text


OF_DRIVE = [("faults.py", text) for text in (*REFUSALS.values(), DAMAGED)]
ALL = OF_DRIVE + [pair for room in ("prepare", "sync") for pair in reasons(PROJECT / "tenarai" / room)]


def test_the_reasons_are_found_in_the_code():
    texts = {text for _, text in ALL}
    assert texts


@pytest.mark.parametrize(("file", "text"), ALL)
def test_every_reason_has_its_japanese(file, text):
    said = translate(text, "ja")
    assert said != text, f"{file}: add it to tenarai/locale/japanese.py"
    assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", said)


def test_japanese_names_no_place_that_the_english_lacks():
    places = string.Formatter()
    for english, said in JAPANESE.items():
        given = {name for _, name, _, _ in places.parse(english) if name}
        assert {name for _, name, _, _ in places.parse(said) if name} <= given, english


def test_what_varies_is_carried_over_as_it_is():
    assert "`rm` {x}" in translate("it cannot be read: `rm` {x}", "ja")
    assert "3,000" in translate("it is too large: 3,000 bytes, more than 5", "ja")


def test_a_sentence_within_a_sentence_is_said_in_japanese_too():
    whole = "compared with the base model instead of the champion: the model m-1 was trained with another normaliser"
    assert "モデル m-1 は" in translate(whole, "ja")


def test_an_unknown_sentence_and_english_stay_as_they_are():
    assert translate("nobody said this", "ja") == "nobody said this"
    assert translate("the file is empty", "en") == "the file is empty"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sync: 83 files, 60 added, 3 relabelled", "同期:83 ファイル、追加 60、ラベル変更 3"),
        ("sync: 83 files, nothing new", "同期:83 ファイル、変わりなし"),
        (
            "kept: not enough evidence (won 3, lost 0 of 90 images, p = 0.062)",
            "続投:証拠が足りません(90 枚で 3 勝 0 敗、p = 0.062)",
        ),
        ("four.png: 4  (99.0%, sure)", "four.png:4(99.0%、自信あり)"),
    ],
)
def test_a_night_tells_its_progress_in_japanese(line, said):
    assert translate(line, "ja") == said


def test_commands_speak_the_language_that_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("TENARAI_LANGUAGE", "ja")
    done = CliRunner().invoke(main, ["models", "--store", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "保管庫がありません" in done.output
