"""A whole store in one file, and back: originals, snapshots, models, history, reports, and the catalogue.

    <path in the store>     every file, as it is
    catalogue.sqlite        the catalogue, whatever database it lies in
    backup.json             format, and size and sha256 of each file; last, so an archive that has it is complete

The archive is a plain tar: nothing in it is compressed, so it cannot hold more than its own size. Its list is checked
before anything of it is written, each file's bytes with their digest, and a restored store appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tenarai.catalogue import CATALOGUE_FILE, copy_catalogue
from tenarai.errors import SettingsError, StoreError, StoreVersionError
from tenarai.store import Store, locate_store, open_store

FORMAT = 1
MANIFEST = "backup.json"
MAX_MANIFEST_BYTES = 1_000_000_000

Say = Callable[[str], None]


def back_up(store: Store, catalogue: str, file: Path, say: Say) -> int:
    """Write everything that a store holds into one new file.

    Args:
        store: The store; no night may work on it meanwhile.
        catalogue: SQLAlchemy address of its catalogue.
        file: The archive; must not exist.
        say: Told what is being done.

    Returns:
        Number of files in it.

    Raises:
        SettingsError: The file exists.
        StoreBusyError: A night works on the store.
        StoreError: Store or catalogue cannot be read, or the file cannot be written; no file is left then.
    """
    if file.exists():
        raise SettingsError(f"{file} exists", expected="a new file", fix="give another name, or remove it")
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        temporary.touch(0o600)  # the photos are private
        with store.lock(), tarfile.open(temporary, "w:", format=tarfile.PAX_FORMAT) as archive:
            files = dict(_pack(archive, store, catalogue, say))
            _add(archive, MANIFEST, json.dumps({"format": FORMAT, "files": files}, sort_keys=True).encode())
        temporary.replace(file)
    except OSError as error:
        raise StoreError(
            f"the backup {file} cannot be written", received=str(error), fix="free space, or choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return len(files)


def restore(file: Path, address: str, catalogue: str, say: Say) -> int:
    """Make a store from a backup.

    Args:
        file: The archive, from whomever; nothing in it is trusted.
        address: Where the store shall be; nothing may be there.
        catalogue: SQLAlchemy address of an empty catalogue; empty: SQLite inside the store.
        say: Told what is being done.

    Returns:
        Number of files restored.

    Raises:
        SettingsError: Something is there already.
        StoreVersionError: A newer version of Tenarai wrote the backup.
        StoreError: The archive is incomplete, damaged or not a backup; nothing is left of it then.
    """
    try:
        with tarfile.open(file, "r:") as archive:
            members, manifest = _check(archive, file)
            with _new_store(address) as store:
                if catalogue:
                    _restore_catalogue(archive, members.pop(CATALOGUE_FILE), manifest, catalogue, file)
                for name in sorted(members, key=lambda name: (name == "store.json", name)):  # it makes the rest a store
                    store.write(_content(archive, members[name], manifest, file), *name.split("/"))
                say(f"{len(manifest)} files")
    except (OSError, tarfile.TarError) as error:
        raise _refused(file, str(error)) from error
    return len(manifest)


def _pack(archive: tarfile.TarFile, store: Store, catalogue: str, say: Say) -> Iterator[tuple[str, list[Any]]]:
    for number, parts in enumerate(store.files()):
        if not parts[0].startswith(CATALOGUE_FILE):  # the database's own files are no copy of it while it is open
            yield _add(archive, "/".join(parts), store.read(*parts))
        if number % 1000 == 999:
            say(f"{number + 1} files")
    with TemporaryDirectory(prefix="tenarai-") as folder:
        copy = Path(folder) / CATALOGUE_FILE
        copy_catalogue(catalogue, f"sqlite:///{copy}")
        yield _add(archive, CATALOGUE_FILE, copy.read_bytes())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> tuple[str, list[Any]]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    archive.addfile(member, io.BytesIO(data))
    return name, [len(data), hashlib.sha256(data).hexdigest()]


def _check(archive: tarfile.TarFile, file: Path) -> tuple[dict[str, tarfile.TarInfo], dict[str, list[Any]]]:
    """Everything but the files' content: kinds, names and sizes, against the list at the end."""
    members: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if not member.isreg() or member.issparse():
            raise _refused(file, f"{member.name!r} is a link, a device or a folder")
        if member.name in members:
            raise _refused(file, f"{member.name!r} is in it twice")
        members[member.name] = member
    manifest = _manifest(archive, members.pop(MANIFEST, None), file)
    for name in members.keys() ^ manifest.keys():
        raise _refused(file, f"{name!r} is {'not in it' if name in manifest else 'not in its list'}")
    for name, member in members.items():
        if any(part in {"", ".", ".."} or part.startswith(".") for part in name.split("/")):
            raise _refused(file, f"{name!r} is no name for a file of a store")
        if member.size != manifest[name][0]:
            raise _refused(file, f"{name!r} has {member.size:,} bytes instead of {manifest[name][0]:,}")
    return members, manifest


def _manifest(archive: tarfile.TarFile, member: tarfile.TarInfo | None, file: Path) -> dict[str, list[Any]]:
    if member is None or member.size > MAX_MANIFEST_BYTES:
        raise _refused(file, f"no {MANIFEST} at its end")
    reader = archive.extractfile(member)
    try:
        found: Any = json.load(reader) if reader else None
        version, files = found["format"], found["files"]
        well_formed = isinstance(version, int) and all(
            isinstance(size, int) and isinstance(digest, str) for size, digest in files.values()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _refused(file, f"a {MANIFEST} that does not fit ({error})") from error
    if well_formed and version > FORMAT:
        raise StoreVersionError(
            f"the backup {file} was written by a newer version of Tenarai",
            expected=f"format {FORMAT} or older",
            received=f"format {version}",
            fix="upgrade Tenarai on this machine",
        )
    if not well_formed or not {"store.json", CATALOGUE_FILE} <= files.keys():
        raise _refused(file, f"a {MANIFEST} that does not fit")
    return dict(files)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, manifest: dict[str, list[Any]], file: Path) -> bytes:
    reader = archive.extractfile(member)
    data = reader.read() if reader else b""
    if hashlib.sha256(data).hexdigest() != manifest[member.name][1]:
        raise _refused(file, f"{member.name!r} has other bytes than its list says")
    return data


def _restore_catalogue(
    archive: tarfile.TarFile, member: tarfile.TarInfo, manifest: dict[str, list[Any]], address: str, file: Path
) -> None:
    with TemporaryDirectory(prefix="tenarai-") as folder:
        copy = Path(folder) / CATALOGUE_FILE
        copy.write_bytes(_content(archive, member, manifest, file))
        copy_catalogue(f"sqlite:///{copy}", address)


@contextmanager
def _new_store(address: str) -> Iterator[Store]:
    """A store that appears at the address when the block ends well; locally, nothing of it is seen before."""
    target = locate_store(address)
    if target.exists("store.json") or (target.local and target.local.exists() and any(target.local.iterdir())):
        raise SettingsError(
            f"there is something at {address} already", expected="nothing", fix="move it away, or give another --store"
        )
    if target.local is None:
        yield target
        return
    staging = target.local.with_name(f".{target.local.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield Store(address, staging)
        open_store(str(staging), create=False)  # a store of a newer format is left where it is: in the archive
        staging.replace(target.local)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refused(file: Path, received: str) -> StoreError:
    return StoreError(
        f"{file} cannot be restored; nothing of it was kept",
        expected="an archive that `tenarai backup` wrote, whole",
        received=received,
        fix="take another backup",
    )
