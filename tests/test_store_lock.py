"""One night at a time works on a store: a file lock on this machine, a lock in PostgreSQL for a remote store."""

import pytest
from sqlalchemy import create_engine, text

from tenarai.catalogue import hold_store, locate_catalogue
from tenarai.errors import SettingsError, StoreBusyError
from tenarai.settings import Settings
from tenarai.store import open_store


def settings(**given):
    return Settings(_env_file=None, **given)


@pytest.fixture
def remote(postgresql, tmp_path):
    """An object store whose catalogue is in PostgreSQL."""
    store = open_store(f"memory://{tmp_path.name}")
    return settings(store=store.address, catalogue=f"postgresql://{postgresql.make_database()}"), store


def test_a_second_night_on_a_local_store_is_refused(tmp_path):
    store = open_store(str(tmp_path))
    given = settings(store=str(tmp_path))
    with hold_store(given, store) as check:
        check()
        with pytest.raises(StoreBusyError, match="another night is running.*wait"), hold_store(given, store):
            pass
    with hold_store(given, store):
        pass


@pytest.mark.services
def test_a_second_night_on_a_remote_store_is_refused_until_the_first_has_ended(remote):
    with hold_store(*remote) as check:
        check()
        with pytest.raises(StoreBusyError, match="another night is running.*wait"), hold_store(*remote):
            pass
    with hold_store(*remote) as check:
        check()


@pytest.mark.services
def test_nights_on_two_remote_stores_with_one_catalogue_do_not_wait_for_each_other(remote, tmp_path):
    given, _ = remote
    with hold_store(*remote), hold_store(given, open_store(f"memory://{tmp_path.name}-other")):
        pass


@pytest.mark.services
def test_a_night_that_lost_its_connection_learns_it_before_it_promotes_anything(remote):
    given, store = remote
    engine = create_engine(locate_catalogue(given, store))
    with hold_store(given, store) as check:
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
        with pytest.raises(StoreBusyError, match="lock.*was lost.*run the night again"):
            check()
        with hold_store(given, store) as theirs:
            theirs()
            with pytest.raises(StoreBusyError, match="lock.*was lost"):
                check()
    engine.dispose()


@pytest.mark.parametrize("catalogue", ["", "sqlite:////tmp/catalogue.sqlite"])
def test_a_remote_store_without_postgresql_is_refused(catalogue):
    given = settings(store="memory://somewhere", catalogue=catalogue)
    with (
        pytest.raises(SettingsError, match="needs a catalogue in PostgreSQL"),
        hold_store(given, open_store(given.store)),
    ):
        pass


def test_a_question_mark_in_a_stores_path_does_not_send_its_catalogue_elsewhere(tmp_path):
    store = open_store(str(tmp_path / "what?" / "store"))
    assert locate_catalogue(settings(), store).database == str(tmp_path / "what?" / "store" / "catalogue.sqlite")
