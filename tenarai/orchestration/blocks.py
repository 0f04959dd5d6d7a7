"""Settings that Prefect keeps: variables for addresses, blocks for secrets. Read when a flow or a command starts."""

from __future__ import annotations

import json

from prefect.blocks.system import Secret
from prefect.runtime import flow_run
from prefect.variables import Variable
from pydantic import SecretStr

from tenarai.errors import CredentialsError
from tenarai.locale import _
from tenarai.settings import Settings, read_settings

BLOCK = "block:"


def settings_of_run(*, source: str = "", store: str = "") -> Settings:
    """The settings of the current run, secrets resolved.

    Args:
        source, store: From the form. Empty: the Prefect variable `tenarai_source` or `tenarai_store`, if there is one,
            or else the environment of the worker.

    Raises:
        SettingsError: A setting is invalid.
        CredentialsError: A block cannot be read.
    """
    given = {"source": source, "store": store}
    if flow_run.id:
        given = {name: value or str(Variable.get(f"tenarai_{name}", "")) for name, value in given.items()}
    return resolve_secrets(read_settings(**given))


def resolve_secrets(settings: Settings) -> Settings:
    """The settings with the content of a Secret block in place of its name, `block:<name>`.

    Raises:
        CredentialsError: There is no such block, or Prefect cannot be reached.
    """
    credentials = settings.drive_credentials.get_secret_value()
    if not credentials.startswith(BLOCK):
        return settings
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
