"""Prefect, on this machine and on others: `up`, `deploy`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the Prefect UI.")
@click.option("--now", is_flag=True, help="Start the first night at once and open its page.")
@click.option(
    "--database", metavar="URL", default="", help="Prefect's database. Default: SQLite; postgresql+asyncpg://…"
)
@click.option("--reset", is_flag=True, help="Put schedules, parameters and switches back that were changed in the UI.")
def up(port: int, now: bool, database: str, reset: bool) -> None:
    """Start server, pools, deployments and both workers on this machine, until Ctrl-C."""
    from tenarai.orchestration.up import run_up

    sys.exit(run_up(port=port, start_now=now, database=database, reset=reset))


@click.command()
@click.option(
    "--pools",
    type=click.Choice(["process", "docker", "kubernetes"]),
    default="process",
    show_default=True,
    help="What the workers start runs in.",
)
@click.option("--template", type=click.Path(exists=True, path_type=Path), help="Base job template of the pools, JSON.")
@click.option("--reset", is_flag=True, help="Put schedules, parameters and switches back that were changed in the UI.")
def deploy(pools: str, template: Path | None, reset: bool) -> None:
    """Make pools, deployments and automations on the server that PREFECT_API_URL names."""
    from tenarai.orchestration.deploy import deploy as deploy_all

    deploy_all(pool_type=pools, template=template, reset=reset)
