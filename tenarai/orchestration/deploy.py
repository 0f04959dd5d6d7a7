"""`tenarai deploy`: pools, deployments and automations on the Prefect server that `PREFECT_API_URL` names.

Everything may be done again: pools and deployments are replaced, automations are found by their names. The switch of a
schedule stays as a person left it in the UI.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenarai.errors import TenaraiError
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.server import reach_server

PROJECT = Path(__file__).resolve().parents[2]
AUTOMATIONS = PROJECT / "deployments/automations.yaml"


def deploy(*, pool_type: str = "process", template: Path | None = None) -> None:
    """Make pools, deployments and automations.

    Args:
        pool_type: What the workers start runs in: process, docker or kubernetes.
        template: Base job template of both pools, a JSON file. Default: Prefect's own.

    Raises:
        TenaraiError: No server answers, a command of Prefect failed, or the server does not take an automation.
    """
    reach_server()
    given = ["--base-job-template", str(template.resolve())] if template else []
    for pool in (CPU_POOL, GPU_POOL):
        _prefect("work-pool", "create", pool, "--type", pool_type, *given, "--overwrite")
    _prefect("--no-prompt", "deploy", "--all")
    apply_automations()


def apply_automations(automations: Sequence[Any] = ()) -> None:
    """Make each automation, or replace the one of its name.

    Args:
        automations: Prefect's own records. Default: those of deployments/automations.yaml.

    `triggers:` in prefect.yaml would be tidier, but can only start a deployment, never change a run's state.

    Raises:
        TenaraiError: The server cannot be reached or refuses one.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    with get_client(sync_client=True) as client:
        try:
            for name in () if automations else read_retired():
                for retired in client.read_automations_by_name(name):
                    client.delete_automation(retired.id)
            for automation in automations or read_automations():
                known = client.read_automations_by_name(automation.name)
                if not known:
                    client.create_automation(automation)
                elif _differs(known[0], automation):  # else leave what it has counted so far
                    client.update_automation(known[0].id, automation.model_copy(update={"enabled": known[0].enabled}))
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise TenaraiError(
                "the Prefect server did not take the automations", received=str(error), fix="check PREFECT_API_URL"
            ) from error


def _differs(known: Any, wanted: Any) -> bool:
    of_the_server: dict[str, Any] = {"id": True, "enabled": True, "trigger": {"id"}}
    mine = type(wanted).model_validate(known.model_dump(mode="json"))
    return bool(mine.model_dump(exclude=of_the_server) != wanted.model_dump(exclude=of_the_server))


def read_automations() -> list[Any]:
    """The automations of deployments/automations.yaml, as Prefect's own records."""
    import yaml
    from prefect.events.schemas.automations import AutomationCore

    found = yaml.safe_load(AUTOMATIONS.read_text(encoding="utf-8"))
    return [AutomationCore.model_validate(one) for one in found["automations"]]


def read_retired() -> list[str]:
    """Names of automations of earlier versions, which today's would trip over."""
    import yaml

    return [str(name) for name in yaml.safe_load(AUTOMATIONS.read_text(encoding="utf-8"))["retired"]]


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", *arguments]
    # each worker fills in for itself where it starts its runs; filled in here, it would be this machine's folder
    env = {name: value for name, value in os.environ.items() if name != "PROJECT_ROOT"}
    env["PREFECT_CLI_PROMPT"] = "false"
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TenaraiError(
            f"`prefect {' '.join(arguments)}` failed",
            received=(done.stderr or done.stdout).strip()[-800:],
            fix="mend what it says, and do the same again",
        )
