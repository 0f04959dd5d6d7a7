"""A local folder as the source: look at every file, read only what may have changed, then tell the catalogue.

A file whose size, time of change and inode are as they were is not opened. Links that lead out of the folder are not
followed, nor are links to folders, so nothing is read twice and no loop is entered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tenarai.catalogue import Catalogue
from tenarai.errors import SettingsError, SourceError
from tenarai.records import Image, State, SyncResult
from tenarai.store import Store
from tenarai.sync.layout import REPORTS, find_place, has_digits_folder, is_litter, refuse_size, to_text
from tenarai.sync.plan import RemoteFile, check_mass_deletion, plan_sync

SECONDS_BETWEEN_WORDS = 2.0
NOT_MOUNTED = "if the folder lies on a disk or a share that is not mounted, mount it; else "

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the folder and where to read it: on disk names are bytes, in the catalogue they are text."""

    file: RemoteFile
    disk_path: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What reading gave: every file with its digest or the reason it is refused, and what could not be looked at."""

    files: tuple[RemoteFile, ...]
    untouched: frozenset[str]
    num_read: int
    num_bytes: int


def sync_folder(
    source: str,
    store: Store,
    catalogue: Catalogue,
    run: str,
    *,
    max_image_bytes: int,
    allow_mass_deletion: bool = False,
    say: Say = lambda words: None,
) -> SyncResult:
    """Bring originals and catalogue up to date with a local folder.

    Args:
        source: `folder:<path>`.
        store: Where originals are kept.
        catalogue: What is known of the source's files.
        run: Name of the night.
        max_image_bytes: Larger files are refused unread, in bytes.
        allow_mass_deletion: Believe it when many files vanished. Default: False.
        say: Takes words of progress. Default: nobody listens.

    Raises:
        SettingsError: The address names no folder.
        SourceError: The folder cannot be read, or holds nothing.
        MassDeletionError: Too many files vanished; nothing was changed.
        StoreError: Originals or catalogue cannot be written; the catalogue is as it was.
    """
    found = list_folder(_root(source))
    if not found:
        raise SourceError(
            f"the folder {source} holds no files to work on",
            expected="images in digits/<label>/, misread/<label>/ or inbox/ (or in folders named after their labels)",
            fix=f"{NOT_MOUNTED}put images into it",
        )
    known = catalogue.images(source, states=tuple(State))
    contents = _read_changed(found, {image.file_id: image for image in known}, store, max_image_bytes, say)
    plan = plan_sync(contents.files, known, source=source, run=run, ids_are_paths=True, untouched=contents.untouched)
    check_mass_deletion(plan, source, allowed=allow_mass_deletion, advice=NOT_MOUNTED)
    catalogue.apply_sync(source, plan.rows, plan.events)
    return plan.result(num_downloaded=contents.num_read, num_bytes=contents.num_bytes)


def list_folder(root: Path) -> list[FoundFile]:
    """Every file that is Tenarai's business, by path; none is opened.

    Raises:
        SourceError: The folder, or one in it, cannot be read.
    """
    try:
        top = [entry.name for entry in os.scandir(root) if entry.is_dir() and not is_litter(entry.name)]
    except OSError as error:
        raise SourceError(
            f"the folder {root} cannot be read",
            expected="a folder with images in digits/<label>/, misread/<label>/ or inbox/",
            received=error.strerror or str(error),
            fix="check the path and its permissions; if it lies on a disk or a share, mount it",
        ) from error
    has_digits = has_digits_folder(top)
    files = (_describe(root, entry, has_digits) for entry in _walk(root))
    return sorted((found for found in files if found is not None), key=lambda found: found.file.path)


def _root(source: str) -> Path:
    path = source.removeprefix("folder:")
    if not path.strip():
        raise SettingsError(
            f"the source {source!r} names no folder", expected="folder:<path>", fix="set TENARAI_SOURCE or --source"
        )
    return Path(path).expanduser().absolute()


def _walk(root: Path) -> Iterator[os.DirEntry[str]]:
    """Files and links below a folder. A folder that vanishes meanwhile is empty; one that is closed is an error."""
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceError(
                f"the folder {folder} cannot be read",
                received=error.strerror or str(error),
                fix="make it readable for the account that Tenarai runs under; "
                "else its files would look as if they were deleted",
            ) from error
        for entry in entries:
            if is_litter(entry.name) or (folder == str(root) and entry.name.lower() == REPORTS):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                yield entry


def _describe(root: Path, entry: os.DirEntry[str], has_digits: bool) -> FoundFile | None:
    parts = [to_text(part) for part in entry.path[len(str(root)) :].replace(os.sep, "/").split("/") if part]
    place = find_place(parts, has_digits=has_digits)
    if place is None:
        return None
    reason = place.reason or (_refuse_link(root, entry) if entry.is_symlink() else "")
    try:
        status = entry.stat(follow_symlinks=not reason)
    except FileNotFoundError:
        return None
    if not reason and not entry.is_file():
        return None  # a pipe, a socket or a device
    path = "/".join(parts)
    stamp = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    file = RemoteFile(
        file_id=path,
        path=path,
        role=place.role,
        label=place.label,
        size=status.st_size,
        modified=_to_iso(status.st_mtime),
        stamp=stamp,
        reason=reason,
    )
    return FoundFile(file, entry.path)


def _refuse_link(root: Path, entry: os.DirEntry[str]) -> str:
    """Why a link is not followed; empty when it leads to a file inside the folder."""
    target = Path(os.path.realpath(entry.path))  # `Path.resolve` raises on a link to itself
    if not target.is_relative_to(root.resolve()):
        return "it is a link that leads out of the folder: put a copy of the file in its place"
    if target.is_dir():
        return "it is a link to a folder: put the files themselves in its place"
    return "" if target.is_file() else "it is a link that leads nowhere"


def _to_iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return ""


def _read_changed(
    found: Sequence[FoundFile], known: Mapping[str, Image], store: Store, max_image_bytes: int, say: Say
) -> Contents:
    files, untouched, num_read, num_bytes = [], set(), 0, 0
    unread = [item for item in found if not _is_known(item.file, known.get(item.file.file_id))]
    spoken = time.monotonic()
    for item in found:
        before = known.get(item.file.file_id)
        if before is not None and _is_known(item.file, before):
            files.append(replace(item.file, sha256=before.sha256))
            continue
        file = _read(item, store, max_image_bytes)
        if file is None:
            say(f"{item.file.path} changes while it is read; it waits for the next night")
            untouched.add(item.file.file_id)
            continue
        files.append(file)
        num_read += bool(file.sha256)
        num_bytes += file.size if file.sha256 else 0
        if time.monotonic() - spoken > SECONDS_BETWEEN_WORDS:
            spoken = time.monotonic()
            say(f"{num_read} of {len(unread)} files read, {num_bytes / 1e6:.1f} MB")
    return Contents(tuple(files), frozenset(untouched), num_read, num_bytes)


def _is_known(file: RemoteFile, before: Image | None) -> bool:
    """Whether the bytes are those that were read before, as far as a look from outside can tell."""
    return before is not None and bool(before.sha256) and before.stamp == file.stamp


def _read(item: FoundFile, store: Store, max_image_bytes: int) -> RemoteFile | None:
    """The file with its bytes kept in the store, or with a reason; None when it changed or vanished meanwhile."""
    file = item.file
    if file.reason:
        return file
    if reason := refuse_size(file.size, max_image_bytes):
        return replace(file, reason=reason)
    path = Path(item.disk_path)
    try:
        data = path.read_bytes()
        after = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return replace(file, reason=f"it cannot be read: {error.strerror or error}")
    if f"{after.st_size}-{after.st_mtime_ns}-{after.st_ino}" != file.stamp or len(data) != file.size:
        return None
    return replace(file, sha256=store.put_original(data))
