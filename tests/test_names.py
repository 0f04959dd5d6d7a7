"""What people call their folders: from a path to role, label and reason."""

import pytest

from tenarai.errors import SourceError
from tenarai.records import Role
from tenarai.sync.layout import Layout
from tenarai.sync.names import (
    BASE_LABELS,
    Labels,
    guess_label,
    is_place,
    is_quiet,
    match_label,
    read_label,
    refuse_format,
)

FOUR = ["digits/4/a.png", "digits/7/b.png"]  # an ordinary collection around the path that a row is about
KANA = ["digits/か/a.png", "digits/き/b.png"]
LETTERS = Labels(read=frozenset("abcAB"), is_promoted=True)
D, M, B, S = Role.DIGITS, Role.MISREAD, Role.INBOX, Role.SHEETS

TABLE = [
    # path, what else is there, role, label, a part of the reason
    ("digits/4/a.png", [], D, "4", ""),
    ("Digits/4/a.png", [], D, "4", ""),
    (" digits /4/a.png", [], D, "4", ""),
    ("ｄｉｇｉｔｓ/4/a.png", [], D, "4", ""),
    ("digits/４/a.png", FOUR, D, "4", ""),
    ("digits/٤/a.png", FOUR, D, "4", ""),
    ("digits/४/a.png", FOUR, D, "4", ""),
    ("digits/④/a.png", FOUR, D, "4", ""),
    ("digits/4️⃣/a.png", FOUR, D, "4", ""),
    ("digits/4\u200b/a.png", FOUR, D, "4", ""),
    ("digits/\ufeff4 /a.png", FOUR, D, "4", ""),
    ("digits/04/a.png", FOUR, D, "4", ""),
    ("digits/00/a.png", FOUR, D, "0", ""),
    ("digits/4 (1)/a.png", FOUR, D, "4", ""),
    ("digits/4(2)/a.png", FOUR, D, "4", ""),
    ("digits/4 - Copy/a.png", FOUR, D, "4", ""),
    ("digits/4 - Copy (2)/a.png", FOUR, D, "4", ""),
    ("digits/4 copy/a.png", FOUR, D, "4", ""),
    ("digits/Copy of 4/a.png", FOUR, D, "4", ""),
    ("digits/4 - Kopie/a.png", FOUR, D, "4", ""),
    ("digits/4 のコピー/a.png", FOUR, D, "4", ""),
    ("digits/4 – Kopie/a.png", FOUR, D, "4", ""),
    ("digits/Kopie (2) von 4/a.png", FOUR, D, "4", ""),
    ("digits/Copy of Copy of 4/a.png", FOUR, D, "4", ""),
    ("digits/4 copie 2/a.png", FOUR, D, "4", ""),
    ("digits/4 (copia)/a.png", FOUR, D, "4", ""),
    ("digits/copia de 4/a.png", FOUR, D, "4", ""),
    ("digits/4 — копия/a.png", FOUR, D, "4", ""),
    ("digits/4 的副本/a.png", FOUR, D, "4", ""),
    ("digits/4のコピー2/a.png", FOUR, D, "4", ""),
    ("digits/4 복사본/a.png", FOUR, D, "4", ""),
    ("digits/4\n/a.png", FOUR, D, "4", ""),
    ("digits/4\n5/a.png", FOUR, D, None, "confirm-label '4 5'"),
    ("digits/label=4/a.png", FOUR, D, "4", ""),
    ("digits/vier/a.png", FOUR, D, None, "looks like 4"),
    ("digits/Quatre/a.png", FOUR, D, None, "looks like 4"),
    ("digits/четыре/a.png", FOUR, D, None, "looks like 4"),
    ("digits/my fours/a.png", FOUR, D, None, "looks like 4"),
    ("digits/新しいフォルダー (2)/a.png", FOUR, D, "新しいフォルダー (2)", "does not look like a label"),
    ("digits/Neuer Ordner/a.png", FOUR, D, "Neuer Ordner", "does not look like a label"),
    ("digits/digit 4/a.png", FOUR, D, "4", ""),
    ("digits/Digit_4/a.png", FOUR, D, "4", ""),
    ("digits/label_4/a.png", FOUR, D, "4", ""),
    ("digits/class4/a.png", FOUR, D, "4", ""),
    ("digits/class-04/a.png", FOUR, D, "4", ""),
    ("digits/数字4/a.png", FOUR, D, "4", ""),
    ('digits/"4"/a.png', FOUR, D, "4", ""),
    ("digits/[4]/a.png", FOUR, D, "4", ""),
    ("digits/4./a.png", FOUR, D, "4", ""),
    ("misread/4_as_9/a.png", FOUR, M, "4", ""),
    ("misread/4 as 9/a.png", FOUR, M, "4", ""),
    ("digits/4_as_9/a.png", FOUR, D, None, "looks like 4"),
    ("digits/four/a.png", FOUR, D, None, "looks like 4"),
    ("digits/Fours/a.png", FOUR, D, None, "looks like 4"),
    ("digits/4s/a.png", FOUR, D, None, "looks like 4"),
    ("digits/4_old/a.png", FOUR, D, None, "looks like 4"),
    ("digits/4_2/a.png", FOUR, D, None, "looks like 4"),
    ("digits/anna's 4/a.png", FOUR, D, None, "looks like 4"),
    ("misread/four/a.png", FOUR, M, None, "looks like 4"),
    # levels
    ("digits/anna/4/a.png", [], D, "4", ""),
    ("digits/4/2025/11/a.png", [], D, "4", ""),
    ("digits/4/2025-11-25/a.png", FOUR, D, "4", ""),
    ("digits/4/07/a.png", FOUR, D, "4", ""),
    ("digits/anna/ben/4/session 2/a.png", [], D, "4", ""),
    ("digits/4/4/a.png", [], D, "4", ""),
    ("digits/4/7/a.png", FOUR, D, None, "two labels on its path, 4 and 7"),
    ("misread/anna/4/a.png", FOUR, M, "4", ""),
    ("digits/か/deeper/still/a.png", FOUR, D, "か", ""),
    ("digits/anna/か/a.png", ["digits/ben/4/b.png"], D, "か", ""),
    ("digits/anna/a.png", ["digits/anna/4/b.png"], D, None, "not clear which folder is its label"),
    ("digits/か/a.png", KANA, D, "か", ""),
    ("digits/anna/か/a.png", ["digits/ben/き/b.png"], D, "か", ""),
    ("digits/か/2025/a.png", ["digits/き/2025/b.png"], D, "か", ""),
    ("digits/か/more/a.png", KANA, D, None, "か/more"),
    ("digits/misread/4/a.png", FOUR, D, None, "misread/ is inside digits/"),
    ("digits/a.png", FOUR, D, None, "in digits/ itself"),
    ("digits/unsorted/a.png", FOUR, D, "unsorted", "does not look like a label"),
    ("digits/2025/a.png", FOUR, D, "2025", "does not look like a label"),
    ("digits/  /a.png", FOUR, D, None, "is empty"),
    (f"digits/{'x' * 65}/a.png", FOUR, D, None, "has 65 characters"),
    ("digits/A/a.png", ["digits/a/b.png"], D, "A", ""),
    ("digits/plus/a.png", FOUR, D, "plus", ""),
    # no digits/
    ("4/a.png", ["7/b.png"], D, "4", ""),
    ("か/a.png", ["き/b.png"], D, "か", ""),
    ("train/4/a.png", ["test/4/b.png", "train/7/c.png"], D, "4", ""),
    ("test/4/b.png", ["train/4/a.png"], D, "4", ""),
    ("trainingSet/trainingSet/4/a.jpg", [], D, "4", ""),
    ("train/か/a.png", ["test/か/b.png"], D, "か", ""),
    ("test/img_1.png", ["train/4/a.png"], D, None, "not clear which folder is its label"),
    ("Takeout/Drive/4/a.png", [], D, "4", ""),
    ("photos of cats/a.png", ["4/b.png"], D, "photos of cats", "does not look like a character"),
    ("photos/a.png", ["か/b.png"], D, "photos", "does not look like a label"),
    # other roles
    ("inbox/a.png", FOUR, B, None, ""),
    ("INBOX/from phone/4/a.png", FOUR, B, None, ""),
    ("sheets/a.jpg", FOUR, S, None, ""),
    ("misread/4/a_as_9.png", FOUR, M, "4", ""),
    ("misread/4/a_as_4.png", FOUR, M, "4", "misread as 4"),
    ("misread/4/7_as_9.png", FOUR, M, "4", "7 was written"),
    ("a.png", FOUR, B, None, "outside of the folders"),
    ("Scan.pdf", FOUR, B, None, "outside of the folders"),
    ("photos.zip", FOUR, B, None, "an archive"),
    ("train.csv", FOUR, B, None, "a spreadsheet"),
    ("digits/4/film.mp4", FOUR, D, "4", "a video"),
    ("inbox/notes.docx", FOUR, B, None, "a document"),
]


