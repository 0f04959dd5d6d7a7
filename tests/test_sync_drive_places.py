"""What a Drive may hold besides plain files in plain folders, and what may vanish from it."""

import pytest
from pydantic import SecretStr

from tenarai.errors import CredentialsError, SettingsError, SourceError, UnusualChangesError
from tenarai.records import EventKind, State
from tests.drive_desk import DriveDesk
from tests.stand_in import ROBOT, StandInDrive


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


@pytest.fixture
def desk(server, tmp_path):
    return DriveDesk(server, tmp_path)


# ---- more than files in folders


def test_a_shortcut_to_a_file_is_that_files_picture_under_the_shortcuts_own_label(desk):
    target = desk.put("inbox/photo.png", "photo")
    shortcut = desk.tree.add_shortcut("my four.png", desk.tree.folder("digits/4"), target)
    result = desk.night()
    assert desk.labels() == {"inbox/photo.png": None, "digits/4/my four.png": "4"}
    assert (result.num_downloaded, desk.originals()) == (1, [b"photo"])
    assert desk.night().shortcut
    desk.tree.edit(target, "photo, edited")
    desk.night()
    assert sorted(desk.events()) == [
        (EventKind.CHANGED, "digits/4/my four.png"),
        (EventKind.CHANGED, "inbox/photo.png"),
    ]
    desk.tree.trash(shortcut)
    desk.night()
    assert desk.events() == [(EventKind.GONE, "digits/4/my four.png")]


def test_a_shortcut_to_a_file_elsewhere_follows_its_edits_and_its_end(desk):
    elsewhere = desk.tree.add_folder("elsewhere", desk.tree.my_drive, shares={ROBOT: "reader"})
    target = desk.tree.add_file("photo.png", elsewhere, "photo")
    desk.tree.add_shortcut("a.png", desk.tree.folder("digits/4"), target)
    desk.night()
    assert desk.originals() == [b"photo"]
    desk.tree.edit(target, "photo, edited")
    assert desk.night().num_changed == 1
    desk.tree.trash(target)
    desk.night()
    assert "in the trash, deleted or not shared" in desk.rejections()["digits/4/a.png"]
    assert desk.night().shortcut
    desk.tree.trash(target, False)
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}


def test_a_shortcut_to_a_folder_is_followed(desk, server):
    shared = desk.tree.add_folder("Ann's fours", desk.tree.my_drive, shares={ROBOT: "reader"})
    four = desk.tree.add_file("a.png", shared, "four")
    inner = desk.tree.add_folder("more", shared)
    desk.tree.add_file("b.png", inner, "another four")
    shortcut = desk.tree.add_shortcut("4", desk.tree.folder("digits"), shared)
    desk.put("digits/7/c.png", "seven")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4", "digits/4/more/b.png": "4", "digits/7/c.png": "7"}
    assert desk.night().shortcut
    desk.tree.edit(four, "edited")
    assert desk.night().num_changed == 1
    desk.tree.add_file("new.png", inner, "new")
    assert desk.night().num_added == 1
    desk.tree.rename(shortcut, "9")
    assert desk.night().num_relabelled == 3
    desk.tree.trash(shortcut)
    desk.night()
    assert desk.labels() == {"digits/7/c.png": "7"}


@pytest.mark.parametrize("name", ["digits", "inbox"])
def test_a_shortcut_may_be_a_top_folder(desk, name):
    shared = desk.tree.add_folder("mine", desk.tree.my_drive, shares={ROBOT: "reader"})
    desk.tree.add_file("a.png", desk.tree.add_folder("4", shared), "four")
    desk.tree.add_shortcut(name, desk.tree.root, shared)
    desk.put("misread/4/b.png", "b")
    desk.night()
    assert desk.labels() == {"misread/4/b.png": "4", f"{name}/4/a.png": "4" if name == "digits" else None}


def test_a_shortcut_to_a_folder_that_leads_in_a_circle_or_nowhere_is_refused_as_such(desk, server):
    digits = desk.tree.folder("digits")
    desk.put("digits/4/a.png", "a")
    hidden = desk.tree.add_folder("private", desk.tree.my_drive)
    desk.tree.add_shortcut("again", digits, desk.tree.folder("digits/4"))
    desk.tree.add_shortcut("up", digits, desk.tree.root)
    desk.tree.add_shortcut("7", digits, hidden)
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    reasons = desk.rejections()
    assert reasons.keys() == {"digits/again", "digits/up", "digits/7"}
    assert "read already" in reasons["digits/again"]
    assert "read already" in reasons["digits/up"]
    assert f"not shared: share the folder with {ROBOT}" in reasons["digits/7"]
    assert desk.night().shortcut


