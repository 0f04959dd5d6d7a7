"""Options that several commands share, and the settings they give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.errors import SettingsError

if TYPE_CHECKING:
    from tenarai.settings import Settings


store_option = click.option("--store", metavar="P", help="Where everything is kept: a path, s3://… or gs://…")
source_option = click.option("--source", metavar="S", help="folder:<path> or drive:<folder id>.")


def say(sentence: str, **style: Any) -> None:
    """Print a sentence in the person's language (`TENARAI_LANGUAGE`); `style` is what `click.secho` takes."""
    from tenarai.locale import translate

    click.secho(translate(sentence, read_language()), **style)


def read_language() -> str:
    """The language that the settings name; English where they cannot be read."""
    from pydantic import ValidationError

    from tenarai.settings import Settings

    try:
        return Settings().language  # type: ignore[call-arg]
    except (ValidationError, ValueError):  # what is off with them is told by whoever needs them
        return "en"


def read_settings(**given: str | None) -> Settings:
    """Settings from the environment, with what was given on the command line.

    Raises:
        SettingsError: One of them is off.
    """
    from tenarai.settings import read_settings as read

    return read(**given)


def write_file(place: Path, data: bytes, *, option: str) -> None:
    """Write what a command made where its option says, making the folder.

    Raises:
        SettingsError: It cannot be written there.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    except OSError as error:
        raise SettingsError(
            f"{place} cannot be written", received=error.strerror or str(error), fix=f"name another {option}"
        ) from error
