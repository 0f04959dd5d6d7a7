"""Look at every folder and file below the source's folder: one query a folder, no file is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from tenarai.drive import FOLDER, SHORTCUT, Drive, DriveFile
from tenarai.errors import SettingsError, SourceError
from tenarai.records import Role
from tenarai.sync.layout import Place, find_place, has_digits_folder, is_litter, refuse_size, to_text
from tenarai.sync.plan import RemoteFile

SLASH = "∕"  # U+2215 stands in for a slash inside a name, so that paths stay readable


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is looked into: its parent's id, and the names that lead to it from the source's folder."""

    parent: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the source, and the file on Drive that has its bytes: itself, or what a shortcut leads to."""

    file: RemoteFile
    content: DriveFile


@dataclass(frozen=True, slots=True)
class Walk:
    """All that there is.

    Attributes:
        folders: Folders looked into, by id; the source's own among them.
        files: Every file that is Tenarai's business, by path.
        passed_over: Ids of files that are there and none of its business.
        targets: Stamps of what shortcuts lead to, by id.
        has_digits: What `has_digits_folder` said.
    """

    folders: dict[str, Folder]
    files: tuple[FoundFile, ...]
    passed_over: frozenset[str]
    targets: dict[str, str]
    has_digits: bool


def find_root(drive: Drive, folder_id: str, resource_key: str) -> DriveFile:
    """The source's own folder.

    Raises:
        SettingsError: The id is not a folder's.
        SourceError: It cannot be seen, or is in the trash.
    """
    root = drive.get(folder_id, resource_key)
    if not root.is_folder:
        raise SettingsError(
            f"drive:{folder_id} is no folder",
            expected="the id of a folder",
            received="a shortcut" if root.mime == SHORTCUT else f"a file of type {root.mime}",
            fix="open the folder itself in a browser, and copy its link",
        )
    if root.trashed:
        raise SourceError(
            f"the folder {to_text(root.name)} ({folder_id}) is in the trash",
            fix="take it out of the trash, or set TENARAI_SOURCE to another folder; nothing was changed",
        )
    return root


def walk(drive: Drive, root: DriveFile, pool: Executor, max_image_bytes: int, say: Callable[[str], None]) -> Walk:
    """List the source's folder and all below it that a file could be used from; loops end.

    Raises:
        SourceError: A folder cannot be listed.
    """
    folders = {root.id: Folder("", ())}
    level, found = [root], list[tuple[DriveFile, tuple[str, ...]]]()
    has_digits: bool | None = None
    while level:
        listings = list(pool.map(partial(_list, drive, root), level))
        if has_digits is None:
            has_digits = has_digits_folder(f.name for f in listings[0] if f.is_folder and not is_litter(f.name))
        next_level = []
        for folder, children in zip(level, listings, strict=True):
            for child in children:
                parts = (*folders[folder.id].parts, child.name)
                if not child.is_folder:
                    found.append((child, parts))
                elif child.id not in folders and leads_somewhere(parts, has_digits=has_digits):
                    folders[child.id] = Folder(folder.id, parts)
                    next_level.append(child)
        level = next_level
        say(f"{len(folders)} folders, {len(found)} files listed")
    return _sort_out(drive, pool, folders, found, bool(has_digits), max_image_bytes)


def leads_somewhere(parts: Sequence[str], *, has_digits: bool) -> bool:
    """Whether a file in such a folder would be Tenarai's business."""
    return find_place([*parts, "x.png"], has_digits=has_digits) is not None


def to_path(parts: Iterable[str]) -> str:
    """Names joined by slashes, for people and for comparing."""
    return "/".join(to_text(part).replace("/", SLASH) for part in parts)


def _list(drive: Drive, root: DriveFile, folder: DriveFile) -> list[DriveFile]:
    return drive.list_folder(folder.id, drive_id=root.drive_id, resource_key=folder.resource_key or root.resource_key)


def _sort_out(
    drive: Drive,
    pool: Executor,
    folders: dict[str, Folder],
    found: list[tuple[DriveFile, tuple[str, ...]]],
    has_digits: bool,
    max_image_bytes: int,
) -> Walk:
    """Tell what each file is for; a file listed twice, because it was moved meanwhile, counts once."""
    placed = [(file, parts, find_place(parts, has_digits=has_digits)) for file, parts in found]
    shortcuts = [file for file, _, place in placed if place and not place.reason and _leads_to_a_file(file)]
    contents = dict(zip([file.id for file in shortcuts], pool.map(partial(_follow, drive), shortcuts), strict=True))
    files: dict[str, FoundFile] = {}
    for file, parts, place in sorted(placed, key=lambda one: (to_path(one[1]), one[0].id)):
        if place is not None and file.id not in files:
            files[file.id] = _describe(file, parts, place, contents.get(file.id), max_image_bytes)
    targets = {file.target_id: content.stamp if (content := contents[file.id]) else "" for file in shortcuts}
    passed_over = frozenset(file.id for file, _, place in placed if place is None) - files.keys()
    return Walk(folders, tuple(files.values()), passed_over, targets, has_digits)


def _leads_to_a_file(file: DriveFile) -> bool:
    return file.mime == SHORTCUT and file.target_mime != FOLDER


def _follow(drive: Drive, shortcut: DriveFile) -> DriveFile | None:
    target = drive.find(shortcut.target_id, shortcut.target_key)
    return None if target is None or target.trashed else target


def _describe(
    file: DriveFile, parts: Sequence[str], place: Place, target: DriveFile | None, max_image_bytes: int
) -> FoundFile:
    content = target or file
    reason = place.reason or _refuse(file, content, max_image_bytes)
    return FoundFile(
        RemoteFile(
            file_id=file.id,
            path=to_path(parts),
            role=Role(place.role),
            label=place.label,
            size=content.size or 0,
            modified=to_time(content.modified),
            stamp=content.stamp if content is file else f"{content.id}-{content.stamp}",
            owner=to_text(content.owner),
            reason=reason,
        ),
        content,
    )


def _refuse(file: DriveFile, content: DriveFile, max_image_bytes: int) -> str:
    """Why a file's bytes are not fetched; empty when they are."""
    if file.mime == SHORTCUT and file.target_mime == FOLDER:
        return "it is a shortcut to a folder: move the folder itself here, or put shortcuts to its files"
    if content.mime == SHORTCUT:
        return "it is a shortcut to a file that is in the trash, deleted or not shared: share it, or put a copy here"
    if content.is_native:
        kind = content.mime.rsplit(".", 1)[-1]
        return f"it is a Google {kind}, not a picture: download it as a picture and put that here"
    if not content.can_download:
        return "its owner does not allow it to be downloaded: allow it in Share, Settings"
    return "" if content.size is None else refuse_size(content.size, max_image_bytes)


def to_time(told: str) -> str:
    """Drive's time as the catalogue writes times; empty if it is none."""
    try:
        return datetime.fromisoformat(told).astimezone(UTC).isoformat(timespec="seconds")
    except ValueError:
        return ""