def test_a_folder_beside_digits_is_named_and_a_change_of_its_name_is_noticed(desk):
    desk.put("digits/4/a.png", "a")
    desk.put("Inbox 2/b.png", "b")
    desk.put("unsorted/deep/down/c.png", "c")
    desk.tree.folder("Digit")
    desk.put("private/letter.txt", "not yours")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert desk.rejections().keys() == {"Inbox 2/", "Digit/", "unsorted/"}
    assert "if it is inbox/, rename it" in desk.rejections()["Inbox 2/"]
    desk.tree.rename(desk.tree.folder("Inbox 2"), "inbox")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4", "inbox/b.png": None}


def test_what_has_no_bytes_is_rejected_each_with_its_reason(desk, server):
    folder = desk.tree.folder("digits/4")
    private = desk.tree.add_file("diary.png", desk.tree.my_drive, "secret")
    desk.put("digits/4/good.png")
    desk.put("digits/4/empty.png", "")
    desk.put("digits/4/huge.png", bytes(2001))
    desk.put("digits/4/locked.png", "locked", can_download=False)
    desk.put("digits/unlabelled.png", "u")
    desk.put("stray.jpg", "s")
    desk.tree.add_native("drawing", folder, "drawing")
    desk.tree.add_shortcut("to a folder", folder, desk.tree.root)
    desk.tree.add_shortcut("to a secret.png", folder, private)
    desk.tree.add_native("a letter", desk.tree.root)
    settings = desk.settings.model_copy(update={"max_image_bytes": 2000})
    result = desk.night(settings=settings)
    expected = {
        "digits/4/empty.png": "empty file",
        "digits/4/huge.png": "2,001 bytes, more than 2,000",
        "digits/4/locked.png": "owner does not allow it to be downloaded",
        "digits/unlabelled.png": "in digits/ itself",
        "stray.jpg": "outside of the folders that are read",
        "digits/4/drawing": "a Google drawing, not a picture",
        "digits/4/to a folder": "a shortcut to a folder that is read already",
        "digits/4/to a secret.png": "in the trash, deleted or not shared",
    }
    reasons = desk.rejections()
    assert reasons.keys() == expected.keys()
    assert all(part in reasons[path] for path, part in expected.items())
    assert (result.num_rejected, result.num_added, result.num_downloaded) == (8, 1, 1)
    assert desk.night(settings=settings).shortcut


def test_a_file_that_google_will_not_hand_out_is_rejected_and_the_others_are_taken(desk, server):
    from tests.stand_in.api import Refused

    bad, _ = desk.put("digits/4/bad.png", "bad"), desk.put("digits/4/good.png", "good")
    get = server.api._see

    def see(request, file_id, **options):
        if file_id == bad.id and request.query.get("alt") == "media":
            raise Refused(403, "cannotDownloadAbusiveFile", "This file has been identified as malware or spam.")
        return get(request, file_id, **options)

    server.api._see = see
    desk.night()
    assert desk.labels() == {"digits/4/good.png": "4"}
    assert "malware or spam" in desk.rejections()["digits/4/bad.png"]


def test_a_file_without_a_sha256_in_the_list_is_checked_by_md5_and_known_again(desk):
    desk.put("digits/4/a.png", "a", has_sha256=False)
    desk.put("digits/4/b.png", "a", has_sha256=False)
    assert desk.night().num_downloaded == 2
    desk.put("digits/4/c.png", "c")
    assert desk.night().num_downloaded == 1
    assert desk.originals() == [b"a", b"c"]


def test_two_files_of_one_name_are_two_files(desk):
    desk.put("digits/4/a.png", "one")
    desk.put("digits/4/a.png", "two")
    desk.put("digits/4/b.png", "three")
    desk.tree.add_file("c.png", desk.tree.add_folder("4", desk.tree.folder("digits")), "four")
    assert desk.night().num_added == 4
    assert desk.originals() == [b"four", b"one", b"three", b"two"]
    assert set(desk.labels().values()) == {"4"}


def test_a_file_in_two_folders_counts_once_and_a_folder_inside_itself_ends(desk):
    file = desk.put("digits/4/a.png", "a")
    file.parents.append(desk.tree.folder("digits/7").id)
    loop = desk.tree.folder("digits/4/loop")
    desk.tree.folder("digits/4").parents.append(loop.id)
    assert desk.night().num_seen == 1
    assert desk.labels() == {"digits/4/a.png": "4"}


def test_a_folder_on_a_shared_drive_is_a_source_like_any_other(desk, server):
    shared = desk.tree.add_shared_drive("team", robot="reader")
    desk.tree.root = desk.tree.add_folder("handwriting", shared)
    desk.source = f"drive:{desk.tree.root.id}"
    file = desk.put("digits/4/a.png", "a")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    desk.tree.add_file("x.png", desk.tree.my_drive, "x", shares={ROBOT: "reader"})
    assert desk.night().shortcut
    assert server.calls == ["GET /drive/v3/changes"]
    desk.tree.move(file, desk.tree.folder("misread/4"))
    assert desk.night().num_relabelled == 1


