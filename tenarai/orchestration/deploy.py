"""`tenarai deploy`: pools and deployments on the Prefect server that `PREFECT_API_URL` names.

Deploying again updates code and descriptions, and keeps what a person changed in the UI: schedules, default parameters
and switches. `--reset` puts those back, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.utilities.callables import parameter_schema

from tenarai.errors import SettingsError, TenaraiError
from tenarai.locale import _
from tenarai.orchestration import FILES
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.server import reach_server
from tenarai.settings import read_settings


def deploy(
    *,
    pool_type: str = "process",
    template: Path | None = None,
    reset: bool = False,
    reach: Callable[[], object] = reach_server,
) -> None:
    """Make or update pools and deployments.

    Args:
        pool_type: What the workers start runs in: process, docker or kubernetes.
        template: Base job template of both pools, a JSON file. Default: Prefect's own.
        reset: Whether schedules, default parameters and switches are put back, too.
        reach: Called before the server is needed, such as to wait for one that starts; the slow imports come first.

    Raises:
        TenaraiError: No server answers, or it refuses something.
    """
    spec = read_spec()
    flows: list[Flow[..., Any]] = [load_flow_from_entrypoint(one["entrypoint"]) for one in spec["deployments"]]
    jobs = _read_template(template) if template else _default_template(pool_type)
    reach()
    with get_client(sync_client=True) as client:
        try:
            for pool in (CPU_POOL, GPU_POOL):
                wanted = WorkPoolCreate(name=pool, type=pool_type, base_job_template=jobs)
                client.create_work_pool(wanted, overwrite=True)
            for flow, deployment in zip(flows, spec["deployments"], strict=True):
                _deploy(client, flow, deployment, spec["pull"], reset=reset)
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise TenaraiError(
                _("the Prefect server refused a deployment"),
                received=str(error),
                fix=_("check PREFECT_API_URL, and that Prefect's versions are equal"),
            ) from error


def read_spec() -> dict[str, Any]:
    """The content of prefect.yaml."""
    found: dict[str, Any] = yaml.safe_load((FILES / "prefect.yaml").read_text(encoding="utf-8"))
    return found


def _deploy(
    client: SyncPrefectClient, flow: Flow[..., Any], spec: dict[str, Any], pull: list[dict[str, Any]], *, reset: bool
) -> None:
    limit = dict(spec.get("concurrency_limit", {}))
    always: dict[str, Any] = {
        "version": version("tenarai"),
        "description": spec["description"],
        "tags": spec["tags"],
        "entrypoint": spec["entrypoint"],
        "pull_steps": pull,
        "work_pool_name": spec["work_pool"]["name"],
        "job_variables": spec["work_pool"]["job_variables"],
        "parameter_openapi_schema": parameter_schema(flow).model_dump(),
        "enforce_parameter_schema": True,
        "concurrency_limit": limit.pop("limit", None),
        "concurrency_options": limit or None,
    }
    try:
        known = client.read_deployment_by_name(f"{flow.name}/{spec['name']}")
    except ObjectNotFound:
        known = None
    if known is None or reset:
        schedules = [_schedule(one) for one in spec.get("schedules", [])]
        client.create_deployment(
            client.create_flow(flow),
            name=spec["name"],
            schedules=schedules,
            parameters=spec.get("parameters", {}),
            paused=False,
            **always,
        )
    else:
        client.update_deployment(known.id, DeploymentUpdate(**always))


def _schedule(spec: dict[str, Any]) -> DeploymentScheduleCreate:
    """When the nights begin: as the settings say, or else prefect.yaml."""
    settings = read_settings()
    hour, _colon, minute = settings.nightly_at.partition(":")
    cron = f"{int(minute)} {int(hour)} * * *" if hour else spec["cron"]
    clock = CronSchedule(cron=cron, timezone=settings.timezone or spec["timezone"])
    return DeploymentScheduleCreate(slug=spec["slug"], schedule=clock, active=True)


def _read_template(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            _("{file} cannot be read", file=str(file)),
            expected=_("a JSON object"),
            received=str(error),
            fix=_("check the path"),
        ) from error


def _default_template(pool_type: str) -> dict[str, Any]:
    from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type as find_template

    found: dict[str, Any] | None = run_coro_as_sync(find_template(pool_type))
    return found or {}
