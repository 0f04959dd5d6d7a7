"""Which failures of Drive pass by themselves, which do not, and what a person does about those.

The table is Google's ("Resolve errors" in the Drive API's guide), completed by what was seen to happen under injected
faults: bodies cut short, bits flipped, answers that are no JSON.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from time import time
from typing import Any

import google.auth.exceptions
import httplib2
from googleapiclient.errors import HttpError

from tenarai.errors import CredentialsError, SourceError, TenaraiError

LONGEST_ASKED_WAIT_SECONDS = 300.0

_SLOWER = {"userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"}
_PASSING = _SLOWER | {"backendError", "internalError", "transientError"}
DAMAGED = "it does not arrive as Google Drive lists it: upload it again"
REFUSALS = {
    "cannotDownloadFile": "its owner does not allow it to be downloaded: allow it in Share, Settings",
    "cannotDownloadAbusiveFile": "Google takes it for malware or spam and does not hand it out",
    "fileNotDownloadable": "it has no bytes that could be downloaded: put a picture in its place",
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
    SLOWER = "slower"  # try again, and everybody slows down
    TRANSPORT = "transport"  # try again over a new connection
    TOKEN = "token"  # noqa: S105 - try again with a new token, a few times only
    LASTING = "lasting"  # trying again does not mend it


class BadBody(Exception):
    """An answer came, and is not what it should be: short, altered, or no JSON."""


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
    """Google's word for what went wrong, such as `notFound`; empty when the body says none."""
    return next((item.get("reason", "") for item in _details(error)), "")


def asked_wait(error: BaseException) -> float:
    """Seconds that `Retry-After` asks for (RFC 9110, section 10.2.3), at most five minutes; 0 when it asks nothing."""
    text = str(error.resp.get("retry-after", "")).strip() if isinstance(error, HttpError) else ""
    if not text:
        return 0.0
    try:
        seconds = (
            float(text) if text.replace(".", "", 1).isdigit() else parsedate_to_datetime(text).timestamp() - time()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_ASKED_WAIT_SECONDS)


def status_of(error: SourceError) -> int:
    """The HTTP status behind an error that `explain` made; 0 when Drive did not answer."""
    return int(error.__cause__.resp.status) if isinstance(error.__cause__, HttpError) else 0


def is_bad_page_token(error: SourceError) -> bool:
    """Whether Drive no longer knows the page that was asked for."""
    cause = error.__cause__
    return isinstance(cause, HttpError) and any(item.get("location") == "pageToken" for item in _details(cause))


def refuse_file(error: SourceError) -> str:
    """Why Drive does not hand out this one file, for people; empty when the failure is not about the file."""
    cause = error.__cause__
    if isinstance(cause, BadBody):
        return DAMAGED
    return REFUSALS.get(reason_of(cause), "") if isinstance(cause, HttpError) else ""


def explain(error: BaseException, what: str, account: str) -> TenaraiError:
    """A failure as a message that a person can act on; it never contains a token or a key.

    Args:
        error: As raised by the client library.
        what: What could not be done.
        account: Who asked, for people.
    """
    if isinstance(error, google.auth.exceptions.RefreshError):
        return _explain_refresh(error, what, account)
    if isinstance(error, HttpError):
        return _explain_answer(error, what, account)
    return SourceError(
        what,
        received=f"no usable answer from Google Drive ({type(error).__name__}: {error})",
        fix="check this machine's network and TENARAI_DRIVE_API_ROOT; nothing is lost, and the next night goes on "
        "from here",
    )


def _judge_answer(error: HttpError) -> Fault:
    status, reason = error.resp.status, reason_of(error)
    if status == http.client.UNAUTHORIZED:
        return Fault.TOKEN
    if status == http.client.TOO_MANY_REQUESTS or (status == http.client.FORBIDDEN and reason in _SLOWER):
        return Fault.SLOWER
    if status == http.client.REQUEST_TIMEOUT or status >= http.client.INTERNAL_SERVER_ERROR:
        return Fault.PASSING
    if status == http.client.FORBIDDEN and reason in _PASSING:
        return Fault.PASSING
    return Fault.LASTING


def _details(error: HttpError) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(error.content)["error"]
        yield from (item for item in found.get("errors", []) if isinstance(item, dict))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _explain_refresh(error: google.auth.exceptions.RefreshError, what: str, account: str) -> TenaraiError:
    words = str(error.args[0]) if error.args else "no reason given"
    lower = words.lower()
    if "jwt" in lower or "timeframe" in lower:
        fix = "set this machine's clock (a key is refused when it is minutes off), or make a new key if it was deleted"
    elif "invalid_scope" in lower or "unauthorized_client" in lower:
        fix = "run `tenarai connect` again and allow what it asks for"
    elif "invalid_grant" in lower:
        fix = (
            "run `tenarai connect` again; if it happens every week, the OAuth app is still in testing, where Google "
            "ends each permission after 7 days: open Google Auth Platform, Audience, and choose Publish app"
        )
    else:
        fix = "run `tenarai doctor`, and `tenarai connect` if it says so"
    return CredentialsError(what, received=f"Google refused the credentials of {account} ({words})", fix=fix)


def _explain_answer(error: HttpError, what: str, account: str) -> TenaraiError:
    status, reason = error.resp.status, reason_of(error)
    received = f"{status} {reason or error.resp.reason}: {error.reason}"
    kind: type[TenaraiError] = SourceError
    if status == http.client.NOT_FOUND:
        # Drive does not tell "there is none" from "you may not see it"
        fix = f"check the id, and share the folder with {account} (Viewer is enough)"
    elif reason in {"accessNotConfigured", "SERVICE_DISABLED"}:
        fix = (
            "enable the Google Drive API in the project of these credentials: "
            "https://console.cloud.google.com/apis/library/drive.googleapis.com"
        )
    elif status == http.client.UNAUTHORIZED:
        kind, fix = CredentialsError, "run `tenarai doctor`; `tenarai connect` makes new credentials"
    elif reason in {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}:
        kind, fix = CredentialsError, "run `tenarai connect` again and allow everything that it asks for"
    elif reason in {"insufficientFilePermissions", "appNotAuthorizedToFile"}:
        fix = f"share the file or folder with {account} as Editor"
    elif reason == "storageQuotaExceeded":
        fix = (
            "a service account has no space of its own in My Drive: use a folder on a shared drive, or connect with "
            "OAuth, or put a file named report.html there by hand and share it with the account as Editor: it is "
            "then updated. If the account is a person's, free space"
        )
    elif reason in {"dailyLimitExceeded", "quotaExceeded"}:
        fix = "nothing is lost; wait for tomorrow, or ask for more in the project's quota page"
    elif judge(error) is not Fault.LASTING:
        fix = "nothing is lost; try again later, or lower TENARAI_DRIVE_REQUESTS_PER_SECOND if it happens often"
    else:
        fix = "run `tenarai doctor`; nothing is lost"
    return kind(what, received=received, fix=fix)
