"""What one sync of a Drive folder leaves to the next: the token of the changes feed, and the tree as it was listed.

The feed does not mention what lies in a folder that was trashed or renamed. So it only says that something changed,
never what; then the tree is listed. Whatever cannot be judged counts as a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from tenarai.drive import SHORTCUT, DriveFile
from tenarai.records import Image, State
from tenarai.sync.layout import is_ignored
from tenarai.sync.names import to_text

FORMAT = 3
SLASH = "∕"  # U+2215 stands for a slash inside a name, so that paths stay readable


class Folder(NamedTuple):
    """A folder that was listed: its parent's id, and the names that lead to it from the source's folder."""

    parent: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """Kept in the catalogue in the same transaction as the rows that it belongs to.

    Attributes:
        token: Where the changes feed stood before the tree was listed; empty if the next sync must list it.
        drive_id: Shared drive of the folder; empty in My Drive.
        account: Whose feed it is; another account sees other changes.
        max_image_bytes: The limit by which files were refused.
        walked: When the tree was last listed, ISO 8601 in UTC.
        num_seen: Files that it had.
        labels: Fingerprint of the labels by which files were placed.
        folders: Folders that were listed, by id.
        targets: Stamps of what shortcuts lead to, by id.
    """

    token: str
    drive_id: str
    account: str
    max_image_bytes: int
    walked: str
    num_seen: int
    labels: str
    folders: dict[str, Folder]
    targets: dict[str, str]

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Self | None:
        """What the last sync left; None if there is nothing, or another version wrote it."""
        if state.get("format") != FORMAT:
            return None
        fields = {name: value for name, value in state.items() if name != "format"}
        folders = {key: Folder(parent, tuple(parts)) for key, (parent, parts) in fields.pop("folders").items()}
        return cls(folders=folders, **fields)

    def dump(self, **changed: Any) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"format": FORMAT, **asdict(self), **changed}

    def is_older_than(self, days: float) -> bool:
        """Whether the tree was last listed longer ago."""
        return datetime.fromisoformat(self.walked) + timedelta(days=days) <= datetime.now(UTC)

    def is_touched_by(self, file_id: str, file: DriveFile | None, row: Image | None) -> bool:
        """Whether a change concerns the tree.

        Args:
            file_id: What changed; empty for a change of a whole shared drive.
            file: As it is now; None if it was deleted or can no longer be seen.
            row: What the catalogue knows of it.
        """
        if not file_id:
            return False
        if file is None or file.trashed:
            return row is not None or file_id in self.folders or file_id in self.targets
        if file_id in self.targets and file.stamp != self.targets[file_id]:
            return True
        if folder := self.folders.get(file_id):
            if not folder.parent:
                return not file.is_folder  # the source's own folder may be moved and renamed
            return folder.parent not in file.parents or folder.parts[-1] != file.name
        paths = [(*self.folders[parent].parts, file.name) for parent in file.parents if parent in self.folders]
        if row is None:
            return any(not is_ignored((*path, "") if file.is_folder else path) for path in paths)
        if row.state is State.REJECTED or file.mime == SHORTCUT or not file.can_download or file.stamp != row.stamp:
            return True
        return row.path not in map(to_path, paths)


def to_path(parts: Iterable[str]) -> str:
    """Names joined by slashes, for people and for comparing."""
    return "/".join(to_text(part).replace("/", SLASH) for part in parts)
