"""What the store promises: whole files or none, and a clear word when it cannot."""

import errno
import hashlib
import json
import multiprocessing
import stat

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


def test_a_store_of_another_version_is_refused_and_left_alone(tmp_path):
    (tmp_path / "store.json").write_text('{"version": 99}')
    with pytest.raises(StoreVersionError, match="another version.*version 3.*version 99.*new --store"):
        open_store(str(tmp_path))
    assert json.loads((tmp_path / "store.json").read_text()) == {"version": 99}


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
    with pytest.raises(StoreError, match="cannot be the name of a file"):
        open_store(str(tmp_path)).path("reports", name)


def test_json_is_written_the_same_for_the_same_value(tmp_path):
    store = open_store(str(tmp_path))
    store.write_json({"b": 1, "a": "字"}, "one", "a.json")
    store.write_json({"a": "字", "b": 1}, "two", "a.json")
    assert store.read("one", "a.json") == store.read("two", "a.json")
    store.write(store.read("one", "a.json"), "b.json")
    with pytest.raises(StoreError, match=r"b\.json.*damaged.*checksum"):
        store.read_json("b.json")


def test_damaged_json_says_which_file(tmp_path):
    store = open_store(str(tmp_path))
    store.write(b"{", "champion.json")
    with pytest.raises(StoreError, match=r"champion\.json.*damaged.*copy"):
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


def test_what_breaks_while_a_store_is_held_is_not_taken_for_the_store(tmp_path):
    store = open_store(str(tmp_path))
    with pytest.raises(ConnectionResetError, match="the network"), store.lock():
        raise ConnectionResetError("the network")
    with store.lock():
        pass


def test_an_object_store_holds_the_same_things():
    store = open_store("memory://tenarai-test")
    sha256 = store.put_original(b"ink")
    assert store.original(sha256) == b"ink"
    store.write_json({"a": 1}, "models", "m-1", "model.json")
    assert store.names("models") == ["m-1"]
    assert store.read_json("models", "m-1", "model.json") == {"a": 1}


def test_an_address_without_a_store_is_not_made_when_only_looked_at(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        open_store(str(tmp_path / "none"), create=False)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", ['{"version": "1"}', "[]", '{"version": null}', '{"version": 3}', "{"])
def test_a_damaged_store_json_is_reported(tmp_path, content):
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=r"store\.json.*damaged"):
        open_store(str(tmp_path))


def test_an_original_whose_bytes_changed_is_never_handed_out(tmp_path):
    store = open_store(str(tmp_path))
    sha256 = store.put_original(b"ink")
    store.path("blobs", sha256[:2], sha256).write_bytes(b"inc")
    with pytest.raises(StoreError, match=r"blobs/.*damaged.*tenarai check"):
        store.original(sha256)


def test_a_new_store_is_private_and_one_in_a_prepared_folder_keeps_its_permissions(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    for folder, modes in ((tmp_path / "a" / "own", (0o700, 0o600)), (shared, (0o750, 0o640))):
        store = open_store(str(folder))
        store.write(b"ink", "reports", "r", "report.html")
        files = [folder / "store.json", folder / "reports" / "r" / "report.html"]
        assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *files)] == [modes[0], modes[1], modes[1]]


def test_every_store_has_its_own_lock_key_wherever_it_is_opened_from(tmp_path):
    first, second = open_store(str(tmp_path / "a")), open_store(str(tmp_path / "b"))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert open_store(str(tmp_path / "link")).lock_key == first.lock_key != second.lock_key
