"""Secrets that are kept in Prefect: read when they are needed, by name, and handed to whom they belong."""

from __future__ import annotations

from tenarai.errors import CredentialsError


def read_secret(name: str) -> object:
    """The value of a Secret block.

    Args:
        name: The block's name, without its type.

    Raises:
        CredentialsError: There is none of this name, or Prefect cannot be asked.
    """
    from prefect.blocks.system import Secret

    try:
        return Secret.load(name).get()  # type: ignore[union-attr]
    except (ValueError, OSError) as error:
        raise CredentialsError(
            f"the Prefect block secret/{name} cannot be read",
            received=str(error).splitlines()[0],
            fix="make it in the Prefect UI (Blocks, Secret), or set TENARAI_DRIVE_CREDENTIALS to a file",
        ) from None
