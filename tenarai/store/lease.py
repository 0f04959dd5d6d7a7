"""A lease: the lock of an object store, which has none that the operating system would free.

    .leases/000007.json    {"holder": "a1b2…", "until": "2026-11-25T02:41:00+00:00"}

It is taken by making the file of the next number, which the store lets one process do only (a conditional put). Its
holder renews it while it works and removes it in the end. If the holder dies, it runs out, and the next number may be
made. A store that knows no conditional put keeps nights apart only where they begin seconds apart.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tenarai.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from tenarai.store.store import Store

FOLDER = ".leases"
LASTS = timedelta(minutes=5)
RENEWED_EVERY = timedelta(minutes=1)


@contextlib.contextmanager
def hold_lease(store: Store) -> Iterator[None]:
    """Hold an object store alone.

    Raises:
        StoreBusyError: Another process holds it; says until when it does at least.
        StoreError: The store cannot be written.
    """
    holder = uuid.uuid4().hex
    name = _take(store, holder)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, name="tenarai lease", args=(store, name, holder, done), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        _remove(store, name)


def _take(store: Store, holder: str) -> str:
    """Make the next lease where none holds, and tell its name."""
    names = store.names(FOLDER)
    until = _read(store, names[-1])["until"] if names else ""
    if until > _now().isoformat():
        raise _busy(store, f"one that holds it until {until} at least")
    name = f"{int(names[-1].removesuffix('.json')) + 1 if names else 1:06}.json"
    path = store.path(FOLDER, name)
    try:
        path.fs.pipe_file(path.path, _words(holder), mode="create")
    except FileExistsError as error:
        raise _busy(store, "one that has just begun") from error
    except OSError as error:
        raise StoreError(
            f"the store {store.address} cannot be written", received=str(error), fix="check the store's keys"
        ) from error
    if _read(store, name)["holder"] != holder:  # a store that knows no conditional put
        raise _busy(store, "one that has just begun")
    for earlier in names:
        _remove(store, earlier)
    return name


def _renew(store: Store, name: str, holder: str, done: threading.Event) -> None:
    """Until the work is done; a holder that slept so long that another has taken the store keeps its hands off."""
    while not done.wait(RENEWED_EVERY.total_seconds()):
        with contextlib.suppress(Exception):  # whatever ails the network, it is asked again
            if store.names(FOLDER)[-1:] != [name]:
                return
            store.write(_words(holder), FOLDER, name)


def _remove(store: Store, name: str) -> None:
    with contextlib.suppress(OSError):  # gone already, or it runs out by itself
        store.path(FOLDER, name).unlink()


def _read(store: Store, name: str) -> dict[str, str]:
    """A lease; one that was removed meanwhile, or makes no sense, holds nobody off."""
    nobody = {"holder": "", "until": ""}
    try:
        found = store.read_json(FOLDER, name)
    except StoreError:
        return nobody
    return nobody | {key: str(value) for key, value in found.items()} if isinstance(found, dict) else nobody


def _words(holder: str) -> bytes:
    return json.dumps({"holder": holder, "until": (_now() + LASTS).isoformat()}).encode()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _busy(store: Store, received: str) -> StoreBusyError:
    return StoreBusyError(
        f"another night works on the store {store.address}",
        received=received,
        fix="wait for it to end, or give this one another --store",
    )
