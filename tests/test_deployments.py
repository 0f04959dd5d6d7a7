"""prefect.yaml and prefect.toml: Prefect ignores unknown keys silently, so they are checked here."""

import inspect
import tomllib
from datetime import timedelta

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.flows import load_flow_from_entrypoint

from tenarai.errors import SettingsError
from tenarai.orchestration import FILES, watchdog
from tenarai.orchestration.deploy import deploy, read_spec
from tenarai.orchestration.pools import CPU_POOL, GPU_DEPLOYMENT, GPU_POOL
from tenarai.orchestration.runs import enter_project
from tenarai.orchestration.server import no_answer

SPEC = yaml.safe_load((FILES.parents[1] / "prefect.yaml").read_text())
SETTINGS = tomllib.loads((FILES.parents[1] / "prefect.toml").read_text())
KNOWN = {"name", "description", "tags", "entrypoint", "schedules", "concurrency_limit", "work_pool", "parameters"}


def flow_of(deployment):
    return load_flow_from_entrypoint(deployment["entrypoint"])


def test_checkout_and_package_read_the_same_files():
    assert read_spec() == SPEC
    assert tomllib.loads((FILES / "prefect.toml").read_text()) == SETTINGS


def test_every_deployment_uses_keys_that_prefect_knows():
    for deployment in SPEC["deployments"]:
        assert set(deployment) <= KNOWN
        assert deployment["description"]


def test_every_entrypoint_is_a_flow_and_every_parameter_is_one_of_its_own():
    for deployment in SPEC["deployments"]:
        flow = flow_of(deployment)
        assert flow.name
        assert set(deployment.get("parameters", {})) <= set(inspect.signature(flow.fn).parameters)


def test_the_night_orders_its_training_under_the_name_that_is_deployed():
    deployed = {f"{flow_of(deployment).name}/{deployment['name']}" for deployment in SPEC["deployments"]}
    assert GPU_DEPLOYMENT in deployed
    assert "nightly/nightly" in deployed


def test_only_training_runs_on_the_gpu_pool():
    pools = {deployment["name"]: deployment["work_pool"]["name"] for deployment in SPEC["deployments"]}
    assert pools == {"nightly": CPU_POOL, "gpu": GPU_POOL, "study": CPU_POOL, "rollback": CPU_POOL}


def test_the_process_of_a_run_gets_the_settings_that_it_cannot_read_from_prefect_toml():
    for deployment in SPEC["deployments"]:
        env = deployment["work_pool"]["job_variables"]["env"]
        assert env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(SETTINGS["flows"]["heartbeat_frequency"])
        assert env["PREFECT_LOGGING_EXTRA_LOGGERS"] == SETTINGS["logging"]["extra_loggers"]


def test_two_nights_never_run_at_once():
    nightly = SPEC["deployments"][0]
    assert nightly["concurrency_limit"]["limit"] == 1
    assert nightly["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"
    assert nightly["concurrency_limit"]["grace_period_seconds"] <= 3600


def test_a_worker_that_does_not_know_its_project_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PROJECT_ROOT", str(tmp_path))
    assert enter_project() == {"directory": str(tmp_path)}
    for root in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("PROJECT_ROOT", root)
        with pytest.raises(SettingsError, match="set PROJECT_ROOT where the worker is started"):
            enter_project()


def test_every_field_of_the_run_form_has_a_title_a_description_and_is_listed():
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(flow_of(SPEC["deployments"][0]).fn)
    plain = [name for name in schema.properties if name not in {"training", "evaluation", "gate"}]
    assert plain[:2] == ["source", "store"]
    for name in ("TrainingSettings", "EvaluationSettings", "GateSettings"):
        for field, form in schema.definitions[name]["properties"].items():
            assert form.get("title"), field
            assert form.get("description"), field
    for name in plain:
        assert schema.properties[name].get("description"), name


def test_the_form_of_a_study_has_a_few_flat_fields_and_one_box_all_of_them_described():
    from prefect.utilities.callables import parameter_schema

    study = next(deployment for deployment in SPEC["deployments"] if deployment["name"] == "study")
    schema = parameter_schema(flow_of(study).fn)
    for name, field in schema.properties.items():
        assert name == "form" or field.get("description"), name
    for field, form in schema.definitions["StudySettings"]["properties"].items():
        assert form.get("title"), field
        assert form.get("description"), field


def test_the_settings_for_prefect_are_ones_it_has():
    from prefect.settings import get_current_settings

    for key, value in _flat(SETTINGS):
        found = get_current_settings()
        for part in key:
            assert part in type(found).model_fields, key
            found = getattr(found, part)
        assert value is not None


def _flat(table, before=()):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, (*before, key))
        else:
            yield (*before, key), value


# ---- on a server


def nightly(client):
    return client.read_deployment_by_name("nightly/nightly")


def test_deploying_again_makes_nothing_twice_and_keeps_what_a_person_changed(prefect, monkeypatch):
    monkeypatch.setenv("TENARAI_NIGHTLY_AT", "04:30")
    monkeypatch.setenv("TENARAI_TIMEZONE", "Europe/Berlin")
    with get_client(sync_client=True) as client:
        for one in client.read_deployments():  # what another test left on the server is not the first deployment
            client.delete_deployment(one.id)
        deploy()
        schedule = nightly(client).schedules[0]
        assert (schedule.schedule.cron, schedule.schedule.timezone) == ("30 4 * * *", "Europe/Berlin")
        assert schedule.active

        clock = schedule.schedule.model_copy(update={"cron": "15 6 * * *"})
        client.update_deployment_schedule(nightly(client).id, schedule.id, active=False, schedule=clock)
        client.update_deployment(nightly(client).id, DeploymentUpdate(parameters={"force": True}))
        deploy()
        (schedule,) = nightly(client).schedules
        assert (schedule.schedule.cron, schedule.active) == ("15 6 * * *", False)
        assert nightly(client).parameters == {"force": True}

        deploy(reset=True)
        (schedule,) = nightly(client).schedules
        assert (schedule.schedule.cron, schedule.active) == ("30 4 * * *", True)
        assert nightly(client).parameters == {}
        assert nightly(client).global_concurrency_limit.limit == 1
        assert nightly(client).concurrency_options.collision_strategy == "CANCEL_NEW"
        names = [deployment.name for deployment in client.read_deployments()]
        assert all(names.count(one["name"]) == 1 for one in SPEC["deployments"])
        assert {client.read_work_pool(pool).type for pool in (CPU_POOL, GPU_POOL)} == {"process"}


def test_a_run_is_given_more_time_by_the_watchdog_than_by_itself():
    for deployment in SPEC["deployments"]:
        assert timedelta(seconds=flow_of(deployment).timeout_seconds) < watchdog.LONGEST_RUN


def test_a_run_is_given_up_as_never_begun_when_its_slot_is_given_up():
    limits = [one["concurrency_limit"] for one in SPEC["deployments"] if "concurrency_limit" in one]
    assert {limit["grace_period_seconds"] for limit in limits} == {watchdog.STARTING.total_seconds()}


def test_a_dead_run_is_noticed_after_missing_several_heartbeats():
    assert 3 * timedelta(seconds=SETTINGS["flows"]["heartbeat_frequency"]) <= watchdog.HEARTBEATS


def test_a_server_that_times_out_without_a_text_is_still_reported():
    error = no_answer("http://127.0.0.1:4200/api", TimeoutError())
    assert "TimeoutError" in str(error)
    assert "tenarai up" in str(error)
