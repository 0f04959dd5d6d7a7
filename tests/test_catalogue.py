"""What the catalogue promises: rows and events together or not at all, and every answer in a fixed order."""

import sqlite3
from dataclasses import replace

import pytest

from tenarai.catalogue import open_catalogue
from tenarai.errors import SettingsError, StoreError, StoreVersionError
from tenarai.records import CHARACTER, Digit, Event, EventKind, Image, Rejection, Role, State, Unprepared

SOURCE = "folder:/somewhere"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def catalogue(request, tmp_path):
    """An empty catalogue on each database."""
    address = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    if request.param == "postgresql":
        address = f"postgresql://{request.getfixturevalue('postgresql').make_database()}"
    with open_catalogue(address) as opened:
        yield opened


def make_image(path, sha256="", *, role=Role.DIGITS, label="4", **fields):
    return Image(SOURCE, path, path, role, label, sha256 or "a" * 64, 10, stamp="s", **fields)


def make_event(path, run="r1", kind=EventKind.ADDED):
    return Event(run, kind, path, path, "4", None, None, "a" * 64)


def make_digit(sha256, *, normaliser=1, reason=""):
    return Digit(sha256, normaliser, b"" if reason else bytes(784), b"" if reason else bytes(32), sha256, reason)


def test_images_come_back_as_they_went_in_ordered_by_path(catalogue):
    rows = [
        make_image("digits/4/b.png"),
        make_image("digits/4/a.png", reason="みどり", first_run="r1"),
    ]
    catalogue.apply_sync(SOURCE, rows, [])
    assert catalogue.images(SOURCE) == [rows[1], rows[0]]
    assert catalogue.images("folder:/elsewhere") == []


def test_images_are_chosen_by_role_and_state(catalogue):
    inbox = make_image("inbox/a.png", role=Role.INBOX, label=None)
    gone = make_image("digits/4/a.png", state=State.GONE)
    refused = make_image("digits/4/b.png", state=State.REJECTED, reason="it is an empty file")
    catalogue.apply_sync(SOURCE, [inbox, gone, refused], [])
    assert catalogue.images(SOURCE) == [inbox]
    assert catalogue.images(SOURCE, roles=[Role.DIGITS]) == []
    assert catalogue.images(SOURCE, states=[State.GONE, State.REJECTED]) == [gone, refused]


def test_a_row_told_again_replaces_the_earlier_one(catalogue):
    row = make_image("digits/4/a.png")
    catalogue.apply_sync(SOURCE, [row], [])
    catalogue.apply_sync(SOURCE, [replace(row, label="7")], [])
    assert [image.label for image in catalogue.images(SOURCE)] == ["7"]


def test_events_are_only_ever_appended_and_can_be_asked_for_by_run(catalogue):
    first, second = make_event("a", "r1"), make_event("a", "r2", EventKind.GONE)
    catalogue.apply_sync(SOURCE, [], [first])
    catalogue.apply_sync(SOURCE, [], [second])
    assert catalogue.events(SOURCE) == [first, second]
    assert catalogue.events(SOURCE, "r2") == [second]


def test_rows_events_and_state_are_told_together_or_not_at_all(catalogue):
    bad_event = replace(make_event("a"), path=None)  # the database refuses a missing path
    with pytest.raises(StoreError, match="nothing of this step was kept"):
        catalogue.apply_sync(SOURCE, [make_image("a")], [bad_event], {"token": "7"})
    assert catalogue.images(SOURCE) == []
    assert catalogue.events(SOURCE) == []
    assert catalogue.source_state(SOURCE) == {}


def test_the_state_of_a_source_is_kept_for_the_next_sync(catalogue):
    assert catalogue.source_state(SOURCE) == {}
    catalogue.apply_sync(SOURCE, [], [], {"token": "7"})
    catalogue.apply_sync(SOURCE, [], [], {"token": "8", "folders": ["x"]})
    assert catalogue.source_state(SOURCE) == {"token": "8", "folders": ["x"]}


