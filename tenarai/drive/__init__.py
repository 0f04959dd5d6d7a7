"""Google Drive for the sync and for sending reports: list, download, changes, create, update, trash.

`credentials` finds the account, `sending` sends each request through one retry layer and one shared pace, `faults` says
which failures pass, which concern one file, and what a person can do, `client` has the requests, `files` their answers.
"""

from __future__ import annotations

from tenarai.address import parse_drive_address
from tenarai.drive.client import Drive, open_drive
from tenarai.drive.faults import Scope, explain_file, find_scope, status_of
from tenarai.drive.files import FOLDER, SHORTCUT, Changes, DriveFile

__all__ = [
    "FOLDER",
    "SHORTCUT",
    "Changes",
    "Drive",
    "DriveFile",
    "Scope",
    "explain_file",
    "find_scope",
    "open_drive",
    "parse_drive_address",
    "status_of",
]
