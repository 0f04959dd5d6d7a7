"""What Drive says of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
NATIVE = "application/vnd.google-apps."
FIELDS = (
    "id,name,mimeType,parents,size,md5Checksum,sha256Checksum,headRevisionId,trashed,driveId,resourceKey,"
    "shortcutDetails(targetId,targetMimeType,targetResourceKey),appProperties,"
    "capabilities(canDownload,canEdit,canAddChildren)"
)


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file or folder of Drive, as a listing gives it.

    Attributes:
        id: Drive's id; stays when the file is moved or renamed.
        name: Any text: slashes, `..`, emoji, twice in one folder. For people only.
        mime: MIME type as the uploader claimed it; only Google's own types are believed.
        parents: Ids of the folders it lies in.
        size: Bytes; None for Google's own formats and folders.
        md5, sha256: Hex digests as listed; empty if not listed.
        revision: Id of the content's revision, or empty.
        trashed: Whether it, or a folder above it, is in the trash.
        drive_id: Id of the shared drive it is on; empty in My Drive.
        resource_key: Needed to reach some files shared by link; else empty.
        target_id, target_mime, target_key: What a shortcut leads to; empty for all else.
        properties: Properties that only this application sees.
        can_download, can_edit, can_add: What the account may do.
    """

    id: str
    name: str
    mime: str
    parents: tuple[str, ...] = ()
    size: int | None = None
    md5: str = ""
    sha256: str = ""
    revision: str = ""
    trashed: bool = False
    drive_id: str = ""
    resource_key: str = ""
    target_id: str = ""
    target_mime: str = ""
    target_key: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    can_download: bool = True
    can_edit: bool = False
    can_add: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it holds files."""
        return self.mime == FOLDER

    @property
    def is_native(self) -> bool:
        """Whether it is one of Google's own formats, which have no bytes."""
        return self.mime.startswith(NATIVE)

    def noted(self, key: str) -> str:
        """The value of a property, or empty."""
        return dict(self.properties).get(key, "")

    @property
    def stamp(self) -> str:
        """Changes whenever the bytes may have changed; only ever compared."""
        size = "" if self.size is None else str(self.size)
        return "-".join(filter(None, [self.revision, self.sha256 or self.md5, size])) or self.mime


@dataclass(frozen=True, slots=True)
class Changes:
    """What the changes feed says since a token.

    Attributes:
        changes: Id and file as it is now; None for a file that was deleted or is no longer shared.
        token: Where to go on from the next time.
    """

    changes: tuple[tuple[str, DriveFile | None], ...]
    token: str


def to_file(answer: Mapping[str, Any]) -> DriveFile:
    """A file from Drive's JSON (`files` resource, with `FIELDS`)."""
    shortcut, may = answer.get("shortcutDetails", {}), answer.get("capabilities", {})
    return DriveFile(
        id=answer["id"],
        name=answer.get("name", ""),
        mime=answer.get("mimeType", ""),
        parents=tuple(answer.get("parents", ())),
        size=int(answer["size"]) if "size" in answer else None,
        md5=answer.get("md5Checksum", "").lower(),
        sha256=answer.get("sha256Checksum", "").lower(),
        revision=answer.get("headRevisionId", ""),
        trashed=bool(answer.get("trashed", False)),
        drive_id=answer.get("driveId", ""),
        resource_key=answer.get("resourceKey", ""),
        target_id=shortcut.get("targetId", ""),
        target_mime=shortcut.get("targetMimeType", ""),
        target_key=shortcut.get("targetResourceKey", ""),
        properties=tuple(sorted(answer.get("appProperties", {}).items())),
        can_download=bool(may.get("canDownload", True)),
        can_edit=bool(may.get("canEdit", False)),
        can_add=bool(may.get("canAddChildren", False)),
    )
