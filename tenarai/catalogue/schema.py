"""Tables of the catalogue, and how a database is opened, checked and brought up to date."""

from __future__ import annotations

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
    delete,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from tenarai.catalogue.migrations import run_migrations
from tenarai.errors import SettingsError, StoreError, StoreVersionError

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 30
MIGRATING = 20_401  # number of PostgreSQL's advisory lock

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
    Index("events_by_run", "source", "run"),
)

sources = Table("sources", metadata, Column("source", String, primary_key=True), Column("state", Text, nullable=False))

digits = Table(
    "digits",
    metadata,
    Column("normaliser", Integer, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("pixels", LargeBinary, nullable=False),
    Column("phash", LargeBinary, nullable=False),
    Column("group", String, nullable=False),
    Column("reason", Text, nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("model", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("confidence", Float(53), nullable=False),
)

nights = Table(
    "nights",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String, nullable=False, unique=True),
    Column("source", String, nullable=False, index=True),
    Column("record", Text, nullable=False),
)


def open_engine(address: str) -> Engine:
    """Connect to a catalogue's database, check its version, and make its tables or bring them up to date.

    Args:
        address: SQLAlchemy address: `sqlite:///<path>` or `postgresql://…`.

    Raises:
        SettingsError: The address is not understood, or its driver is not installed.
        StoreVersionError: A newer version of Tenarai wrote it.
        StoreError: It cannot be opened or made.
    """
    url = _parse_address(address)
    try:
        engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(
            f"the catalogue {_shown(url)} needs a driver that is not installed",
            received=str(error),
            fix="install it, for PostgreSQL with `pip install tenarai[postgres]`",
        ) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    try:
        _prepare_tables(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(
            f"the catalogue {_shown(url)} cannot be opened",
            received=str(getattr(error, "orig", None) or error),
            fix="check that the place exists and is writable, and that nothing else wrote into the file",
        ) from error
    except StoreVersionError:
        engine.dispose()
        raise
    return engine


def _parse_address(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise SettingsError(
            "the address of the catalogue is not understood",
            expected="sqlite:///<path> or postgresql://<user>@<host>/<database>",
            fix="set TENARAI_CATALOGUE, or leave it empty for SQLite inside the store",
        ) from error
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    return url


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _set_pragmas(connection: Any, _record: object) -> None:
    """Let readers and one writer work side by side, and wait for each other instead of failing."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare_tables(engine: Engine) -> None:
    """Check the version before anything is made, so that a newer catalogue is left exactly as it is."""
    with engine.connect() as connection:
        if _version(connection) == SCHEMA_VERSION:
            return
    with engine.begin() as connection:
        _be_alone(connection)
        version = _version(connection)  # someone else may have been faster
        if version < SCHEMA_VERSION:
            run_migrations(connection, version=version)
            connection.execute(delete(about).where(about.c.name == "schema"))
            connection.execute(insert(about).values(name="schema", value=str(SCHEMA_VERSION)))


def _version(connection: Connection) -> int:
    """The schema that is there; 0 where there are no tables yet.

    Raises:
        StoreVersionError: It is newer than this version of Tenarai.
    """
    if not inspect(connection).has_table("about"):
        return 0
    value = connection.scalar(select(about.c.value).where(about.c.name == "schema"))
    if value is None:
        return 0
    if value.isdecimal() and int(value) <= SCHEMA_VERSION:
        return int(value)
    raise StoreVersionError(
        f"the catalogue {_shown(connection.engine.url)} was written by a newer version of Tenarai",
        expected=f"schema {SCHEMA_VERSION} or older",
        received=f"schema {value}",
        fix="upgrade Tenarai on this machine, or use another --store",
    )


def _be_alone(connection: Connection) -> None:
    """Let nobody else change the schema until this transaction ends."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # by itself, Python's driver begins none before a CREATE TABLE
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATING})")
