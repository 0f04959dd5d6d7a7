"""Find damaged rows of a catalogue, remove them, and rebuild a database file that SQLite itself calls damaged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Table, bindparam, delete, insert, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from tenarai.catalogue import schema
from tenarai.catalogue.catalogue import Catalogue, to_image
from tenarai.catalogue.database import CHUNK, any_of, chunks, connect, to_values
from tenarai.catalogue.opening import open_catalogue
from tenarai.errors import StoreError
from tenarai.locale import _, plural
from tenarai.store import Store

Listener = Callable[[str, int, int], None]


def find_damage(catalogue: Catalogue) -> Iterator[str]:
    """What SQLite's own check finds wrong with the file, as SQLite says it; empty for PostgreSQL.

    Raises:
        StoreError: The file cannot be read at all.
    """
    if catalogue.engine.dialect.name != "sqlite":
        return
    with catalogue.reading() as connection:
        for found in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if found != "ok":
                yield str(found)


def find_bad_rows(catalogue: Catalogue, part: int = 0, parts: int = 1) -> Iterator[tuple[Table, tuple[Any, ...]]]:
    """Rows whose checksum is wrong: their table, and the values of their primary key.

    Args:
        catalogue: An open catalogue.
        part, parts: Look only at every `parts`-th row, from this one. Default: at every row.

    Raises:
        StoreError: A table cannot be read.
    """
    for table in schema.SEALED:
        names = [*schema.sealed_columns(table), "checksum"]
        keys = list(table.primary_key)
        query = select(*keys, *(table.c[name] for name in names)).execution_options(yield_per=10 * CHUNK)
        with catalogue.reading() as connection:
            for number, row in enumerate(connection.execute(query).tuples()):
                if number % parts == part and schema.checksum(row[len(keys) : -1]) != row[-1]:
                    yield table, tuple(row[: len(keys)])


def remove_rows(catalogue: Catalogue, table: Table, keys: Sequence[tuple[Any, ...]]) -> str:
    """Delete damaged rows, and say what becomes of what they held."""
    match = [column == bindparam(f"key{number}") for number, column in enumerate(table.primary_key)]
    with catalogue.writing() as connection:
        connection.execute(
            delete(table).where(*match), [{f"key{n}": value for n, value in enumerate(key)} for key in keys]
        )
        if table in (schema.images, schema.sources):  # the next sync lists everything and adds what is missing
            connection.execute(delete(schema.sources))
    if table in (schema.events, schema.nights):
        return plural("{n} row was removed and is lost", "{n} rows were removed and are lost", len(keys))
    return plural(
        "{n} row was removed; the next night makes it again",
        "{n} rows were removed; the next night makes them again",
        len(keys),
    )


def find_bad_originals(
    store: Store, catalogue: Catalogue, *, part: int = 0, parts: int = 1, listen: Listener = lambda *_: None
) -> dict[str, str]:
    """Originals that the catalogue names and the store lacks, and those whose bytes changed: reason by sha256.

    Args:
        store, catalogue: What to check.
        part, parts: Read the bytes of one of `parts` shares; that they exist is checked for all. Default: read all.
        listen: Receives the subject, how many are done, and how many there are. Default: no one.
    """
    named, held = dict(catalogue.live_originals()), store.held_originals()
    bad: dict[str, str] = dict.fromkeys(sorted(set(named) - held), _("the original is missing"))
    due = sorted(sha256 for sha256 in set(named) & held if int(sha256[:8], 16) % parts == part)
    for number, sha256 in enumerate(due):
        listen("originals", number, len(due))
        try:
            store.original(sha256)
        except StoreError:
            bad[sha256] = _("the original is damaged")
    return bad


def fetch_again(store: Store, catalogue: Catalogue, sha256s: Collection[str]) -> None:
    """Remove damaged originals, and let the next sync fetch them from the source, as if the files had changed."""
    if not sha256s:
        return
    for sha256 in sha256s:
        store.remove("blobs", sha256[:2], sha256)
    table = schema.images
    rows = [row for part in any_of(table.c.sha256, sha256s) for row in catalogue.read(table, to_image, part)]
    with catalogue.writing() as connection:
        catalogue.upsert(connection, table, (to_values(replace(row, stamp="")) for row in rows))
        connection.execute(delete(schema.sources))


def salvage(url: URL) -> str:
    """Rebuild a damaged SQLite file from the rows that can still be read; the damaged file is kept beside it.

    Raises:
        StoreError: The file cannot be moved or written.
    """
    path = Path(str(url.database))
    kept = path.with_name(f"{path.name}.damaged")
    number = 0
    try:
        path.replace(kept)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).replace(kept.with_name(kept.name + suffix))
    except OSError as error:
        raise StoreError(
            _("the damaged catalogue {file} cannot be moved aside", file=str(path)),
            received=str(error),
            fix=_("make its folder writable"),
        ) from error
    old = connect(url.set(database=str(kept)))
    with open_catalogue(url) as new:
        for table in schema.SEALED:
            good = []
            with suppress(SQLAlchemyError, UnicodeError), old.connect() as connection:
                for row in connection.execute(select(table)).mappings():
                    if schema.checksum(row[name] for name in schema.sealed_columns(table)) == row["checksum"]:
                        good.append(dict(row))
            with new.writing() as connection:
                for chunk in chunks(good, CHUNK):
                    connection.execute(insert(table).prefix_with("OR IGNORE"), chunk)
            number += len(good)
        with new.writing() as connection:
            connection.execute(delete(schema.sources))
    old.dispose()
    return _("rebuilt from {number} rows; the damaged file is kept as {file}", number=number, file=kept.name)
