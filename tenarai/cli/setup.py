"""Before the first night: `doctor`, `connect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tenarai.cli.options import read_settings, source_option, store_option


@click.command()
@source_option
@store_option
def doctor(source: str | None, store: str | None) -> None:
    """Check source, credentials, store, device and Prefect, and say how to mend each."""
    from tenarai.orchestration.doctor import examine

    num_wrong = 0
    settings = read_settings(source=source, store=store)
    for finding in examine(settings):
        click.secho(finding.as_line(), fg="red" if finding.state == "wrong" else None)
        num_wrong += finding.state == "wrong"
    if num_wrong:
        click.secho(f"\n{num_wrong} of this stops the night", fg="red", err=True)
        sys.exit(1)
    click.secho("\nnothing stops the night", bold=True)


@click.command()
@click.option(
    "--client", type=click.Path(path_type=Path), help="OAuth client from Google's console. Default: tell both ways."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to keep the permission. Default: in .tenarai.")
@click.option("--reports", is_flag=True, help="Ask to send reports into a folder that Tenarai makes on your Drive.")
@click.option("--reports-anywhere", is_flag=True, help="Ask to write into any folder, such as the source's reports/.")
@click.option("--browser/--no-browser", default=True, help="Open a browser here. Default: yes.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port the browser comes back to. Default: any.")
def connect(
    client: Path | None, out: Path | None, reports: bool, reports_anywhere: bool, browser: bool, port: int
) -> None:
    """Let Tenarai read a folder on Google Drive: with --client as yourself; without, tells both ways step by step."""
    from tenarai.cli.connect import DEFAULT_FILE, WAYS
    from tenarai.cli.connect import connect as ask

    if client is None:
        click.echo(WAYS)
        return
    ask(
        client,
        out or Path(DEFAULT_FILE),
        read_settings(),
        reports=reports,
        everything=reports_anywhere,
        browser=browser,
        port=port,
        say=click.echo,
    )
