"""A power cut at any moment of a night: the next night completes, and nothing that was reported is lost."""

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flows.nightly import in_place, run_steps
from tenarai.catalogue import Catalogue, locate_catalogue, open_catalogue, repair
from tenarai.evaluate.promotions import history
from tenarai.night import open_night
from tenarai.settings import GateSettings, Settings, TrainingSettings
from tenarai.store import Store, open_store
from tests.collections_of_digits import fill, picture, save

QUICK = TrainingSettings(recipe="mlp", max_epochs=2, patience=1, folds=2)


def run_night(folder, store):
    settings = Settings(_env_file=None, source=f"folder:{folder}", store=str(store))
    night = open_night(settings, training=QUICK, gate=GateSettings(protect_regression_set=False))
    return run_steps(night, in_place)


@pytest.fixture
def collection(tmp_path):
    folder = fill(tmp_path / "folder", num_each=2)
    save(folder / "inbox" / "unknown.png", picture(1700))
    return folder


class Camera:
    """Copies the store after each write, each removal and each commit."""

    def __init__(self, store, place):
        self.store, self.place, self.copies = store, place, []

    def shoot(self, what):
        if what.startswith("blobs/") and len(self.copies) % 10 and self.copies[-1][0].startswith("blobs/"):
            self.copies.append((what, None))  # originals are alike: every tenth will do
            return
        copy = self.place / str(len(self.copies))
        shutil.copytree(self.store, copy, ignore=shutil.ignore_patterns("catalogue.sqlite*", "*.part", ".lock"))
        if (self.store / "catalogue.sqlite").exists():  # SQLite commits whole transactions or nothing
            with (
                closing(sqlite3.connect(self.store / "catalogue.sqlite")) as ours,
                closing(sqlite3.connect(copy / "catalogue.sqlite")) as theirs,
            ):
                ours.backup(theirs)
        (copy / ".report.json.0a1b2c3d.part").write_bytes(b'{"half": ')  # what was being written when the power went
        self.copies.append((what, copy))


@pytest.fixture
def camera(tmp_path, monkeypatch):
    camera = Camera(tmp_path / "store", tmp_path / "copies")
    write_by, remove, writing = Store.write_by, Store.remove, Catalogue.writing

    def write_and_shoot(self, fill, *parts):
        write_by(self, fill, *parts)
        camera.shoot("/".join(parts))

    def remove_and_shoot(self, *parts):
        remove(self, *parts)
        camera.shoot("without " + "/".join(parts))

    @contextmanager
    def commit_and_shoot(self):
        with writing(self) as connection:
            yield connection
        camera.shoot("commit")

    monkeypatch.setattr(Store, "write_by", write_and_shoot)
    monkeypatch.setattr(Store, "remove", remove_and_shoot)
    monkeypatch.setattr(Catalogue, "writing", commit_and_shoot)
    yield camera
    monkeypatch.undo()


@pytest.mark.slow
def test_after_a_power_cut_at_any_moment_the_next_night_completes(collection, tmp_path, camera, monkeypatch):
    run_night(collection, tmp_path / "store")
    save(collection / "digits" / "3" / "new.png", picture(1500))
    run_night(collection, tmp_path / "store")
    monkeypatch.undo()
    moments = [(what, copy) for what, copy in camera.copies if copy]
    assert len(moments) > 30
    print(f"{len(moments)} moments of two nights")  # pytest -rP
    for number, (what, copy) in enumerate(moments):
        before = history(open_store(str(copy)))
        reported = sorted(path.parent.name for path in copy.glob("reports/*/report.json"))
        assert run_night(collection, copy).verdict in {"promoted", "kept", "nothing new"}, (number, what)
        settings, store = Settings(_env_file=None, store=str(copy)), open_store(str(copy))
        assert history(store)[: len(before)] == before, (number, what)
        assert all((copy / "reports" / run / "report.json").exists() for run in reported), (number, what)
        with open_catalogue(locate_catalogue(settings, store)) as catalogue:
            assert not [*repair.find_damage(catalogue), *repair.find_bad_rows(catalogue)], (number, what)
            assert not repair.find_bad_originals(store, catalogue), (number, what)


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_next_write(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, Path.replace

    def note_fsync(descriptor):
        done.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def note_replace(self, target):
        done.append(("rename", str(self), str(target)))
        return replace(self, target)

    store = open_store(str(tmp_path / "store"))
    monkeypatch.setattr("tenarai.store.os.fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    sha256 = store.put_original(b"ink")
    store.write(b"{}", "reports", "r", "report.json")
    blobs, reports = tmp_path / "store" / "blobs", tmp_path / "store" / "reports"
    folders = [blobs / sha256[:2], reports / "r"]
    for folder, parent, name in zip(folders, (blobs, reports), (sha256, "report.json"), strict=True):
        draft = next(step[1] for step in done if step[0] == "rename" and step[2] == str(folder / name))
        steps = [
            ("fsync", draft),
            ("rename", draft, str(folder / name)),
            ("fsync", str(folder)),
            ("fsync", str(parent)),
        ]
        start = done.index(steps[0])
        assert done[start : start + 4] == steps
        assert done[start + 4] == ("fsync", str(tmp_path / "store"))
