"""The report, sent to a folder on Google Drive, where a phone finds it in the morning.

    report.html, summary.png   the newest, always under the same link; may be placeholders that a person made
    <night> <verdict>.html     the last nights on which something happened; older ones are moved to the trash

Sending twice changes nothing: own files are known by properties that only this application sees, and a new file gets an
id that was fetched beforehand, so that a lost answer makes no second file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from mimetypes import guess_type
from typing import TYPE_CHECKING

from tenarai.errors import SettingsError, SourceError
from tenarai.locale import _
from tenarai.settings import Settings

if TYPE_CHECKING:
    from tenarai.drive import Drive, DriveFile

REPORTS = "reports"
OWN_FOLDER = "Tenarai reports"
LATEST = "latest"
_MARK = ("tenarai", "report")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent.

    Attributes:
        folder: Name of the folder on Drive.
        links: Where the newest of each file opens, by its name.
        num_written: Files created or changed.
    """

    folder: str
    links: Mapping[str, str]
    num_written: int

    @property
    def link(self) -> str:
        """Where the newest report opens; empty when it was not among the files."""
        return self.links.get("report.html", "")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where reports go.

    Attributes:
        folder: The folder; None when it must be created.
        parent: Id of the folder to create it in; empty for the top of My Drive.
        name: Its name.
        may_create: Whether files can be created in it. If not, only files that a person put there are updated.
    """

    folder: DriveFile | None
    parent: str
    name: str
    may_create: bool


def send_report(
    source: str,
    run: str,
    verdict: str,
    files: Mapping[str, bytes],
    settings: Settings,
) -> Sent | None:
    """Send a night's report to Drive.

    Args:
        source: Address of the source that it is about.
        run: Name of the night.
        verdict: How it ended; of a night with "nothing new" only the newest report is renewed.
        files: File name to bytes.
        settings: Where to, and who sends.

    Returns:
        What was sent, or None where the account may not write.

    Raises:
        SourceError, CredentialsError, SettingsError: It cannot be sent; what was sent before is whole.
    """
    from tenarai.drive import open_drive

    destination = find_destination(source, settings, open_drive(settings))
    if destination is None:
        return None
    post = _Post(open_drive(settings, write=True), destination, _short(source))
    if verdict != "nothing new" and destination.may_create:
        for name, data in files.items():
            post.put(run, name, _dated(name, run, verdict), data)
    links = {name: post.put(LATEST, name, name, data) for name, data in files.items()}
    post.trash_all_but(settings.drive_reports_kept)
    return Sent(destination.name, links, post.num_written)


def wants_reports(source: str, settings: Settings) -> bool:
    """Whether reports are to be sent, as far as the settings say."""
    return settings.drive_reports not in {"off", "auto"} or (
        settings.drive_reports == "auto" and source.startswith("drive:")
    )


def find_destination(source: str, settings: Settings, drive: Drive) -> Destination | None:
    """Where reports go; only looks, so a client that may only read will do.

    Args:
        source: Address of the source.
        settings: `drive_reports` says where to.
        drive: The client.

    Returns:
        The place, or None when `auto` finds none that the account may write to.

    Raises:
        SettingsError: The account cannot have a folder of its own.
        SourceError: The folder cannot be seen.
    """
    from tenarai.drive import parse_drive_address
    from tenarai.drive.credentials import OWN_FILES_SCOPE, WRITE_SCOPE

    wish, scopes = settings.drive_reports, drive.account.scopes
    if wish == "auto" and drive.account.kind == "authorized_user" and scopes and WRITE_SCOPE not in scopes:
        if OWN_FILES_SCOPE not in scopes:
            return None
        wish = "own"
    if wish == "own":
        return _find_own_folder(source, drive)
    if wish != "auto":
        return _describe(drive, drive.get(wish))
    folder_id, key = parse_drive_address(source)
    root = drive.get(folder_id, key)
    children = drive.list_folder(root.id, drive_id=root.drive_id, resource_key=key)
    folders = [child for child in children if child.is_folder and child.name.strip().lower() == REPORTS]
    if folders:
        found = _describe(drive, folders[0])
        may_update = found.may_create or any(file.can_edit for file in drive.list_folder(folders[0].id))
        return found if may_update else None
    return Destination(None, root.id, REPORTS, True) if _may_create(drive, root) else None


def _find_own_folder(source: str, drive: Drive) -> Destination:
    if not drive.account.may_make_files:
        raise SettingsError(
            _("a service account has no space for a reports folder"),
            fix=_(
                "set TENARAI_DRIVE_REPORTS to the id of a folder on a shared drive, or connect as a person with "
                "`tenarai connect`"
            ),
        )
    mine = [file for file in drive.find_own("tenarai", "folder") if file.noted("source") == _short(source)]
    return Destination(min(mine, key=lambda file: file.id) if mine else None, "", OWN_FOLDER, True)


def _describe(drive: Drive, folder: DriveFile) -> Destination:
    return Destination(folder, "", folder.name, _may_create(drive, folder))


def _may_create(drive: Drive, folder: DriveFile) -> bool:
    """Whether the account may create files there, and has space for them, its own or a shared drive's."""
    return folder.can_add and (drive.account.may_make_files or bool(folder.drive_id))


