"""A store as one file, and back: `backup`, `restore`."""

from __future__ import annotations

from pathlib import Path

import click

from tenarai.cli.options import read_settings, store_option


@click.command()
@store_option
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def backup(store: str | None, file: Path) -> None:
    """Write originals, models, history, reports and catalogue into FILE, a plain tar."""
    from tenarai.night import catalogue_address
    from tenarai.store import open_store
    from tenarai.store.backup import back_up

    settings = read_settings(store=store)
    opened = open_store(settings.store, create=False)
    number = back_up(opened, catalogue_address(settings, opened), file, click.echo)
    click.secho(f"{file}: {number} files, {file.stat().st_size:,} bytes", bold=True)


@click.command()
@click.option("--store", required=True, metavar="P", help="Where the store shall be; nothing may be there yet.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
def restore(store: str, file: Path) -> None:
    """Make a store from FILE, which `tenarai backup` wrote; the catalogue goes where TENARAI_CATALOGUE says."""
    from tenarai.store.backup import restore as restore_store

    settings = read_settings(store=store)
    number = restore_store(file, settings.store, settings.catalogue, click.echo)
    click.secho(f"{settings.store}: {number} files, as they were", bold=True)
