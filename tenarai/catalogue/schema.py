"""Tables of the catalogue, and the checksum that each row carries.

There is one schema. To change it, change the tables and raise `SCHEMA_VERSION`: a catalogue of another version is
refused, and the message says what to do. Every 1.x opens the stores of 1.0: see `docs/decisions.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

SCHEMA_VERSION = 5

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
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_run", String, nullable=False),
    Column("last_run", String, nullable=False),
    Column("stamp", String, nullable=False),
    Column("checksum", String, nullable=False),
    Index("images_by_sha256", "sha256"),
    sqlite_with_rowid=False,  # the rows of a source lie together, and are read in one go
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
    sqlite_with_rowid=False,
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
