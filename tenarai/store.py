"""The store: originals, snapshots, models, promotions, reports; a local folder or an `s3://` or `gs://` address.

    store.json                    version and id; checked before anything else
    catalogue.sqlite              what is known of each image (`tenarai.catalogue`), unless another address is set
    blobs/ab/<sha256>             originals: the bytes as they came, verified whenever they are read
    snapshots/<id>.npz            immutable data sets
    models/<id>/                  a model's files; model.json is written last
    champion.json, looks.json     the history of promotions (the last is the champion), the looks at the evidence
    sheet-labels/<number>.json    labels of several characters on practice sheets
    reports/<run>/, reports/latest
    last-check.json               when `tenarai check` last ran, and the faults that it left
    studies/<id>/                 the report of a study; study.json is written last
    studies/trials/<key>.json     the result of each training of a study
    .lock                         held while a night works on the store

A file is written under a temporary name and renamed, so a file that exists is whole. JSON carries a checksum of itself,
which is verified whenever it is read. A new store is private to its owner, since it holds photos of somebody's
handwriting. To share one, make its folder beforehand with the permissions you want.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from tenarai.errors import StoreBusyError, StoreError, StoreVersionError
from tenarai.locale import _

if TYPE_CHECKING:
    from upath import UPath

VERSION = 3  # raise it with each change of the layout; another version is refused


class Store:
    """The files under one root. Open it with `open_store`.

    Attributes:
        address: The address as given.
        root: Local path or remote address as a path object.
    """

    def __init__(self, address: str, root: Path | UPath) -> None:
        """Wrap a root that `open_store` has checked."""
        self.address = address
        self.root: Any = root

    @property
    def local(self) -> Path | None:
        """The root as a local path, or None for an object store."""
        return self.root if isinstance(self.root, Path) else None

    def path(self, *parts: str) -> Any:
        """A path below the root; every part is a name made by Tenarai, never a user's file name."""
        for part in parts:
            if not part or part in {".", ".."} or "/" in part or "\\" in part or "\0" in part:
                raise StoreError(
                    _("{name} cannot be the name of a file in the store", name=repr(part)),
                    expected=_("a plain name without slashes"),
                )
        return self.root.joinpath(*parts)

    def exists(self, *parts: str) -> bool:
        """Whether a file or folder is there.

        Raises:
            StoreError: The store cannot be looked into.
        """
        with self._looking():
            return bool(self.path(*parts).exists())

    def read(self, *parts: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: It is not there or cannot be read.
        """
        path = self.path(*parts)
        try:
            return bytes(path.read_bytes())
        except OSError as error:
            raise StoreError(
                _("{file} cannot be read from the store {store}", file="/".join(parts), store=self.address),
                received=str(error),
                fix=_("run `tenarai check --repair`, or copy the file back from a copy of the store"),
            ) from error

    def write(self, data: bytes, *parts: str) -> None:
        """Write a file whole or not at all.

        Raises:
            StoreError: The disk is full, or the place cannot be written. What was there before is untouched.
        """
        self.write_by(lambda file: file.write(data), *parts)

    def write_by(self, fill: Callable[[IO[bytes]], object], *parts: str) -> None:
        """Write a file whole or not at all, by a function that fills it, so that the content is in memory only once.

        Args:
            fill: Writes the content into the open file it is given.
            parts: Where to.

        Raises:
            StoreError: As `write`.
        """
        target = self.path(*parts)
        if self.local is None:
            try:
                with TemporaryFile() as draft:  # a fill that fails must not leave half a file behind
                    fill(draft)
                    draft.seek(0)
                    with target.open("wb") as file:  # object stores show a file only when its upload has ended
                        shutil.copyfileobj(draft, file)
            except OSError as error:
                raise _cannot_write(self.address, parts, error) from error
            return
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            changed = self._make_folders(target.parent)
            mode = 0o600 | self.root.stat().st_mode & 0o666  # as private as the store's folder
            with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            for folder in changed:
                _sync_folder(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _cannot_write(self.address, parts, error) from error

    def _make_folders(self, folder: Path) -> list[Path]:
        """Make a folder below the root; the folders whose entries change when a file is put into it."""
        changed = [folder]
        while not changed[-1].exists() and changed[-1] != self.root:
            changed.append(changed[-1].parent)
        folder.mkdir(parents=True, exist_ok=True)
        return changed

    def read_json(self, *parts: str) -> dict[str, Any]:
        """The content of a file that `write_json` wrote.

        Raises:
            StoreError: It is missing or damaged.
        """
        data = self.read(*parts)
        try:
            found: dict[str, Any] = json.loads(data)
            if found.pop("checksum") != _checksum(found, parts[-1]):
                raise ValueError("a wrong checksum")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self.damaged(*parts, received=f"{type(error).__name__}: {error}") from error
        return found

    def write_json(self, value: Mapping[str, object], *parts: str) -> None:
        """Write an object as JSON with its checksum; equal objects give equal bytes."""
        self.write(seal_json(value, parts[-1]), *parts)

    def names(self, *parts: str) -> list[str]:
        """Names in a folder, sorted; empty if there is none. Temporary files are left out.

        Raises:
            StoreError: The store cannot be looked into.
        """
        folder = self.path(*parts) if parts else self.root
        with self._looking():
            if not folder.exists():
                return []
            return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                _("the store {store} cannot be looked into", store=self.address),
                received=str(error),
                fix=_("check --store, and that this account may read it"),
            ) from error

    def has_original(self, sha256: str) -> bool:
        """Whether the bytes of this digest are held."""
        return self.exists("blobs", sha256[:2], sha256)

    def put_original(self, data: bytes) -> str:
        """Keep bytes under their sha256 and return it; what is held already is not written again."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.has_original(sha256):
            self.write(data, "blobs", sha256[:2], sha256)
        return sha256

    def original(self, sha256: str) -> bytes:
        """The bytes of an original, checked against its name.

        Raises:
            StoreError: It is missing or damaged.
        """
        data = self.read("blobs", sha256[:2], sha256)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise self.damaged("blobs", sha256[:2], sha256, expected=f"sha256 {sha256}", received=f"sha256 {found}")
        return data

    def held_originals(self) -> set[str]:
        """sha256 of every original that is held; none of them is read."""
        return {name for folder in self.names("blobs") for name in self.names("blobs", folder)}

    def remove(self, *parts: str) -> None:
        """Remove a file, or a folder with what is in it; what is not there is left alone.

        Raises:
            StoreError: It cannot be removed.
        """
        path = self.path(*parts)
        try:
            if path.is_dir():
                shutil.rmtree(path) if self.local else path.rmdir(recursive=True)
            elif path.exists():
                path.unlink()
        except OSError as error:
            raise _cannot_write(self.address, parts, error) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold a local store alone; the operating system frees it when the process ends.

        For any store, use `tenarai.catalogue.hold_store`.

        Raises:
            StoreBusyError: Another process holds it.
            StoreError: The store cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.root / ".lock", timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout as error:
            raise self.busy() from error
        except OSError as error:
            raise _cannot_write(self.address, (".lock",), error) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def lock_key(self) -> int:
        """A number that names this store, wherever its address is written from: a signed 64-bit integer."""
        store_id = self.read_json("store.json")["id"]
        return int.from_bytes(hashlib.sha256(store_id.encode()).digest()[:8], "big", signed=True)

    def busy(self) -> StoreBusyError:
        """The error that another night holds the store."""
        return StoreBusyError(
            _("another night is running on the store {store}", store=self.address),
            fix=_("wait until it ends, or use another --store"),
        )

    def damaged(self, *parts: str, expected: str = "", received: str = "") -> StoreError:
        """The error that a file is damaged."""
        return StoreError(
            _("{file} in the store {store} is damaged", file="/".join(parts), store=self.address),
            expected=expected,
            received=received,
            fix=_("run `tenarai check --repair`, or copy the file back from a copy of the store"),
        )


def seal_json(value: Mapping[str, object], name: str) -> bytes:
    """An object as JSON with sorted keys and a checksum of it and the file's name, as `Store.read_json` reads it."""
    text = json.dumps({**value, "checksum": _checksum(value, name)}, indent=1, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def _checksum(value: Mapping[str, object], name: str) -> str:
    return hashlib.sha256(json.dumps([name, value], sort_keys=True).encode()).hexdigest()[:16]


def open_store(address: str, *, create: bool = True) -> Store:
    """Open the store at an address.

    Args:
        address: A local path, or an address that universal-pathlib understands (`s3://bucket/prefix`, `gs://…`).
        create: Make an empty store if there is none. Default: True.

    Raises:
        StoreVersionError: Another version of Tenarai wrote it.
        StoreError: It cannot be read or made.
    """
    store = locate_store(address)
    if store.exists("store.json"):
        _check_version(store)
        return store
    if not create:
        raise StoreError(
            _("there is no store at {store}", store=address), fix=_("run `tenarai nightly` once, or check --store")
        )
    if store.local is not None:
        _make_private(store.local)
    store.write_json({"version": VERSION, "id": uuid.uuid4().hex}, "store.json")
    return store


def find_store(address: str) -> Store | None:
    """The store at an address, or None if there is none; never makes one.

    Raises:
        StoreError: As `open_store`.
    """
    return open_store(address, create=False) if locate_store(address).exists("store.json") else None


def locate_store(address: str) -> Store:
    """The place of a store that may not exist yet; nothing is checked or made.

    Raises:
        StoreError: The address is invalid.
    """
    if "://" not in address:
        return Store(address, Path(address).expanduser().absolute())
    from upath import UPath

    try:
        return Store(address, UPath(address, use_listings_cache=False))  # another machine may write there, too
    except (ValueError, ImportError) as error:
        raise StoreError(
            _("the store address {store} is invalid", store=address),
            expected=_("a local path, s3://… or gs://…"),
            received=str(error),
            fix=_("install the extra with its driver, such as `tenarai[s3]`"),
        ) from error


def _check_version(store: Store) -> None:
    """Look at the version before the checksum: another version may have another one, or none."""
    try:
        version = json.loads(store.read("store.json"))["version"]
    except (ValueError, TypeError, LookupError, RecursionError):
        version = VERSION
    if version == VERSION or not isinstance(version, int):
        store.read_json("store.json")
        return
    raise StoreVersionError(
        _("the store {store} was written by another version of Tenarai", store=store.address),
        expected=_("version {version}", version=VERSION),
        received=_("version {version}", version=version),
        fix=_("use the version of Tenarai that wrote it, or a new --store, which the next night fills from the source"),
    )


def _make_private(folder: Path) -> None:
    """Make a store's folder that only its owner can open; one that exists keeps its permissions."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as error:
        raise _cannot_write(str(folder), ("store.json",), error) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(address: str, parts: tuple[str, ...], error: OSError) -> StoreError:
    return StoreError(
        _("the store {store} cannot be written", store=address),
        received=f"{error} ({parts[0]})",  # a blob's whole name does not fit a phone
        fix=_("free space on the disk, or make the folder writable; nothing that was there before is lost"),
    )
