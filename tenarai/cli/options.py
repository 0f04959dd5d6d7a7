"""What several commands share: options, the language, and where files are written."""

from __future__ import annotations

import os
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

import click
from dotenv.parser import parse_stream

from tenarai.errors import writing
from tenarai.locale import _, translate

if TYPE_CHECKING:
    from tenarai.settings import Settings

store_option = click.option("--store", metavar="P", help="Where everything is kept: a path, s3://… or gs://…")
source_option = click.option("--source", metavar="S", help="folder:<path> or drive:<folder id>.")


def say(message: str, **style: Any) -> None:
    """Print a message in the language of the settings; `style` is what `click.secho` takes."""
    click.secho(visible(translate(message, read_language())), **style)


def visible(text: str) -> str:
    """Text that a terminal shows as it is: names of files may hold bytes that are no text, or that control it."""
    text = text.encode(errors="backslashreplace").decode()
    return "".join("\ufffd" if category(letter) == "Cc" and letter not in "\n\t" else letter for letter in text)


def read_settings(**given: str | None) -> Settings:
    """As `tenarai.settings.read_settings`; pydantic is imported when a command needs the settings."""
    from tenarai.settings import read_settings

    return read_settings(**given)


def read_language() -> str:
    """The language of the settings, or English; help and the error about another setting need no more of them."""
    found = {name.upper(): value for name, value in os.environ.items()}
    with suppress(OSError, UnicodeDecodeError):
        text = Path(".env").read_text(encoding="utf-8-sig")
        found = {(line.key or "").upper(): line.value or "" for line in parse_stream(StringIO(text))} | found
    return "ja" if found.get("TENARAI_LANGUAGE") == "ja" else "en"


def write_file(place: Path, data: bytes, *, option: str) -> None:
    """Write what a command made to the path that its option names, and make the folder.

    Raises:
        SettingsError: It cannot be written there.
    """
    with writing(place, fix=_("set another {option}", option=option)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
