"""How a catalogue comes from one schema to the next: an Alembic revision a version, run when a catalogue is opened.

To change the tables: change `tenarai.catalogue.schema`, raise its `SCHEMA_VERSION`, and add
`versions/v<NNNN>_<what>.py` with `revision = "<NNNN>"` and the revision before it as `down_revision`. Released
revisions are never changed.
tests/test_migrations.py holds that all revisions together make exactly the tables of `schema`, and that catalogues of
the first release survive.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def run_migrations(connection: Connection, *, version: int, target: str = "head") -> None:
    """Bring a catalogue to a schema inside the connection's transaction; a failure leaves everything as it was.

    Args:
        connection: In a transaction that is alone in changing the schema.
        version: Schema that is there; 0 where there are no tables yet.
        target: Revision to go to. Default: the newest.
    """
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if version:  # the catalogue's own record counts; those of the first release knew nothing of Alembic
        command.stamp(config, revision(version), purge=True)
    command.upgrade(config, target)


def revision(version: int) -> str:
    """Name of the revision that makes a schema version."""
    return f"{version:04}"
