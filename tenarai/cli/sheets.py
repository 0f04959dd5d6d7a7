"""Practice sheets: `sheet`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from tenarai.cli.options import read_settings, say, source_option, store_option, write_file


@click.command()
@source_option
@store_option
@click.option("--for", "labels", metavar="4,7", default="", help="Only these characters. Default: what is wanted most.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), help="Default: TENARAI_PRACTICE_SHEET, else a4.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("sheet.pdf"), show_default=True)
def sheet(source: str | None, store: str | None, labels: str, paper: Literal["a4", "letter"] | None, out: Path) -> None:
    """Make a practice sheet as PDF. Put a photo of the filled-in sheet into sheets/."""
    from tenarai.locale import _
    from tenarai.sheets import draw_sheet_now

    settings = read_settings(source=source, store=store)
    asked = paper or ("a4" if settings.practice_sheet == "none" else settings.practice_sheet)
    settings = settings.model_copy(update={"practice_sheet": asked})
    chosen = [label.strip() for label in labels.replace("、", ",").split(",") if label.strip()]
    data = draw_sheet_now(settings, labels=chosen, date=f"{datetime.now():%Y-%m-%d}")
    write_file(out, data, option="--out")
    say(_("{file}: print it at any size, fill it in, and put a photo of it into sheets/", file=str(out)))