class _Post:
    """Writes files into one folder and knows which are there."""

    def __init__(self, drive: Drive, destination: Destination, source: str) -> None:
        from tenarai.drive import FOLDER

        self._drive, self._source, self._may_create = drive, source, destination.may_create
        self._folder = destination.folder or drive.create(
            destination.name, destination.parent, None, FOLDER, {"tenarai": "folder", "source": source}
        )
        own = [file for file in drive.find_own(*_MARK) if self._folder.id in file.parents]
        own = [file for file in own if file.noted("source") == source]
        self._own = {(file.noted("run"), file.noted("file")): file for file in sorted(own, key=lambda file: file.id)}
        listed = drive.list_folder(self._folder.id, drive_id=self._folder.drive_id)
        self._by_hand = {file.name: file for file in listed if file.can_edit and not file.properties}
        self.num_written = 0

    def put(self, run: str, name: str, shown: str, data: bytes) -> str:
        """Create or update a file; returns its link, or nothing where it would have to be created and cannot be."""
        file = self._own.get((run, name)) or (self._by_hand.get(name) if run == LATEST else None)
        mime = guess_type(name)[0] or "application/octet-stream"
        if file is None and not self._may_create:
            if name == "report.html":
                raise SourceError(
                    _("{folder} has no report.html that could be updated", folder=self._folder.name),
                    fix=_(
                        "the account has no space in My Drive to create one: put a file named report.html there and "
                        "share the folder with the account as Editor, or use a folder on a shared drive"
                    ),
                )
            return ""
        if file is None:
            properties = {_MARK[0]: _MARK[1], "source": self._source, "run": run, "file": name}
            file = self._drive.create(shown, self._folder.id, data, mime, properties)
            self.num_written += 1
        elif file.md5 != hashlib.md5(data, usedforsecurity=False).hexdigest():
            file = self._drive.update(file, data, mime)
            self.num_written += 1
        self._own[run, name] = file
        return f"https://drive.google.com/file/d/{file.id}/view"

    def trash_all_but(self, num_kept: int) -> None:
        """Move the files of all but the last nights to the trash."""
        runs = sorted({run for run, _ in self._own} - {LATEST}, reverse=True)
        for (run, _name), file in self._own.items():
            if run in runs[num_kept:]:
                self._drive.trash(file)


def _dated(name: str, run: str, verdict: str) -> str:
    """A night's own copy; nights sort by name."""
    stem, _, kind = name.rpartition(".")
    return f"{run} {verdict}.{kind}" if stem == "report" else f"{run} {name}"


def _short(source: str) -> str:
    """Names a source in a property, which holds 124 bytes at most."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
