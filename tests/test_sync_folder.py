"""A local folder as the source."""

import errno
import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tenarai.errors import SettingsError, SourceError, StoreError, UnusualChangesError
from tenarai.records import EventKind, Rejection, Role, State
from tenarai.settings import Settings, read_settings
from tenarai.sync.layout import Layout
from tenarai.sync.names import Labels, read_label, to_text
from tests.drive_desk import heard
from tests.folder_desk import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_the_first_night_takes_every_file_in_by_the_table_of_folders(desk):
    desk.put("digits/4/a.png", "a")
    desk.put("digits/か/deeper/still/b.jpg", "b")
    desk.put("misread/7/c.png", "c")
    desk.put("inbox/from phone/d.heic", "d")
    desk.put("sheets/e.jpg", "e")
    desk.put("reports/latest/plot.png", "mine")
    desk.put("private/letter.txt", "not yours")
    result = desk.night()
    assert {image.path: (image.role, image.label) for image in desk.ask("images")} == {
        "digits/4/a.png": (Role.DIGITS, "4"),
        "digits/か/deeper/still/b.jpg": (Role.DIGITS, "か"),
        "misread/7/c.png": (Role.MISREAD, "7"),
        "inbox/from phone/d.heic": (Role.INBOX, None),
        "sheets/e.jpg": (Role.SHEETS, None),
    }
    assert desk.originals() == [b"a", b"b", b"c", b"d", b"e"]
    assert (result.num_seen, result.num_added, result.num_downloaded, result.num_bytes) == (5, 5, 5, 5)


def test_a_folder_whose_sub_folders_are_labels_is_understood(desk):
    for label in "0123456789":
        desk.put(f"{label}/x.png", label)
    desk.put("reports/x.png", "mine")
    desk.night()
    assert desk.labels() == {f"{label}/x.png": label for label in "0123456789"}
    assert {image.role for image in desk.ask("images")} == {Role.DIGITS}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a_as_5.png", ""),
        ("4_as_5.png", ""),
        ("no news.png", ""),
        ("a_as_4 (2).png", "misread as 4"),
        ("7_as_5.png", "7 was written"),
    ],
)
def test_a_misread_images_name_that_contradicts_its_folder_is_rejected_with_the_reason(name, reason):
    place = Layout([("misread", "4", name)], Labels()).find_place(("misread", "4", name))
    assert (place.role, place.label) == (Role.MISREAD, "4")
    assert reason in place.reason
    assert bool(place.reason) == bool(reason)
    assert not Layout([("digits", "4", name)], Labels()).find_place(("digits", "4", name)).reason


def test_label_folders_may_stand_beside_inbox_and_misread(desk):
    desk.put("4/a.png", "a")
    desk.put("misread/4/b.png", "b")
    desk.put("inbox/c.png", "c")
    desk.night()
    assert {image.path: image.role for image in desk.ask("images")} == {
        "4/a.png": Role.DIGITS,
        "misread/4/b.png": Role.MISREAD,
        "inbox/c.png": Role.INBOX,
    }


def test_folder_names_may_be_written_with_capitals_as_phones_do(desk):
    desk.put("Digits/4/a.png", "a")
    desk.put("Inbox/b.png", "b")
    desk.night()
    assert {image.role for image in desk.ask("images")} == {Role.DIGITS, Role.INBOX}


def test_no_record_is_made_of_a_file_that_is_as_it_was(desk, monkeypatch):
    for number in range(30):
        desk.put(f"digits/{number % 3}/{number}.png", str(number))
    desk.night()
    desk.put("digits/1/new.png", "new")
    made = []
    for module, name in (("sync.folder", "RemoteFile"), ("catalogue.catalogue", "Image"), ("sync.plan", "Image")):
        honest = getattr(importlib.import_module(f"tenarai.{module}"), name)

        def make(*values, honest=honest, **fields):
            made.append(honest(*values, **fields))
            return made[-1]

        monkeypatch.setattr(f"tenarai.{module}.{name}", make)
    result = desk.night()
    assert (result.num_seen, result.num_added, result.num_differences) == (31, 1, 1)
    assert {record.path for record in made} == {"digits/1/new.png"}