@pytest.mark.parametrize(("path", "others", "role", "label", "reason"), TABLE, ids=[row[0][:60] for row in TABLE])
def test_a_path_says_role_label_and_reason(path, others, role, label, reason):
    paths = [tuple(one.split("/")) for one in [*others, path]]
    place = Layout(paths, BASE_LABELS).find_place(paths[-1])
    assert (place.role, place.label) == (role, label)
    assert reason in place.reason
    assert bool(reason) == bool(place.reason)


def test_the_table_is_long_enough_to_be_called_one():
    assert len(TABLE) >= 60


def place(path, labels, *others):
    paths = [tuple(one.split("/")) for one in [*others, path]]
    return Layout(paths, labels).find_place(paths[-1])


def test_a_new_label_waits_for_five_images_where_there_is_a_champion():
    few = [f"digits/x/{n}.png" for n in range(4)]
    assert "waits until it has 5 pictures (now 4)" in place(few[0], LETTERS, *few[1:]).reason
    assert place(few[0], LETTERS, *few[1:], "digits/x/4.png").reason == ""
    assert place(few[0], BASE_LABELS, *few[1:]).reason == ""
    assert place(few[0], Labels(read=LETTERS.read, held=frozenset("x"), is_promoted=True)).reason == ""


@pytest.mark.parametrize("name", ["four", "unsorted", "2025"])
def test_a_confirmed_label_is_a_label_whatever_it_looks_like(name):
    assert place(f"digits/{name}/a.png", BASE_LABELS).reason
    confirmed = place(f"digits/{name}/a.png", Labels(confirmed=frozenset({name})))
    assert (confirmed.label, confirmed.reason) == (name, "")


