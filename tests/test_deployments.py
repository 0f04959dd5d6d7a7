"""prefect.yaml and pyproject.toml: Prefect passes over unknown keys in silence, so they are checked here."""

import importlib
import inspect
import tomllib
from pathlib import Path

import yaml

from flows.train import GPU_DEPLOYMENT
from tenarai.orchestration.deploy import apply_automations, read_automations, read_retired
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.server import no_good_answer

PROJECT = Path(__file__).resolve().parents[1]
SPEC = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
KNOWN = {
    "name",
    "description",
    "tags",
    "entrypoint",
    "schedules",
    "concurrency_limit",
    "work_pool",
    "parameters",
    "version",
}


def flow_of(deployment):
    file, name = deployment["entrypoint"].split(":")
    return getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)


def test_every_deployment_uses_keys_that_prefect_knows():
    for deployment in SPEC["deployments"]:
        assert set(deployment) <= KNOWN


def test_every_entrypoint_is_a_flow_and_every_parameter_is_one_of_its_own():
    for deployment in SPEC["deployments"]:
        flow = flow_of(deployment)
        assert flow.name
        assert set(deployment.get("parameters", {})) <= set(inspect.signature(flow.fn).parameters)


def test_the_night_orders_its_training_under_the_name_that_is_deployed():
    deployed = {f"{flow_of(deployment).name}/{deployment['name']}" for deployment in SPEC["deployments"]}
    assert GPU_DEPLOYMENT in deployed
    assert "nightly/nightly" in deployed


def test_nights_run_on_the_cpu_pool_and_training_on_the_gpu_pool():
    pools = {deployment["name"]: deployment["work_pool"]["name"] for deployment in SPEC["deployments"]}
    assert pools == {"nightly": CPU_POOL, "collection": CPU_POOL, "gpu": GPU_POOL, "study": CPU_POOL}


def test_a_runs_process_is_told_what_it_cannot_read_from_pyproject():
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["prefect"]
    for deployment in SPEC["deployments"]:
        env = deployment["work_pool"]["job_variables"]["env"]
        assert env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(settings["flows"]["heartbeat_frequency"])
        assert env["PREFECT_LOGGING_EXTRA_LOGGERS"] == settings["logging"]["extra_loggers"]


def test_two_nights_never_run_at_once():
    nightly = SPEC["deployments"][0]
    assert nightly["concurrency_limit"]["limit"] == 1
    assert nightly["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"
    assert nightly["concurrency_limit"]["grace_period_seconds"] <= 3600


def test_a_schedule_switched_off_in_the_ui_stays_off():
    schedule = SPEC["deployments"][0]["schedules"][0]
    assert "active" not in schedule
    assert schedule["timezone"] == "Asia/Tokyo"
    assert schedule["cron"] == "0 2 * * *"


def test_every_field_of_the_run_form_has_a_title_a_description_and_is_listed():
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(flow_of(SPEC["deployments"][0]).fn)
    plain = ["source", "store", "collection", "force", "accept_changes"]
    assert list(schema.properties) == [*plain, "training", "evaluation", "gate"]
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
    assert list(schema.properties) == ["source", "store", "image", "label", "form"]
    for name, field in schema.properties.items():
        assert name == "form" or field.get("description"), name
    for field, form in schema.definitions["StudySettings"]["properties"].items():
        assert form.get("title"), field
        assert form.get("description"), field


def test_the_settings_for_prefect_are_ones_it_has(monkeypatch):
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    for key, value in _flat(tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["prefect"]):
        found = settings
        for part in key:
            assert part in type(found).model_fields, key
            found = getattr(found, part)
        assert value is not None


def test_the_automations_are_ones_that_prefect_takes_and_have_names_of_their_own():
    automations = read_automations()
    assert len({automation.name for automation in automations}) == len(automations) == 4
    for automation in automations:
        assert automation.description
        assert automation.trigger.posture == "Proactive"  # each waits for something that does not come
        assert set(automation.trigger.for_each) == {"prefect.resource.id"}


def test_an_automation_of_an_earlier_version_is_removed(prefect):
    from prefect.client.orchestration import get_client

    earlier = read_automations()[0].model_copy(update={"name": read_retired()[0]})
    apply_automations([earlier])
    apply_automations()
    with get_client(sync_client=True) as client:
        assert not client.read_automations_by_name(earlier.name)
        assert all(len(client.read_automations_by_name(one.name)) == 1 for one in read_automations())


def test_a_run_is_given_more_time_by_the_automation_than_by_itself():
    hung = next(one for one in read_automations() if "hang" in one.name)
    for deployment in SPEC["deployments"]:
        assert flow_of(deployment).timeout_seconds < hung.trigger.within.total_seconds()


def test_a_run_is_given_up_as_never_begun_when_its_slot_is_given_up():
    stuck = next(one for one in read_automations() if "never began" in one.name)
    graces = {one["concurrency_limit"]["grace_period_seconds"] for one in SPEC["deployments"]}
    assert graces == {stuck.trigger.within.total_seconds()}


def test_a_dead_run_is_noticed_after_missing_several_heartbeats():
    dead = next(one for one in read_automations() if "heartbeat" in one.name)
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["prefect"]
    assert dead.trigger.within.total_seconds() >= 3 * settings["flows"]["heartbeat_frequency"]


def _flat(table, before=()):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, (*before, key))
        else:
            yield (*before, key), value


def test_a_server_that_times_out_without_a_word_is_still_told_of():
    error = no_good_answer("http://127.0.0.1:4200/api", TimeoutError())
    assert "TimeoutError" in str(error)
    assert "tenarai up" in str(error)
