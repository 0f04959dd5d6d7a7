"""A label that a person wants as it is: `confirm-label`."""

from __future__ import annotations

import click

from tenarai.cli.options import read_settings, say, source_option, store_option
from tenarai.locale import _


@click.command("confirm-label")
@source_option
@store_option
@click.argument("label", metavar="LABEL")
def confirm_label(source: str | None, store: str | None, label: str) -> None:
    """Use LABEL as a label, whatever it looks like; its images wait no longer."""
    from tenarai.night import open_night
    from tenarai.sync.source import confirm_label

    night = open_night(read_settings(source=source, store=store))
    with night.lock(), night.catalogue() as catalogue:
        confirm_label(catalogue, night.settings.source, label, night.run)
    say(_("{label} is a label from the next night on", label=label))