def test_files_of_a_folder_that_now_means_another_label_are_relabelled_without_being_read(desk):
    for name in "abc":
        desk.put(f"digits/か/き/{name}.png", name)
    desk.put("digits/か/く/d.png", "d")
    desk.night()
    assert desk.labels() == {**{f"digits/か/き/{name}.png": "き" for name in "abc"}, "digits/か/く/d.png": "く"}
    result = desk.night(labels=Labels(read=frozenset("か")), accept_changes=True)
    assert (result.num_seen, result.num_relabelled, result.num_downloaded) == (4, 4, 0)
    assert set(desk.labels().values()) == {"か"}


def test_a_link_whose_file_was_moved_out_of_the_folder_is_refused_though_the_file_is_the_same(desk, tmp_path):
    file = desk.put("notes/a.png", "a")
    desk.put("digits/4/b.png", "b")
    link = desk.folder / "digits/4/a.png"
    link.symlink_to(file)
    desk.night()
    assert set(desk.labels()) == {"digits/4/a.png", "digits/4/b.png"}
    link.unlink()
    link.symlink_to(file.rename(tmp_path / "a.png"))
    desk.night()
    assert "leads out of the folder" in desk.rejections()["digits/4/a.png"]


def test_a_second_night_opens_no_file_and_writes_nothing(desk, monkeypatch):
    for number in range(30):
        desk.put(f"digits/{number % 3}/{number}.png", str(number))
    desk.put("digits/4/empty.png", "")
    desk.night()
    before = desk.everything()
    honest = Path.read_bytes

    def read(path):
        assert not path.is_relative_to(desk.folder), f"{path} was opened"
        return honest(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    result = desk.night()
    monkeypatch.undo()
    assert (result.num_seen, result.num_differences, result.num_rejected, result.num_downloaded) == (31, 0, 0, 0)
    assert desk.everything() == before


def test_each_kind_of_change_is_noticed_in_one_night(desk):
    for name in ("changed", "moved", "relabelled", "gone", "same"):
        desk.put(f"digits/4/{name}.png", name)
    back = desk.put("digits/4/back.png", "back")
    desk.night()
    back.unlink()
    desk.night()
    desk.put("digits/4/added.png", "added")
    desk.put("digits/4/changed.png", "changed a lot")
    shutil.move(desk.folder / "digits/4/moved.png", desk.folder / "digits/4/moved away.png")
    (desk.folder / "digits/9").mkdir()
    shutil.move(desk.folder / "digits/4/relabelled.png", desk.folder / "digits/9/relabelled.png")
    (desk.folder / "digits/4/gone.png").unlink()
    desk.put("digits/4/back.png", "back")
    result = desk.night()
    assert sorted(desk.events()) == sorted(
        [
            (EventKind.ADDED, "digits/4/added.png"),
            (EventKind.CHANGED, "digits/4/changed.png"),
            (EventKind.MOVED, "digits/4/moved away.png"),
            (EventKind.RELABELLED, "digits/9/relabelled.png"),
            (EventKind.GONE, "digits/4/gone.png"),
            (EventKind.BACK, "digits/4/back.png"),
        ]
    )
    assert result.num_differences == 6
    assert desk.labels()["digits/9/relabelled.png"] == "9"


def test_a_renamed_label_folder_relabels_without_a_second_copy(desk):
    for number in range(50):
        desk.put(f"digits/4/{number}.png", str(number))
    desk.night()
    blobs = {path: stamp for path, stamp in desk.everything().items() if "blobs" in path.parts}
    (desk.folder / "digits/4").rename(desk.folder / "digits/か")
    result = desk.night(accept_changes=True)
    assert (result.num_relabelled, result.num_differences) == (50, 50)
    assert {path: stamp for path, stamp in desk.everything().items() if "blobs" in path.parts} == blobs


def test_the_same_picture_twice_is_kept_once(desk):
    desk.put("digits/4/a.png", "a")
    desk.put("digits/4/copy of a.png", "a")
    desk.night()
    assert desk.originals() == [b"a"]
    assert len(desk.ask("images")) == 2


def test_an_edit_that_keeps_size_and_time_is_noticed_when_the_file_was_replaced(desk):
    file = desk.put("digits/4/a.png", "one")
    status = file.stat()
    desk.night()
    other = desk.put("digits/4/.new", "two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)
    assert desk.night().num_changed == 1


def test_hidden_files_and_leavings_of_operating_systems_are_passed_over_in_silence(desk):
    for path in ("digits/4/.DS_Store", "digits/4/Thumbs.db", "desktop.ini", ".git/x.png", "digits/.x/y.png"):
        desk.put(path)
    desk.put("digits/4/__MACOSX/._a.png")
    desk.put("digits/4/a.png")
    assert desk.night().num_seen == 1
    assert desk.rejections() == {}


def test_files_that_nothing_can_be_done_with_are_rejected_each_with_its_reason(desk):
    desk.put("digits/4/good.png")
    desk.put("digits/4/empty.png", "")
    desk.put("digits/4/huge.png", bytes(2001))
    desk.put("digits/unlabelled.png")
    desk.put("stray.jpg")
    desk.put("stray notes.txt")
    desk.put(f"digits/{'x' * 65}/long.png")
    desk.put("digits/\x07/bell.png")
    desk.put("digits/ /blank.png")
    result = desk.night(settings=Settings(_env_file=None, max_image_bytes=2000))
    reasons = desk.rejections()
    expected = {
        "digits/4/empty.png": "empty file",
        "digits/4/huge.png": "2,001 bytes, more than 2,000",
        "digits/unlabelled.png": "in digits/ itself: move it into a folder named after its label",
        "stray.jpg": "outside of the folders that are read",
        f"digits/{'x' * 65}/long.png": "has 65 characters, more than 64",
        "digits/\x07/bell.png": "characters that cannot be printed",
        "digits/ /blank.png": "name of its label folder is empty",
    }
    assert reasons.keys() == expected.keys()
    assert all(part in reasons[path] for path, part in expected.items())
    assert (result.num_rejected, result.num_added, result.num_differences) == (7, 1, 1)
    assert desk.originals() == [b"ink"]


def test_a_file_that_may_not_be_read_is_rejected_until_it_may(desk, monkeypatch):
    desk.put("digits/4/a.png")
    desk.put("digits/4/locked.png", "locked")
    _fail_reading(monkeypatch, "locked.png", PermissionError(errno.EACCES, "Permission denied"))
    desk.night()
    assert desk.rejections() == {"digits/4/locked.png": "it cannot be read: Permission denied"}
    monkeypatch.undo()
    desk.night()
    assert desk.rejections() == {}
    assert b"locked" in desk.originals()


def _fail_reading(monkeypatch, name, error):
    honest = Path.read_bytes

    def read(path):
        if path.name == name:
            raise error
        return honest(path)

    monkeypatch.setattr(Path, "read_bytes", read)


def test_a_file_that_vanishes_while_it_is_read_waits_for_the_next_night(desk, monkeypatch):
    desk.put("digits/4/a.png")
    desk.put("digits/4/b.png", "b")
    words = []
    _fail_reading(monkeypatch, "b.png", FileNotFoundError(errno.ENOENT, "No such file"))
    with heard(words):
        desk.night()
    monkeypatch.undo()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert words == ["digits/4/b.png changes while it is read; it waits for the next night"]
    assert desk.night().num_added == 1


def test_a_file_that_changes_while_it_is_read_stays_as_it_was_known(desk, monkeypatch):
    file = desk.put("digits/4/a.png", "old")
    desk.night()
    file.write_bytes(b"half writ")
    honest = Path.read_bytes

    def read_slowly(path):
        data = honest(path)
        if path == file:
            file.write_bytes(b"half written, and now whole")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_slowly)
    assert desk.night().num_differences == 0
    monkeypatch.undo()
    assert desk.originals() == [b"old"]
    assert desk.night().num_changed == 1
    assert desk.originals() == [b"half written, and now whole", b"old"]


def test_links_are_followed_only_to_files_inside_the_folder_and_loops_end(desk, tmp_path):
    (tmp_path / "secret.png").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.png").write_text("far")
    desk.put("digits/4/a.png", "a")
    (desk.folder / "digits/4/inside.png").symlink_to("a.png")
    (desk.folder / "digits/4/outside.png").symlink_to(tmp_path / "secret.png")
    (desk.folder / "digits/4/nowhere.png").symlink_to("nothing")
    (desk.folder / "digits/4/loop").symlink_to(desk.folder)
    (desk.folder / "digits/4/far").symlink_to(tmp_path / "elsewhere")
    (desk.folder / "digits/4/itself.png").symlink_to("itself.png")
    os.mkfifo(desk.folder / "digits/4/pipe.png")
    desk.night()
    assert desk.labels().keys() == {"digits/4/a.png", "digits/4/inside.png"}
    assert desk.originals() == [b"a"]
    assert {path: reason.split(":")[0] for path, reason in desk.rejections().items()} == {
        "digits/4/outside.png": "it is a link that leads out of the folder",
        "digits/4/far": "it is a link that leads out of the folder",
        "digits/4/loop": "it is a link to a folder",
        "digits/4/nowhere.png": "it is a link that leads nowhere",
        "digits/4/itself.png": "it is a link that leads nowhere",
    }
    assert desk.night().num_differences == 0


NASTY = [
    "<img src=x onerror=alert(1)>.png",
    "🖋️ 手.png",
    "..png",
    "a\nb.png",
    "%2e%2e%2f.png",
    "x" * 250 + ".png",
    "';--.png",
]


@pytest.mark.parametrize("name", NASTY)
def test_nasty_file_names_are_only_text(desk, name):
    desk.put(f"digits/4/{name}", name)
    desk.night()
    assert desk.labels() == {f"digits/4/{name}": "4"}
    assert all(name not in path.name for path in desk.place.rglob("*"))
    assert desk.night().num_differences == 0


def test_a_file_name_that_is_no_text_is_spelt_out(desk):
    folder = desk.folder / "digits/4"
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"ink")
    desk.night()
    assert desk.labels() == {"digits/4/caf\\xe9.png": "4"}
    assert desk.night().num_differences == 0


