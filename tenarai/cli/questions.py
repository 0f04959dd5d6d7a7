"""`tenarai connect` without options: the few questions that lead to a working `.env`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from dotenv import set_key

from tenarai.cli.connect import DEFAULT_FILE, WAYS, ask_google, is_client
from tenarai.cli.options import read_language, say
from tenarai.locale import _, translate
from tenarai.settings import read_settings

FOLDERS = ("digits", "misread", "inbox", "sheets")


def ask_settings(file: Path) -> None:
    """Ask for language, images and time, and write the answers into `.env`; what else is in it stays.

    Args:
        file: Path of `.env`.

    Raises:
        TenaraiError: An answer is invalid, or Google did not give the permission.
    """
    spoken = "ja" if os.environ.get("LANG", "").startswith("ja") else "en"
    language = click.prompt("Language / 言語", type=click.Choice(["en", "ja"]), default=spoken)
    _write(file, TENARAI_LANGUAGE=language)
    source = _ask(_("Your images: a folder, or the link of a folder on Google Drive"), default="handwriting").strip()
    if "drive.google.com" in source or source.startswith("drive:"):
        _write(file, TENARAI_SOURCE=f"drive:{source.removeprefix('drive:')}")
        say(WAYS)
        key = Path(_ask(_("The downloaded JSON file")))
        if is_client(key):
            ask_google(key, Path(DEFAULT_FILE), read_settings(), reports=True)
            key = Path(DEFAULT_FILE)
        _write(file, TENARAI_DRIVE_CREDENTIALS=str(key))
    else:
        folder = Path(source.removeprefix("folder:")).expanduser()
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        _write(file, TENARAI_SOURCE=f"folder:{folder}")
        say(_("put images into {folder}/digits/<label>/, and those to be read into {folder}/inbox/", folder=folder))
    time = _ask(_("When to run at night"), type=click.DateTime(["%H:%M"]), default="02:00")
    _write(file, TENARAI_NIGHTLY_AT=f"{time:%H:%M}")
    notices = _ask(_("Where to send notices, such as ntfy://my-topic (empty: nowhere)"), default="")
    say(
        _(
            "{file} is written. Next: `tenarai doctor`, then `tenarai nightly`, or `tenarai up` for every night",
            file=file,
        )
    )
    if notices:
        say(_("once `tenarai up` runs: `tenarai notify {address}`", address=notices))


def _ask(question: str, **options: Any) -> Any:
    return click.prompt(translate(question, read_language()), **options)


def _write(file: Path, **values: str) -> None:
    for name, value in values.items():
        set_key(file, name, value, quote_mode="auto")
        os.environ[name] = value
