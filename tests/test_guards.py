"""Accidents in the folder stop the night and change nothing; one setting lets them through once."""

import sys
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import MagicMock
from uuid import uuid4

import pytest

from tenarai.errors import SourceError, StoreError, UnusualChangesError
from tenarai.sync.names import Labels
from tests.folder_desk import Desk

CHAMPION = Labels(is_promoted=True)


@pytest.fixture
def desk(tmp_path):
    """A collection of 100 labelled images after its first night."""
    desk = Desk(tmp_path)
    for number in range(100):
        desk.put(f"digits/{number % 10}/{number}.png", f"ink {number}")
    desk.night()
    return desk


def delete_most(desk):
    for number in range(95):
        (desk.folder / f"digits/{number % 10}/{number}.png").unlink()


def delete_a_label(desk):
    for file in (desk.folder / "digits/4").iterdir():
        file.unlink()


def relabel_forty(desk):
    for number in range(40):
        (desk.folder / f"digits/{number % 10}/{number}.png").rename(desk.folder / f"digits/9/moved {number}.png")


def relabel_all(desk):
    for number in range(100):
        new = desk.folder / f"digits/{(number + 1) % 10}/moved {number}.png"
        (desk.folder / f"digits/{number % 10}/{number}.png").rename(new)


def overwrite_all(desk):
    for number in range(100):
        desk.put(f"digits/{number % 10}/{number}.png", f"noise {number}")


def rename_the_top(desk):
    (desk.folder / "digits").rename(desk.folder / "digits (1)")
    desk.put("photos of cats/cat.png", "meow")


def rename_a_label(desk):
    (desk.folder / "digits/4").rename(desk.folder / "digits/か")


def empty_all(desk):
    """As a cloud folder does whose files are not on this machine."""
    for file in desk.folder.rglob("*.png"):
        file.write_bytes(b"")


ACCIDENTS = [
    (delete_most, "95 of 100 files vanished"),
    (delete_a_label, "no image is left of the label 4"),
    (relabel_forty, "36 of 100 files changed their label"),
    (relabel_all, "100 of 100 files changed their label"),
    (overwrite_all, "100 of 100 files were overwritten"),
    (rename_the_top, "100 of 100 files vanished.*folders that are not read: digits \\(1\\)/.*renamed"),
    (rename_a_label, "no image is left of the label 4"),
    (empty_all, "100 of 100 files vanished or became unusable"),
]


@pytest.mark.parametrize(("accident", "words"), ACCIDENTS)
def test_an_accident_stops_the_night_changes_nothing_and_passes_once_it_is_accepted(desk, accident, words):
    accident(desk)
    before = desk.everything()
    for _ in range(2):
        with pytest.raises(UnusualChangesError, match=f"{words}.*--accept-changes"):
            desk.night()
        assert desk.everything() == before
    assert desk.night(accept_changes=True).num_seen > 0
    assert desk.night().num_differences == 0


def test_in_a_small_collection_most_files_are_few(tmp_path):
    desk = Desk(tmp_path)
    files = [desk.put(f"digits/{number % 2}/{number}.png", str(number)) for number in range(20)]
    desk.night()
    for file in files[:19]:
        file.unlink()
    with pytest.raises(UnusualChangesError, match="19 of 20 files vanished"):
        desk.night()


def test_a_large_upload_and_a_days_tidying_are_no_accidents(tmp_path):
    desk = Desk(tmp_path)
    for number in range(50):
        desk.put(f"digits/{number % 10}/{number}.png", f"ink {number}")
    for number in range(40):
        desk.put(f"inbox/{number}.png", f"unlabelled {number}")
    desk.night()
    for number in range(200):
        desk.put(f"digits/{number % 10}/new {number}.png", f"more ink {number}")
    for number in range(40):  # the whole inbox is filed
        (desk.folder / f"inbox/{number}.png").rename(desk.folder / f"digits/{number % 10}/filed {number}.png")
    for number in range(4):
        (desk.folder / f"digits/{number}/{number}.png").unlink()
        desk.put(f"digits/{number + 5}/{number + 5}.png", "drawn again")
    result = desk.night()
    assert (result.num_added, result.num_relabelled, result.num_gone, result.num_changed) == (200, 40, 4, 4)


def test_emptying_a_small_inbox_is_no_accident(tmp_path):
    desk = Desk(tmp_path)
    desk.put("digits/4/a.png")
    files = [desk.put(f"inbox/{number}.png", str(number)) for number in range(12)]
    desk.night()
    for file in files:
        file.unlink()
    assert desk.night().num_gone == 12


# ---- the folder as people lay it out


def labels_of(place, *paths, **options):
    desk = Desk(place)
    for path in paths:
        desk.put(path, path)
    desk.night(**options)
    return desk