@pytest.mark.parametrize(
    ("name", "text"), [("é", "é"), ("\udcff", "\\xff"), ("\ud800", "\\ud800"), ("a\0b", "a\\x00b"), ("🖋️", "🖋️")]
)
def test_every_name_becomes_text_that_a_database_can_keep(name, text):
    assert to_text(name) == text
    assert to_text(name).encode()


def test_a_label_is_the_same_however_a_computer_composes_it():
    assert read_label("か\u3099") == read_label("が") == ("が", "")
    assert read_label(" 4 ") == ("4", "")


def test_more_vanished_than_is_plausible_changes_nothing_unless_it_is_meant(desk):
    for number in range(40):
        desk.put(f"digits/4/{number}.png", str(number))
    desk.night()
    for number in range(25):
        (desk.folder / f"digits/4/{number}.png").unlink()
    before = desk.everything()
    with pytest.raises(UnusualChangesError, match=r"25 of 40 files .*changed nothing.*mounted.*--accept-changes"):
        desk.night()
    assert desk.everything() == before
    assert desk.night(accept_changes=True).num_gone == 25
    assert len(desk.ask("images", states=[State.GONE])) == 25


def test_an_empty_folder_says_what_was_expected_and_forgets_nothing(desk):
    file = desk.put("digits/4/a.png")
    desk.night()
    file.unlink()
    with pytest.raises(SourceError, match=r"contains no files.*digits/<label>/.*mount it"):
        desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}


