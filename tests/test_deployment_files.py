"""Files for systemd, Docker and Kubernetes: parsed and checked, since none of them can be run where the tests run."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

PLACE = Path(__file__).resolve().parents[1] / "deployments"
UNITS = sorted((PLACE / "systemd").glob("*.service"))
COMPOSE = yaml.safe_load((PLACE / "docker/many.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
TEMPLATES = {
    "kubernetes/cpu-job.json": "kubernetes",
    "kubernetes/gpu-job.json": "kubernetes",
    "docker/job.json": "docker",
}


def texts(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(key)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


# ---- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_one_that_systemd_takes_and_gives_away_little(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=50", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout[-600:] + rated.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_at_boot_and_again_after_it_died_and_holds_no_secret(unit):
    text = unit.read_text()
    for line in ("WantedBy=multi-user.target", "Restart=always", "User=tenarai", "ProtectSystem=strict"):
        assert line in text
    assert "AUTH_STRING" not in text
    assert re.search(r"^EnvironmentFile=/etc/tenarai/\w+\.env$", text, re.M)


def test_the_units_start_what_exists():
    programs = {
        Path(word).name for unit in UNITS for word in re.findall(r"^ExecStart\w*=(\S+)", unit.read_text(), re.M)
    }
    assert programs == {"prefect", "python", "tenarai", "wait-for-server"}
    assert (PLACE / "systemd/wait-for-server").stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(PLACE / "systemd/wait-for-server")]).returncode == 0


def test_each_workers_environment_names_settings_that_exist():
    from tenarai.settings import Settings

    for file in (PLACE / "systemd").glob("*.env"):
        for name in re.findall(r"^#? ?TENARAI_(\w+)=", file.read_text(), re.M):
            assert name.lower() in Settings.model_fields, name


# ---- Docker


def test_no_service_is_open_to_the_network_or_privileged():
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "privileged" not in service, name
        assert not any("docker.sock" in volume for volume in service.get("volumes", [])), name
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_no_password_is_written_down_and_none_may_be_empty():
    for text in texts(COMPOSE):
        if "AUTH_STRING" in text or "PASSWORD" in text:
            assert "${TENARAI_PASSWORD" in text or text.isupper() or text.replace("_", "").isalnum()
    assert "${TENARAI_PASSWORD:?" in SERVICES["api"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]


def test_services_wait_for_services_that_exist_and_images_have_versions():
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert "build" in service or re.search(r":\d", service["image"])
        if "build" in service:
            assert (PLACE / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_the_server_is_laid_out_as_the_test_of_many_machines_runs_it():
    tested = (PLACE.parent / "tests/test_many_machines.py").read_text()
    for name, value in SERVICES["api"]["environment"].items():
        if "redis" in value and not value.startswith("redis:"):
            assert f'"{name}": "{value}"' in tested, name


def test_only_the_cpu_worker_sees_the_photos_and_cannot_write_to_them():
    for name, service in SERVICES.items():
        photos = [volume for volume in service.get("volumes", []) if "PHOTOS" in volume]
        assert bool(photos) == (name == "cpu-worker")
        assert all(volume.endswith(":ro") for volume in photos)


@pytest.mark.parametrize("file", ["docker/Dockerfile", "gpu/Dockerfile"])
def test_an_image_copies_what_exists_and_does_not_run_as_root(file):
    text = (PLACE / file).read_text()
    for sources in re.findall(r"^COPY (.+) \S+$", text, re.M):
        for source in sources.split():
            assert (PLACE.parent / source).exists(), source
    assert re.search(r"^USER tenarai$", text, re.M)
    assert re.search(r"^FROM \S+:\d", text, re.M)


def test_one_container_runs_everything_from_the_same_image():
    (service,) = yaml.safe_load((PLACE / "docker/compose.yaml").read_text())["services"].values()
    assert service["command"] == "tenarai up"
    assert (PLACE / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert "${PHOTOS:?" in service["volumes"][0]


# ---- Kubernetes


def default_template(kind):
    """Prefect's own, as it lies in its package."""
    text = (files("prefect.server.api") / "collections_data/views/aggregate-worker-metadata.json").read_text()
    return next(found[kind] for found in json.loads(text).values() if kind in found)["default_base_job_configuration"]


@pytest.mark.parametrize("file", TEMPLATES)
def test_a_job_template_is_prefects_own_with_defaults_of_ours(file):
    template, default = json.loads((PLACE / file).read_text()), default_template(TEMPLATES[file])
    assert template.keys() == default.keys()
    assert template["job_configuration"].keys() == default["job_configuration"].keys()
    assert template["variables"]["properties"].keys() == default["variables"]["properties"].keys()
    placeholders = {name for text in texts(template["job_configuration"]) for name in re.findall(r"{{ (\w+) }}", text)}
    assert placeholders == set(template["variables"]["properties"])


@pytest.mark.parametrize("file", TEMPLATES)
def test_the_server_takes_the_template(prefect, file):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    template = json.loads((PLACE / file).read_text())
    with get_client(sync_client=True) as client:
        pool = client.create_work_pool(
            WorkPoolCreate(name=file.replace("/", "-"), type=TEMPLATES[file], base_job_template=template)
        )
        assert pool.base_job_template["variables"] == template["variables"]
        client.delete_work_pool(pool.name)


def test_jobs_have_no_privileges_no_token_a_time_limit_and_a_gpu_only_where_it_is_asked_for():
    for pool in ("cpu", "gpu"):
        job = json.loads((PLACE / f"kubernetes/{pool}-job.json").read_text())["job_configuration"]["job_manifest"][
            "spec"
        ]
        pod, container = job["template"]["spec"], job["template"]["spec"]["containers"][0]
        assert job["activeDeadlineSeconds"] > 7 * 3600  # after everything else had its chance to end the run
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["runAsNonRoot"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (pool == "gpu")


@pytest.mark.parametrize("file", sorted((PLACE / "kubernetes").glob("*.yaml")), ids=lambda file: file.stem)
def test_helm_values_parse_ask_for_the_password_and_hold_none(file):
    values = yaml.safe_load(file.read_text())
    part = values["server"] if "server" in values else values["worker"]["selfHostedServerApiConfig"]
    assert part["basicAuth"] == {"enabled": True, "existingSecret": "prefect-auth"}
    assert not [text for text in texts(values) if text.startswith("tenarai:")]


def test_every_pool_has_a_worker_and_a_template():
    from tenarai.orchestration.pools import CPU_POOL, GPU_POOL

    for pool in (CPU_POOL, GPU_POOL):
        values = yaml.safe_load((PLACE / f"kubernetes/{pool}-worker.yaml").read_text())
        assert values["worker"]["config"] == {"workPool": pool, "type": "kubernetes"}
        assert (PLACE / f"kubernetes/{pool}-job.json").is_file()
