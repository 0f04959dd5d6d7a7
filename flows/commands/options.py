"""Options that several commands share, and the settings they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tasks.errors import SettingsError

if TYPE_CHECKING:
    from tasks.settings import Settings


store_option = click.option("--store", metavar="P", help="Where everything is kept: a path, s3://… or gs://…")
source_option = click.option("--source", metavar="S", help="folder:<path> or drive:<folder id>.")


def read_settings(**given: str | None) -> Settings:
    """Settings from the environment, with what was given on the command line.

    Raises:
        SettingsError: One of them is off.
    """
    from pydantic import ValidationError

    from tasks.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "TENARAI_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            f"the setting {name} is off", expected=first["msg"], received=repr(first["input"]), mend=f"set {name} anew"
        ) from error