@pytest.mark.parametrize("where", ["folder:/nowhere/at/all", "folder:/etc/hostname"])
def test_a_folder_that_cannot_be_read_says_so(desk, where):
    desk.source = where
    with pytest.raises(SourceError, match="cannot be read.*check the path"):
        desk.night()


def test_a_label_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(desk, monkeypatch):
    desk.put("digits/4/a.png")
    desk.put("digits/7/b.png", "b")
    desk.night()
    honest = os.scandir

    def scan(path):
        if str(path).endswith("/7"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return honest(path)

    monkeypatch.setattr("os.scandir", scan)
    with pytest.raises(SourceError, match="digits/7 cannot be read.*Permission denied"):
        desk.night()
    assert len(desk.labels()) == 2


@pytest.mark.parametrize("source", ["ftp://host/x", "folder:", "folder: ", "/plain/path"])
def test_an_address_that_is_none_is_a_matter_of_settings(source):
    with pytest.raises(SettingsError, match="folder:<path>"):
        read_settings(source=source)


def test_a_full_disk_leaves_the_catalogue_as_it_was(desk, monkeypatch):
    desk.put("digits/4/a.png")
    desk.night()
    desk.put("digits/4/b.png", "b")

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StoreError, match="No space left"):
        desk.night()
    monkeypatch.undo()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert desk.night().num_added == 1


