"""The account that reads Drive: a service account, a person who gave permission, or Google's default credentials.

Nothing here is ever logged, and no error contains more than an account's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
import google.auth.credentials
import google.auth.exceptions
import google.oauth2.credentials
from google.oauth2 import service_account
from pydantic import SecretStr

from tenarai.errors import CredentialsError
from tenarai.locale import _

READ_SCOPE = "https://www.googleapis.com/auth/drive.readonly"
OWN_FILES_SCOPE = "https://www.googleapis.com/auth/drive.file"
WRITE_SCOPE = "https://www.googleapis.com/auth/drive"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


@dataclass(frozen=True)
class Account:
    """Credentials and the name to call them by.

    Attributes:
        credentials: As google-auth makes them.
        name: For people: an address, or the kind of account. Never a secret.
        kind: `service_account`, `authorized_user` or `default`.
        scopes: What a person allowed, or what is requested; empty when not known.
        identity: Differs between accounts, because each has its own changes feed. Not a secret.
        connected: When a person gave their permission, ISO 8601; empty when not known.
    """

    credentials: google.auth.credentials.Credentials
    name: str
    kind: str
    scopes: tuple[str, ...] = ()
    identity: str = ""
    connected: str = ""

    @property
    def may_make_files(self) -> bool:
        """Whether the account has storage in My Drive; a service account has none."""
        return self.kind != "service_account"


def find_account(setting: SecretStr, *, write: bool = False) -> Account:
    """The account that the setting `drive_credentials` names.

    Args:
        setting: Path of a JSON file, the JSON itself, or empty for Google's application default credentials.
        write: Request the scope for writing. Default: only `drive.readonly`.

    Raises:
        CredentialsError: There are no credentials, or they are damaged.
    """
    text, scopes = setting.get_secret_value().strip(), [WRITE_SCOPE if write else READ_SCOPE]
    if not text:
        return _find_default(scopes)
    if text.startswith("{"):
        return to_account(_parse(text, "TENARAI_DRIVE_CREDENTIALS"), "TENARAI_DRIVE_CREDENTIALS", scopes)
    return to_account(_read_file(Path(text).expanduser()), text, scopes)


def to_account(info: Mapping[str, Any], where: str, scopes: Sequence[str]) -> Account:
    """An account from the JSON that Google's console, gcloud or `tenarai connect` wrote.

    Args:
        info: The JSON.
        where: Where it was found, for messages.
        scopes: What to request; a person's permission keeps the scopes that it was given with.

    Raises:
        CredentialsError: It is neither a service account's key nor an authorised user.
    """
    kind = info.get("type")
    try:
        if kind == "service_account":
            key = service_account.Credentials.from_service_account_info(dict(info), scopes=list(scopes))
            email = key.service_account_email
            return Account(key, email, kind, tuple(scopes), identity=email)
        if kind == "authorized_user" or (kind is None and "refresh_token" in info):
            return _to_person(info)
    except (KeyError, ValueError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
        raise CredentialsError(
            _("the credentials in {where} cannot be used", where=where),
            received=_("{field} is missing", field=str(error))
            if isinstance(error, KeyError)
            else _("the key or a field in it is damaged"),
            fix=_("download the key again, or run `tenarai connect`"),
        ) from None  # the error may quote the key
    is_client = "installed" in info or "web" in info
    raise CredentialsError(
        _("{where} contains no credentials for Drive", where=where),
        expected=_("a service account's key or an authorised user"),
        received=_("an OAuth client, which can only ask for permission")
        if is_client
        else _("type {kind}", kind=repr(kind)),
        fix=_("run `tenarai connect --client {path}`", path=where)
        if is_client
        else _("run `tenarai connect`, which shows how to get them"),
    )


def _to_person(info: Mapping[str, Any]) -> Account:
    user = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
        token=None,
        refresh_token=info["refresh_token"],
        token_uri=info.get("token_uri") or _TOKEN_URI,
        client_id=info["client_id"],
        client_secret=info["client_secret"],
    )
    return Account(
        user,
        name=str(info.get("account") or _("the person who connected")),
        kind="authorized_user",
        scopes=tuple(info.get("scopes") or ()),
        identity=hashlib.sha256(str(info["refresh_token"]).encode()).hexdigest()[:12],
        connected=str(info.get("connected") or ""),
    )


def _find_default(scopes: Sequence[str]) -> Account:
    try:
        found, _project = google.auth.default(scopes=list(scopes))
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise CredentialsError(
            _("no credentials for Google Drive were found"),
            expected=_("TENARAI_DRIVE_CREDENTIALS, GOOGLE_APPLICATION_CREDENTIALS or gcloud's login"),
            received=_("none of them") if "not found" in str(error) else str(error),
            fix=_("run `tenarai connect`, which shows both ways step by step"),
        ) from error
    email = getattr(found, "service_account_email", "")
    return Account(
        found,
        name=email or str(_("Google's application default credentials")),
        kind="service_account" if email else "default",
        scopes=tuple(scopes),
        identity=email or str(getattr(found, "quota_project_id", "")),
    )


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors write a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(
            _("the credentials in {path} cannot be read", path=str(path)),
            expected=_("a JSON file: a service account's key, or the file that `tenarai connect` wrote"),
            received=getattr(error, "strerror", None) or _("a file that is not text"),
            fix=_("set TENARAI_DRIVE_CREDENTIALS to the right path, or run `tenarai connect`"),
        ) from None
    return _parse(text, str(path))


def _parse(text: str, where: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CredentialsError(
            _("the credentials in {where} are damaged", where=where),
            expected=_("a JSON object"),
            fix=_("download the key again, or run `tenarai connect`"),
        ) from None  # the parser's error may quote the key
    return value