def test_case_stays_significant_and_letters_are_matched_like_digits():
    assert place("digits/anna/B/a.png", LETTERS).label == "B"
    assert place("digits/b - Copy/a.png", LETTERS).label == "b"
    assert place("digits/letter A/a.png", LETTERS).label == "A"


def test_a_label_that_the_collection_has_decides_where_no_other_is_known():
    held = Labels(held=frozenset({"か", "き"}))
    assert place("digits/か/new folder/a.png", held, "digits/き/b.png").label == "か"
    assert place("digits/4/か/a.png", held).label == "4"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("handwriting/digits/4/a.png", "handwriting"),
        ("Takeout/Drive/handwriting/digits/4/a.png", "Takeout/Drive/handwriting"),
        ("handwriting/misread/4/a.png", "handwriting"),
    ],
)
def test_a_collection_further_down_is_refused_with_the_folder_to_give(path, where):
    with pytest.raises(SourceError, match=f"further down.*to the folder {where};"):
        Layout([tuple(path.split("/"))], BASE_LABELS)


UNREAD = {
    "5/b.png": "move it into digits/ as digits/5",
    "digits (1)/4/a.png": "if it is digits/",
    "Digit/4/a.png": "if it is digits/",
    "Inbox 2/a.png": "if it is inbox/",
    "in box/a.png": "if it is inbox/",
    "Mis-read/4/a.png": "if it is misread/",
    "practice sheet/a.png": "rename it to sheets",
    "unsorted/a.png": "move its pictures",
    "backup/digits/4/a.png": "contains a collection",
    "videos/a.mp4": "move its pictures",
}


