"""What several commands share: options, the language, and where files are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tenarai.errors import SettingsError, writing
from tenarai.locale import _, translate
from tenarai.settings import read_settings as read_settings

store_option = click.option("--store", metavar="P", help="Where everything is kept: a path, s3://… or gs://…")
source_option = click.option("--source", metavar="S", help="folder:<path> or drive:<folder id>.")


def say(message: str, **style: Any) -> None:
    """Print a message in the language of the settings; `style` is what `click.secho` takes."""
    click.secho(translate(message, read_language()), **style)


def read_language() -> str:
    """The language of the settings; where they are invalid, that of the environment, or English."""
    try:
        return read_settings().language
    except SettingsError:  # whoever needs the settings reports what is wrong with them
        return "ja" if os.environ.get("TENARAI_LANGUAGE") == "ja" else "en"


def write_file(place: Path, data: bytes, *, option: str) -> None:
    """Write what a command made to the path that its option names, and make the folder.

    Raises:
        SettingsError: It cannot be written there.
    """
    with writing(place, fix=_("set another {option}", option=option)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
