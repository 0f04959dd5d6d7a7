"""Damage inside the store is found and repaired: rows, originals, the database file."""

import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from tenarai.catalogue import locate_catalogue, open_catalogue, repair, schema
from tenarai.check import last_check
from tenarai.cli.main import main
from tenarai.dataset import TEST, load_snapshot
from tenarai.errors import StoreError
from tenarai.evaluate.compare import compare
from tenarai.evaluate.holdout import find_holdout
from tenarai.evaluate.promotions import history
from tenarai.model.bundle import load_info
from tenarai.orchestration import doctor
from tenarai.records import Digit, Event, EventKind, Image, Role
from tenarai.settings import Settings
from tenarai.store import open_store
from tests.whole_store import Collection

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


SEEDS = [*range(25), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(25, 200))]


@pytest.mark.parametrize("seed", SEEDS)
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


def run_check(store, *options):
    arguments = ["check", "--store", str(store.root), *options]
    return CliRunner().invoke(main, arguments, env={"TENARAI_LANGUAGE": "en"}, catch_exceptions=False)


def test_a_whole_store_passes_and_the_command_says_so(store, address):
    found = run_check(store)
    assert (found.exit_code, found.output.strip()) == (0, "the store is whole")


def test_each_subject_of_a_check_has_one_bar(store, address, monkeypatch):
    added = []
    monkeypatch.setattr("rich.progress.Progress.add_task", lambda self, subject, total: added.append(subject))
    monkeypatch.setattr("rich.progress.Progress.update", lambda self, bar, completed: None)
    run_check(store)
    assert added
    assert len(added) == len(set(added))


def test_every_kind_of_damage_is_found_by_the_command_repaired_and_then_gone(store, address):
    with open_catalogue(address) as catalogue:
        first, second, *_ = catalogue.images(SOURCE)
        with catalogue.writing() as connection:
            connection.exec_driver_sql("UPDATE digits SET pixels = zeroblob(784) WHERE reason = ''")
            connection.exec_driver_sql("UPDATE nights SET record = '{}'")
    store.path("blobs", second.sha256[:2], second.sha256).write_bytes(b"other")
    store.remove("blobs", first.sha256[:2], first.sha256)
    store.write(b"junk", "snapshots", "0123456789abcdef.npz")
    store.write(b"%PDF", "reports", "20261125-020000-abcd", "sheet.pdf")
    store.write(b"[]", "champion.json")
    found = run_check(store)
    assert found.exit_code == 1
    for name in (
        first.path,
        second.path,
        "catalogue: digits",
        "catalogue: nights",
        "snapshots/",
        "reports/",
        "champion.json",
    ):
        assert name in found.output
    assert run_check(store).output == found.output  # nothing was changed
    assert run_check(store, "--repair").exit_code == 0
    left = run_check(store)
    assert left.exit_code == 1  # until a night has fetched the originals again
    assert left.output.count("the original is missing") == 2


def test_a_lost_history_is_restored_from_the_records_of_the_nights(store, address):
    with open_catalogue(address) as catalogue:
        for number, champion in enumerate(("base-1", "m-1", "m-1", "m-2"), 2):
            record = {"run": f"r{number}", "created": f"2026-11-0{number}", "champion": champion, "snapshot": "s"}
            catalogue.put_night(f"r{number}", SOURCE, record)
    store.write(b"", "champion.json")
    assert run_check(store, "--repair").exit_code == 0
    assert [(line.model, line.since) for line in history(store)] == [("m-1", "2026-11-03"), ("m-2", "2026-11-05")]


def test_the_last_check_is_kept_for_doctor(store, address):
    settings = Settings(_env_file=None, store=str(store.root))
    assert last_check(store) is None
    assert [finding.text for finding in doctor.check_store(settings)][-1] == "it was never checked as a whole"
    store.path("reports", "r1").mkdir(parents=True)
    run_check(store)
    assert last_check(store)[1] == 1
    assert [finding.state for finding in doctor.check_store(settings)][-1] == "note"
    run_check(store, "--repair")
    assert last_check(store)[1] == 0
    assert "checked on 20" in [finding.text for finding in doctor.check_store(settings)][-1]


def test_a_night_goes_on_though_nobody_knows_any_more_what_the_champion_was_trained_on(tmp_path):
    kept = Collection(tmp_path)
    kept.save_model("m-1", "0123456789abcdef")  # a snapshot that `tenarai check --repair` removed
    kept.save_model("m-3", kept.snapshot)
    with kept.catalogue() as catalogue:
        found = compare(kept.store, catalogue, kept.source, kept.snapshot, "m-3")
    assert (found.champion, found.pairs.num_images) == ("m-1", 0)
    assert "no longer known" in found.notes[0]
    assert found.num_learned == (8, 8)
    snapshot = load_snapshot(kept.store, kept.snapshot)
    snapshot.splits[:3] = TEST
    rows, _notes = find_holdout(kept.store, snapshot, load_info(kept.store, "m-1"), np.array(["4"] * 8))
    assert rows.tolist() == [0, 1, 2]
