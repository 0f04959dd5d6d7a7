"""Messages and their translations: all that people read is collected, translated, and compiled."""

import ast
import io
import re
import string
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import click
import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from tenarai.errors import StoreError
from tenarai.locale import FOLDER, _, catalogue, dump, from_json, join, load, plural, to_json, translate

PROJECT = Path(__file__).resolve().parents[1]
COMPILED = FOLDER / "ja/LC_MESSAGES/tenarai.mo"
with COMPILED.with_suffix(".po").open("rb") as file:
    JAPANESE = read_po(file, locale="ja")
TRANSLATIONS = [message for message in JAPANESE if message.id]


def templates(message):
    return message.id if isinstance(message.id, tuple) else (message.id,)


def fields(template):
    """Names in braces, and those of printf and Jinja in parentheses."""
    try:
        named = {re.split(r"[.\[]", name)[0] for _text, name, _spec, _how in string.Formatter().parse(template) if name}
    except ValueError:  # a brace that is none of ours, such as in Click's texts
        named = set()
    return named | set(re.findall(r"%\((\w+)\)", template))


@cache
def given():
    """Fields by template that calls in the code give; some only a translation needs, such as the number of a month."""
    found = defaultdict(set)
    for path in (path for folder in ("flows", "tasks", "tenarai") for path in (PROJECT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "plural"}:
                found[getattr(node.args[0], "value", None)] |= {keyword.arg for keyword in node.keywords}
    return found


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The templates in the code, collected as `make messages` does it."""
    pot = tmp_path_factory.mktemp("messages") / "tenarai.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract", "--mapping", "pyproject.toml"]
    command += ["--keywords", "plural:1,2", "--output", str(pot)]
    places = ["flows", "tasks", "tenarai", str(Path(click.__file__).parent)]
    subprocess.run([*command, *places], cwd=PROJECT, check=True)
    with pot.open("rb") as file:
        return [message for message in read_po(file) if message.id]


def test_every_message_in_the_code_is_translated(collected):
    translated = {templates(message) for message in TRANSLATIONS if message.string and not message.fuzzy}
    missing = [templates(message) for message in collected if templates(message) not in translated]
    assert len(collected) > 70
    assert not missing, "run `make messages` and translate them in tenarai.po"


def test_no_translation_is_left_of_a_message_that_is_gone(collected):
    assert {templates(message) for message in TRANSLATIONS} <= {templates(message) for message in collected}


@pytest.mark.parametrize("message", TRANSLATIONS, ids=lambda message: templates(message)[0][:40])
def test_a_translation_has_the_fields_of_its_message_and_japanese_punctuation(message):
    known = given()[templates(message)[0]].union(*map(fields, templates(message)))
    for text in message.string if isinstance(message.string, tuple) else (message.string,):
        assert fields(text) <= known or None in known  # `**facts` may give any
        japanese = r"[\u3040-\u30ff\u4e00-\u9fff]"
        assert not re.search(rf"{japanese}[,:;!?()]|[(]{japanese}", text), "use full-width punctuation"


def test_the_compiled_messages_are_those_of_the_po_file():
    compiled = io.BytesIO()
    write_mo(compiled, JAPANESE)
    assert compiled.getvalue() == COMPILED.read_bytes(), "run `make messages`"


def test_a_message_is_an_english_sentence_that_can_be_translated_later():
    message = _("{path} is missing", path="a.png")
    assert message == "a.png is missing"
    assert translate(message, "en") == "a.png is missing"
    assert translate("nobody said this", "ja") == "nobody said this"


def test_a_message_within_a_message_is_translated_too():
    error = StoreError(_("the store {address} is busy", address="/x"), fix=_("wait"))
    whole = _("Error: {message}", message=_("Expected: {expected}", expected="x"))
    assert str(error) == "the store /x is busy. Fix: wait."
    assert translate(whole, "ja") == "エラー：期待：x"


def test_a_number_decides_between_one_and_many():
    assert plural("{n} image", "{n} images", 1) == "1 image"
    assert plural("{n} image", "{n} images", 0) == "0 images"


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        '{"message',
        _("{path} is missing", path="a.png"),
        plural("{n} image", "{n} images", 2, who="x"),
    ],
)
def test_a_message_survives_being_stored(text):
    for restored in (from_json(to_json(text)), load(dump(text))):
        assert restored == text
        assert translate(restored, "ja") == translate(text, "ja")
        assert getattr(restored, "fields", None) == getattr(text, "fields", None)


def test_messages_are_joined_as_the_language_does_it():
    listed = join(["a", "b", "c"])
    assert listed == "a, b, c"
    assert translate(listed, "ja") == "a、b、c"


def test_what_another_version_stored_is_shown_as_it_is():
    assert from_json({"message": "{a} of {b}", "fields": {"a": 1}}) == "{a} of {b}"
    assert catalogue("en").gettext("Fix: {fix}") == "Fix: {fix}"
