"""What the store promises: whole files or none, and a clear word when it cannot."""

import errno
import hashlib
import json
import multiprocessing

import pytest

from tenarai.errors import StoreBusyError, StoreError, StoreVersionError
from tenarai.store import open_store


def test_an_original_is_kept_once_under_its_digest(tmp_path):
    store = open_store(str(tmp_path))
    sha256 = store.put_original(b"ink")
    written = store.path("blobs", sha256[:2], sha256).stat().st_mtime_ns
    assert sha256 == hashlib.sha256(b"ink").hexdigest()
    assert store.put_original(b"ink") == sha256
    assert store.path("blobs", sha256[:2], sha256).stat().st_mtime_ns == written
    assert store.original(sha256) == b"ink"


def test_a_store_from_a_newer_version_is_refused_and_left_alone(tmp_path):
    (tmp_path / "store.json").write_text('{"format": 99}')
    with pytest.raises(StoreVersionError, match="newer version.*format 1 or older.*format 99.*upgrade"):
        open_store(str(tmp_path))
    assert json.loads((tmp_path / "store.json").read_text()) == {"format": 99}


def test_a_full_disk_loses_nothing_that_was_there(tmp_path, monkeypatch):
    store = open_store(str(tmp_path))
    store.write(b"old", "champion.json")

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StoreError, match="No space left.*free space"):
        store.write(b"new", "champion.json")
    assert store.read("champion.json") == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["champion.json", "store.json"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a\0b"])
def test_a_strangers_name_never_becomes_a_path(tmp_path, name):
    with pytest.raises(StoreError, match="no name for a file"):
        open_store(str(tmp_path)).path("reports", name)


def test_json_is_written_the_same_for_the_same_value(tmp_path):
    store = open_store(str(tmp_path))
    store.write_json({"b": 1, "a": "字"}, "one.json")
    store.write_json({"a": "字", "b": 1}, "two.json")
    assert store.read("one.json") == store.read("two.json")


def test_damaged_json_says_which_file(tmp_path):
    store = open_store(str(tmp_path))
    store.write(b"{", "champion.json")
    with pytest.raises(StoreError, match=r"champion\.json.*damaged.*backup"):
        store.read_json("champion.json")


def _hold(address, held, release):
    with open_store(address).lock():
        held.set()
        release.wait(30)


def test_two_nights_never_work_on_one_store_and_a_killed_one_frees_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), held, release))
    other.start()
    assert held.wait(30)
    with pytest.raises(StoreBusyError, match="another night"), open_store(str(tmp_path)).lock():
        pass
    other.kill()
    other.join()
    with open_store(str(tmp_path)).lock():
        pass


def test_an_object_store_holds_the_same_things():
    store = open_store("memory://tenarai-test")
    sha256 = store.put_original(b"ink")
    assert store.original(sha256) == b"ink"
    store.write_json({"a": 1}, "models", "m-1", "model.json")
    assert store.names("models") == ["m-1"]
    with store.local_copy("models", "m-1", "model.json") as path:
        assert json.loads(path.read_text()) == {"a": 1}


def test_an_address_without_a_store_is_not_made_when_only_looked_at(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        open_store(str(tmp_path / "none"), create=False)
    assert not (tmp_path / "none").exists()


def test_a_store_of_an_earlier_format_is_brought_up_to_date_step_by_step(tmp_path, monkeypatch):
    open_store(str(tmp_path))
    done = []
    monkeypatch.setattr("tenarai.store.store.FORMAT", 3)
    steps = {1: lambda store: done.append(1), 2: lambda store: done.append(2)}
    monkeypatch.setattr("tenarai.store.store.UPGRADES", steps)
    open_store(str(tmp_path))
    assert done == [1, 2]
    assert open_store(str(tmp_path)).read_json("store.json") == {"format": 3}
    assert done == [1, 2]


def test_an_upgrade_that_was_cut_off_goes_on_where_it_was(tmp_path, monkeypatch):
    open_store(str(tmp_path))
    done = []

    def cut_off(store):
        raise StoreError("the disk is full")

    monkeypatch.setattr("tenarai.store.store.FORMAT", 3)
    monkeypatch.setattr("tenarai.store.store.UPGRADES", {1: lambda store: done.append(1), 2: cut_off})
    with pytest.raises(StoreError, match="disk is full"):
        open_store(str(tmp_path))
    monkeypatch.setattr("tenarai.store.store.UPGRADES", {2: lambda store: done.append(2)})
    open_store(str(tmp_path))
    assert done == [1, 2]


def test_a_store_is_not_upgraded_under_a_night_that_works_on_it(tmp_path, monkeypatch):
    store = open_store(str(tmp_path))
    monkeypatch.setattr("tenarai.store.store.FORMAT", 2)
    monkeypatch.setattr("tenarai.store.store.UPGRADES", {1: lambda store: None})
    with store.lock(), pytest.raises(StoreBusyError, match="another night"):
        open_store(str(tmp_path))


@pytest.mark.parametrize("content", ['{"format": 0}', '{"format": "1"}', "[]", '{"format": null}'])
def test_a_file_that_names_no_format_is_no_store(tmp_path, content):
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match="no Tenarai store"):
        open_store(str(tmp_path))
