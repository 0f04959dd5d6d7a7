"""Forgetting: nothing of a picture stays in the store, and a command that was killed is completed by the next one."""

import hashlib
import shutil

import pytest
from click.testing import CliRunner

from tenarai.catalogue import Catalogue
from tenarai.check import check_store
from tenarai.cli.main import main
from tenarai.dataset import freeze, load_manifest, save_snapshot
from tenarai.errors import SettingsError, SourceError
from tenarai.evaluate import promotions
from tenarai.forget import forget
from tenarai.model import bundle
from tenarai.prepare import NORMALISER_VERSION, prepare_images
from tenarai.records import EventKind, ModelInfo
from tenarai.settings import Settings
from tenarai.store import Store, seal_json
from tests.collections_of_digits import fill
from tests.folder_desk import Desk

PATH = "digits/4/0004.png"


class Collection(Desk):
    """A folder and a store with a snapshot, a champion that learned from it, its night, two reports and a study."""

    def __init__(self, place):
        super().__init__(place)
        fill(self.folder, num_each=4, labels="45")
        self.night()
        self.settings = Settings(_env_file=None, source=self.source, store=str(self.place))
        self.store = Store(str(self.place), self.place)
        self.sha256 = next(image.sha256 for image in self.ask("images") if image.path == PATH)
        self.original = self.store.original(self.sha256)
        with self.catalogue() as catalogue:
            prepare_images(self.store, catalogue, self.source, self.settings)
            images, prints = catalogue.images(self.source), catalogue.fingerprints(NORMALISER_VERSION)
            self.pixels = catalogue.digits(NORMALISER_VERSION)[self.sha256].pixels
            frozen = freeze(
                images,
                prints,
                lambda names: catalogue.pixels(NORMALISER_VERSION, names),
                normaliser=NORMALISER_VERSION,
                test_share=0.01,
            )
            self.snapshot = frozen.snapshot.info.id
            save_snapshot(self.store, frozen.snapshot)
            for model, snapshot in (("m-1", self.snapshot), ("m-2", "")):
                self.save_model(model, snapshot)
                catalogue.put_predictions(model, {self.sha256: ("4", 0.9)})
            promotions.write_history(self.store, ())
            promotions.promote(self.store, "m-1", why="", by="gate", snapshot=self.snapshot)
            suspects = [{"path": PATH, "sha256": self.sha256}, {"path": "digits/5/b.png", "sha256": "b" * 64}]
            night = {"run": "r1", "snapshot": self.snapshot, "suspects": suspects, "stories": {self.sha256: {}}}
            catalogue.put_night("r1", self.source, night)
        for run, digest in (("r1", "b" * 64), ("r2", self.sha256)):
            self.store.write(seal_json({"snapshot": "", "cases": [digest]}), "reports", run, "report.json")
        self.store.write(b"half-written", "reports", "r3", "report.html")
        self.store.write(b"r2\n", "reports", "latest")
        self.store.write(b"<img>", "studies", "one", "report.html")

    def catalogue(self):
        from tenarai.catalogue import open_catalogue

        return open_catalogue(f"sqlite:///{self.place}/catalogue.sqlite")

    def save_model(self, model, snapshot):
        info = ModelInfo(id=model, labels=("4", "5"), normaliser=NORMALISER_VERSION, recipe="mlp", epochs=1)
        contents = {"model.keras": b"network", "predictions.npz": b"arrays", "card.md": b"card"}
        for name, data in contents.items():
            self.store.write(data, "models", model, name)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        record = bundle.to_record(info) | {"digests": digests, "snapshot": snapshot}
        self.store.write_json(record, "models", model, "model.json")

    def forget(self, path=PATH):
        lines = []
        forget(self.settings, path, lines.append)
        return list(map(str, lines))


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
    with collection.catalogue() as catalogue, catalogue.writing() as connection:
        connection.exec_driver_sql("UPDATE images SET source = 'drive:abc'")
    collection.settings = collection.settings.model_copy(update={"source": "drive:abc"})
    with pytest.raises(SourceError, match=r"still in drive:abc.*tenarai nightly"):
        collection.forget()


def test_an_unknown_path_is_an_error_and_the_command_says_what_is_not_removed(collection):
    with pytest.raises(SettingsError, match=r"no file is known at digits/4/none\.png"):
        collection.forget("digits/4/none.png")
    arguments = ["forget", "--source", collection.source, "--store", str(collection.place), PATH]
    done = CliRunner().invoke(main, arguments, env={"TENARAI_LANGUAGE": "en"}, catch_exceptions=False)
    assert "Not removed: reports that were sent" in done.output
    assert "1 file was forgotten" in done.output
