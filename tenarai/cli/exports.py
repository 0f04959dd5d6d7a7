"""Models for other programs: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenarai.cli.options import read_settings, say, store_option
from tenarai.locale import _

if TYPE_CHECKING:
    from tenarai.model.export import Format


@click.command()
@store_option
@click.option("--format", "form", required=True, type=click.Choice(["litert", "onnx", "saved_model"]), help="How.")
@click.option("--model", metavar="ID", help="Another model than the champion.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file; for saved_model a folder.")
def export(store: str | None, form: Format, model: str | None, out: Path) -> None:
    """Write the champion for other programs, and check that it reads as before."""
    from tenarai.evaluate.predictions import load_champion, load_model_by_id
    from tenarai.model.export import export_model
    from tenarai.store import find_store

    found = find_store(read_settings(store=store).store)
    loaded = load_model_by_id(found, model) if model else load_champion(found)
    difference = export_model(loaded, form, out)
    say(_("{id} → {out}, labels in {out}.json", id=loaded.info.id, out=str(out)))
    if difference is None:
        say(_("not compared with the model, since no runtime for {format} is installed", format=form))
    else:
        say(_("compared on 100 digits: probabilities differ by at most {difference}", difference=f"{difference:.1g}"))
