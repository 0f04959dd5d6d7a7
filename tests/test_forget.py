"""Forgetting: nothing of a picture stays in the store, and a command that was killed is completed by the next one."""

import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tenarai.catalogue import Catalogue
from tenarai.check import check_store
from tenarai.cli.main import main
from tenarai.dataset import load_manifest
from tenarai.errors import SettingsError, SourceError
from tenarai.evaluate import promotions
from tenarai.model import bundle
from tenarai.records import EventKind, State
from tenarai.store import Store
from tests.whole_store import PATH, Collection


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Collection(tmp_path_factory.mktemp("forget"))


@pytest.fixture
def collection(made, tmp_path, monkeypatch):
    """A copy; the picture is deleted from its folder."""
    shutil.copytree(made.place, tmp_path / "store")
    copy = object.__new__(Collection)
    copy.__dict__ |= made.__dict__ | {
        "place": tmp_path / "store",
        "store": Store(str(tmp_path / "store"), tmp_path / "store"),
        "settings": made.settings.model_copy(update={"store": str(tmp_path / "store")}),
    }
    kept = (made.folder / PATH).read_bytes()
    (made.folder / PATH).unlink()
    yield copy
    (made.folder / PATH).write_bytes(kept)


def assert_forgotten(collection):
    for file in (file for file in collection.place.rglob("*") if file.is_file()):
        data = file.read_bytes()
        for trace in (collection.sha256.encode(), collection.original, collection.pixels):
            assert trace not in data, file
    assert check_store(collection.settings) == []
    (event,) = (event for event in collection.ask("events") if event.kind is EventKind.FORGOTTEN)
    assert (event.path, event.sha256) == (PATH, "")
    with collection.catalogue() as catalogue:
        (night,) = catalogue.nights()
    info = bundle.load_info(collection.store, "m-1")
    assert {info.snapshot, promotions.history(collection.store)[-1].snapshot, night["snapshot"]} == {
        name.removesuffix(".npz") for name in collection.store.names("snapshots")
    }
    assert load_manifest(collection.store, info.snapshot).info.num_train == 7
    assert night["suspects"] == [{"path": "digits/5/b.png", "sha256": "b" * 64}]
    assert night["stories"] == {}
    assert collection.store.names("reports") == ["latest", "r1"]
    assert collection.store.read("reports", "latest") == b"r1\n"


def test_nothing_of_a_forgotten_picture_stays_and_the_models_that_learned_from_it_are_named(collection):
    lines = collection.forget()
    assert_forgotten(collection)
    assert lines == [
        "3 reports that may show it were removed",
        "m-1 learned from it, and what it learned stays in it",
        "1 file was forgotten",
    ]
    assert "forgotten since: 1 images" in str(bundle.load_info(collection.store, "m-1").notes[-1])
    assert [image.path for image in collection.ask("images")].count(PATH) == 0


class Killed(BaseException):
    pass


def kill_at(number, monkeypatch):
    """Stop before the change of this number: a file written or removed, a transaction begun."""
    counter = iter(range(1000))
    for owner, name in ((Store, "write"), (Store, "write_by"), (Store, "remove"), (Catalogue, "writing")):
        original = getattr(owner, name)

        def stopping(*arguments, _original=original, **options):
            if next(counter) == number:
                raise Killed
            return _original(*arguments, **options)

        monkeypatch.setattr(owner, name, stopping)


def test_a_command_that_is_killed_anywhere_is_completed_by_the_same_command(collection, tmp_path):
    whole, number = collection.place.rename(tmp_path / "whole"), 0
    for number in range(100):
        shutil.rmtree(collection.place, ignore_errors=True)
        shutil.copytree(whole, collection.place)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(number, patch)
            try:
                collection.forget()
                break
            except Killed:
                pass
        collection.forget()
        assert_forgotten(collection)
    assert 15 < number < 99


def test_a_picture_that_still_lies_in_the_folder_is_not_forgotten(collection):
    files = collection.everything()
    with pytest.raises(SourceError, match=r"digits/5/.* is still in folder:.*delete the file there"):
        collection.forget(next(image.path for image in collection.ask("images") if image.label == "5"))
    assert {path: found for path, found in collection.everything().items() if path.name != ".lock"} == files


def test_the_same_bytes_under_another_path_must_be_deleted_too(collection):
    copy = collection.put("digits/4/copy.png", collection.original)
    collection.night()
    with pytest.raises(SourceError, match=r"digits/4/copy\.png is still in"):
        collection.forget()
    copy.unlink()
    assert collection.forget()[-1] == "2 files were forgotten"


def test_a_picture_on_drive_is_forgotten_once_a_night_saw_that_it_is_gone(collection):
    (row,) = (image for image in collection.ask("images") if image.path == PATH)
    row = replace(row, source="drive:abc", sha256="c" * 64)
    collection.settings = collection.settings.model_copy(update={"source": "drive:abc"})
    with collection.catalogue() as catalogue:
        catalogue.apply_sync("drive:abc", [row], [])
        with pytest.raises(SourceError, match=r"still in drive:abc.*tenarai nightly"):
            collection.forget()
        catalogue.apply_sync("drive:abc", [replace(row, state=State.GONE)], [])
    assert collection.forget()[-1] == "1 file was forgotten"


def test_an_unknown_path_is_an_error_and_the_command_says_what_is_not_removed(collection):
    with pytest.raises(SettingsError, match=r"no file is known at digits/4/none\.png"):
        collection.forget("digits/4/none.png")
    arguments = ["forget", "--source", collection.source, "--store", str(collection.place), PATH]
    done = CliRunner().invoke(main, arguments, env={"TENARAI_LANGUAGE": "en"}, catch_exceptions=False)
    assert "Not removed: reports that were sent" in done.output
    assert "1 file was forgotten" in done.output
