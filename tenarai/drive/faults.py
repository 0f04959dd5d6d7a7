"""Failures of Drive: which pass by themselves, which concern one file only, and what a person does about the others.

The table is Google's ("Resolve errors" in the Drive API's guide), completed by what happens under injected faults:
bodies cut short, flipped bits, answers that are not JSON.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from time import time
from typing import Any

import google.auth.exceptions
import httplib2
from googleapiclient.errors import HttpError

from tenarai.errors import CredentialsError, SourceError, TenaraiError
from tenarai.locale import Message, _

LONGEST_ASKED_WAIT_SECONDS = 300.0

_SLOWER = {"userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"}
_PASSING = _SLOWER | {"backendError", "internalError", "transientError"}
_OF_ACCOUNT = {"dailyLimitExceeded", "accessNotConfigured", "SERVICE_DISABLED", "authError", "insufficientPermissions"}
_OF_ACCOUNT |= {"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
_QUOTA_OF_FILE = {"downloadQuotaExceeded", "quotaExceeded"}
_NOT_ALLOWED = _("its owner does not allow it to be downloaded: allow it in Share, Settings")
_ABUSE = _("Google takes it for malware or spam and does not deliver it: remove it")
_FILE_REASONS: dict[str, Message] = {
    "cannotDownloadFile": _NOT_ALLOWED,
    "cannotDownloadAbusiveFile": _ABUSE,
    "abuse": _ABUSE,
    "fileNotDownloadable": _("it has no content that could be downloaded: put a picture in its place"),
    "domainPolicy": _("its organisation does not allow it to be downloaded: put a copy here"),
    "insufficientFilePermissions": _("the account may not download it: share the file itself with the account"),
    "appNotAuthorizedToFile": _("the account may not download it: share the file itself with the account"),
}
_TRANSPORT = (
    OSError,  # refused, reset, timed out, TLS, no such host
    ssl.SSLError,
    http.client.HTTPException,  # `IncompleteRead`, `BadStatusLine`
    httplib2.HttpLib2Error,
    google.auth.exceptions.TransportError,
)


class Fault(StrEnum):
    """What to do about a failure."""

    PASSING = "passing"  # try again
    SLOWER = "slower"  # try again, and all threads slow down
    TRANSPORT = "transport"  # try again over a new connection
    TOKEN = "token"  # noqa: S105 - try again with a new token, a few times only
    LASTING = "lasting"  # trying again does not help


class Scope(StrEnum):
    """Whom a download's failure concerns."""

    FILE = "file"  # only this file, until somebody changes it
    QUOTA = "quota"  # only this file, until tomorrow
    GONE = "gone"  # the file vanished
    SERVER = "server"  # Drive or the network, perhaps only for a moment
    ACCOUNT = "account"  # every file


class BadBody(Exception):
    """The answer is not what it should be: short, altered, or not JSON."""


def judge(error: BaseException) -> Fault:
    """What to do about a failure."""
    if isinstance(error, HttpError):
        return _judge_answer(error)
    if isinstance(error, google.auth.exceptions.RefreshError):
        return Fault.PASSING if error.retryable else Fault.LASTING
    if isinstance(error, BadBody):
        return Fault.PASSING
    return Fault.TRANSPORT if isinstance(error, _TRANSPORT) else Fault.LASTING


def reason_of(error: HttpError) -> str:
    """Google's word for what went wrong, such as `notFound`; empty if there is none."""
    return next((item.get("reason", "") for item in _details(error)), "")


def asked_wait(error: BaseException) -> float:
    """Seconds that `Retry-After` asks for (RFC 9110, section 10.2.3), at most five minutes; 0 without one."""
    text = str(error.resp.get("retry-after", "")).strip() if isinstance(error, HttpError) else ""
    try:
        seconds = (
            float(text) if text.replace(".", "", 1).isdigit() else parsedate_to_datetime(text).timestamp() - time()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_ASKED_WAIT_SECONDS)


def status_of(error: SourceError) -> int:
    """The HTTP status behind an error that `explain` made; 0 if Drive did not answer."""
    return int(error.__cause__.resp.status) if isinstance(error.__cause__, HttpError) else 0


def is_bad_page_token(error: SourceError) -> bool:
    """Whether Drive no longer accepts the page token that was sent."""
    cause = error.__cause__
    return isinstance(cause, HttpError) and any(item.get("location") == "pageToken" for item in _details(cause))


def find_scope(error: SourceError) -> Scope:
    """Whom the failure of a download concerns."""
    cause = error.__cause__
    if isinstance(cause, BadBody):
        return Scope.FILE
    if not isinstance(cause, HttpError):
        return Scope.ACCOUNT if isinstance(error, CredentialsError) else Scope.SERVER
    status, reason = cause.resp.status, reason_of(cause)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return Scope.GONE
    if reason in _QUOTA_OF_FILE:
        return Scope.QUOTA
    if status == HTTPStatus.UNAUTHORIZED or reason in _OF_ACCOUNT or judge(cause) is Fault.SLOWER:
        return Scope.ACCOUNT
    return Scope.SERVER if judge(cause) is not Fault.LASTING else Scope.FILE


def explain_file(error: SourceError) -> Message:
    """Why Drive does not deliver this one file, for people."""
    cause = error.__cause__
    if isinstance(cause, BadBody):
        return _("it does not arrive as Google Drive lists it: upload it again")
    if not isinstance(cause, HttpError):
        return _("it cannot be downloaded now; the next night tries again")
    reason = reason_of(cause)
    if reason in _QUOTA_OF_FILE:
        return _("it was downloaded too often (Google's limit for one file): it waits for the next night")
    if judge(cause) is not Fault.LASTING:
        return _("it cannot be downloaded now; the next night tries again")
    said = f"{cause.resp.status} {reason}".strip()
    return _FILE_REASONS.get(reason) or _("Google Drive does not deliver it ({said}): put a copy here", said=said)


