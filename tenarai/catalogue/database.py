"""The catalogue's database: how it is opened, read and written; SQLAlchemy Core on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    true,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from tenarai.catalogue import schema
from tenarai.errors import SettingsError, StoreError, StoreVersionError
from tenarai.locale import Message, _, dump
from tenarai.records import Digit, Event, EventKind, Image, Role, State

BUSY_TIMEOUT_SECONDS = 30
CREATING = 20_401  # number of the PostgreSQL advisory lock that is held while tables are made
CHUNK = 500  # parameters of one IN (…), rows of one insert: below every database's limit

_TEXTS = (Role, State, EventKind, Message)  # kinds of text that a row holds as plain text

_T = TypeVar("_T")


class Database:
    """Rows with checksums, read and written with errors of our own."""

    def __init__(self, engine: Engine) -> None:
        """Wrap an engine that `open_engine` has checked."""
        self.engine = engine

    def __enter__(self) -> Self:
        """Nothing to do: connections are opened when needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def read(
        self,
        table: Table,
        make: Callable[[Sequence[Any]], _T],
        *conditions: Any,
        order: Any = None,
        limit: int | None = None,
    ) -> list[_T]:
        """What is made of the rows of a table, each checked against its checksum.

        Args:
            table: One of `schema.SEALED`.
            make: Makes a record of a row's values: all columns without the row's own number.
            conditions: Which rows. Default: all.
            order: A column to sort by. Default: as the database has them.
            limit: So many at most. Default: all.

        Raises:
            StoreError: A row is damaged.
        """
        columns = [table.c[name] for name in (*schema.sealed_columns(table), "checksum")]
        query = select(*columns).where(*conditions).order_by(order).limit(limit)
        query = query.execution_options(yield_per=10 * CHUNK)  # at a million, all rows beside all records would be 1 GB
        made = []
        with self.reading() as connection:
            for *values, checksum in connection.execute(query).tuples():
                if schema.checksum(values) != checksum:
                    raise ValueError(f"the row {values[:2]} of {table.name} does not fit its checksum")
                made.append(make(values))
        return made

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; its errors are ours."""
        with self._errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; its errors are ours, and then nothing of it is kept."""
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn an error of the database into one of ours."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(
                _("the catalogue {place} cannot be read or written", place=shown(self.engine.url)),
                received=str(getattr(error, "orig", None) or error),
                fix=_("free space on the disk, or run `tenarai check`; nothing of this step was kept"),
            ) from error
        except (LookupError, ValueError, TypeError) as error:
            raise StoreError(
                _("the catalogue {place} is damaged", place=shown(self.engine.url)),
                received=f"{type(error).__name__}: {error}",
                fix=_("run `tenarai check --repair`"),
            ) from error

    def upsert(
        self, connection: Connection, table: Table, values: Iterable[dict[str, Any]], key: Sequence[str] = ()
    ) -> None:
        """Insert rows, or replace those with the same key (the primary key, unless one is given)."""
        names = [column.name for column in table.columns if not (column.primary_key and column.autoincrement is True)]
        keys = list(key) or [column.name for column in table.primary_key]
        # both dialects write it alike; each is imported only where it is spoken, which spares a quiet night 0.1 s
        dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
        statement = dialect.insert(table)
        replaced = {name: statement.excluded[name] for name in names if name not in keys}
        upsert = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
        for chunk in chunks(values, CHUNK):
            connection.execute(upsert, [schema.seal(table, row) for row in chunk])


def to_values(record: Image | Event | Digit) -> dict[str, Any]:
    """A record's fields by name; `dataclasses.asdict` copies deeply and takes four times as long."""
    values = {name: getattr(record, name) for name in record.__slots__}
    for name, value in values.items():
        if type(value) in _TEXTS:
            values[name] = dump(value)
    return values


def any_of(column: Column[str], values: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    """Conditions that select rows with these values, so many at a time; one that selects all rows for None."""
    return iter([true()]) if values is None else (column.in_(chunk) for chunk in chunks(values, CHUNK))


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items, so many at a time."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk


# ---- opening


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
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.about).values(name="schema", value=str(schema.SCHEMA_VERSION)))


def _is_ready(connection: Connection) -> bool:
    """Whether the tables are there, in this version.

    Raises:
        StoreVersionError: They are of another version.
    """
    if not inspect(connection).has_table("about"):
        return False
    value = connection.scalar(select(schema.about.c.value).where(schema.about.c.name == "schema"))
    if value == str(schema.SCHEMA_VERSION):
        return True
    raise StoreVersionError(
        _("the catalogue {place} was written by another version of Tenarai", place=shown(connection.engine.url)),
        expected=_("schema {version}", version=schema.SCHEMA_VERSION),
        received=_("schema {version}", version=value or "?"),
        fix=_("use the version of Tenarai that wrote it, or a new --store, which the next night fills from the source"),
    )
