"""Damage inside the store is found and repaired: rows, originals, the database file."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from tenarai.catalogue import locate_catalogue, open_catalogue, repair, schema
from tenarai.errors import StoreError
from tenarai.records import Digit, Event, EventKind, Image, Role
from tenarai.settings import Settings
from tenarai.store import open_store

SOURCE = "folder:/somewhere"


def fill(store, catalogue, number=60):
    """Originals, rows and digits of so many images."""
    rng = random.Random(1)
    images = []
    for n in range(number):
        sha256 = store.put_original(rng.randbytes(50))
        path = f"digits/{n % 10}/{n}.png"
        images.append(Image(SOURCE, path, path, Role.DIGITS, str(n % 10), sha256, 50, stamp=f"50-{n}"))
    events = [Event.of("r1", EventKind.ADDED, image, None) for image in images]
    catalogue.apply_sync(SOURCE, images, events, {"token": 1})
    catalogue.put_digits([Digit(i.sha256, 3, rng.randbytes(784), rng.randbytes(32), i.sha256) for i in images])
    catalogue.put_predictions("base-1", {image.sha256: (str(image.label), rng.random()) for image in images})
    catalogue.put_night("r1", SOURCE, {"verdict": "kept"})


def rows_of(catalogue):
    """Every row of every table, without the numbers that a database gives by itself."""
    found = {}
    for table in schema.SEALED:
        columns = [column for column in table.columns if column.name != "id"]
        with catalogue.reading() as connection:
            found[table.name] = sorted(connection.execute(select(*columns)).tuples(), key=repr)
    return found


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def address(store):
    url = locate_catalogue(Settings(_env_file=None), store)
    with open_catalogue(url) as catalogue:
        fill(store, catalogue)
    return url


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bits_in_the_catalogue_are_found_or_change_nothing_and_a_rebuilt_one_is_whole(address, seed):
    with open_catalogue(address) as catalogue:
        before = rows_of(catalogue)
    file = Path(address.database)
    rng, data = random.Random(seed), bytearray(file.read_bytes())
    for _ in range(8):
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    with suppress(StoreError), open_catalogue(address) as catalogue:
        found = [*repair.find_damage(catalogue), *repair.find_bad_rows(catalogue)]
        assert found or rows_of(catalogue) == before
    repair.salvage(address)
    with open_catalogue(address) as catalogue:
        assert not [*repair.find_damage(catalogue), *repair.find_bad_rows(catalogue)]
        for name, rows in rows_of(catalogue).items():
            assert set(rows) <= set(before[name])


def test_a_changed_row_is_found_removed_and_leaves_the_others(address):
    with open_catalogue(address) as catalogue:
        with catalogue.writing() as connection:
            connection.exec_driver_sql("UPDATE images SET label = '9' WHERE path = 'digits/3/3.png'")
            connection.exec_driver_sql("UPDATE predictions SET confidence = 0.5 WHERE sha256 LIKE 'a%'")
        bad = list(repair.find_bad_rows(catalogue))
        assert {table.name for table, _ in bad} == {"images", "predictions"}
        for table, key in bad:
            assert "next night" in repair.remove_rows(catalogue, table, [key])
        assert not list(repair.find_bad_rows(catalogue))
        assert len(catalogue.images(SOURCE)) == 59


def test_a_changed_digit_is_never_handed_out(address):
    with open_catalogue(address) as catalogue:
        sha256 = min(catalogue.digits(3))
        with catalogue.writing() as connection:
            connection.exec_driver_sql(f"UPDATE digits SET pixels = zeroblob(784) WHERE sha256 = '{sha256}'")
        with pytest.raises(StoreError, match="damaged.*tenarai check --repair"):
            list(catalogue.pixels(3, [sha256]))


def test_missing_and_damaged_originals_are_found_and_read_again_from_the_source(store, address):
    with open_catalogue(address) as catalogue:
        missing, damaged, *_ = [image.sha256 for image in catalogue.images(SOURCE)]
        store.remove("blobs", missing[:2], missing)
        store.path("blobs", damaged[:2], damaged).write_bytes(b"other")
        bad = repair.find_bad_originals(store, catalogue)
        assert bad == {missing: "the original is missing", damaged: "the original is damaged"}
        repair.fetch_again(store, catalogue, bad)
        assert {image.sha256 for image in catalogue.images(SOURCE) if not image.stamp} == {missing, damaged}
        assert catalogue.source_state(SOURCE) == {}
        assert not list(repair.find_bad_rows(catalogue))


def test_thirty_nights_read_every_original_once(store, address, monkeypatch):
    read = []
    monkeypatch.setattr(type(store), "original", lambda self, sha256: read.append(sha256))
    with open_catalogue(address) as catalogue:
        for night in range(30):
            repair.find_bad_originals(store, catalogue, part=night, parts=30)
        assert sorted(read) == sorted(sha256 for sha256, _ in catalogue.live_originals())
