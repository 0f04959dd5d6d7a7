"""Can the source be read, what is in it, and may reports be written back?"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tenarai.errors import SettingsError, SourceError, TenaraiError
from tenarai.orchestration.blocks import resolve_secrets
from tenarai.orchestration.doctor.findings import Finding
from tenarai.records import Role
from tenarai.settings import DEFAULT_SOURCE, Settings
from tenarai.sync import open_source
from tenarai.sync.plan import RemoteFile

if TYPE_CHECKING:
    from tenarai.drive import Drive
    from tenarai.drive.credentials import Account

SECONDS_THAT_MATTER = 60
DAYS_IN_TESTING = 7
_KINDS = {
    "service_account": "a service account",
    "authorized_user": "a person's permission",
    "default": "found by Google's own libraries",
}


def check_source(settings: Settings) -> Iterator[Finding]:
    """Whatever the address names."""
    if settings.source.startswith("drive:"):
        yield from _check_drive(settings)
    elif settings.source.startswith("folder:"):
        yield from _check_folder(settings)
    else:
        raise SettingsError(
            f"the source {settings.source!r} is not understood",
            fix="set TENARAI_SOURCE or --source to folder:<path> or drive:<folder id>",
        )


def _check_folder(settings: Settings) -> Iterator[Finding]:
    root = Path(settings.source.removeprefix("folder:")).expanduser().absolute()
    if settings.source == DEFAULT_SOURCE and not root.exists():
        yield Finding(
            "source", "note", "none is named: the first night makes a sample folder", "set TENARAI_SOURCE or --source"
        )
        return
    source = open_source(settings)
    yield _describe_files(source.name, source.list_files())


def _check_drive(settings: Settings) -> Iterator[Finding]:
    from tenarai.sync.drive import DriveSource

    source = DriveSource(resolve_secrets(settings))
    drive, account = source.drive, source.drive.account
    yield Finding("source", "well", f"credentials of {account.name} ({_KINDS[account.kind]})")
    yield _check_clock(settings.drive_api_root)
    yield Finding("source", "well", f"Google Drive answers {drive.who()}")
    files = source.list_files()
    yield _describe_files(source.name, files)
    yield _check_reports(settings, drive)
    yield _check_expiry(account)


def _describe_files(where: str, files: Iterable[RemoteFile]) -> Finding:
    """Counts by role; an empty folder stops the night."""
    files = list(files)
    counts, labels = Counter(file.role for file in files), {file.label for file in files if file.label}
    refused = [file for file in files if file.reason]
    if not files:
        return Finding(
            "source", "wrong", f"{where} holds no files to work on", "put images into digits/<label>/ or inbox/"
        )
    told = ", ".join(f"{counts[role]} in {role.value}" for role in Role if counts[role])
    text = f"{where}: {told}; {len(labels)} labels"
    if refused:
        return Finding("source", "note", f"{text}; {len(refused)} cannot be used", f"such as {_example(refused[0])}")
    return Finding("source", "well", text)


def _example(file: RemoteFile) -> str:
    return f"{file.path!r}: {file.reason}"


def _check_clock(api_root: str) -> Finding:
    """How far this machine's clock is from Google's; a service account's key is refused by a clock that is off."""
    try:
        with urllib.request.urlopen(api_root, timeout=20) as answer:  # noqa: S310 - the setting names the address
            told = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        told = error.headers["Date"]
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{api_root} cannot be reached",
            received=str(error),
            fix="check this machine's network and proxy, and TENARAI_DRIVE_API_ROOT",
        ) from error
    off = time.time() - parsedate_to_datetime(told).timestamp() if told else 0.0
    if abs(off) < SECONDS_THAT_MATTER:
        return Finding("source", "well", "this machine's clock agrees with Google's")
    way = "ahead of" if off > 0 else "behind"
    text = f"this machine's clock is {timedelta(seconds=round(abs(off)))} {way} Google's"
    return Finding("source", "wrong", text, "set it, by NTP for good: Google refuses keys signed at the wrong time")


def _check_reports(settings: Settings, drive: Drive) -> Finding:
    from tenarai.report.sending import find_destination, wants_reports

    if not wants_reports(settings.source, settings):
        return Finding("source", "note", "reports are not sent to Drive: TENARAI_DRIVE_REPORTS is off")
    try:
        place = find_destination(settings.source, settings, drive)
    except TenaraiError as error:
        return Finding("source", "note", f"reports cannot be sent to Drive: {error.what}", error.fix)
    if place is None:
        name = drive.account.name
        fix = (
            "for them to go there: a shared drive, a placeholder, or `tenarai connect --reports` (deployments/drive.md)"
        )
        return Finding("source", "note", f"reports stay in the store: {name} may write nothing there", fix)
    how = "" if place.may_create else ", into the files that were made there by hand"
    return Finding("source", "well", f"reports are sent to {place.name} on Drive{how}")


def _check_expiry(account: Account) -> Finding:
    if account.kind == "service_account":
        return Finding("source", "well", "a service account's key does not run out by itself")
    publish = "open Google Auth Platform, Audience, and choose Publish app; then `tenarai connect` once more"
    if not account.connected:
        text = "this permission ends 7 days after it was given if its OAuth app is still in testing"
        return Finding("source", "note", text, publish)
    given = datetime.fromisoformat(account.connected)
    ends = given + timedelta(days=DAYS_IN_TESTING)
    if ends < datetime.now(UTC):
        return Finding("source", "well", f"this permission was given on {given:%Y-%m-%d} and has not run out")
    text = f"this permission was given on {given:%Y-%m-%d}; it ends on {ends:%Y-%m-%d} if its OAuth app is in testing"
    return Finding("source", "note", text, publish)
