"""Secrets that are kept in Prefect blocks, read when a flow or a command starts."""

from __future__ import annotations

import json

from pydantic import SecretStr

from tenarai.errors import CredentialsError
from tenarai.locale import _
from tenarai.settings import Settings

BLOCK = "block:"


def resolve_secrets(settings: Settings) -> Settings:
    """The settings with the content of a Secret block in place of its name, `block:<name>`.

    Raises:
        CredentialsError: There is no such block, or Prefect cannot be reached.
    """
    credentials = settings.drive_credentials.get_secret_value()
    if not credentials.startswith(BLOCK):
        return settings
    from prefect.blocks.system import Secret

    name = credentials.removeprefix(BLOCK)
    try:
        value = Secret.load(name).get()  # type: ignore[union-attr]
    except (ValueError, OSError) as error:
        raise CredentialsError(
            _("the Prefect block secret/{name} cannot be read", name=name),
            received=str(error).splitlines()[0],
            fix=_("create it in the Prefect UI (Blocks, Secret), or set TENARAI_DRIVE_CREDENTIALS to a file"),
        ) from None
    text = value if isinstance(value, str) else json.dumps(value)
    return settings.model_copy(update={"drive_credentials": SecretStr(text)})
