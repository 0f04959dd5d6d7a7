"""Google Drive, as the rooms that sync and publish see it: list, download, changes, create, update, trash.

`credentials` finds out who asks, `faults` which failures pass by themselves, `sending` puts each request through one
retry layer and one shared pace, `client` says what can be asked, `files` what is known of a file.
"""

from __future__ import annotations

from tenarai.drive.client import Drive, open_drive
from tenarai.drive.faults import refuse_file, status_of
from tenarai.drive.files import FOLDER, SHORTCUT, Changes, DriveFile, canonical_address, parse_address

__all__ = [
    "FOLDER",
    "SHORTCUT",
    "Changes",
    "Drive",
    "DriveFile",
    "canonical_address",
    "open_drive",
    "parse_address",
    "refuse_file",
    "status_of",
]
