"""Models for other programs: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenarai.cli.options import read_settings, store_option

if TYPE_CHECKING:
    from tenarai.model.export import Format


@click.command()
@store_option
@click.option("--format", "form", required=True, type=click.Choice(["litert", "onnx", "saved_model"]), help="How.")
@click.option("--model", metavar="ID", help="Another model than the champion.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file; for saved_model a folder.")
def export(store: str | None, form: Format, model: str | None, out: Path) -> None:
    """Write the champion for other programs, and check that it reads as before."""
    from tenarai.cli.export_model import export_to

    click.echo(export_to(read_settings(store=store), form, out, model=model).as_line())
