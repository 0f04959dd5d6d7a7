"""Many collections: a table each in one file, a night each under one limit."""

import json

import pytest
from prefect.client.orchestration import get_client

from flows.nightly import nightly
from tenarai.errors import SettingsError
from tenarai.orchestration.fan_out import read_collections, settings_of
from tenarai.settings import TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import fill

QUICK = TrainingSettings(recipe="mlp", max_epochs=3, patience=3, folds=2)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Three collections that this worker knows."""
    tables = [
        f'[class-{name}]\nsource = "folder:{tmp_path / name}"\nstore = "{tmp_path / "stores" / name}"\n'
        for name in ("1a", "1b", "2a")
    ]
    (tmp_path / "collections.toml").write_text("\n".join(tables) + 'language = "ja"\n')
    monkeypatch.setenv("TENARAI_COLLECTIONS", str(tmp_path / "collections.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "collections.toml"


@pytest.fixture
def deployment(prefect):
    """`nightly/collection`, with nobody there to run it."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(nightly)
        made = client.create_deployment(flow_id, "collection", entrypoint="flows/nightly.py:nightly")
        yield client, made
        for run in runs_of(client, made):
            client.delete_flow_run(run.id)


def runs_of(client, deployment_id):
    return [run for run in client.read_flow_runs() if run.deployment_id == deployment_id]


def test_a_collection_has_its_own_settings_and_the_environments_for_the_rest(file, tmp_path, monkeypatch):
    monkeypatch.setenv("TENARAI_SOURCE", "folder:/elsewhere")
    monkeypatch.setenv("TENARAI_DRIVE_THREADS", "3")
    known = read_collections(str(file))
    assert list(known) == ["class-1a", "class-1b", "class-2a"]
    assert known["class-1b"].source == f"folder:{tmp_path / '1b'}"
    assert [settings.language for settings in known.values()] == ["en", "en", "ja"]
    assert {settings.drive_threads for settings in known.values()} == {3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "cannot be read.*TOML"),
        ("a = 1", "'a'.*is off.*a table"),
        ('[a]\nsource = "folder:x"', "'a'.*is off.*source, store"),
        ('[a]\nsource = "folder:x"\nstore = "y"\nsauce = "z"', "'a'.*is off.*nothing that is no setting.*sauce"),
        ('[a]\nsource = "folder:x"\nstore = "y"\nlanguage = "fr"', "'a'.*is off.*language = 'fr'"),
        ('[a]\nsource = "folder:x"\nstore = "y"\n[b]\nsource = "folder:z"\nstore = "y"', "'a'.*a store of its own"),
    ],
)
def test_a_file_that_is_off_is_one_clear_message(tmp_path, text, message):
    (tmp_path / "collections.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_collections(str(tmp_path / "collections.toml"))


def test_a_file_that_is_not_there_is_one_clear_message(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot be read.*No such file"):
        read_collections(str(tmp_path / "none.toml"))


def test_a_collection_that_nobody_knows_is_one_clear_message(file, monkeypatch):
    with pytest.raises(SettingsError, match="'class-9z' is not known here.*3 others"):
        settings_of("class-9z")
    monkeypatch.delenv("TENARAI_COLLECTIONS")
    with pytest.raises(SettingsError, match="TENARAI_COLLECTIONS"):
        settings_of("class-1a")


def test_a_night_of_one_collection_works_on_its_own_folder_and_store(prefect, file, tmp_path):
    fill(tmp_path / "1b", num_each=4)
    outcome = nightly(collection="class-1b", training=QUICK, return_state=True).result()
    store = open_store(str(tmp_path / "stores/1b"), create=False)
    report = json.loads(store.read("reports", outcome.run, "report.json"))
    assert report["num_images"] == 40
    assert [path.name for path in (tmp_path / "stores").iterdir()] == ["1b"]


def test_a_night_that_names_nothing_orders_one_for_each_collection(deployment, file):
    client, made = deployment
    state = nightly(force=True, training=QUICK, return_state=True)
    assert state.message == "ordered 3 nights"
    ordered = {run.parameters["collection"]: run for run in runs_of(client, made)}
    assert set(ordered) == {"class-1a", "class-1b", "class-2a"}
    for run in ordered.values():
        assert run.parameters["force"] is True
        assert run.parameters["training"] == QUICK.model_dump(mode="json")
        assert not {"source", "store", "catalogue"} & run.parameters.keys()  # addresses stay in the worker's file


def test_a_collection_that_is_not_done_with_its_last_night_is_given_no_second_one(deployment, file):
    from prefect.states import Completed

    client, made = deployment
    nightly(return_state=True)
    done = next(run for run in runs_of(client, made) if run.parameters["collection"] == "class-1b")
    client.set_flow_run_state(done.id, Completed(), force=True)
    again = nightly(return_state=True)
    assert again.message == "ordered 1 night; 2 collections are not done with the last one"
    assert len(runs_of(client, made)) == 4


def test_the_nights_of_many_collections_are_deployed_and_wait_for_each_other():
    from tests.test_deployments import SPEC

    collection = next(one for one in SPEC["deployments"] if one["name"] == "collection")
    assert collection["concurrency_limit"]["collision_strategy"] == "ENQUEUE"
    assert "schedules" not in collection
