"""Catalogues and stores of earlier releases are brought up to date when they are opened, wholly or not at all."""

import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, inspect

from tenarai.catalogue import migrations, open_catalogue, schema
from tenarai.errors import StoreError
from tenarai.records import Digit, Event, EventKind, Image, Role

SOURCE = "folder:/somewhere"
IMAGE = Image(SOURCE, "id", "digits/4/手.png", Role.DIGITS, "4", "a" * 64, 10, owner="みどり", stamp="s")
EVENT = Event("r1", EventKind.ADDED, "id", IMAGE.path, "4", None, None, IMAGE.sha256)
DIGIT = Digit("a" * 64, 1, bytes(range(196)) * 4, bytes(32), "a" * 64)
FIRST_RELEASE = """
CREATE TABLE about (name VARCHAR NOT NULL, value VARCHAR NOT NULL, PRIMARY KEY (name));
CREATE TABLE images (source VARCHAR NOT NULL, file_id VARCHAR NOT NULL, path TEXT NOT NULL, role VARCHAR NOT NULL,
    label VARCHAR, sha256 VARCHAR NOT NULL, size BIGINT NOT NULL, modified VARCHAR NOT NULL, state VARCHAR NOT NULL,
    reason TEXT NOT NULL, first_run VARCHAR NOT NULL, last_run VARCHAR NOT NULL, owner VARCHAR NOT NULL,
    stamp VARCHAR NOT NULL, PRIMARY KEY (source, file_id));
CREATE INDEX images_by_state ON images (source, state, role);
CREATE INDEX images_by_sha256 ON images (sha256);
CREATE TABLE events (id SERIAL NOT NULL, source VARCHAR NOT NULL, run VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    file_id VARCHAR NOT NULL, path TEXT NOT NULL, label VARCHAR, old_path TEXT, old_label VARCHAR,
    sha256 VARCHAR NOT NULL, PRIMARY KEY (id));
CREATE INDEX events_by_run ON events (source, run);
CREATE TABLE sources (source VARCHAR NOT NULL, state TEXT NOT NULL, PRIMARY KEY (source));
CREATE TABLE digits (normaliser INTEGER NOT NULL, sha256 VARCHAR NOT NULL, pixels BYTEA NOT NULL, phash BYTEA NOT NULL,
    "group" VARCHAR NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (normaliser, sha256));
CREATE TABLE readings (model VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, label VARCHAR NOT NULL,
    probability FLOAT(53) NOT NULL, PRIMARY KEY (model, sha256));
CREATE TABLE nights (id SERIAL NOT NULL, run VARCHAR NOT NULL, source VARCHAR NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (id), UNIQUE (run));
CREATE INDEX ix_nights_source ON nights (source);
"""
ROWS = {
    "about": [("schema", "1")],
    "images": [
        (SOURCE, "id", IMAGE.path, "digits", "4", "a" * 64, 10, "", "ok", "", "", "", "みどり", "s"),
    ],
    "events": [(1, SOURCE, "r1", "added", "id", IMAGE.path, "4", None, None, "a" * 64)],
    "sources": [(SOURCE, '{"token": "7"}')],
    "digits": [(1, "a" * 64, DIGIT.pixels, DIGIT.phash, "a" * 64, "")],
    "readings": [("m-1", "a" * 64, "4", 0.1)],
    "nights": [(1, "r1", SOURCE, '{"verdict": "kept"}')],
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def empty(request, tmp_path):
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    return f"postgresql+psycopg://{request.getfixturevalue('postgresql').make_database()}"


@pytest.fixture
def first(empty):
    """The address of a catalogue as the first release left it, written without Tenarai's own code."""
    engine = create_engine(empty)
    ddl = FIRST_RELEASE
    if engine.dialect.name == "sqlite":
        ddl = ddl.replace("SERIAL", "INTEGER").replace("BYTEA", "BLOB")
    with engine.begin() as connection:
        for statement in ddl.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for table, rows in ROWS.items():
            mark = "?" if engine.dialect.name == "sqlite" else "%s"
            places = ", ".join([mark] * len(rows[0]))
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({places})", rows)
    engine.dispose()
    return empty


def dump(address):
    """Tables, columns, indexes and keys of a database."""
    engine = create_engine(address)
    looked = inspect(engine)
    found = {
        table: {
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in looked.get_columns(table)],
            "key": looked.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted((i["name"], i["column_names"]) for i in looked.get_indexes(table)),
            "unique": sorted(u["column_names"] for u in looked.get_unique_constraints(table)),
        }
        for table in looked.get_table_names()
        if table != "alembic_version"
    }
    engine.dispose()
    return found


def content(address):
    with open_catalogue(address) as catalogue:
        return (
            catalogue.images(SOURCE),
            catalogue.events(SOURCE),
            catalogue.source_state(SOURCE),
            catalogue.digits(1),
            catalogue.readings("m-1", ["a" * 64]),
            catalogue.nights(SOURCE),
        )


