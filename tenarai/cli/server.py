"""Prefect, on this machine and on others: `up`, `deploy`, `notify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tenarai.cli.options import read_language, say
from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.orchestration import KINDS


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the Prefect UI.")
@click.option("--now", is_flag=True, help="Start the first night at once and open its page.")
@click.option(
    "--database", metavar="URL", default="", help="Prefect's database. Default: SQLite; postgresql+asyncpg://…"
)
@click.option("--reset", is_flag=True, help="Undo changes of schedules and parameters in the UI.")
def up(port: int, now: bool, database: str, reset: bool) -> None:
    """Run the Prefect server and its workers, until Ctrl-C.

    With pools and deployments, on this machine; the nights then run by themselves.
    """
    from tenarai.orchestration.up import run_up

    sys.exit(run_up(port=port, start_now=now, database=database, reset=reset))


@click.command()
@click.option(
    "--pools",
    type=click.Choice(["process", "docker", "kubernetes"]),
    default="process",
    show_default=True,
    help="Type of the work pools.",
)
@click.option("--template", type=click.Path(exists=True, path_type=Path), help="Base job template of the pools, JSON.")
@click.option("--reset", is_flag=True, help="Undo changes of schedules and parameters in the UI.")
def deploy(pools: str, template: Path | None, reset: bool) -> None:
    """Set up pools, deployments and automations on a server.

    On the Prefect server that PREFECT_API_URL names; doing it again changes nothing.
    """
    from tenarai.orchestration.deploy import deploy as deploy_all

    deploy_all(pool_type=pools, template=template, reset=reset)


@click.command()
@click.argument("addresses", metavar="[URL]…", nargs=-1)
@click.option(
    "--on", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; can be repeated. Default: all."
)
@click.option("--try", "try_it", is_flag=True, help="Send a test notice.")
@click.option("--off", is_flag=True, help="Stop sending notices.")
def notify(addresses: Sequence[str], kinds: Sequence[str], try_it: bool, off: bool) -> None:
    """Send notices of nights, such as to ntfy://my-topic.

    Each URL is an address of Apprise. Notices: promoted, kept, failed, quiet (nothing new for a week), token (a
    permission expires soon). The server that PREFECT_API_URL names keeps the addresses; new ones replace them.
    """
    from tenarai.orchestration.notices import remove_notices, set_up_notices, try_notices
    from tenarai.orchestration.server import reach_server

    if not addresses and not off:
        raise SettingsError(
            _("no address for notices is given"),
            expected=_("an address of Apprise, such as ntfy://my-topic or mailto://user:password@example.org"),
            fix=_("give one, or --off for no notices"),
        )
    reach_server()
    if off:
        remove_notices()
        say(_("notices are off"))
        return
    set_up_notices(addresses, kinds or KINDS)
    say(_("notices are on: {kinds}", kinds=", ".join(kinds or KINDS)))
    if try_it and not try_notices(read_language()):
        raise SettingsError(_("the test notice was not accepted"), fix=_("check the address and its password"))
