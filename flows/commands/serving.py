"""Prefect on this machine: `up`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the Prefect UI.")
def up(port: int) -> None:
    """Start server, pools, deployments and both workers on this machine, until Ctrl-C."""
    from flows.up import run_up

    sys.exit(run_up(port=port))
