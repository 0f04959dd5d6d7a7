"""Google Drive as the source: every kind of change, and what it costs in calls."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from tenarai.records import EventKind, Role
from tests.drive_desk import DriveDesk
from tests.stand_in import ANN, ROBOT, StandInDrive


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


@pytest.fixture
def desk(server, tmp_path):
    return DriveDesk(server, tmp_path)


def test_the_first_night_takes_every_file_in_by_the_table_of_folders(desk):
    desk.put("digits/4/a.png", "a")
    desk.put("digits/か/deeper/still/b.jpg", "b")
    desk.put("misread/7/c.png", "c")
    desk.put("Inbox/from phone/d.heic", "d")
    desk.put("sheets/e.jpg", "e")
    desk.put("reports/2026/plot.png", "mine")
    desk.put("private/letter.txt", "not yours")
    desk.put("private/deep/down/letter.txt", "not yours")
    result = desk.night()
    assert {path: (image.role, image.label) for path, image in desk.images().items()} == {
        "digits/4/a.png": (Role.DIGITS, "4"),
        "digits/か/deeper/still/b.jpg": (Role.DIGITS, "か"),
        "misread/7/c.png": (Role.MISREAD, "7"),
        "Inbox/from phone/d.heic": (Role.INBOX, None),
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


# ---- the 15 kinds of change


@pytest.fixture
def settled(desk):
    """A folder after its first night: nine files, three under each of three labels."""
    for label in "457":
        for name in "abc":
            desk.put(f"digits/{label}/{name}.png", f"{label}{name}")
    desk.put("digits/9/d.png", "9d")
    desk.night()
    return desk


def find(desk, path):
    item = desk.tree.root
    for name in path.split("/"):
        item = next(child for child in desk.tree.children(item) if child.name == name)
    return item


def test_1_a_new_file_is_added(settled):
    settled.put("digits/4/new.png", "new")
    assert settled.night().num_differences == 1
    assert settled.events() == [(EventKind.ADDED, "digits/4/new.png")]
    assert b"new" in settled.originals()


def test_2_a_file_moved_to_another_label_is_relabelled_without_a_download(settled):
    settled.tree.move(find(settled, "digits/4/a.png"), settled.tree.folder("digits/9"))
    result = settled.night()
    assert settled.events() == [(EventKind.RELABELLED, "digits/9/a.png")]
    assert (result.num_relabelled, result.num_differences, result.num_downloaded) == (1, 1, 0)
    assert settled.labels()["digits/9/a.png"] == "9"


def test_3_a_renamed_file_is_moved(settled):
    settled.tree.rename(find(settled, "digits/4/a.png"), "better name.png")
    assert settled.night().num_downloaded == 0
    assert settled.events() == [(EventKind.MOVED, "digits/4/better name.png")]


def test_4_a_trashed_file_is_gone(settled):
    settled.tree.trash(find(settled, "digits/4/a.png"))
    settled.night()
    assert settled.events() == [(EventKind.GONE, "digits/4/a.png")]
    assert "digits/4/a.png" not in settled.labels()


def test_5_a_deleted_file_is_gone(settled):
    settled.tree.delete(find(settled, "digits/4/a.png"))
    settled.night()
    assert settled.events() == [(EventKind.GONE, "digits/4/a.png")]


def test_6_an_edited_file_is_changed_and_fetched_anew(settled):
    settled.tree.edit(find(settled, "digits/4/a.png"), "edited")
    assert settled.night().num_downloaded == 1
    assert settled.events() == [(EventKind.CHANGED, "digits/4/a.png")]
    assert b"edited" in settled.originals()


def test_7_an_edit_that_keeps_the_old_time_is_changed_too(settled):
    file = find(settled, "digits/4/a.png")
    settled.tree.edit(file, "4A", modified=file.modified)
    settled.night()
    assert settled.events() == [(EventKind.CHANGED, "digits/4/a.png")]


def test_8_a_file_moved_out_of_the_folder_is_gone(settled):
    settled.tree.move(find(settled, "digits/4/a.png"), settled.tree.my_drive)
    settled.night()
    assert settled.events() == [(EventKind.GONE, "digits/4/a.png")]


def test_9_an_old_photo_moved_in_is_added(settled):
    old = settled.tree.add_file("old.png", settled.tree.my_drive, "old", modified=datetime(1999, 1, 1, tzinfo=UTC))
    settled.night()
    settled.tree.move(old, settled.tree.folder("digits/4"))
    settled.night()
    assert settled.events() == [(EventKind.ADDED, "digits/4/old.png")]


def test_10_all_files_of_a_trashed_label_folder_are_gone(settled):
    settled.tree.trash(settled.tree.folder("digits/4"))
    settled.night()
    assert settled.events() == [(EventKind.GONE, f"digits/4/{name}.png") for name in "abc"]


def test_11_all_files_of_a_renamed_label_folder_are_relabelled(settled):
    settled.tree.rename(settled.tree.folder("digits/4"), "8")
    assert settled.night().num_downloaded == 0
    assert settled.events() == [(EventKind.RELABELLED, f"digits/8/{name}.png") for name in "abc"]


def test_12_all_files_of_a_moved_folder_change_their_role(settled):
    settled.tree.move(settled.tree.folder("digits/4"), settled.tree.folder("misread"))
    settled.night()
    assert settled.events() == [(EventKind.RELABELLED, f"misread/4/{name}.png") for name in "abc"]
    assert settled.images()["misread/4/a.png"].role is Role.MISREAD


def test_13_a_file_taken_out_of_the_trash_is_back(settled):
    file = find(settled, "digits/4/a.png")
    settled.tree.trash(file)
    settled.night()
    settled.tree.trash(file, False)
    assert settled.night().num_downloaded == 0
    assert settled.events() == [(EventKind.BACK, "digits/4/a.png")]


def test_14_a_folder_taken_out_of_the_trash_brings_its_files_back(settled):
    settled.tree.trash(settled.tree.folder("digits/4"))
    settled.night()
    settled.tree.trash(settled.tree.folder("digits/4"), False)
    settled.night()
    assert settled.events() == [(EventKind.BACK, f"digits/4/{name}.png") for name in "abc"]


def test_15_a_copy_is_added_without_a_download(settled):
    settled.put("misread/4/copy of a.png", "4a")
    assert settled.night().num_downloaded == 0
    assert settled.events() == [(EventKind.ADDED, "misread/4/copy of a.png")]


def test_all_of_it_in_one_night(settled):
    tree = settled.tree
    tree.rename(tree.folder("digits/5"), "6")
    tree.trash(find(settled, "digits/6/a.png"))
    tree.edit(find(settled, "digits/6/b.png"), "edited")
    tree.move(find(settled, "digits/4/a.png"), tree.folder("digits/7"))
    tree.delete(find(settled, "digits/4/b.png"))
    settled.put("inbox/new.png", "new")
    result = settled.night()
    assert sorted(settled.events()) == sorted(
        [
            (EventKind.GONE, "digits/5/a.png"),
            (EventKind.CHANGED, "digits/6/b.png"),
            (EventKind.RELABELLED, "digits/6/b.png"),
            (EventKind.RELABELLED, "digits/6/c.png"),
            (EventKind.RELABELLED, "digits/7/a.png"),
            (EventKind.GONE, "digits/4/b.png"),
            (EventKind.ADDED, "inbox/new.png"),
        ]
    )
    assert result.num_downloaded == 2
    assert settled.night().shortcut


# ---- calls


def test_ten_thousand_unchanged_files_cost_one_call_one_new_file_few_and_a_renamed_folder_no_download(desk, server):
    folders = [desk.tree.folder(f"digits/{label}") for label in range(10)]
    for number in range(10_000):
        desk.tree.add_file(f"{number}.png", folders[number % 10], f"ink {number % 40}")
    first = desk.night()
    assert (first.num_added, first.num_downloaded, server.count("alt=media")) == (10_000, 40, 0)
    assert desk.night() == type(first)(num_seen=10_000, shortcut=True)
    assert server.calls == ["GET /drive/v3/changes"]

    desk.put("digits/3/new.png", "new")
    assert desk.night().num_added == 1
    assert server.count() == 17  # feed, folder, new token, 13 pages of lists, the file
    assert server.count("GET /drive/v3/files/") == 2

    desk.tree.rename(desk.tree.folder("digits/4"), "か")
    result = desk.night(accept_changes=True)
    assert (result.num_relabelled, result.num_differences, result.num_downloaded) == (1000, 1000, 0)
    assert server.count() == 16
    desk.night()
    assert server.count() == 1


def test_what_happens_elsewhere_on_the_drive_is_no_reason_to_look_again(settled, server):
    tree = settled.tree
    tree.root.shares[ROBOT] = "reader"
    tree.put("reports/report.html", "mine")  # as Tenarai itself does every night
    tree.rename(tree.root, "another name")
    tree.rename(find(settled, "digits/4/a.png"), "a.png")
    never = tree.put("digits/4/never seen.png", "x")
    tree.delete(never)
    tree.put("a note.txt", "no picture")
    other = tree.add_folder("elsewhere", tree.my_drive, shares={ROBOT: "reader"})
    tree.add_file("x.png", other, "x")
    assert settled.night().shortcut
    assert server.calls == ["GET /drive/v3/changes"]
    assert settled.night().shortcut


def test_a_quiet_night_writes_nothing_at_all(settled):
    before = {path: path.stat().st_mtime_ns for path in settled.place.rglob("*") if path.is_file()}
    content = (settled.place / "catalogue.sqlite").read_bytes()
    settled.night()
    assert (settled.place / "catalogue.sqlite").read_bytes() == content
    assert {path for path in settled.place.rglob("*") if path.is_file()} == set(before)


def test_the_feed_is_not_trusted_for_longer_than_a_week(settled, server, monkeypatch):
    assert settled.night().shortcut
    walked = settled.state()["walked"]
    with settled.catalogue() as catalogue:
        aged = {**settled.state(), "walked": walked.replace("2026", "2025")}
        catalogue.apply_sync(settled.source, (), (), aged)
    assert not settled.night().shortcut
    assert settled.state()["walked"] >= walked
    assert settled.night(settings=settled.settings.model_copy(update={"drive_full_walk_days": 0})).shortcut is False


def test_a_token_that_drive_refuses_means_that_everything_is_listed(settled, server):
    settled.put("digits/4/new.png", "new")
    server.faults.plan("page token", match="changes?")
    assert settled.night().num_added == 1
    assert any("no longer accepts" in words for words in settled.words)
    assert settled.night().shortcut


@pytest.mark.parametrize("changed", [{"max_image_bytes": 5000}, {"drive_credentials": "other"}])
def test_another_limit_or_another_account_means_that_everything_is_listed(settled, server, tmp_path, changed):
    import json

    settled.tree.root.owner = ANN
    if "drive_credentials" in changed:
        changed = {"drive_credentials": SecretStr(str(tmp_path / "other.json"))}
        (tmp_path / "other.json").write_text(json.dumps(server.people.authorised_user()))
    assert settled.night().shortcut
    assert not settled.night(settings=settled.settings.model_copy(update=changed)).shortcut


def test_a_file_that_is_moved_while_the_tree_is_listed_is_not_gone(settled, server):
    moved, nine, four = (
        find(settled, "digits/9/d.png"),
        settled.tree.folder("digits/9"),
        settled.tree.folder("digits/4"),
    )

    def move_it(request):
        if nine.id in request and four.id not in moved.parents:  # so that it is listed neither here nor there
            settled.tree.move(moved, four)

    settled.put("inbox/x.png", "x")
    server.before_answer = move_it
    settled.night(settings=settled.settings.model_copy(update={"drive_threads": 1}))
    assert settled.events() == [(EventKind.ADDED, "inbox/x.png")]
    assert "Google Drive's list left out 1 file that is there; it stays as it was" in settled.words
    settled.night()
    assert settled.events() == [(EventKind.RELABELLED, "digits/4/d.png")]