def _night_that_dies(desk, number_of_steps):
    """Kill the process at its n-th step that changes something on disk."""
    import sqlite3

    gc.disable()  # what earlier tests left of TensorFlow does not survive being collected in a fork
    steps = 0

    def step(*arguments):
        nonlocal steps
        steps += 1
        if steps > number_of_steps:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("fsync", "replace", "mkdir"):
        honest = getattr(os, name)
        setattr(os, name, lambda *a, honest=honest, **k: (step(), honest(*a, **k), step())[1])
    connect = sqlite3.dbapi2.connect

    def watched(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(step)
        return connection

    sqlite3.dbapi2.connect = watched
    desk.night()
    os._exit(7)


def test_kill_at_every_step_leaves_a_state_that_the_next_night_completes(desk, tmp_path):
    for number in range(3):
        desk.put(f"digits/4/{number}.png", str(number))
    num_kills = 0
    for steps in range(0, 400, 3):
        shutil.rmtree(desk.place, ignore_errors=True)
        process = multiprocessing.get_context("fork").Process(target=_night_that_dies, args=(desk, steps))
        process.start()
        process.join()
        if process.exitcode == 7:
            break
        assert process.exitcode == -signal.SIGKILL
        num_kills += 1
        desk.night()
        assert desk.labels() == {f"digits/4/{number}.png": "4" for number in range(3)}
        kept = [path for path in (desk.place / "blobs").rglob("*") if path.is_file() and not path.name.startswith(".")]
        assert sorted(path.read_bytes() for path in kept) == [b"0", b"1", b"2"]
        assert len(desk.ask("events")) == 3
        assert desk.night().num_differences == 0
    else:
        pytest.fail("the night never came to its end")
    assert num_kills > 10


def test_a_quiet_night_on_ten_thousand_files_is_over_in_seconds(desk):
    for number in range(10_000):
        desk.put(f"digits/{number % 10}/{number}.png", str(number % 500))
    desk.night()
    started = time.monotonic()
    assert desk.night().num_differences == 0
    assert time.monotonic() - started < 5


def test_rejections_are_records_for_the_report(desk):
    desk.put("digits/4/empty.png", "")
    desk.night()
    assert desk.ask("rejections", 1) == [Rejection("digits/4/empty.png", "it is an empty file (0 bytes)")]
