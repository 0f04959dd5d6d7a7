"""Tables of the catalogue, and how its database is opened.

There is one schema. To change it, change the tables and raise `SCHEMA_VERSION`: a catalogue of another version is
refused, and the message says what to do. From 1.0.0 on, every 1.x opens the stores of 1.0: see `docs/decisions.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from tenarai.errors import SettingsError, StoreError, StoreVersionError
from tenarai.locale import _

SCHEMA_VERSION = 4
BUSY_TIMEOUT_SECONDS = 30
CREATING = 20_401  # number of the PostgreSQL advisory lock that is held while tables are made

metadata = MetaData()

about = Table("about", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False))

images = Table(
    "images",
    metadata,
    Column("source", String, primary_key=True),
    Column("file_id", String, primary_key=True),
    Column("path", Text, nullable=False),
    Column("role", String, nullable=False),
    Column("label", String),
    Column("sha256", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_run", String, nullable=False),
    Column("last_run", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("stamp", String, nullable=False),
    Column("checksum", String, nullable=False),
    Index("images_by_state", "source", "state", "role"),
    Index("images_by_sha256", "sha256"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("run", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("file_id", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("label", String),
    Column("old_path", Text),
    Column("old_label", String),
    Column("sha256", String, nullable=False),
    Column("checksum", String, nullable=False),
    Index("events_by_run", "source", "run"),
)

sources = Table(
    "sources",
    metadata,
    Column("source", String, primary_key=True),
    Column("state", Text, nullable=False),
    Column("checksum", String, nullable=False),
)

digits = Table(
    "digits",
    metadata,
    Column("normaliser", Integer, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("pixels", LargeBinary, nullable=False),
    Column("phash", LargeBinary, nullable=False),
    Column("group", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("doubt", Text, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("checksum", String, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("model", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("checksum", String, nullable=False),
)

nights = Table(
    "nights",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String, nullable=False, unique=True),
    Column("source", String, nullable=False, index=True),
    Column("record", Text, nullable=False),
    Column("checksum", String, nullable=False),
)


SEALED = (images, events, sources, digits, predictions, nights)
"""Tables whose rows carry a checksum of their other columns."""


def checksum(values: Iterable[Any]) -> str:
    """16 hex digits of the values of a row, in the order of the table's columns, without its own number."""
    parts = [value if isinstance(value, bytes) else repr(value).encode() for value in values]
    return blake2b(b"\0".join([*parts, b""]), digest_size=8).hexdigest()


@cache
def sealed_columns(table: Table) -> tuple[str, ...]:
    """The columns that a table's checksum covers."""
    return tuple(column.name for column in table.columns if column.name not in {"id", "checksum"})


def seal(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row with its checksum."""
    return {**values, "checksum": checksum(values[name] for name in sealed_columns(table))}


def open_engine(url: URL) -> Engine:
    """Connect to a catalogue's database, make its tables if there are none, and check its version.

    Args:
        url: SQLite file or PostgreSQL database.

    Raises:
        SettingsError: The driver is not installed.
        StoreVersionError: Another version of Tenarai wrote it.
        StoreError: It cannot be opened or made.
    """
    engine = connect(url)
    try:
        _prepare_tables(engine)
    except (SQLAlchemyError, UnicodeError) as error:  # the latter: SQLite's message about a damaged schema
        engine.dispose()
        raise StoreError(
            _("the catalogue {place} cannot be opened", place=shown(url)),
            received=str(getattr(error, "orig", None) or error),
            fix=_("check that the folder exists and is writable, then run `tenarai check`"),
        ) from error
    except StoreVersionError:
        engine.dispose()
        raise
    return engine


def connect(url: URL) -> Engine:
    """An engine for a catalogue's database; nothing is checked or made.

    Raises:
        SettingsError: The driver is not installed.
    """
    try:
        engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(
            _("the catalogue {place} needs a driver that is not installed", place=shown(url)),
            received=str(error),
            fix=_("install it, for PostgreSQL with `pip install tenarai[postgres]`"),
        ) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def shown(url: URL) -> str:
    """The address for people, without its password."""
    return url.render_as_string(hide_password=True)


def _set_pragmas(connection: Any, _record: object) -> None:
    """Let readers and one writer work at the same time, and wait for each other instead of failing."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA secure_delete = ON")  # a picture that is forgotten leaves no bytes in the file
    cursor.close()


def _prepare_tables(engine: Engine) -> None:
    """Check the version before anything is made, so that another version's catalogue is left exactly as it is."""
    with engine.connect() as connection:
        if _is_ready(connection):
            return
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's driver begins no transaction before CREATE TABLE
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATING})")
        if not _is_ready(connection):  # another process may have been faster
            metadata.create_all(connection)
            connection.execute(insert(about).values(name="schema", value=str(SCHEMA_VERSION)))


def _is_ready(connection: Connection) -> bool:
    """Whether the tables are there, in this version.

    Raises:
        StoreVersionError: They are of another version.
    """
    if not inspect(connection).has_table("about"):
        return False
    value = connection.scalar(select(about.c.value).where(about.c.name == "schema"))
    if value == str(SCHEMA_VERSION):
        return True
    raise StoreVersionError(
        _("the catalogue {place} was written by another version of Tenarai", place=shown(connection.engine.url)),
        expected=_("schema {version}", version=SCHEMA_VERSION),
        received=_("schema {version}", version=value or "?"),
        fix=_("use the version of Tenarai that wrote it, or a new --store, which the next night fills from the source"),
    )
