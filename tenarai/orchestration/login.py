"""The password of the server that `tenarai up` starts: made once, kept in Prefect's home, for its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tenarai.errors import SettingsError

FILE = "login"
USER = "tenarai"


def read_or_make_login(home: Path) -> str:
    """The server's `<user>:<password>`; made where there is none yet.

    Args:
        home: Prefect's home, a folder that exists.

    Raises:
        SettingsError: The file is not a person's own, or cannot be read or made.
    """
    file = home / FILE
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from error
    try:
        mode, login = file.stat().st_mode & 0o777, file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, str(error)) from error
    if mode & 0o077:
        raise _unusable(file, f"mode {mode:o}: others may read it")
    if not all(login.partition(":")[::2]):
        raise _unusable(file, "something else")
    return login


def secure(env: dict[str, str], login: str, url: str) -> dict[str, str]:
    """An environment in which server, workers and clients ask for the password, and browsers must prove their origin.

    Args:
        env: The environment to add to; what a person has set there stands.
        login: `<user>:<password>`.
        url: Where the UI is opened; no other site may use the API from a browser.
    """
    return {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        **env,
        "PREFECT_API_AUTH_STRING": env.get("PREFECT_SERVER_API_AUTH_STRING", login),
    }


def _unusable(file: Path, received: str) -> SettingsError:
    return SettingsError(
        f"the server's password cannot be kept in {file}",
        expected=f"a file of mode 600 that holds {USER}:<password>",
        received=received,
        fix="remove the file, and a new password is made; everyone has to log in again",
    )