def test_train_and_test_folders_give_the_labels_of_their_innermost_folders(tmp_path):
    paths = [f"{part}/{label}/{n}.png" for part in ("train", "test") for label in range(10) for n in range(2)]
    assert set(labels_of(tmp_path, *paths, "train.csv").labels().values()) == set("0123456789")


def test_the_collections_parent_is_refused_with_the_folder_to_give(tmp_path):
    with pytest.raises(SourceError, match="further down.*in handwriting"):
        labels_of(tmp_path, "handwriting/digits/4/a.png", "handwriting/misread/4/b.png")


def test_a_renamed_top_folder_at_first_sight_trains_on_nothing(tmp_path):
    desk = labels_of(tmp_path, "digits (1)/4/a.png", "photos of cats/b.png")
    assert desk.labels() == {}
    assert "if it is digits/" in desk.rejections()["digits (1)/"]


def test_a_new_label_waits_and_is_trained_on_once_it_has_five_images(tmp_path):
    few = [f"digits/x/{n}.png" for n in range(4)]
    desk = labels_of(tmp_path, "digits/4/a.png", *few, labels=CHAMPION)
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert "waits until it has 5 pictures (now 4)" in desk.rejections()["digits/x/0.png"]
    desk.put("digits/x/4.png", "4")
    desk.night(labels=CHAMPION)
    assert list(desk.labels().values()).count("x") == 5
    (desk.folder / "digits/x/4.png").unlink()
    desk.night(labels=CHAMPION)
    assert list(desk.labels().values()).count("x") == 4  # what the collection has is no longer new


def test_a_confirmed_name_is_a_label(tmp_path):
    from tenarai.catalogue import open_catalogue
    from tenarai.sync.source import confirm_label

    desk = labels_of(tmp_path, "digits/4/a.png", "digits/four/b.png")
    assert "looks like 4" in desk.rejections()["digits/four/b.png"]
    with open_catalogue(f"sqlite:///{desk.place}/catalogue.sqlite") as catalogue:
        confirm_label(catalogue, desk.source, "four", "r1")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4", "digits/four/b.png": "four"}


ODD = """
5/b.png; digits (1)/4/a.png; Digit/4/a.png; Inbox 2/a.png; in box/a.png; unsorted/a.png; mis read/4/a.png; sheet/a.jpg;
Sheets 24/a.jpg; photos/a.heic; Ordner/a.png; 新しいフォルダー/a.png; camera/a.jpg; old/digits/4/a.png; 4 (1)/a.png;
backup/x/y/a.png; four/a.png; letters/A/a.png; misreads/4/a.png; videos/a.mp4; zips/a.zip; tables/a.csv; DCIM/100/a.jpg;
train/4/a.png; test/a.png; scans/a.pdf; Scan.pdf; photos.zip; train.csv; film.mov; page.png; IMG_1.HEIC; letter.docx;
sound.m4a; 4.jpg; digits.zip; drawing.svg; link.lnk; weights.h5; raw.dng
""".replace("\n", " ").split("; ")
ODD = [path.strip() for path in ODD]


def test_every_odd_name_at_the_top_is_named_once_with_what_to_do(tmp_path):
    assert len(ODD) == 40
    desk = labels_of(tmp_path, "digits/4/a.png", *ODD, "README.txt", "Thumbs.db", "reports/latest/report.html")
    tops = {path.split("/")[0] + "/" if "/" in path else path for path in ODD}
    assert desk.rejections().keys() == tops
    assert all(": " in reason for reason in desk.rejections().values())
    assert desk.labels() == {"digits/4/a.png": "4"}


# ---- what people hear of a stopped night


def test_the_failure_notice_of_a_stopped_night_names_what_happened_and_the_setting(desk, monkeypatch):
    from tenarai.orchestration import runs

    delete_most(desk)
    with pytest.raises(UnusualChangesError) as stop:
        desk.night()
    told = []
    monkeypatch.setattr(runs, "get_client", MagicMock())
    monkeypatch.setattr(runs, "announce_failure", lambda run, text, language: told.append(text))
    runs.explain_failure(None, SimpleNamespace(id=uuid4(), name="quiet-otter", tags=[]), runs.fail_run(stop.value))
    (body,) = told
    assert "95 of 100 files vanished" in body
    assert "--accept-changes" in body
    assert "accept_changes" in body


def test_an_error_in_the_report_of_a_stopped_night_does_not_hide_why_it_stopped(monkeypatch):
    from flows import nightly

    logged = []
    monkeypatch.setattr(nightly.log, "exception", lambda message: logged.append(sys.exc_info()[1]))

    def run(step, *arguments):
        raise UnusualChangesError("95 files vanished") if step.name == "sync" else StoreError("the disk is full")

    with pytest.raises(UnusualChangesError, match="95 files vanished"):
        nightly.run_steps(SimpleNamespace(lock=nullcontext), run)
    assert [error.what for error in logged] == ["the disk is full"]
