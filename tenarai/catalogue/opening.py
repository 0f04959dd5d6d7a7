"""Where the catalogue of a store is, and the lock that lets one night at a time work on the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tenarai.catalogue.catalogue import Catalogue
from tenarai.catalogue.database import open_engine
from tenarai.errors import SettingsError, StoreBusyError
from tenarai.locale import _
from tenarai.settings import Settings
from tenarai.store import Store

CATALOGUE_FILE = "catalogue.sqlite"


def open_catalogue(address: str | URL) -> Catalogue:
    """Open a catalogue, and make its tables if there are none.

    Args:
        address: As `locate_catalogue` returns it, or an SQLAlchemy address: `sqlite:///<path>` or `postgresql://…`.

    Raises:
        SettingsError: The address is invalid, or its driver is not installed.
        StoreVersionError: Another version of Tenarai wrote it.
        StoreError: It cannot be opened or made.
    """
    return Catalogue(open_engine(_parse(address)))


def locate_catalogue(settings: Settings, store: Store) -> URL:
    """The address of a store's catalogue: the setting, or SQLite inside a local store.

    Raises:
        SettingsError: The address is invalid, or the store is remote and its catalogue is not in PostgreSQL.
    """
    if not settings.catalogue and store.local is not None:
        return URL.create("sqlite", database=str(store.local / CATALOGUE_FILE))
    url = _parse(settings.catalogue) if settings.catalogue else None
    if url is None or (store.local is None and url.get_backend_name() != "postgresql"):
        raise SettingsError(
            _("the remote store {store} needs a catalogue in PostgreSQL", store=store.address),
            expected=_("postgresql://<user>@<host>/<database> in TENARAI_CATALOGUE"),
            fix=_("set TENARAI_CATALOGUE, or use a local store"),
        )
    return url


@contextmanager
def hold_store(settings: Settings, store: Store) -> Iterator[Callable[[], None]]:
    """Hold a store alone, and yield a function that checks that it is still held.

    A local store is locked by its file `.lock`, which the operating system frees when the process ends. A remote store
    is locked by a session advisory lock of its PostgreSQL catalogue, which the server frees when the connection ends.

    Raises:
        StoreBusyError: Another process holds it; when checked: the connection that held it was lost.
        SettingsError: The store is remote and its catalogue is not in PostgreSQL.
    """
    if store.local is not None:
        with store.lock():
            yield lambda: None
        return
    engine = open_engine(locate_catalogue(settings, store))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": store.lock_key}):
                raise store.busy()
            yield lambda: _check_held(connection, store)
    finally:
        engine.dispose()


def _check_held(connection: Connection, store: Store) -> None:
    try:
        held = connection.scalar(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted")
        )
    except SQLAlchemyError:
        held = 0
    if not held:
        raise StoreBusyError(
            _("the lock on the store {store} was lost", store=store.address),
            expected=_("an unbroken connection to the catalogue's database"),
            fix=_("run the night again; nothing was promoted or published after the lock was lost"),
        )


def _parse(address: str | URL) -> URL:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise SettingsError(
            _("the address of the catalogue is invalid"),
            expected=_("sqlite:///<path> or postgresql://<user>@<host>/<database>"),
            fix=_("set TENARAI_CATALOGUE, or leave it empty for SQLite inside the store"),
        ) from error
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
