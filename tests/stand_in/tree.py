"""Files, folders, shared drives and the feed of changes; the methods on `Tree` are a person's hands in the browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

ANN = "ann@example.com"  # a person, who owns My Drive
ROBOT = "tenarai@project.iam.gserviceaccount.com"
FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Item:
    """A file, folder or shortcut."""

    id: str
    name: str
    mime: str
    parents: list[str]
    data: bytes | None = None
    modified: datetime = _EPOCH
    revision: int = 1
    trashed: bool = False
    drive_id: str = ""
    key: str = ""
    owner: str = ANN
    target: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    made_by_app: bool = False
    can_download: bool = True
    shares: dict[str, str] = field(default_factory=dict)
    listed_data: bytes | None = None  # what size and digests are told of, where Drive is wrong about them
    has_sha256: bool = True


class Tree:
    """One person's My Drive with the folder "handwriting" shared with the robot as Viewer, and shared drives."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.items: dict[str, Item] = {}
        self.feed: list[str] = []
        self.members: dict[str, dict[str, str]] = {}
        self.num_ids = 0
        self.my_drive = self._add(Item("0AMyDriveRoot", "My Drive", FOLDER, []))
        self.root = self.add_folder("handwriting", self.my_drive)
        self.root.shares[ROBOT] = "reader"

    # ---- making

    def new_id(self) -> str:
        with self.lock:
            self.num_ids += 1
            return "1" + hashlib.sha256(str(self.num_ids).encode()).hexdigest()[:32]

    def add_folder(self, name: str, parent: Item, **fields: Any) -> Item:
        return self._add(Item(self.new_id(), name, FOLDER, [parent.id], drive_id=parent.drive_id, **fields))

    def add_file(self, name: str, parent: Item, data: bytes | str, **fields: Any) -> Item:
        data = data.encode() if isinstance(data, str) else data
        fields = {"mime": "image/png", "drive_id": parent.drive_id} | fields
        return self._add(Item(self.new_id(), name, parents=[parent.id], data=data, **fields))

    def add_shortcut(self, name: str, parent: Item, target: Item) -> Item:
        return self._add(Item(self.new_id(), name, SHORTCUT, [parent.id], drive_id=parent.drive_id, target=target.id))

    def add_native(self, name: str, parent: Item, kind: str = "document") -> Item:
        return self._add(Item(self.new_id(), name, f"application/vnd.google-apps.{kind}", [parent.id]))

    def add_shared_drive(self, name: str, **members: str) -> Item:
        """A shared drive; its top folder bears its id. Members by name: ann, robot."""
        drive_id = "0A" + self.new_id()[:17]
        by_name = {"ann": ANN, "robot": ROBOT}
        self.members[drive_id] = {by_name[name]: role for name, role in members.items()}
        return self._add(Item(drive_id, name, FOLDER, [], drive_id=drive_id, owner=""))

    def put(self, path: str, data: bytes | str = "ink", **fields: Any) -> Item:
        """A file at a path below `root`, its folders made where there are none; `/` separates, so names have none."""
        *folders, name = path.split("/")
        return self.add_file(name, self.folder("/".join(folders)), data, **fields)

    def folder(self, path: str) -> Item:
        """The folder at a path below `root`, made where there is none."""
        place = self.root
        for name in filter(None, path.split("/")):
            found = [item for item in self.children(place) if item.name == name and item.mime == FOLDER]
            place = found[0] if found else self.add_folder(name, place)
        return place

    # ---- changing

    def rename(self, item: Item, name: str) -> None:
        with self.lock:
            item.name = name
            self._tell(item)

    def move(self, item: Item, folder: Item) -> None:
        with self.lock:
            item.parents = [folder.id]
            self._tell(item)

    def edit(self, item: Item, data: bytes | str, *, modified: datetime | None = None) -> None:
        with self.lock:
            item.data = data.encode() if isinstance(data, str) else data
            item.revision += 1
            item.modified = modified or item.modified + timedelta(minutes=1)
            self._tell(item)

    def trash(self, item: Item, trashed: bool = True) -> None:
        """Into the trash, or out of it. A folder takes along what is in it, and only itself is in the feed."""
        with self.lock:
            item.trashed = trashed
            self._tell(item)

    def delete(self, item: Item) -> None:
        with self.lock:
            for child in list(self.children(item)):
                self.delete(child)
            self.items.pop(item.id)
            self._tell(item)

    def unshare(self, item: Item, email: str) -> None:
        with self.lock:
            item.shares.pop(email)
            self._tell(item)

    # ---- looking

    def children(self, folder: Item) -> Iterator[Item]:
        with self.lock:
            found = [item for item in self.items.values() if folder.id in item.parents]
        yield from found

    def is_trashed(self, item: Item) -> bool:
        return any(one.trashed for one in self._chain(item))

    def role_of(self, item: Item, email: str) -> str:
        """owner, writer, reader or nothing; folders hand theirs down."""
        if item.drive_id:
            return self.members[item.drive_id].get(email, "")
        roles = ("owner" if one.owner == email else one.shares.get(email, "") for one in self._chain(item))
        return next(filter(None, roles), "")

    def describe(self, item: Item, email: str) -> dict[str, Any]:
        """The `files` resource; a digest is told of bytes only."""
        may_write = self.role_of(item, email) in {"owner", "writer", "organizer"}
        told: dict[str, Any] = {
            "id": item.id,
            "name": item.name,
            "mimeType": item.mime,
            "parents": item.parents,
            "modifiedTime": item.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "trashed": self.is_trashed(item),
            "appProperties": dict(item.properties),
            "capabilities": {
                "canDownload": item.can_download,
                "canEdit": may_write,
                "canAddChildren": may_write and item.mime == FOLDER,
            },
        }
        if item.drive_id:
            told["driveId"] = item.drive_id
        else:
            told["owners"] = [{"displayName": item.owner.split("@")[0].title(), "emailAddress": item.owner}]
        if item.key:
            told["resourceKey"] = item.key
        if item.data is not None:
            data = item.data if item.listed_data is None else item.listed_data
            told |= {"size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}
            told["headRevisionId"] = f"0B{item.id[:8]}r{item.revision}"
            if item.has_sha256:
                told["sha256Checksum"] = hashlib.sha256(data).hexdigest()
        if item.target:
            target = self.items.get(item.target)
            told["shortcutDetails"] = {
                "targetId": item.target,
                "targetMimeType": target.mime if target else "image/png",
            } | ({"targetResourceKey": target.key} if target and target.key else {})
        return told

    def _chain(self, item: Item) -> list[Item]:
        """The item and all folders above it, nearest first."""
        chain = [item]
        for one in chain:
            above = (self.items[parent] for parent in one.parents if parent in self.items)
            chain += [folder for folder in above if folder not in chain]
        return chain

    def _add(self, item: Item) -> Item:
        with self.lock:
            self.items[item.id] = item
            self._tell(item)
        return item

    def _tell(self, item: Item) -> None:
        self.feed.append(item.id)