WRITTEN = ([IMAGE], [EVENT], {"token": "7"}, {"a" * 64: DIGIT}, {"a" * 64: ("4", 0.1)}, [{"verdict": "kept"}])


@contextmanager
def next_release(monkeypatch, tmp_path, body):
    """As if the next release had one revision more."""
    folder = tmp_path / "next release"
    shutil.copytree(migrations.FOLDER, folder)
    number = schema.SCHEMA_VERSION + 1
    text = f"""
        from alembic import op
        import sqlalchemy as sa
        revision, down_revision = "{number:04}", "{number - 1:04}"
        def upgrade():
            {body}
    """
    (folder / "versions" / f"v{number:04}_next.py").write_text(textwrap.dedent(text))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "FOLDER", folder)
        patch.setattr(schema, "SCHEMA_VERSION", number)
        yield


def test_all_revisions_together_make_the_tables_of_the_schema(empty, tmp_path):
    open_catalogue(empty).close()
    migrated = dump(empty)
    if empty.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.sqlite'}"
        schema.metadata.create_all(create_engine(other))
        assert dump(other) == migrated
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with create_engine(empty).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_there_is_one_revision_a_version_in_one_line():
    from alembic.script import ScriptDirectory

    revisions = [script.revision for script in ScriptDirectory(str(migrations.FOLDER)).walk_revisions()]
    assert revisions[::-1] == [migrations.revision(n + 1) for n in range(schema.SCHEMA_VERSION)]


def test_a_catalogue_of_the_first_release_is_brought_up_to_date_and_says_the_same(first, tmp_path):
    assert content(first) == WRITTEN
    new = f"sqlite:///{tmp_path / 'new.sqlite'}"
    if first.startswith("sqlite"):
        open_catalogue(new).close()
        assert dump(first) == dump(new)


def test_the_next_release_brings_it_up_to_date_and_loses_nothing(first, tmp_path, monkeypatch):
    with next_release(monkeypatch, tmp_path, 'op.add_column("images", sa.Column("note", sa.Text))'):
        open_catalogue(first).close()
        assert "note" in [name for name, _, _ in dump(first)["images"]["columns"]]
    with create_engine(first).connect() as connection:
        for table, rows in ROWS.items():
            if table not in {"about", "images"}:
                assert [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")] == rows
        assert connection.exec_driver_sql("SELECT * FROM about").all() == [("schema", str(schema.SCHEMA_VERSION + 1))]
        assert [tuple(row)[:-1] for row in connection.exec_driver_sql("SELECT * FROM images")] == ROWS["images"]
    with pytest.raises(StoreError, match="newer version"):  # this release leaves it alone
        open_catalogue(first)


def test_an_upgrade_that_fails_half_way_leaves_the_catalogue_as_it_was(first, tmp_path, monkeypatch):
    open_catalogue(first).close()
    before = dump(first)
    body = 'op.add_column("images", sa.Column("note", sa.Text)); op.drop_table("no such table")'
    with next_release(monkeypatch, tmp_path, body), pytest.raises(StoreError, match="cannot be opened.*no such table"):
        open_catalogue(first)
    assert dump(first) == before
    assert content(first) == WRITTEN


def test_a_first_night_killed_between_its_tables_is_made_whole(empty):
    engine = create_engine(empty)
    schema.about.create(engine)
    schema.images.create(engine)
    engine.dispose()
    with open_catalogue(empty) as catalogue:
        catalogue.apply_sync(SOURCE, [IMAGE], [EVENT])
        assert catalogue.images(SOURCE) == [IMAGE]


def test_several_processes_opening_a_new_catalogue_at_once_make_it_once(empty):
    code = f"from tenarai.catalogue import open_catalogue; print(open_catalogue({empty!r}).images('x'))"
    openers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    assert [(opener.communicate()[0], opener.returncode) for opener in openers] == [(b"[]\n", 0)] * 4


def test_an_up_to_date_catalogue_is_opened_without_alembic(tmp_path):
    address = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    open_catalogue(address).close()
    code = f"import sys; from tenarai.catalogue import open_catalogue; open_catalogue({address!r}); "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('alembic' in sys.modules)"])
    assert done.returncode == 0


def test_a_catalogue_that_is_upgraded_waits_for_those_who_write(first, tmp_path, monkeypatch):
    if not first.startswith("sqlite"):
        pytest.skip("PostgreSQL's advisory lock is held by the other test of several processes")
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0)
    writer = sqlite3.connect(first.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with (
        next_release(monkeypatch, tmp_path, 'op.drop_table("nights")'),
        pytest.raises(StoreError, match="locked"),
    ):
        open_catalogue(first)
    writer.execute("ROLLBACK")
    writer.close()
    assert content(first) == WRITTEN