def test_only_usable_images_without_a_digit_of_this_normaliser_are_unprepared(catalogue):
    rows = [
        make_image("digits/4/a.png", "a" * 64),
        make_image("digits/4/a copy.png", "a" * 64),
        make_image("misread/4/b.png", "b" * 64, role=Role.MISREAD),
        make_image("inbox/c.png", "c" * 64, role=Role.INBOX, label=None),
        make_image("sheets/d.png", "d" * 64, role=Role.SHEETS, label=None),
        make_image("digits/4/e.png", "e" * 64, state=State.GONE),
        make_image("digits/4/f.png", "f" * 64, state=State.REJECTED, reason="no"),
    ]
    catalogue.apply_sync(SOURCE, rows, [])
    assert [due.sha256 for due in catalogue.unprepared(SOURCE, 1)] == ["a" * 64, "b" * 64, "c" * 64]
    catalogue.put_digits([make_digit("a" * 64), make_digit("b" * 64, normaliser=2)])
    assert [due.sha256 for due in catalogue.unprepared(SOURCE, 1)] == ["b" * 64, "c" * 64]
    assert [due.sha256 for due in catalogue.unprepared(SOURCE, 2)] == ["a" * 64, "c" * 64]


def test_a_digit_that_was_made_for_another_number_of_characters_is_made_again(catalogue):
    rows = [
        make_image("digits/25/a.png", "a" * 64, label="25"),
        make_image("inbox/b.png", "b" * 64, role=Role.INBOX, label=None),
    ]
    catalogue.apply_sync(SOURCE, rows, [])
    catalogue.put_digits([make_digit("a" * 64), make_digit("b" * 64)])
    assert catalogue.unprepared(SOURCE, 1, {"25": 1, None: 1}) == []
    assert catalogue.unprepared(SOURCE, 1, {"25": 2, None: 1}) == [Unprepared("a" * 64, 2)]
    assert catalogue.unprepared(SOURCE, 1, {"25": 1, "4": 1, None: 0}) == [Unprepared("b" * 64, 0)]


def test_what_was_cut_out_of_a_photo_is_prepared_after_it_and_in_its_group(catalogue):
    photo = make_image("digits/4/row.png", "a" * 64)
    part = replace(photo, file_id=f"{photo.file_id}{CHARACTER}001@0,0,9,9", sha256="b" * 64, stamp=photo.sha256)
    catalogue.apply_sync(SOURCE, [photo, part], [])
    assert catalogue.unprepared(SOURCE, 1) == [Unprepared("a" * 64)]
    digit = replace(make_digit("a" * 64), group="c" * 64, reason="more than one", parts=2)
    catalogue.put_digits([digit])
    assert catalogue.unprepared(SOURCE, 1) == [Unprepared("b" * 64, 0, digit.phash, "c" * 64)]
    assert catalogue.files_to_cut(SOURCE, 1) == [photo]
    assert catalogue.rejections(SOURCE, 1) == []


def test_digits_come_back_byte_for_byte_however_many_are_asked_for(catalogue):
    digits = [
        Digit(f"{number:064x}", 1, number.to_bytes(784, "big"), number.to_bytes(32, "big"), f"{number:064x}")
        for number in range(2500)
    ]
    catalogue.put_digits(iter(digits))
    catalogue.put_digits(digits[:3])
    assert list(catalogue.digits(1).values()) == digits
    assert catalogue.digits(1, [digit.sha256 for digit in digits]) == catalogue.digits(1)
    assert catalogue.digits(1, [digits[7].sha256, "no such digest"]) == {digits[7].sha256: digits[7]}
    assert catalogue.digits(1, []) == {}
    assert catalogue.digits(2) == {}


