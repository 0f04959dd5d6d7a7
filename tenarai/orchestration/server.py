"""The Prefect server: how it is reached, and the password of the one that `tenarai up` starts.

Prefect is imported only where it is used: `up` sets its environment first.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tenarai.errors import SettingsError, TenaraiError
from tenarai.locale import _
from tenarai.settings import DEFAULT_HOME

LOGIN = "login"
USER = "tenarai"


def find_home() -> Path:
    """The folder of the server that `tenarai up` runs here: its database, its logs and the login."""
    return Path(os.environ.get("PREFECT_HOME") or f"{DEFAULT_HOME}/prefect-server").resolve()


def read_or_make_login(home: Path) -> str:
    """The server's `<user>:<password>`; made where there is none yet.

    Args:
        home: Prefect's home, a folder that exists.

    Raises:
        SettingsError: The file is not a person's own, or cannot be read or made.
    """
    file = home / LOGIN
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
        raise _unusable(file, _("mode {mode}: others may read it", mode=f"{mode:o}"))
    if not all(login.partition(":")[::2]):
        raise _unusable(file, _("something else"))
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
        _("the server's password cannot be kept in {file}", file=file),
        expected=_("a file of mode 600 that holds {user}:<password>", user=USER),
        received=received,
        fix=_("remove the file, and a new password is made; everyone has to log in again"),
    )


def reach_server() -> str:
    """Make sure that a server is named, answers, and accepts the password.

    Without an address Prefect would start a server for this command alone, and lose what is set up there.

    Returns:
        Its address.

    Raises:
        SettingsError: No server is named.
        TenaraiError: It does not answer, or refuses.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise SettingsError(
            _("no Prefect server is named"),
            expected=_("its address in PREFECT_API_URL, such as http://127.0.0.1:4200/api"),
            fix=_("start one with `tenarai up`, then set PREFECT_API_URL, and PREFECT_API_AUTH_STRING to its password"),
        )
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pools(limit=1)
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise no_answer(url, error) from error
    return url


def no_answer(url: str, error: Exception) -> TenaraiError:
    """The error for a server that does not answer or refuses."""
    return TenaraiError(
        _("the Prefect server at {url} does not answer", url=url),
        received=next(iter(str(error).splitlines()), type(error).__name__),  # a time-out has no text
        fix=_("start it with `tenarai up`, check PREFECT_API_URL and PREFECT_API_AUTH_STRING, or unset them"),
    )