def test_a_whole_shared_drive_is_a_source_too(desk):
    desk.tree.root = desk.tree.add_shared_drive("team", robot="reader")
    desk.source = f"drive:{desk.tree.root.id}"
    desk.put("digits/4/a.png", "a")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert desk.night().shortcut


def test_a_folder_shared_by_link_is_read_with_the_key_in_its_link(desk):
    desk.put("digits/4/a.png", "a")
    desk.tree.root.key = "0-key"
    desk.source = f"drive:{desk.tree.root.id}?resourcekey=0-key"
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}


NASTY = [
    "a/b.png",
    "../../../etc/passwd.png",
    "..",
    "🖋️ 手.png",
    "<img src=x onerror=alert(1)>.png",
    "x" * 300 + ".png",
    "a\nb\0c\ud800.png",
    "';--.png",
]


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_of_files_and_folders_harm_nothing(desk, tmp_path, name):
    outside = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    folder = desk.tree.add_folder(name, desk.tree.folder("digits/4"))
    desk.tree.add_file(name, folder, "ink")
    desk.tree.add_file("plain.png", desk.tree.add_folder(name, desk.tree.folder("misread")), "more ink")
    desk.night()
    path = next(path for path in desk.labels() if path.startswith("digits/4/"))
    assert path.count("/") == 3
    assert desk.originals().count(b"ink") == 1
    names = {path.name for path in desk.place.rglob("*")}
    assert not any("passwd" in one or "img" in one or "🖋" in one for one in names)
    assert {path for path in tmp_path.rglob("*") if "store" not in path.parts} == outside
    assert desk.night().shortcut


# ---- what vanishes


def test_more_vanished_than_is_plausible_changes_nothing_unless_it_is_meant(desk, server):
    files = [desk.put(f"digits/4/{number}.png", str(number)) for number in range(40)]
    desk.night()
    for file in files[:13]:
        desk.tree.delete(file)
    for file in files[13:25]:
        desk.tree.trash(file)
    before = desk.told(), desk.state()
    words = rf"25 of 40.*first 20 looked up: .*no longer.*in the trash.*{ROBOT}.*--accept-changes"
    for _ in range(2):
        with pytest.raises(UnusualChangesError, match=words):
            desk.night()
        assert (desk.told(), desk.state()) == before
    assert desk.night(accept_changes=True).num_gone == 25
    assert len(desk.images(State.GONE)) == 25
    assert desk.night().shortcut


def test_a_folder_that_is_no_longer_shared_is_not_taken_for_an_empty_one(desk):
    desk.put("digits/4/a.png")
    desk.night()
    before = desk.told()
    desk.tree.unshare(desk.tree.root, ROBOT)
    with pytest.raises(SourceError, match=f"share the folder with {ROBOT}"):
        desk.night()
    assert desk.told() == before


def test_what_the_list_leaves_out_but_is_there_stays_as_it_was(desk, server):
    hidden = desk.put("digits/4/hidden.png", "hidden")
    desk.put("digits/4/a.png", "a")
    desk.night()
    desk.put("digits/4/new.png", "new")
    honest = server.api._page
    server.api._page = lambda request, found, name: honest(
        request, [file for file in found if file["id"] != hidden.id], name
    )
    desk.night()
    assert desk.events() == [(EventKind.ADDED, "digits/4/new.png")]
    assert "digits/4/hidden.png" in desk.labels()
    server.api._page = honest
    assert not desk.night().shortcut
    assert desk.events() == []
    assert desk.night().shortcut


def test_a_folder_in_the_trash_stops_the_night_and_forgets_nothing(desk):
    desk.put("digits/4/a.png")
    desk.night()
    before = desk.told()
    desk.tree.trash(desk.tree.root)
    with pytest.raises(SourceError, match="handwriting .* is in the trash.*take it out"):
        desk.night()
    assert desk.told() == before


def test_an_empty_folder_says_what_was_expected_and_forgets_nothing(desk):
    file = desk.put("digits/4/a.png")
    desk.night()
    desk.tree.delete(file)
    with pytest.raises(SourceError, match=r"contains no files.*digits/<label>/"):
        desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}


def test_a_file_for_a_folder_is_a_matter_of_settings(desk):
    desk.source = f"drive:{desk.put('digits/4/a.png').id}"
    with pytest.raises(SettingsError, match=r"is not a folder.*image/png.*copy its link"):
        desk.night()


@pytest.mark.parametrize("source", ["drive:", "drive:a b", "drive:https://drive.google.com/drive/my-drive"])
def test_an_address_without_a_folder_is_a_matter_of_settings(desk, source):
    desk.source = source
    with pytest.raises(SettingsError, match="names no Drive folder"):
        desk.night()


def test_without_credentials_nothing_is_touched(desk, monkeypatch, tmp_path):
    with pytest.raises(CredentialsError, match="tenarai connect"):
        desk.night(
            settings=desk.settings.model_copy(update={"drive_credentials": SecretStr(str(tmp_path / "nowhere.json"))})
        )
    assert desk.images() == {}
