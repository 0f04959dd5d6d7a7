"""The store: originals, snapshots, models, the champion's history, reports; a local path or an `s3://`/`gs://` address.

    store.json                    format version; checked before anything else
    catalogue.sqlite              what is known of each image (room `catalogue`), unless another address is set
    blobs/ab/<sha256>             originals, the bytes as they came
    snapshots/<id>.npz            immutable data sets
    models/<id>/…                 model.keras, history.json, card.md, and model.json, written last
    champion.json                 who held the title, since when, why; the last line reigns
    sheet-labels/<number>.json    what stands on practice sheets for labels of several characters
    reports/<run>/…, reports/latest
    studies/<id>/…                the report of a study; study.json, written last
    studies/cells/<name>.json     what came out of each training of a study
    .lock, .leases/               who works on it now; no part of what is kept

Everything is written to a temporary name and renamed, so a file that exists is whole; `model.json` and `report.json`
are written last in their folders, so a folder that has them is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from tenarai.errors import StoreBusyError, StoreError, StoreVersionError

if TYPE_CHECKING:
    from upath import UPath

FORMAT = 1
UPGRADES: dict[int, Callable[[Store], None]] = {}
"""By format: what makes a store of it one of the next. Each may be killed and done again; none is ever removed."""


class Store:
    """Files under one root. Open it with `open_store`.

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
                    f"{part!r} is no name for a file of the store", expected="a plain name without slashes"
                )
        return self.root.joinpath(*parts)

    def exists(self, *parts: str) -> bool:
        """Whether a file or folder is there."""
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
                f"{'/'.join(parts)} cannot be read from the store {self.address}",
                received=str(error),
                fix="restore the store from a backup, or run the night again if the file belongs to an unfinished one",
            ) from error

    def write(self, data: bytes, *parts: str) -> None:
        """Write a file whole or not at all.

        Raises:
            StoreError: The disk is full, or the place cannot be written. What was there before is untouched.
        """
        self.write_by(lambda file: file.write(data), *parts)

    def write_by(self, fill: Callable[[IO[bytes]], object], *parts: str) -> None:
        """Write a file whole or not at all, by a function that fills it; for what should not lie in memory twice.

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
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _cannot_write(self.address, parts, error) from error

    def read_json(self, *parts: str) -> Any:
        """A JSON file's content.

        Raises:
            StoreError: It is not there or no JSON.
        """
        data = self.read(*parts)
        try:
            return json.loads(data)
        except ValueError as error:
            raise StoreError(
                f"{'/'.join(parts)} in the store {self.address} is damaged",
                expected="JSON",
                received=str(error),
                fix="restore it from a backup",
            ) from error

    def write_json(self, value: object, *parts: str) -> None:
        """Write JSON with sorted keys, so that equal values give equal bytes."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        self.write(text.encode() + b"\n", *parts)

    def names(self, *parts: str) -> list[str]:
        """Names in a folder, sorted; empty if there is none. Temporary files are left out."""
        folder = self.path(*parts) if parts else self.root
        if not folder.exists():
            return []
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))

    def files(self, *parts: str) -> Iterator[tuple[str, ...]]:
        """Every file below a folder, by its parts, in a fixed order; temporary files are left out."""
        for name in self.names(*parts):
            if self.path(*parts, name).is_dir():
                yield from self.files(*parts, name)
            else:
                yield (*parts, name)

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
        """The bytes of an original.

        Raises:
            StoreError: They are not held.
        """
        return self.read("blobs", sha256[:2], sha256)

    @contextlib.contextmanager
    def local_copy(self, *parts: str) -> Iterator[Path]:
        """A local file with the content of a stored one, for libraries that want a path."""
        path = self.path(*parts)
        if self.local is not None:
            yield Path(path)
            return
        with TemporaryDirectory(prefix="tenarai-") as folder:
            copy = Path(folder) / parts[-1]
            copy.write_bytes(self.read(*parts))
            yield copy

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one night; the operating system frees it when the process dies.

        An object store has no such lock: there it is a lease, which runs out some minutes after its holder died.

        Raises:
            StoreBusyError: Another process holds it.
        """
        if self.local is None:
            from tenarai.store.lease import hold_lease

            with hold_lease(self):
                yield
            return
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.local / ".lock", timeout=0):
                yield
        except Timeout as error:
            raise StoreBusyError(
                f"another night works on the store {self.address}",
                fix="wait for it to end, or give this one another --store",
            ) from error


def open_store(address: str, *, create: bool = True) -> Store:
    """Open the store at an address, making it when it is not there.

    Args:
        address: A local path, or an address that universal-pathlib understands (`s3://bucket/prefix`, `gs://…`).
        create: Make an empty store where there is none. Default: True.

    Raises:
        StoreVersionError: A newer Tenarai wrote it.
        StoreError: It cannot be read or made.
    """
    store = locate_store(address)
    if store.exists("store.json"):
        if _format(store) < FORMAT:
            _upgrade(store)
        return store
    if not create:
        raise StoreError(f"there is no store at {address}", fix="run `tenarai nightly` once, or check --store")
    store.write_json({"format": FORMAT}, "store.json")
    return store


def find_store(address: str) -> Store | None:
    """The store at an address, or None where there is none; never makes one.

    Raises:
        StoreError: As `open_store`.
    """
    return open_store(address, create=False) if locate_store(address).exists("store.json") else None


def locate_store(address: str) -> Store:
    """The place of a store that may not be there yet; nothing is checked or made.

    Raises:
        StoreError: The address is not understood.
    """
    return Store(address, _root(address))


def _format(store: Store) -> int:
    found = store.read_json("store.json")
    version = found.get("format") if isinstance(found, dict) else None
    if not isinstance(version, int) or version < 1:
        raise StoreError(
            f"{store.address} is no Tenarai store", expected='{"format": 1} in store.json', received=repr(found)
        )
    if version > FORMAT:
        raise StoreVersionError(
            f"the store {store.address} was written by a newer version of Tenarai",
            expected=f"format {FORMAT} or older",
            received=f"format {version}",
            fix="upgrade Tenarai on this machine, or use another --store",
        )
    return version


def _upgrade(store: Store) -> None:
    """Bring a store up to date, one format after the other; killed anywhere, the next opening goes on from there."""
    with store.lock():
        for version in range(_format(store), FORMAT):
            UPGRADES[version](store)
            store.write_json({"format": version + 1}, "store.json")


def _root(address: str) -> Path | UPath:
    if "://" not in address:
        return Path(address).expanduser().absolute()
    from upath import UPath

    try:
        return UPath(address, use_listings_cache=False)  # others write there, too: another machine trains
    except (ValueError, ImportError) as error:
        raise StoreError(
            f"the store address {address} is not understood",
            expected="a local path, s3://… or gs://…",
            received=str(error),
            fix="install the extra that brings its driver, such as `tenarai[s3]`",
        ) from error


def _cannot_write(address: str, parts: tuple[str, ...], error: OSError) -> StoreError:
    return StoreError(
        f"{'/'.join(parts)} cannot be written to the store {address}",
        received=str(error),
        fix="free space on the disk, or make the folder writable; nothing that was there before is lost",
    )
