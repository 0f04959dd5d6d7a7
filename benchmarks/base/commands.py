"""The base model, measured and made: `score`, `pretrain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tenarai.cli.options import write_file


@click.command()
@click.option("--draws", type=click.IntRange(1, 100), default=3, show_default=True, help="How often samples are drawn.")
@click.option("--base-only", is_flag=True, help="Train nothing; only let the base model read.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write the misread images here, as one PNG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per set.")
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
def score(draws: int, base_only: bool, sheet: Path | None, as_json: bool, data: Path) -> None:
    """How well the digits in DATA (<set>/<label>/<file>) are read, untouched and after a few samples."""
    from benchmarks.base.score import as_table, draw_misread, score_folder

    scores = score_folder(data, draws=draws, few_shot=not base_only, say=lambda line: click.echo(line, err=True))
    if sheet:
        write_file(sheet, draw_misread(scores), option="--sheet")
    for one in scores if as_json else ():
        after = {str(k): [round(share, 4) for share in shares] for k, shares in one.after.items()}
        counts = {"set": one.writer.name, "images": len(one.read), "right": int(one.right.sum())}
        click.echo(json.dumps({**counts, "unreadable": len(one.writer.problems), "after": after}, ensure_ascii=False))
    if not as_json:
        click.echo(as_table(scores, draws))


@click.command()
@click.option("--mnist", type=click.Path(path_type=Path), help="mnist.npz as Keras has it. Default: fetched by Keras.")
@click.option("--usps", type=click.Path(path_type=Path), help="The same of USPS. Default: go without.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("tenarai/model/base"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=18, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--share", type=click.FloatRange(0.001, 1), default=1.0, show_default=True, help="Of the training images."
)
@click.option("--go-on", is_flag=True, help="Go on from the shipped base instead of a new network.")
@click.option("--measure-only", is_flag=True, help="Keep the shipped weights; measure them with today's normaliser.")
def pretrain(mnist: Path | None, usps: Path | None, out: Path, measure_only: bool, **training: Any) -> None:
    """Train the base model anew (hours on a CPU), and write weights, record and card to OUT."""
    from benchmarks.base.pretrain import measure_base, pretrain_base

    if measure_only:
        info = measure_base(mnist, usps, out, say=click.echo)
    else:
        info = pretrain_base(mnist, usps, out, say=click.echo, **training)
    click.secho(f"{info.id}: {info.metrics}", bold=True)
