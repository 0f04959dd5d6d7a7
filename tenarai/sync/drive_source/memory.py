"""What one night leaves to the next: where the changes feed stood, and what was in the tree then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tenarai.sync.drive_source.walk import Folder, Walk

FORMAT = 1


@dataclass(frozen=True)
class Memory:
    """Kept in the catalogue in the same transaction as the rows that it speaks of.

    Attributes:
        token: Where the changes feed stood before the tree was listed; empty when the next night must list it again.
        drive_id: Shared drive of the folder; empty in My Drive.
        account: Whose feed it is; another account sees other changes.
        max_image_bytes: The limit by which files were refused.
        walked: When the tree was last listed, ISO 8601 in UTC.
        num_seen: Files that it had.
        has_digits: How it was laid out.
        folders: Folders looked into, by id.
        targets: Stamps of what shortcuts lead to, by id.
    """

    token: str
    drive_id: str
    account: str
    max_image_bytes: int
    walked: str
    num_seen: int
    has_digits: bool
    folders: dict[str, Folder]
    targets: dict[str, str]

    def with_token(self, token: str) -> Memory:
        """The same, gone on to another place in the feed."""
        return replace(self, token=token)

    def is_older_than(self, days: float) -> bool:
        """Whether the tree was last listed longer ago."""
        return datetime.fromisoformat(self.walked) + timedelta(days=days) <= datetime.now(UTC)

    def to_state(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"format": FORMAT, **asdict(self)}


def remember(token: str, drive_id: str, account: str, max_image_bytes: int, found: Walk) -> Memory:
    """What there is to remember of a walk."""
    return Memory(
        token=token,
        drive_id=drive_id,
        account=account,
        max_image_bytes=max_image_bytes,
        walked=datetime.now(UTC).isoformat(timespec="seconds"),
        num_seen=len(found.files),
        has_digits=found.has_digits,
        folders=found.folders,
        targets=found.targets,
    )


def recall(state: Mapping[str, Any]) -> Memory | None:
    """What was left, or None where nothing was, or by another version."""
    if state.get("format") != FORMAT:
        return None
    fields = {name: value for name, value in state.items() if name != "format"}
    folders = {key: Folder(value["parent"], tuple(value["parts"])) for key, value in fields.pop("folders").items()}
    return Memory(folders=folders, **fields)
