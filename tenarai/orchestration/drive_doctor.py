"""What `tenarai doctor` checks of a source on Google Drive: account, clock, folder, and where reports go."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tenarai.drive import Drive
from tenarai.drive.credentials import Account
from tenarai.errors import SourceError, TenaraiError
from tenarai.locale import _
from tenarai.orchestration.doctor import Check, Finding, describe_files, describe_unread
from tenarai.orchestration.runs import resolve_secrets
from tenarai.settings import Settings
from tenarai.sync.drive import DriveSource

LARGEST_CLOCK_ERROR = 60  # seconds; Google refuses keys that were signed at the wrong time
DAYS_IN_TESTING = 7
KINDS = {
    "service_account": _("a service account"),
    "authorized_user": _("a person's permission"),
    "default": _("found by Google's own libraries"),
}


def check_drive(settings: Settings) -> Check:
    """Check all that reading a folder on Drive needs."""
    source = DriveSource(resolve_secrets(settings))
    drive, account = source.drive, source.drive.account
    yield Finding("ok", _("credentials of {account} ({kind})", account=account.name, kind=KINDS[account.kind]))
    yield _check_clock(settings.drive_api_root)
    yield Finding("ok", _("Google Drive answers {who}", who=drive.who()))
    files = source.list_files()
    yield describe_files(source.name, files)
    yield from describe_unread(files)
    yield _check_reports(settings, drive)
    yield _check_expiry(account)


def _check_clock(api_root: str) -> Finding:
    try:
        with urllib.request.urlopen(api_root, timeout=20) as answer:  # noqa: S310 - the setting names the address
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    except (OSError, ValueError) as error:
        raise SourceError(
            _("{address} cannot be reached", address=api_root),
            received=str(error),
            fix=_("check the network and proxy of this machine, and TENARAI_DRIVE_API_ROOT"),
        ) from error
    difference = time.time() - parsedate_to_datetime(date).timestamp() if date else 0.0
    if abs(difference) < LARGEST_CLOCK_ERROR:
        return Finding("ok", _("the clock of this machine agrees with Google's"))
    time_off = timedelta(seconds=round(abs(difference)))
    if difference > 0:
        text = _("the clock of this machine is {time} ahead of Google's", time=time_off)
    else:
        text = _("the clock of this machine is {time} behind Google's", time=time_off)
    return Finding("wrong", text, _("set it, best by NTP: Google refuses keys signed at the wrong time"))


def _check_reports(settings: Settings, drive: Drive) -> Finding:
    from tenarai.report.sending import find_destination, wants_reports

    if not wants_reports(settings.source, settings):
        return Finding("note", _("reports are not sent to Drive: TENARAI_DRIVE_REPORTS is off"))
    try:
        place = find_destination(settings.source, settings, drive)
    except TenaraiError as error:
        return Finding("note", _("reports cannot be sent to Drive: {why}", why=error.what), error.fix)
    if place is None:
        text = _("reports stay in the store: {account} may not write to Drive", account=drive.account.name)
        fix = _("to send them: a shared drive, a placeholder, or `tenarai connect --reports` (docs/drive.md)")
        return Finding("note", text, fix)
    if place.may_create:
        return Finding("ok", _("reports are sent to {folder} on Drive", folder=place.name))
    return Finding("ok", _("reports are sent to {folder} on Drive, into files made by hand", folder=place.name))


def _check_expiry(account: Account) -> Finding:
    if account.kind == "service_account":
        return Finding("ok", _("the key of a service account does not expire"))
    publish = _("open Google Auth Platform, Audience, choose Publish app, then run `tenarai connect` again")
    if not account.connected:
        text = _("this permission expires 7 days after it was given if its OAuth app is still in testing")
        return Finding("note", text, publish)
    given = datetime.fromisoformat(account.connected)
    ends = given + timedelta(days=DAYS_IN_TESTING)
    dates = {"given": f"{given:%Y-%m-%d}", "ends": f"{ends:%Y-%m-%d}"}
    if ends < datetime.now(UTC):
        return Finding("ok", _("this permission was given on {given} and has not expired", **dates))
    text = _("this permission was given on {given}; it expires on {ends} if its OAuth app is in testing", **dates)
    return Finding("note", text, publish)