def test_rejections_tell_what_the_sync_refused_and_what_nobody_could_prepare(catalogue):
    rows = [
        make_image("digits/4/z.png", "f" * 64, state=State.REJECTED, reason="it is an empty file"),
        make_image("digits/4/blank.png", "b" * 64),
        make_image("digits/4/good.png", "a" * 64),
        make_image("digits/4/blank and gone.png", "b" * 64, state=State.GONE),
    ]
    catalogue.apply_sync(SOURCE, rows, [])
    catalogue.put_digits([make_digit("a" * 64), make_digit("b" * 64, reason="blank page")])
    assert catalogue.rejections(SOURCE, 1) == [
        Rejection("digits/4/blank.png", "blank page"),
        Rejection("digits/4/z.png", "it is an empty file"),
    ]
    assert catalogue.rejections(SOURCE, 2) == [Rejection("digits/4/z.png", "it is an empty file")]


def test_readings_are_kept_by_model_and_digest_to_the_last_bit(catalogue):
    read = {f"{number:064x}": (str(number % 10), number / 1237) for number in range(1200)}
    catalogue.put_predictions("m1", read)
    catalogue.put_predictions("m2", {"a" * 64: ("7", 0.1)})
    assert catalogue.predictions("m1", [*read, "a" * 64]) == read
    assert catalogue.predictions("m2", ["a" * 64]) == {"a" * 64: ("7", 0.1)}


def test_nights_come_oldest_first_and_a_repeated_one_keeps_its_turn(catalogue):
    catalogue.put_night("r1", SOURCE, {"verdict": "kept"})
    catalogue.put_night("r2", SOURCE, {"verdict": "promoted"})
    catalogue.put_night("r1", SOURCE, {"verdict": "nothing new"})
    catalogue.put_night("r3", "folder:/elsewhere", {"verdict": "kept"})
    assert catalogue.nights(SOURCE) == [{"verdict": "nothing new"}, {"verdict": "promoted"}]


def test_opening_and_asking_writes_nothing(tmp_path):
    address, file = f"sqlite:///{tmp_path / 'catalogue.sqlite'}", tmp_path / "catalogue.sqlite"
    with open_catalogue(address) as catalogue:
        catalogue.apply_sync(SOURCE, [make_image("a")], [])
    before = file.read_bytes(), file.stat().st_mtime_ns
    with open_catalogue(address) as catalogue:
        assert len(catalogue.images(SOURCE)) == 1
        catalogue.apply_sync(SOURCE, [], [])
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_a_sqlite_catalogue_lets_readers_and_a_writer_work_side_by_side(tmp_path):
    address = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    with open_catalogue(address) as writer, open_catalogue(address) as reader, writer.writing() as connection:
        connection.exec_driver_sql("INSERT INTO sources VALUES ('x', '{}', '')")
        assert reader.images(SOURCE) == []
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_a_catalogue_of_another_version_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "catalogue.sqlite"
    open_catalogue(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreVersionError, match="another version.*schema \\d+.*schema 99.*new --store"):
        open_catalogue(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "catalogue.sqlite"
    file.write_bytes(b"dear diary, " * 1000)
    with pytest.raises(StoreError, match="cannot be opened.*not a database"):
        open_catalogue(f"sqlite:///{file}")
    assert file.read_bytes() == b"dear diary, " * 1000


def test_a_catalogue_in_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened.*check that the folder exists"):
        open_catalogue(f"sqlite:///{tmp_path / 'nowhere' / 'catalogue.sqlite'}")


@pytest.mark.parametrize("address", ["catalogue.sqlite", "", "mongodb://host/db"])
def test_an_address_that_is_none_is_a_matter_of_settings(address):
    with pytest.raises(SettingsError):
        open_catalogue(address)


def test_a_password_in_the_address_is_never_shown():
    with pytest.raises(StoreError) as caught:
        open_catalogue("postgresql://tenarai:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_a_full_disk_leaves_the_catalogue_as_it_was(tmp_path):
    with open_catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}") as catalogue:
        catalogue.apply_sync(SOURCE, [make_image("a")], [])
        with catalogue.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
        with pytest.raises(StoreError, match="full.*free space"):
            catalogue.apply_sync(SOURCE, [make_image(f"b{number}") for number in range(2000)], [])
        assert [image.path for image in catalogue.images(SOURCE)] == ["a"]
