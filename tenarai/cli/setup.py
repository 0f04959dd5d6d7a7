"""Set up: `connect`, `doctor`, `check`, `forget`, `up`, `deploy`, `watch`, `notify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenarai.cli.options import read_language, read_settings, say, source_option, store_option, visible
from tenarai.errors import SettingsError
from tenarai.locale import _, plural, translate
from tenarai.orchestration import KINDS

if TYPE_CHECKING:
    from rich.progress import TaskID

MARKS = {"ok": "[green]✓[/]", "note": "·", "wrong": "[red]✗[/]"}


@click.command()
@source_option
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding.")
def doctor(source: str | None, store: str | None, as_json: bool) -> None:
    """Check source, store, device and Prefect, and say how to fix them."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tenarai.orchestration.doctor import examine

    language, num_wrong = read_language(), 0
    for finding in examine(read_settings(source=source, store=store)):
        num_wrong += finding.state == "wrong"
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(width=8)
        line.add_column(overflow="fold")
        text, fix = translate(finding.text, language), translate(finding.fix, language)
        line.add_row(MARKS[finding.state], finding.about, Text(visible(f"{text}\n→ {fix}" if fix else text)))
        Console(highlight=False).print(line)
    if as_json:
        sys.exit(bool(num_wrong))
    click.echo()
    if num_wrong:
        say(plural("{n} problem stops the night", "{n} problems stop the night", num_wrong), fg="red", err=True)
        sys.exit(1)
    say(_("nothing stops the night"), bold=True)


@click.command()
@store_option
@click.option("--repair", is_flag=True, help="Remove what is damaged and can be made again.")
def check(store: str | None, repair: bool) -> None:
    """Check every file of the store, and repair what can be."""
    from rich.progress import Progress

    from tenarai.check import check_store

    language = read_language()
    with Progress(transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def listen(subject: str, done: int, total: int) -> None:
            if subject not in bars:
                bars[subject] = progress.add_task(subject, total=total)
            progress.update(bars[subject], completed=done)

        faults = check_store(read_settings(store=store), repairing=repair, listen=listen)
    for fault in faults:
        say(_("{where}: {what}", where=fault.where, what=fault.what), fg="yellow" if fault.repaired else "red")
        click.echo(f"  → {translate(fault.repaired or fault.fix, language)}")
    if any(not fault.repaired for fault in faults):
        say(plural("{n} fault was found", "{n} faults were found", len(faults)), fg="red", err=True)
        sys.exit(1)
    say(_("repaired; run a night, then check again") if faults else _("the store is whole"), bold=True)


@click.command()
@source_option
@store_option
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
def forget(source: str | None, store: str | None, paths: tuple[str, ...]) -> None:
    """Remove pictures that were deleted from all that is kept.

    PATH is the file's path inside the source, as the reports show it. Delete the file there first.
    """
    from tenarai.forget import forget

    for path in paths:
        forget(read_settings(source=source, store=store), path, say)
    say(_("Not removed: reports that were sent, artifacts in Prefect, copies of the store, and what models learned."))
    say(_("The next night trains a model without it. `tenarai models` and `tenarai rollback` change the champion now."))


@click.command()
@click.option("--client", type=click.Path(path_type=Path), help="OAuth client from Google's console.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to keep the permission. Default: in .tenarai.")
@click.option("--reports", is_flag=True, help="Ask to send reports into a folder that Tenarai makes on your Drive.")
@click.option("--reports-anywhere", is_flag=True, help="Ask to write into any folder, such as the source's reports/.")
@click.option("--browser/--no-browser", default=True, help="Open a browser here. Default: yes.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port the browser comes back to. Default: any.")
def connect(
    client: Path | None, out: Path | None, reports: bool, reports_anywhere: bool, browser: bool, port: int
) -> None:
    """Connect Tenarai with your images, on this machine or Google Drive.

    Without options it asks a few questions and writes .env. With --client it asks Google for permission to read your
    Drive as yourself.
    """
    from tenarai.cli.connect import DEFAULT_FILE, WAYS, ask_google, ask_settings

    scopes = {"reports": reports, "everything": reports_anywhere}
    if client:
        ask_google(client, out or Path(DEFAULT_FILE), read_settings(), browser=browser, port=port, **scopes)
    elif sys.stdin.isatty():
        ask_settings(Path(".env"))
    else:
        say(WAYS)


@click.command()
@click.option("--port", type=click.IntRange(1, 65534), default=4200, show_default=True, help="Port of the Prefect UI.")
@click.option("--now", is_flag=True, help="Start the first night at once and open its page.")
@click.option(
    "--database", metavar="URL", default="", help="Prefect's database. Default: SQLite; postgresql+asyncpg://…"
)
@click.option("--reset", is_flag=True, help="Undo changes of schedules and parameters in the UI.")
def up(port: int, now: bool, database: str, reset: bool) -> None:
    """Run the Prefect server and its workers, until Ctrl-C.

    With pools and deployments, on this machine; the nights then run by themselves.
    """
    from tenarai.cli.daily import make_sample_if_default
    from tenarai.orchestration.up import run_up

    make_sample_if_default(read_settings())
    sys.exit(run_up(port=port, start_now=now, database=database, reset=reset))


@click.command()
@click.option(
    "--pools",
    type=click.Choice(["process", "docker", "kubernetes"]),
    default="process",
    show_default=True,
    help="Type of the work pools.",
)
@click.option(
    "--template",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Base job template of the pools, JSON.",
)
@click.option("--reset", is_flag=True, help="Undo changes of schedules and parameters in the UI.")
def deploy(pools: str, template: Path | None, reset: bool) -> None:
    """Set up pools and deployments on a server.

    On the Prefect server that PREFECT_API_URL names; doing it again changes nothing.
    """
    from tenarai.orchestration.deploy import deploy as deploy_all

    deploy_all(pool_type=pools, template=template, reset=reset)
    say(_("pools and deployments are set up. Start `tenarai watch` and a worker for each pool; see `tenarai doctor`"))


@click.command()
def watch() -> None:
    """Look after the runs of a server, until Ctrl-C.

    On the Prefect server that PREFECT_API_URL names: runs without heartbeats are ended, and a night that lost its
    process is started again. `tenarai up` does this by itself.
    """
    from tenarai.orchestration.watchdog import watch as watch_runs

    watch_runs(say)


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

    if not addresses and (kinds or not (off or try_it)):
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
    if addresses:
        set_up_notices(addresses, kinds or KINDS)
        say(_("notices are on: {kinds}", kinds=", ".join(kinds or KINDS)))
    if try_it and not try_notices(read_language()):
        raise SettingsError(_("the test notice was not accepted"), fix=_("check the address and its password"))
