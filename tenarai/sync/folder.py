"""A local folder as the source.

A file whose size, time of change and inode are as they were is not opened. Links that lead out of the folder are not
followed, nor are links to folders, so nothing is read twice and no loop is entered.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.settings import Settings
from tenarai.sync.download import FilePostponedError, FileRefusedError
from tenarai.sync.layout import REPORTS, Layout, Place
from tenarai.sync.names import BASE_LABELS, Labels, is_quiet, refuse_size, to_text
from tenarai.sync.plan import RemoteFile
from tenarai.sync.source import Source, name_folder


class FolderSource(Source):
    """Images in a folder on disk; a file's id is its path."""

    ids_are_paths = True

    def __init__(self, settings: Settings) -> None:
        """Find the folder; nothing is read yet."""
        super().__init__(settings)
        self.root = Path(self.address.removeprefix("folder:")).expanduser().absolute()
        self.name = _("the folder {path}", path=str(self.root))

    def list_files(self, labels: Labels = BASE_LABELS) -> list[RemoteFile]:
        """Every file that can be used or that people should hear of, by path; none is opened."""
        entries = dict(self._walk())
        layout = Layout(entries, labels, self.name)
        found = [
            self._describe(path, place, entry) for path, entry in entries.items() if (place := layout.find_place(path))
        ]
        unread = [name_folder(f"{top}/", top, layout.describe_unread(top)) for top in layout.find_unread(entries)]
        return sorted([file for file in found if file is not None] + unread, key=lambda file: file.path)

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

    def _walk(self) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
        """Files and links below the folder, with the names that lead to them.

        A folder that vanishes meanwhile is empty; a locked one is an error.
        """
        folders: list[tuple[str, tuple[str, ...]]] = [(str(self.root), ())]
        while folders:
            folder, above = folders.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError as error:
                if isinstance(error, FileNotFoundError) and above:
                    continue
                raise SourceError(
                    _("the folder {path} cannot be read", path=folder),
                    expected=_("a folder with images in digits/<label>/, misread/<label>/ or inbox/"),
                    received=error.strerror or str(error),
                    fix=_("check the path and its permissions; if it is on a disk or a share, mount it"),
                ) from error
            for entry in entries:
                if is_quiet(entry.name) or (not above and entry.name.lower() == REPORTS):
                    continue
                parts = (*above, to_text(entry.name))
                if entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, parts))
                else:
                    yield parts, entry

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
            modified=_to_iso(status.st_mtime),
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


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _to_iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return ""
