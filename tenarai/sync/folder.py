"""A local folder as the source.

A file whose size, time of change and inode are as they were is not opened, and no record is made of it. Links that lead
out of the folder are not followed, nor are links to folders, so nothing is read twice and no loop is entered.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.records import KnownFiles, Role
from tenarai.settings import Settings
from tenarai.sync.download import FilePostponedError, FileRefusedError
from tenarai.sync.layout import REPORTS, Layout, Place
from tenarai.sync.names import BASE_LABELS, Labels, is_quiet, refuse_size, to_text
from tenarai.sync.plan import RemoteFile
from tenarai.sync.source import NOTHING, Listing, Source, name_folder


@dataclass(slots=True)
class _Folder:
    """A folder on disk and what lies in it.

    Attributes:
        path: Where it is.
        parts: Names that lead to it from the source's folder.
        folders: Folders in it.
        files: Files and links in it that may have changed.
        unchanged: Ids of the others: each has the stamp of a usable file that is known.
    """

    path: str
    parts: tuple[str, ...]
    folders: list[os.DirEntry[str]] = field(default_factory=list)
    files: list[os.DirEntry[str]] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


class FolderSource(Source):
    """Images in a folder on disk; a file's id is its path."""

    ids_are_paths = True

    def __init__(self, settings: Settings) -> None:
        """Find the folder; nothing is read yet."""
        super().__init__(settings)
        self.root = Path(self.address.removeprefix("folder:")).expanduser().absolute()
        self.name = _("the folder {path}", path=str(self.root))

    def list_files(self, labels: Labels = BASE_LABELS, known: KnownFiles = NOTHING) -> Listing:
        """Every file that can be used or that people should hear of; none is opened.

        Files are placed after all folders were read. If a folder means something else than the catalogue says, all of
        its files are looked at again, as if none was known.
        """
        folders = list(self._walk(known))
        paths = [(*folder.parts, to_text(entry.name)) for folder in folders for entry in folder.files]
        layout = Layout(
            paths, labels, self.name, {each.parts: len(each.unchanged) for each in folders if each.unchanged}
        )
        files: list[RemoteFile] = []
        unchanged: dict[tuple[Role, str | None], list[str]] = defaultdict(list)
        for folder in folders:
            place = layout.find_folder(folder.parts) if folder.unchanged else None
            if place and not place.reason and known.ids[place.role, place.label].issuperset(folder.unchanged):
                unchanged[place.role, place.label] += folder.unchanged
            elif folder.unchanged:
                folder.files = self._look(folder.path, folder.parts, NOTHING).files
            files += self._describe_files(folder, layout)
        files += [name_folder(f"{top}/", top, layout.describe_unread(top)) for top in layout.find_unread(paths)]
        return Listing(sorted(files, key=lambda file: file.path), unchanged)

    def read(self, file: RemoteFile) -> bytes:
        """A file's bytes, if it did not change while it was read."""
        if reason := refuse_size(file.size, self.settings.max_image_bytes):
            raise FileRefusedError(reason)
        path, data = Path(file.origin), b""
        try:
            data = path.read_bytes()
            is_whole = _stamp(path.stat()) == file.stamp and len(data) == file.size
        except FileNotFoundError:
            is_whole = False
        except OSError as error:
            raise FileRefusedError(_("it cannot be read: {why}", why=error.strerror or str(error))) from error
        if not is_whole:
            raise FilePostponedError(_("{path} changes while it is read; it waits for the next night", path=file.path))
        return data

    def identify(self, files: list[RemoteFile]) -> list[RemoteFile]:
        """The files with the digests of their contents."""
        return [file if file.is_stored or file.reason else self._digest(file) for file in files]

    def advice(self) -> str:
        """What to check when files are missing."""
        return _("if the folder is on a disk or a share that is not mounted, mount it")

    def _digest(self, file: RemoteFile) -> RemoteFile:
        try:
            return replace(file, sha256=hashlib.sha256(self.read(file)).hexdigest())
        except FileRefusedError as error:
            return replace(file, reason=error.args[0])
        except FilePostponedError:
            return file

    def _walk(self, known: KnownFiles) -> Iterator[_Folder]:
        """The source's folder and all folders below it."""
        waiting: list[tuple[str, tuple[str, ...]]] = [(str(self.root), ())]
        while waiting:
            folder = self._look(*waiting.pop(), known)
            waiting += [(entry.path, (*folder.parts, to_text(entry.name))) for entry in folder.folders]
            yield folder

    def _look(self, path: str, parts: tuple[str, ...], known: KnownFiles) -> _Folder:
        """Read a folder once, and compare the stamps of its files with what is known.

        A folder that vanished meanwhile is empty; a locked one is an error.
        """
        folder, above = _Folder(path, parts), "".join(f"{part}/" for part in parts)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    file_id = above + entry.name
                    if file_id in known.stamps and _has_stamp(entry, known.stamps[file_id]):
                        folder.unchanged.append(file_id)
                    elif is_quiet(entry.name) or (not parts and entry.name.lower() == REPORTS):
                        continue
                    elif entry.is_dir(follow_symlinks=False):
                        folder.folders.append(entry)
                    else:
                        folder.files.append(entry)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and parts:
                return folder
            raise SourceError(
                _("the folder {path} cannot be read", path=path),
                expected=_("a folder with images in digits/<label>/, misread/<label>/ or inbox/"),
                received=error.strerror or str(error),
                fix=_("check the path and its permissions; if it is on a disk or a share, mount it"),
            ) from error
        return folder

    def _describe_files(self, folder: _Folder, layout: Layout) -> Iterator[RemoteFile]:
        for entry in folder.files:
            path = (*folder.parts, to_text(entry.name))
            if (place := layout.find_place(path)) and (file := self._describe(path, place, entry)):
                yield file

    def _describe(self, parts: tuple[str, ...], place: Place, entry: os.DirEntry[str]) -> RemoteFile | None:
        reason = place.reason or (self._refuse_link(entry) if entry.is_symlink() else "")
        try:
            status = entry.stat(follow_symlinks=not reason)
        except FileNotFoundError:
            return None
        if not reason and not entry.is_file():
            return None  # a pipe, a socket or a device
        path = "/".join(parts)
        return RemoteFile(
            file_id=path,
            path=path,
            role=place.role,
            label=place.label,
            size=status.st_size,
            stamp=_stamp(status),
            reason=reason,
            origin=entry.path,
        )

    def _refuse_link(self, entry: os.DirEntry[str]) -> str:
        """Why a link is not followed; empty when it leads to a file inside the folder."""
        target = Path(os.path.realpath(entry.path))  # `Path.resolve` raises on a link to itself
        if not target.is_relative_to(self.root.resolve()):
            return _("it is a link that leads out of the folder: put a copy of the file in its place")
        if target.is_dir():
            return _("it is a link to a folder: put the files themselves in its place")
        return "" if target.is_file() else _("it is a link that leads nowhere")


def _has_stamp(entry: os.DirEntry[str], stamp: str) -> bool:
    """Whether a file has a stamp; a link has its own, which no row has, since where it leads may have changed."""
    try:
        return _stamp(entry.stat(follow_symlinks=False)) == stamp
    except FileNotFoundError:
        return False


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
