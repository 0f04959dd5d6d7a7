"""Whatever lies in a file or a row of the store, its reader returns what was written or raises one clear error."""

import random
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from tenarai.catalogue import open_catalogue, schema
from tenarai.check import last_check, write_last_check
from tenarai.dataset import load_manifest, load_snapshot
from tenarai.errors import ModelError, StoreError
from tenarai.evaluate import promotions
from tenarai.evaluate.champions import newest_snapshot
from tenarai.model import bundle
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import State
from tenarai.sheets.codes import recall_from
from tenarai.store import Store, open_store
from tenarai.study.experiment import ResultCache
from tenarai.study.plan import Result, Trial
from tests.whole_store import Collection

TRIAL = Trial(recipe="mlp", seed=0)
CODE = 0xF0005
ERRORS = (StoreError, ModelError)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    collection = Collection(tmp_path_factory.mktemp("readers"))
    collection.store.write(b"r1\n", "reports", "latest")
    collection.store.write_json({"label": "十二"}, "sheet-labels", f"{CODE}.json")
    trials(collection.store).keep(TRIAL, Result(3, {"loss": [0.5]}, "101"))
    write_last_check(collection.store, [])
    return collection


def trials(store):
    return ResultCache(store, SimpleNamespace(misread=None, fingerprint="data"), {})


def find_trial(store):
    """The result; it is trained again where its file cannot be used."""
    if (result := trials(store).find(TRIAL)) is None:
        raise StoreError("trained again", fix="nothing to do")
    return result


def load_model(store):
    """All files of a model."""
    model = bundle.load_model(store, "m-1", normaliser=NORMALISER_VERSION)
    return model.info, model.predict(bundle.check_digits()[:1]) if model.forward else None


FILES = {
    "store.json": lambda store, made: open_store(store.address, create=False).lock_key,
    "champion.json": lambda store, made: promotions.history(store),
    "looks.json": lambda store, made: promotions.read_looks(store),
    "last-check.json": lambda store, made: last_check(store),
    "models/m-1/model.json": lambda store, made: bundle.load_info(store, "m-1"),
    "models/m-1/model.keras": lambda store, made: load_model(store),
    "models/m-1/weights.npz": lambda store, made: load_model(store),
    "models/m-1/card.md": lambda store, made: load_model(store),
    "models/m-1/history.json": lambda store, made: bundle.load_curves(store, "m-1"),
    "models/m-1/predictions.npz": lambda store, made: bundle.load_out_of_fold(store, "m-1"),
    "snapshots/{snapshot}.npz": lambda store, made: load_snapshot(store, made.snapshot),
    "snapshots/{snapshot}.npz, pixels only checked": lambda store, made: load_manifest(store, made.snapshot),
    "blobs/{folder}/{sha256}": lambda store, made: store.original(made.sha256),
    "reports/latest": lambda store, made: newest_snapshot(store),
    "reports/r1/report.json": lambda store, made: newest_snapshot(store),
    f"sheet-labels/{CODE}.json": lambda store, made: recall_from(store)(CODE),
    "studies/trials/{trial}.json": lambda store, made: find_trial(store),
}
"""Every file that a program reads from the store again, and its reader."""

WRITE_ONLY = {"reports/r1/report.html", "reports/r3/report.html", "studies/one/report.html", ".lock"}


def locate(made, name):
    names = {"snapshot": made.snapshot, "folder": made.sha256[:2], "sha256": made.sha256}
    return name.split(",")[0].format(**names, trial=trials(made.store).key(TRIAL))


