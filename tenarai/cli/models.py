"""Champions and other models: `models`, `why`, `rollback`, `promote`, `export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.options import read_language, read_settings, say, store_option, visible
from tenarai.locale import _, load, translate

if TYPE_CHECKING:
    from tenarai.evaluate.champions import ModelLine
    from tenarai.model.export import Format
    from tenarai.records import Score


ACTIONS = {
    "champion zero": _("first of all"),
    "first": _("the first for these labels"),
    "promoted": _("promoted"),
    "rolled back": _("put back"),
}


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
@click.option("--no-score", is_flag=True, help="List only; do not score them on the newest images.")
def models(store: str | None, as_json: bool, no_score: bool) -> None:
    """List all champions, scored on the newest images."""
    from tenarai.evaluate.champions import list_models

    for line in list_models(read_settings(store=store), score=not no_score):
        if as_json:
            click.echo(json.dumps(_to_json(line), ensure_ascii=False))
        else:
            _show(line)


@click.command()
@store_option
@click.option("--to", "model", metavar="MODEL", help="The model to put back. Default: the champion before this one.")
@click.option("--why", default="", metavar="TEXT", help="Kept in the history.")
def rollback(store: str | None, model: str | None, why: str) -> None:
    """Put an earlier champion back; it reads from now on."""
    from tenarai.evaluate.champions import roll_back_champion

    say(roll_back_champion(read_settings(store=store), to=model, why=why))


@click.command()
@store_option
@click.option("--why", required=True, metavar="TEXT", help="Kept in the history.")
@click.argument("model", metavar="ID")
def promote(store: str | None, why: str, model: str) -> None:
    """Make a model champion against the gate's verdict."""
    from tenarai.evaluate.champions import promote_by_hand

    say(promote_by_hand(read_settings(store=store), model, why=why))


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference.")
@click.argument("model", metavar="ID", required=False)
def why(store: str | None, as_json: bool, model: str | None) -> None:
    """Show what differs between champion and challenger.

    ID is the challenger. Default: the newest model.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tenarai.evaluate.champions import find_changes, find_models, trained_on
    from tenarai.report.view import CHANGES
    from tenarai.store import open_store

    place = open_store(read_settings(store=store).store, create=False)
    champion, challenger = find_models(place, model)
    differences, language = Table(box=None, show_header=False), read_language()
    if not as_json:
        say(_("{challenger} compared with {champion}", challenger=challenger.id, champion=champion.id), bold=True)
    before, now = trained_on(place, champion), trained_on(place, challenger)
    for change in find_changes(champion, challenger, before, now):
        if as_json:
            click.echo(json.dumps(asdict(change), ensure_ascii=False))
        else:
            parts = (CHANGES[change.kind](change.name), change.before, change.after)
            differences.add_row(*(Text(visible(translate(part, language))) for part in parts))
    if not as_json:
        Console().print(differences)


@click.command()
@store_option
@click.option(
    "--format", "form", required=True, type=click.Choice(["litert", "onnx", "saved_model"]), help="File format."
)
@click.option("--model", metavar="ID", help="Which model. Default: the champion.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write; for saved_model a folder.")
def export(store: str | None, form: Format, model: str | None, out: Path) -> None:
    """Write a model for other programs, and check its readings."""
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


def _show(line: ModelLine) -> None:
    """Three short lines a model."""
    since = line.promotion.since[:16].replace("T", " ") or "–"
    click.secho(f"{'*' if line.is_champion else ' '} {line.promotion.model}  {since}  {line.recipe}", bold=True)
    if line.problem:
        say(_("    cannot be loaded: {problem}", problem=line.problem))
    elif line.score:
        test, regression = _share(line.score), _share(line.regression)
        say(_("    test images {test}, regression set {regression}", test=test, regression=regression))
    say(_("    {action}: {why}", action=ACTIONS[line.promotion.action], why=load(line.promotion.why)))


def _share(score: Score | None) -> str:
    if score is None or not score.num_images:
        return "–"
    return f"{score.num_right}/{score.num_images} ({score.low:.0%}–{score.high:.0%})"


def _to_json(line: ModelLine) -> dict[str, Any]:
    found, why = asdict(line), load(line.promotion.why)
    return {**found.pop("promotion"), "why": why, **found}
