"""The whole catalogue from one database into another: for backups, and from SQLite to PostgreSQL and back."""

from __future__ import annotations

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import SQLAlchemyError

from tenarai.catalogue import schema
from tenarai.errors import SettingsError, StoreError

ROWS_AT_ONCE = 500


def copy_catalogue(source: str, target: str) -> None:
    """Copy all rows in one transaction on either side.

    Args:
        source: SQLAlchemy address of a catalogue; an older one is brought up to date first.
        target: SQLAlchemy address of an empty catalogue, or of a database without one.

    Raises:
        SettingsError: An address is not understood, or the target holds something already.
        StoreError: One of the databases cannot be read or written; the target is then as empty as it was.
    """
    ours, theirs = schema.open_engine(source), schema.open_engine(target)
    try:
        with ours.connect() as reading, theirs.begin() as writing:
            _look_at_one_moment(reading)
            _check_empty(writing, target=theirs.url.render_as_string(hide_password=True))
            for table in schema.metadata.sorted_tables:
                if table is not schema.about:
                    _copy_table(reading, writing, table)
    except SQLAlchemyError as error:
        raise StoreError(
            "the catalogue could not be copied",
            received=str(getattr(error, "orig", None) or error),
            fix="check both databases and the space on their disks; nothing was kept",
        ) from error
    finally:
        ours.dispose()
        theirs.dispose()


def _copy_table(reading: Connection, writing: Connection, table: Table) -> None:
    # numbers that a database counts up by itself are given anew, in the same order
    columns = [column for column in table.columns if not (column.primary_key and column.autoincrement is True)]
    rows = reading.execution_options(yield_per=ROWS_AT_ONCE).execute(select(*columns).order_by(*table.primary_key))
    for chunk in rows.mappings().partitions():
        writing.execute(insert(table), [dict(row) for row in chunk])


def _look_at_one_moment(reading: Connection) -> None:
    if reading.dialect.name == "sqlite":
        reading.exec_driver_sql("BEGIN")
    else:
        reading.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _check_empty(connection: Connection, *, target: str) -> None:
    for table in schema.metadata.sorted_tables:
        if table is not schema.about and connection.execute(select(table).limit(1)).first():
            raise SettingsError(
                f"the catalogue {target} holds something already",
                expected="an empty one",
                received=f"rows in {table.name}",
                fix="give another database in TENARAI_CATALOGUE",
            )
