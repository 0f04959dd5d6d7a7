"""Two nights on one object store: one holds it, by a lease that it renews, gives back, or loses after its death."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tenarai.errors import StoreBusyError, StoreError
from tenarai.store import open_store
from tenarai.store.lease import FOLDER
from tests import services


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A bucket behind a real S3 endpoint."""
    import s3fs

    with (
        services.s3(tmp_path_factory.mktemp("s3") / "server", bucket="tenarai") as env,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in env.items():
            patch.setenv(name, value)
        yield "s3://tenarai"
    s3fs.S3FileSystem.clear_instance_cache()  # later tests have endpoints of their own


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.services)])
def address(request, tmp_path):
    """An empty object store: in memory, or on S3."""
    root = "memory://" if request.param == "memory" else request.getfixturevalue("s3") + "/"
    return root + tmp_path.name


def leave_a_lease(store, *, minutes, number=7):
    """As a night leaves it that was killed."""
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    store.write_json({"holder": "dead", "until": until.isoformat()}, FOLDER, f"{number:06}.json")


def test_who_comes_second_is_told_and_comes_in_when_the_first_is_done(address):
    first, second = open_store(address), open_store(address)
    told = r"another night works.*holds it until 20\d\d-.*wait"
    with first.lock(), pytest.raises(StoreBusyError, match=told), second.lock():
        pass
    with second.lock():
        assert len(leases_of(first)) == 1
    assert leases_of(first) == []


def leases_of(store):
    return store.names(FOLDER)


def test_the_lease_of_a_night_that_was_killed_runs_out(address):
    store = open_store(address)
    leave_a_lease(store, minutes=3)
    with pytest.raises(StoreBusyError), store.lock():
        pass
    leave_a_lease(store, minutes=-1)
    with store.lock():
        assert leases_of(store) == ["000008.json"]


def test_of_many_that_find_a_lease_run_out_one_gets_the_store(address):
    leave_a_lease(open_store(address), minutes=-1)
    held, refused, all_tried = [], [], threading.Barrier(8)

    def try_it():
        try:
            with open_store(address).lock():
                held.append(1)
                all_tried.wait(60)
        except StoreBusyError:
            refused.append(1)
            all_tried.wait(60)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)


def test_a_lease_is_renewed_while_the_night_works(address, monkeypatch):
    monkeypatch.setattr("tenarai.store.lease.RENEWED_EVERY", timedelta(seconds=0.1))
    monkeypatch.setattr("tenarai.store.lease.LASTS", timedelta(seconds=2))
    store = open_store(address)
    with store.lock():
        (name,) = leases_of(store)
        first = store.read_json(FOLDER, name)
        services.wait(lambda: store.read_json(FOLDER, name)["until"] > first["until"], 30)
        assert store.read_json(FOLDER, name)["holder"] == first["holder"]


def test_a_night_that_slept_while_another_took_the_store_keeps_its_hands_off(address, monkeypatch):
    monkeypatch.setattr("tenarai.store.lease.RENEWED_EVERY", timedelta(seconds=0.1))
    store = open_store(address)
    with store.lock():
        leave_a_lease(store, minutes=3)
        services.wait(lambda: "tenarai lease" not in {thread.name for thread in threading.enumerate()}, 30)
    assert leases_of(store) == ["000007.json"]


def test_what_is_no_lease_holds_nobody_off(address):
    store = open_store(address)
    store.write(b"{", FOLDER, "000001.json")
    with store.lock():
        assert leases_of(store) == ["000002.json"]


def test_a_store_that_cannot_be_written_says_so(address, monkeypatch):
    store = open_store(address)

    def refuse(*arguments, **options):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.root.fs, "pipe_file", refuse)
    with pytest.raises(StoreError, match=r"cannot be written.*Access Denied"), store.lock():
        pass


def test_a_lease_is_no_part_of_what_is_kept(address):
    store = open_store(address)
    with store.lock():
        assert list(store.files()) == [("store.json",)]
        assert json.loads(store.read("store.json"))
