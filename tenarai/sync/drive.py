"""Google Drive as the source.

The changes feed says whether anything in the tree changed: one call on a quiet night. Otherwise, and at least once a
week, every folder is listed. What is no longer listed is looked up file by file before it counts as gone. The feed's
new token is taken before the listing and recorded after the last row, so that it is never ahead of the rows.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from tenarai.catalogue import Catalogue
from tenarai.drive import FOLDER, SHORTCUT, DriveFile, Scope, explain_file, find_scope, open_drive, parse_drive_address
from tenarai.errors import SettingsError, SourceError
from tenarai.locale import Message, _, join, plural
from tenarai.records import KnownFiles, Role, State
from tenarai.settings import Settings
from tenarai.sync.download import FilePostponedError, FileRefusedError
from tenarai.sync.drive_memory import Folder, Memory, to_path
from tenarai.sync.layout import Layout, Place, has_digits_folder, is_ignored, is_role
from tenarai.sync.names import BASE_LABELS, Labels, refuse_size, to_text
from tenarai.sync.plan import RemoteFile
from tenarai.sync.source import NOTHING, Listing, Source, name_folder

NUM_LOOKED_AT = 20
MAX_FAILURES = 10
MAX_UNREAD_LEVELS = 4  # of folders that are only looked into to see whether they may be meant

log = logging.getLogger("tenarai.sync")

Names = tuple[str, ...]
Listed = tuple[DriveFile, Names]  # a file, and the names that lead to it


class DriveSource(Source):
    """Images in a folder on Google Drive; a file keeps its id when it moves."""

    ids_are_paths = False

    def __init__(self, settings: Settings) -> None:
        """Read the address and open the client; nothing is sent yet.

        Raises:
            SettingsError: The address names no folder.
            CredentialsError: There are no credentials, or they are damaged.
        """
        super().__init__(settings)
        self.folder_id, self.resource_key = parse_drive_address(self.address)
        self.drive = open_drive(settings)
        self.num_threads = settings.drive_threads
        self.folders: dict[str, Folder] = {}
        self._targets: dict[str, str] = {}
        self._is_in_feed = True
        self._unused: set[str] = set()
        self._num_failed, self._lock = 0, Lock()
        self._state: dict[str, Any] = {}

    # ---- gather

    def count_if_unchanged(self, catalogue: Catalogue, labels: Labels) -> int | None:
        """Number of files if the changes feed mentions nothing in the tree; its new token is then recorded."""
        memory = Memory.load(catalogue.source_state(self.address))
        settings = self.settings
        if memory is None or not memory.token or memory.is_older_than(settings.drive_full_walk_days):
            return None
        now = (self.drive.account.identity, settings.max_image_bytes, labels.fingerprint)
        if (memory.account, memory.max_image_bytes, memory.labels) != now:
            return None
        changes = self.drive.changes(memory.token, memory.drive_id)
        if changes is None:
            log.info(_("Google Drive no longer accepts the token of its changes feed; everything is listed"))
            return None
        if changes.changes:
            ids, present = {file_id for file_id, _file in changes.changes}, (State.OK, State.REJECTED)
            rows = {row.file_id: row for row in catalogue.images(self.address, states=present, file_ids=ids)}
            if any(memory.is_touched_by(file_id, file, rows.get(file_id)) for file_id, file in changes.changes):
                return None
        if changes.token != memory.token:
            catalogue.apply_sync(self.address, (), (), memory.dump(token=changes.token))
        return memory.num_seen

    def find_root(self) -> DriveFile:
        """The source's folder on Drive.

        Raises:
            SettingsError: The id is not a folder's.
            SourceError: It cannot be seen, or is in the trash.
        """
        root = self.drive.get(self.folder_id, self.resource_key)
        self.name = _("the Drive folder {name} ({id})", name=to_text(root.name), id=self.folder_id)
        if not root.is_folder:
            raise SettingsError(
                _("drive:{id} is not a folder", id=self.folder_id),
                expected=_("the id of a folder"),
                received=_("a shortcut") if root.mime == SHORTCUT else _("a file of type {mime}", mime=root.mime),
                fix=_("open the folder itself in a browser, and copy its link"),
            )
        if root.trashed:
            raise SourceError(
                _("{source} is in the trash", source=self.name),
                fix=_("take it out of the trash, or set TENARAI_SOURCE to another folder; nothing was changed"),
            )
        return root

    def list_files(self, labels: Labels = BASE_LABELS, known: KnownFiles = NOTHING) -> Listing:
        """Every file that can be used or that people should hear of; none is opened."""
        root = self.find_root()
        token = self.drive.start_token(root.drive_id)  # before the listing: the next night hears of later changes
        with ThreadPoolExecutor(self.num_threads, thread_name_prefix="list") as pool:
            found, refused = self._walk(root, pool)
            layout = Layout((parts for _file, parts in found), labels, self.name)
            placed = [(file, parts, layout.find_place(parts)) for file, parts in found if not _is_note(file, parts)]
            contents = self._follow_shortcuts(pool, [file for file, _parts, place in placed if place])
        placed += [(file, parts, Place(Role.INBOX, reason=reason)) for file, parts, reason in refused]
        files: dict[str, RemoteFile] = {}
        for file, parts, place in sorted(placed, key=lambda one: (to_path(one[1]), one[0].id)):
            if place is not None and file.id not in files:  # one that was moved meanwhile is listed twice
                files[file.id] = self._describe(file, parts, place, contents.get(file.id))
        self._unused = {file.id for file, _parts, place in placed if place is None} - files.keys()
        tops = [parts[0] for _parent, parts in self.folders.values() if parts]
        unread = set(layout.find_unread((parts for _file, parts in found), tops))
        for folder_id, (_parent, parts) in self.folders.items():
            if len(parts) == 1 and parts[0] in unread:
                files[folder_id] = name_folder(folder_id, to_path(parts), layout.describe_unread(parts[0]))
        memory = Memory(
            token=token if self._is_in_feed else "",
            drive_id=root.drive_id,
            account=self.drive.account.identity,
            max_image_bytes=self.settings.max_image_bytes,
            walked=datetime.now(UTC).isoformat(timespec="seconds"),
            num_seen=len(files),
            labels=labels.fingerprint,
            folders=self.folders,
            targets=self._targets,
        )
        self._state = memory.dump()
        listing = Listing([], defaultdict(list))
        for remote in files.values():
            has_stamp = known.stamps.get(remote.file_id) == f"{remote.stamp}{KnownFiles.SEPARATOR}{remote.path}"
            labelled = (remote.role, remote.label)
            if has_stamp and not remote.reason and remote.file_id in known.ids[labelled]:
                listing.unchanged[labelled].append(remote.file_id)
            else:
                listing.files.append(remote)
        return listing

    def state(self, *, is_complete: bool) -> Mapping[str, Any]:
        """Where the changes feed stood and what was in the tree; without the token if files are still waiting."""
        return self._state if is_complete else {**self._state, "token": ""}

    def _walk(self, root: DriveFile, pool: Executor) -> tuple[list[Listed], list[tuple[DriveFile, Names, str]]]:
        """Files below a folder, and shortcuts to folders that cannot be followed, with the reason.

        One query a folder. Shortcuts are followed after all real folders, each target once, so loops end.
        """
        self.folders, self._targets, self._is_in_feed = {root.id: Folder("", ())}, {}, True
        level, found = [root], list[Listed]()
        links, refused = deque[Listed](), list[tuple[DriveFile, Names, str]]()
        has_digits = True
        while level or links:
            if not level:
                shortcut, parts = links.popleft()
                reason = self._follow_folder(root, shortcut, parts, level)
                if reason:
                    refused.append((shortcut, parts, reason))
                continue
            listings = list(pool.map(self._list, level))
            if level == [root]:
                has_digits = has_digits_folder(file.name for file in listings[0] if file.is_folder or file.target_id)
            next_level = []
            for folder, children in zip(level, listings, strict=True):
                for child in children:
                    parts = (*self.folders[folder.id].parts, child.name)
                    if not child.is_folder and child.target_mime != FOLDER:
                        found.append((child, parts))
                    elif is_ignored((*parts, "")) or (
                        has_digits and len(parts) > MAX_UNREAD_LEVELS and not is_role(parts[0])
                    ):
                        continue
                    elif not child.is_folder:
                        links.append((child, parts))
                    elif child.id not in self.folders:
                        self.folders[child.id] = Folder(folder.id, parts)
                        next_level.append(replace(child, resource_key=child.resource_key or folder.resource_key))
            level = next_level
            log.info(_("{folders} folders, {files} files listed", folders=len(self.folders), files=len(found)))
        return found, refused

    def _follow_folder(self, root: DriveFile, shortcut: DriveFile, parts: Names, level: list[DriveFile]) -> str:
        """Put a shortcut's folder into the next level, or say why it cannot be followed."""
        self._targets[shortcut.id] = ""  # whatever happens to it is a change
        if shortcut.target_id in self.folders:
            return _("it is a shortcut to a folder that is read already: remove it")
        target = self.drive.find(shortcut.target_id, shortcut.target_key)
        if target is None or target.trashed or not target.is_folder:
            return _(
                "it is a shortcut to a folder that is in the trash, deleted or not shared: share the folder with "
                "{account}, or move it here",
                account=self.drive.account.name,
            )
        self.folders[target.id] = Folder("", parts)
        self._is_in_feed &= target.drive_id == root.drive_id
        level.append(replace(target, resource_key=target.resource_key or shortcut.target_key))
        return ""

    def _list(self, folder: DriveFile) -> list[DriveFile]:
        return self.drive.list_folder(folder.id, drive_id=folder.drive_id, resource_key=folder.resource_key)

    def _follow_shortcuts(self, pool: Executor, files: Iterable[DriveFile]) -> dict[str, DriveFile | None]:
        """What shortcuts lead to, by the shortcut's id; None for what cannot be seen."""
        shortcuts = [file for file in files if file.mime == SHORTCUT]
        targets = list(pool.map(lambda file: self.drive.find(file.target_id, file.target_key), shortcuts))
        seen = [target if target and not target.trashed else None for target in targets]
        pairs = list(zip(shortcuts, seen, strict=True))
        self._targets |= {file.target_id: target.stamp if target else "" for file, target in pairs}
        return {file.id: target for file, target in pairs}

    def _describe(self, file: DriveFile, parts: Names, place: Place, target: DriveFile | None) -> RemoteFile:
        content = target or file
        return RemoteFile(
            file_id=file.id,
            path=to_path(parts),
            role=place.role,
            label=place.label,
            size=content.size or 0,
            stamp=content.stamp if content is file else f"{content.id}-{content.stamp}",
            sha256=content.sha256,
            reason=place.reason or self._refuse(content),
            origin=content,
        )

    def _refuse(self, content: DriveFile) -> str:
        """Why a file's bytes are not downloaded; empty if they are."""
        if content.mime == SHORTCUT:
            return _(
                "it is a shortcut to a file that is in the trash, deleted or not shared: share it, or put a copy here"
            )
        if content.is_native:
            kind = content.mime.rsplit(".", 1)[-1]
            return _("it is a Google {kind}, not a picture: download it as a picture and put that here", kind=kind)
        if not content.can_download:
            return _("its owner does not allow it to be downloaded: allow it in Share, Settings")
        return "" if content.size is None else refuse_size(content.size, self.settings.max_image_bytes)

    # ---- decide: what is no longer listed

    def find_unlisted(self, file_ids: Sequence[str]) -> set[str]:
        """Those of the vanished files that are still there: Drive's listing left them out."""
        fates = self._find_fates([one for one in file_ids if one not in self._unused])
        there = {file_id for file_id, fate in fates.items() if fate == _STILL_THERE}
        if there:
            log.info(
                plural(
                    "Google Drive's list left out {n} file that is there; it stays as it was",
                    "Google Drive's list left out {n} files that are there; they stay as they were",
                    len(there),
                )
            )
        return there

    def describe_vanished(self, file_ids: Sequence[str]) -> str:
        """What became of the first of the vanished files, for people."""
        fates = Counter(self._find_fates(file_ids[:NUM_LOOKED_AT]).values())
        if not fates:
            return ""
        counts = join(_("{num} {fate}", num=num, fate=fate) for fate, num in fates.items())
        return _("of the first {num} looked up: {fates}", num=fates.total(), fates=counts)

    def advice(self) -> str:
        """What to check when files are missing."""
        return _("if the folder is no longer shared with {account}, share it again", account=self.drive.account.name)

    def _find_fates(self, file_ids: Sequence[str]) -> dict[str, Message]:
        with ThreadPoolExecutor(self.num_threads, thread_name_prefix="look") as pool:
            return dict(zip(file_ids, pool.map(self._find_fate, file_ids), strict=True))

    def _find_fate(self, file_id: str) -> Message:
        file = self.drive.find(file_id)
        if file is None:
            return _("deleted or no longer shared")
        if file.trashed:
            return _("in the trash")
        return _STILL_THERE if any(parent in self.folders for parent in file.parents) else _("moved elsewhere")

    # ---- apply

    def read(self, file: RemoteFile) -> bytes:
        """A file's bytes, checked by size and digest."""
        try:
            data = self.drive.download(file.origin)
        except SourceError as error:
            raise self._blame(file, error) from error
        if file.origin.size is None and (reason := refuse_size(len(data), self.settings.max_image_bytes)):
            raise FileRefusedError(reason)
        return data

    def _blame(self, file: RemoteFile, error: SourceError) -> Exception:
        """What a failed download means: for this file, or for the whole night if it is the account's or many fail."""
        scope = find_scope(error)
        if scope is Scope.FILE:
            return FileRefusedError(explain_file(error))
        if scope is Scope.GONE:
            return FilePostponedError(
                _("{path} vanished while it was read; it waits for the next night", path=file.path)
            )
        with self._lock:
            self._num_failed += scope is Scope.SERVER
        if scope is Scope.ACCOUNT or self._num_failed > MAX_FAILURES:
            return error
        reason = explain_file(error)
        return FilePostponedError(_("{path}: {reason}", path=file.path, reason=reason), reason)


_STILL_THERE = _("still there")


def _is_note(file: DriveFile, parts: Names) -> bool:
    """Whether a file is a Google document, table or the like beside the four folders."""
    return len(parts) == 1 and file.is_native and file.mime != SHORTCUT