def explain(error: BaseException, what: str, account: str) -> TenaraiError:
    """A failure as a message that a person can act on; it never contains a token or a key.

    Args:
        error: As raised by the client library.
        what: What could not be done.
        account: Who asked, for people.
    """
    if isinstance(error, google.auth.exceptions.RefreshError):
        return _explain_refresh(error, account)
    if isinstance(error, HttpError):
        return _explain_answer(error, what, account)
    fix = _("check the network and TENARAI_DRIVE_API_ROOT; nothing is lost, and the next night continues from here")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        fix = _("set this machine's clock; behind a company's proxy, set SSL_CERT_FILE to its certificates")
    return SourceError(
        what,
        received=_("no usable answer from Google Drive ({why})", why=f"{type(error).__name__}: {error}"),
        fix=fix,
    )


def _judge_answer(error: HttpError) -> Fault:
    status, reason = error.resp.status, reason_of(error)
    if status == HTTPStatus.UNAUTHORIZED:
        return Fault.TOKEN
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and reason in _SLOWER):
        return Fault.SLOWER
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault.PASSING
    return Fault.PASSING if status == HTTPStatus.FORBIDDEN and reason in _PASSING else Fault.LASTING


def _details(error: HttpError) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(error.content)["error"]
        yield from (item for item in found.get("errors", []) if isinstance(item, dict))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


_AGAIN = _(
    "run `tenarai connect` again; if it happens every week, the OAuth app is still in testing, where Google ends each "
    "permission after 7 days: open Google Auth Platform, Audience, and choose Publish app"
)
_NEW_ACCOUNT = _(
    "the account or its key was deleted or disabled: create a new service account or key, share the folder with it, "
    "and set TENARAI_DRIVE_CREDENTIALS to its file"
)
_NEW_CLIENT = _("the OAuth client was deleted or disabled: create a new one, and run `tenarai connect --client <file>`")
_LOGIN = _("run `tenarai connect` again: your organisation asks for a new login from time to time")
_REFRESH_FIXES: tuple[tuple[tuple[str, ...], Message], ...] = (  # the first that fits
    (("account not found", "robot is disabled", "account_disabled", "account has been deleted"), _NEW_ACCOUNT),
    (("deleted_client", "disabled_client", "invalid_client"), _NEW_CLIENT),
    (("invalid_rapt", "rapt_required", "reauthentication"), _LOGIN),
    (
        ("jwt", "timeframe"),
        _("set this machine's clock (Google refuses keys that are minutes off), or create a new key if it was deleted"),
    ),
    (("admin_policy", "org_internal"), _("ask the administrator of your organisation to allow this application")),
    (("invalid_scope", "unauthorized_client"), _("run `tenarai connect` again and allow what it asks for")),
    (("invalid_grant",), _AGAIN),
    (("",), _("run `tenarai doctor`, and `tenarai connect` if it says so")),
)


def _explain_refresh(error: google.auth.exceptions.RefreshError, account: str) -> TenaraiError:
    words = str(error.args[0]) if error.args else ""
    lower = f"{words} {error.args[1:]}".lower()
    fix = next(fix for signs, fix in _REFRESH_FIXES if any(sign in lower for sign in signs))
    said = "invalid_rapt" if fix is _LOGIN else words  # Google's library would send people to gcloud
    return CredentialsError(_("Google refused the credentials of {account}", account=account), received=said, fix=fix)


def _explain_answer(error: HttpError, what: str, account: str) -> TenaraiError:
    status, reason = error.resp.status, reason_of(error)
    kind: type[TenaraiError] = SourceError
    if status == HTTPStatus.NOT_FOUND:  # also for what the account may not see
        fix = _("check the id, and share the folder with {account} (Viewer is enough)", account=account)
    elif reason in {"accessNotConfigured", "SERVICE_DISABLED"}:
        fix = _(
            "enable the Google Drive API in the project of these credentials: {link}",
            link="https://console.cloud.google.com/apis/library/drive.googleapis.com",
        )
    elif status == HTTPStatus.UNAUTHORIZED:
        kind, fix = CredentialsError, _("run `tenarai doctor`; `tenarai connect` makes new credentials")
    elif reason in {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}:
        kind, fix = CredentialsError, _("run `tenarai connect` again and allow everything that it asks for")
    elif reason in {"insufficientFilePermissions", "appNotAuthorizedToFile"}:
        fix = _("share the file or folder with {account} as Editor", account=account)
    elif reason == "domainPolicy":
        fix = _("ask the administrator of your organisation to allow Drive for {account}", account=account)
    elif reason == "storageQuotaExceeded":
        fix = _(
            "a service account has no storage in My Drive: use a folder on a shared drive, or connect with OAuth, or "
            "put a file named report.html there by hand and share it with the account as Editor, so that it can be "
            "updated. If the account is a person's, free storage"
        )
    elif reason in {"dailyLimitExceeded", *_QUOTA_OF_FILE}:
        fix = _("nothing is lost; wait for tomorrow, or ask for more on the project's quota page")
    elif judge(error) is not Fault.LASTING:
        fix = _("nothing is lost; try again later, or lower TENARAI_DRIVE_QUOTA_PER_MINUTE if it happens often")
    else:
        fix = _("run `tenarai doctor`; nothing is lost")
    return kind(what, received=f"{status} {reason or error.resp.reason}: {error.reason}", fix=fix)
