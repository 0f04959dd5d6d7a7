"""Tables of the catalogue, and how a database is opened and checked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
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
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from tasks.errors import SettingsError, StoreError, StoreVersionError

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 30

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
    Column("probability", Float(53), nullable=False),
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
    """Connect to a catalogue's database, make its tables where there are none, and check its version.

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
            mend="install it, for PostgreSQL with `pip install tenarai[postgres]`",
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
            mend="check that the place exists and is writable, and that nothing else wrote into the file",
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
            mend="set TENARAI_CATALOGUE, or leave it empty for SQLite inside the store",
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
    if inspect(engine).has_table("about"):
        with engine.connect() as connection:
            value = connection.scalar(select(about.c.value).where(about.c.name == "schema"))
        if value is not None:
            _check_version(engine, value)
            return
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(insert(about).values(name="schema", value=str(SCHEMA_VERSION)))


def _check_version(engine: Engine, value: str) -> None:
    if value.isdecimal() and int(value) <= SCHEMA_VERSION:
        return
    raise StoreVersionError(
        f"the catalogue {_shown(engine.url)} was written by a newer version of Tenarai",
        expected=f"schema {SCHEMA_VERSION} or older",
        received=f"schema {value}",
        mend="upgrade Tenarai on this machine, or use another --store",
    )
