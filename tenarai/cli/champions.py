"""Who reigns: `models`, `rollback`, `promote`."""

from __future__ import annotations

import json

import click

from tenarai.cli.options import read_settings, say, store_option


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
@click.option("--no-score", is_flag=True, help="List only; do not re-score on today's exam.")
def models(store: str | None, as_json: bool, no_score: bool) -> None:
    """Everyone who was champion, re-scored on today's exam."""
    from tenarai.evaluate.champions import list_models

    for line in list_models(read_settings(store=store), score=not no_score):
        click.echo(json.dumps(line.as_json(), ensure_ascii=False) if as_json else line.as_line())


@click.command()
@store_option
@click.option("--to", "model", metavar="MODEL", help="The model to put back. Default: the champion before this one.")
@click.option("--why", default="", metavar="TEXT", help="Kept in the history.")
def rollback(store: str | None, model: str | None, why: str) -> None:
    """Put an earlier champion back; the next reading uses it."""
    from tenarai.evaluate.promote import roll_back_champion

    say(roll_back_champion(read_settings(store=store), to=model, why=why))


@click.command()
@store_option
@click.option("--why", required=True, metavar="TEXT", help="Kept in the history.")
@click.argument("model", metavar="ID")
def promote(store: str | None, why: str, model: str) -> None:
    """Make a model champion against the gate's verdict."""
    from tenarai.evaluate.promote import promote_by_hand

    say(promote_by_hand(read_settings(store=store), model, why=why))


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per change and per model.")
@click.option("--no-train", is_flag=True, help="Only tell what differs; retrain nothing.")
@click.argument("model", metavar="ID", required=False)
def why(store: str | None, as_json: bool, no_train: bool, model: str | None) -> None:
    """What differs between champion and challenger (default: the newest), and which of it made the difference."""
    from dataclasses import asdict

    from tenarai.evaluate.why import describe_changes, find_models, try_causes

    place, champion, challenger = find_models(read_settings(store=store), model)
    for change in describe_changes(place, champion, challenger):
        told = f"{change.kind} {change.name}: {change.before} → {change.after}"
        click.echo(json.dumps(asdict(change), ensure_ascii=False) if as_json else told)
    if no_train:
        return
    for line in try_causes(place, champion, challenger, lambda words: click.echo(words, err=True)):
        click.echo(json.dumps(line.as_json(), ensure_ascii=False) if as_json else line.as_line())
