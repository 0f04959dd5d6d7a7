"""Who asks: a service account, a person who said yes in the browser, or what Google's libraries find around them.

Nothing here is ever logged, and no error contains more than an account's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
import google.auth.credentials
import google.auth.exceptions
import google.oauth2.credentials
from google.oauth2 import service_account

from tenarai.errors import CredentialsError, SettingsError

READ_SCOPE = "https://www.googleapis.com/auth/drive.readonly"
OWN_FILES_SCOPE = "https://www.googleapis.com/auth/drive.file"
WRITE_SCOPE = "https://www.googleapis.com/auth/drive"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address

BLOCK = "block:"


@dataclass(frozen=True)
class Account:
    """Credentials and the name to call them by.

    Attributes:
        credentials: As google-auth makes them.
        name: For people: an address, or what kind of account it is. Never a secret.
        kind: `service_account`, `authorized_user` or `default`.
        scopes: What a person allowed, or what is asked for; empty when not known.
        connected: When a person gave their permission, ISO 8601; empty when not known.
        identity: Differs where the account may be another one: each has a changes feed of its own. No secret.
    """

    credentials: google.auth.credentials.Credentials
    name: str
    kind: str
    scopes: tuple[str, ...] = ()
    identity: str = ""
    connected: str = ""

    @property
    def may_make_files(self) -> bool:
        """Whether the account has space in My Drive to create files in, as far as its kind tells."""
        return self.kind != "service_account"


def find_account(setting: str, *, write: bool = False, read_secret: Callable[[str], object] | None = None) -> Account:
    """The account that a setting names.

    Args:
        setting: Path of a JSON file, `block:<name>` of a Prefect Secret block, or empty for Google's application
            default credentials.
        write: Ask for writing, too. Reading asks for `drive.readonly` only. Default: False.
        read_secret: Gives the value of a Prefect block by name. Default: blocks cannot be read.

    Raises:
        CredentialsError: There are none, or they are damaged.
        SettingsError: A block is named and there is nobody to read it.
    """
    scopes = [WRITE_SCOPE] if write else [READ_SCOPE]
    if not setting:
        return _find_default(scopes)
    if setting.startswith(BLOCK):
        return to_account(_read_block(setting, read_secret), f"the Prefect block {setting[len(BLOCK) :]}", scopes)
    return to_account(_read_file(Path(setting).expanduser()), f"the file {setting}", scopes)


def to_account(info: Mapping[str, Any], where: str, scopes: Sequence[str]) -> Account:
    """An account from the JSON that Google's console, gcloud or `tenarai connect` wrote.

    Args:
        info: The JSON.
        where: Where it was found, for messages.
        scopes: What to ask for; a person's own permission is taken as it was given.

    Raises:
        CredentialsError: It is neither a service account's key nor an authorised user.
    """
    kind = info.get("type")
    try:
        if kind == "service_account":
            key = service_account.Credentials.from_service_account_info(dict(info), scopes=list(scopes))
            email = key.service_account_email
            return Account(key, email, "service_account", tuple(scopes), identity=email)
        if kind == "authorized_user" or (kind is None and "refresh_token" in info):
            user = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
                token=None,
                refresh_token=info["refresh_token"],
                token_uri=info.get("token_uri") or _TOKEN_URI,
                client_id=info["client_id"],
                client_secret=info["client_secret"],
            )
            name = info.get("account") or "the person who connected"
            granted = hashlib.sha256(str(info["refresh_token"]).encode()).hexdigest()[:12]
            return Account(
                user,
                str(name),
                "authorized_user",
                tuple(info.get("scopes") or ()),
                identity=granted,
                connected=str(info.get("connected") or ""),
            )
    except (KeyError, ValueError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else "a key or field in it is damaged"
        raise CredentialsError(
            f"the credentials in {where} cannot be used",
            received=missing,
            fix="download the key again, or run `tenarai connect`",
        ) from None  # the error may quote the key
    is_client = "installed" in info or "web" in info
    raise CredentialsError(
        f"{where} holds no credentials for Drive",
        expected="a service account's key or an authorised user",
        received="an OAuth client, which only asks for permission" if is_client else f"type {kind!r}",
        fix="run `tenarai connect --client <this file>`" if is_client else "run `tenarai connect` for the way there",
    )


def _find_default(scopes: Sequence[str]) -> Account:
    try:
        found, _ = google.auth.default(scopes=list(scopes))
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise CredentialsError(
            "no credentials for Google Drive were found",
            expected="TENARAI_DRIVE_CREDENTIALS, GOOGLE_APPLICATION_CREDENTIALS or gcloud's own",
            received="none of them" if "not found" in str(error) else str(error),
            fix="run `tenarai connect`: it tells both ways, step by step",
        ) from error
    email = getattr(found, "service_account_email", "")
    kind = "service_account" if email else "default"
    name = email or "Google's application default credentials"
    return Account(found, name, kind, tuple(scopes), identity=email or str(getattr(found, "quota_project_id", "")))


def _read_block(setting: str, read_secret: Callable[[str], object] | None) -> Mapping[str, Any]:
    if read_secret is None:
        raise SettingsError(
            f"the credentials {setting} are a Prefect block, and this command does not talk to Prefect",
            fix="set TENARAI_DRIVE_CREDENTIALS to a file",
        )
    value = read_secret(setting[len(BLOCK) :])
    return value if isinstance(value, Mapping) else _parse(str(value), setting)


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"the credentials in {path} cannot be read",
            expected="a JSON file: a service account's key, or what `tenarai connect` wrote",
            received=getattr(error, "strerror", None) or "no text",
            fix="set TENARAI_DRIVE_CREDENTIALS to the right path, or run `tenarai connect`",
        ) from None
    return _parse(text, str(path))


def _parse(text: str, where: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CredentialsError(
            f"the credentials in {where} are damaged",
            expected="a JSON object",
            fix="download the key again, or run `tenarai connect`",
        ) from None  # the parser's error may quote the key
    return value