@pytest.mark.parametrize(("path", "reason"), UNREAD.items())
def test_a_folder_beside_digits_is_named_with_what_to_do(path, reason):
    paths = [tuple(one.split("/")) for one in [*FOUR, path]]
    layout = Layout(paths, BASE_LABELS)
    assert layout.find_unread(paths) == [path.split("/")[0]]
    assert layout.find_place(paths[-1]) is None
    assert reason in layout.describe_unread(path.split("/")[0])


def test_where_digits_was_renamed_its_namesake_is_not_taken_for_labels():
    paths = [("digits (1)", "4", "a.png"), ("photos of cats", "b.png")]
    layout = Layout(paths, BASE_LABELS)
    assert layout.find_unread(paths) == ["digits (1)"]
    assert "does not look like a character" in layout.find_place(paths[1]).reason


QUIET = [
    *(".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Picasa.ini", ".picasa.ini", "@eaDir", "__MACOSX"),
    *("IMG_1.AAE", "IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg.json", "IMG_1.xmp", "scan.crdownload"),
    *("Thumbs.db:encryptable", "sync.ffs_db", "a.pp3", "ZbThumbnail.info", "a.png.icloud", "a.png~"),
    *("a.png.part", "b.jpg.download", "~$notes.docx", "._a.png", ".git", "System Volume Information", "$RECYCLE.BIN"),
]


@pytest.mark.parametrize("name", QUIET)
def test_what_systems_leave_behind_is_ignored(name):
    assert is_quiet(name)
    layout = Layout([("digits", "4", name), ("digits", "4", "a.png"), ("inbox", name, "b.png")], BASE_LABELS)
    assert layout.find_place(("digits", "4", name)) is None
    assert layout.find_place(("inbox", name, "b.png")) is None
    assert layout.find_place((name,)) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.MOV", "a video"),
        ("a.tar.gz", "an archive"),
        ("a.xlsx", "a spreadsheet"),
        ("a.psd", "drawing program"),
        ("a.CR2", "a raw photo"),
        ("a.svg", "vector"),
        ("a.m4a", "sound"),
        ("a.lnk", "a link"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(name, kind):
    assert kind in refuse_format(name)


@pytest.mark.parametrize("name", ["a.png", "a.HEIC", "photo", "a.avif", "a.pdf", "a.jp2", "a.tga", "a.bin"])
def test_a_picture_and_what_may_be_one_is_looked_into(name):
    assert refuse_format(name) == ""


def test_a_label_is_the_same_however_a_computer_composes_it():
    assert read_label("か\u3099") == read_label("が") == ("が", "")
    assert read_label(" 4 ") == ("4", "")


@pytest.mark.parametrize("name", ["12", "photos of cats", "か", "2025-10-04", "set 4"])
def test_other_names_are_not_taken_for_a_known_label(name):
    assert match_label(name, BASE_LABELS.known, exactly=False) == ""
    assert guess_label(name, BASE_LABELS.known) == ""


@pytest.mark.parametrize(
    ("name", "expected"), [("train", True), ("set 1", True), ("2025", True), ("か", False), ("4", False)]
)
def test_a_name_may_say_where_files_are_kept(name, expected):
    assert is_place(name) is expected