def plain(value):
    """Values that can be compared."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def damage(data, rng):
    """Other contents: none, junk, other kinds of JSON, parts of the file, and the file with one bit flipped."""
    yield from (
        b"",
        b"\0",
        b"[]",
        b"{}",
        b"null",
        b"3",
        b'"\xff"',
        b'{"checksum": 1}',
        b"[" * 100_000,
        rng.randbytes(99),
    )
    yield from (
        rng.randbytes(99),
        b'{"records": 5}',
        b"PK\x05\x06" + bytes(18),
        b"\x93NUMPY\x01\x00",
        b"../../etc",
        b"x" * 999 + b"\n",
    )
    for _ in range(12):
        yield data[: rng.randrange(len(data))]
    yield data + b"{}"
    for _ in range(150):
        flipped, bit = bytearray(data), rng.randrange(8 * len(data))
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_right_or_gives_one_clear_error(made, tmp_path, name):
    shutil.copytree(made.place, tmp_path / "store")
    store, read, rng = Store(str(tmp_path / "store"), tmp_path / "store"), FILES[name], random.Random(name)
    file = store.root / locate(made, name)
    data, right = file.read_bytes(), plain(read(store, made))
    fixes = []
    for content in (None, *damage(data, rng)):
        file.unlink()
        file.mkdir() if content is None else file.write_bytes(content)
        try:
            assert plain(read(store, made)) == right
        except ERRORS as error:
            fixes.append(error.fix)
        if content is None:
            file.rmdir()
            file.touch()
    assert len(fixes) > 50
    assert all(fixes)


def test_every_file_of_a_store_has_its_reader_in_the_list(made):
    def kind(path):
        return path.parts[0] if path.parts[0] in {"blobs", "snapshots"} else str(path).replace("m-2", "m-1")

    root = made.place
    files = {path.relative_to(root) for path in root.rglob("*") if path.is_file() and "catalogue" not in path.name}
    listed = {kind(type(root)(locate(made, name))) for name in FILES} | WRITE_ONLY
    assert {kind(path) for path in files} - {"reports/r2/report.json"} <= listed


ROWS = {
    schema.images: lambda catalogue, made: catalogue.images(made.source, states=tuple(State)),
    schema.events: lambda catalogue, made: catalogue.events(made.source),
    schema.sources: lambda catalogue, made: catalogue.source_state(made.source),
    schema.digits: lambda catalogue, made: catalogue.digits(NORMALISER_VERSION),
    schema.predictions: lambda catalogue, made: catalogue.predictions("m-1", [made.sha256]),
    schema.nights: lambda catalogue, made: catalogue.nights(),
}
"""Every table whose rows are read, and its reader."""


@pytest.mark.parametrize("table", ROWS, ids=str)
def test_a_damaged_row_gives_one_clear_error_or_is_not_found(made, tmp_path, table):
    shutil.copytree(made.place, tmp_path / "store")
    address, rng, errors = tmp_path / "store" / "catalogue.sqlite", random.Random(str(table)), []
    with open_catalogue(f"sqlite:///{address}") as catalogue, closing(sqlite3.connect(address)) as database:
        catalogue.apply_sync(made.source, [], [], {"token": "1", "seen": [1, 2]})
        right = ROWS[table](catalogue, made)
        names = [column.name for column in table.columns]
        row = dict(zip(names, database.execute(f"SELECT * FROM {table}").fetchone(), strict=True))
        for column, old in row.items():
            for new in (None, "", "\0junk", 3, -1, 0.5, b"\xff\xfe", "[" * 5000, "{}", "[1]", flip(old, rng)):
                change(database, table, row, column, new)
                try:
                    found = ROWS[table](catalogue, made)
                    assert found == right or len(found) < len(right)
                except StoreError as error:
                    errors.append(error)
                change(database, table, row | {column: new}, column, old)
    assert len(errors) > 10
    assert all("damaged" in str(error) and error.fix for error in errors)


def change(database, table, row, column, value):
    """Give a row another value in one column; a value that the database refuses changes nothing."""
    keys = [key.name for key in table.primary_key]
    which = " AND ".join(f'"{key}" IS ?' for key in keys)
    with suppress(sqlite3.IntegrityError):
        database.execute(f'UPDATE {table} SET "{column}" = ? WHERE {which}', (value, *(row[key] for key in keys)))
    database.commit()


def flip(value, rng):
    """The value with its lowest bit flipped, or that of one of its characters."""
    if isinstance(value, (int, float)) or value is None:
        return (value or 0) + 1
    data = bytearray(value if isinstance(value, bytes) else value.encode())
    if data:
        data[rng.randrange(len(data))] ^= 1
    return bytes(data) if isinstance(value, bytes) else data.decode(errors="replace")


def test_every_table_is_in_the_list():
    assert set(ROWS) == set(schema.SEALED)
