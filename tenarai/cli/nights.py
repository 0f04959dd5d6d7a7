"""A night, and reading single images: `nightly`, `read`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.options import read_settings, say, source_option, store_option, write_file
from tenarai.errors import SettingsError
from tenarai.locale import _

if TYPE_CHECKING:
    from tenarai.settings import Settings


@click.command()
@source_option
@store_option
@click.option("--force", is_flag=True, help="Train even when nothing is new, with another seed.")
@click.option("--accept-changes", is_flag=True, help="Accept changes that look like an accident.")
@click.option("--recipe", type=click.Choice(["auto", "transfer", "cnn", "mlp"]), help="How to train. Default: auto.")
@click.option("--max-epochs", type=click.IntRange(1, 1000), help="Epochs at most. Default: 60.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the training. Default: 0.")
@click.option("--device", type=click.Choice(["auto", "gpu", "cpu"]), help="Where to train. Default: auto.")
@click.option("--verbose", "-v", is_flag=True, help="Show every epoch.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but errors.")
def nightly(
    source: str | None,
    store: str | None,
    force: bool,
    accept_changes: bool,
    verbose: bool,
    quiet: bool,
    **training: Any,
) -> None:
    """Run a night now: read what is new, train, evaluate, report.

    On the Prefect server that PREFECT_API_URL names or that `tenarai up` runs in this folder; else without a server.
    """
    from tenarai.cli.console import run_night
    from tenarai.settings import TrainingSettings

    settings = read_settings(source=source, store=store)
    make_sample_if_default(settings)
    form = TrainingSettings(**{name: value for name, value in training.items() if value is not None})
    outcome = run_night(
        settings, force=force, accept_changes=accept_changes, training=form, verbose=verbose, quiet=quiet
    )
    if not quiet:
        say(outcome.message, bold=True)
        say(_("report: {path}", path=outcome.report))


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per image: file, label, probability, unsure.")
@click.option("--model", metavar="ID", help="Read with this model instead of the champion.")
@click.option(
    "--explain", type=click.Path(path_type=Path), metavar="PNG", help="Draw what the normaliser makes of them."
)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE…")
def read(store: str | None, as_json: bool, model: str | None, explain: Path | None, images: tuple[Path, ...]) -> None:
    """Read images with the champion, and say how sure it is."""
    if not any(image.exists() for image in images):  # before NumPy and the like are imported
        raise SettingsError(_("{file} does not exist", file=str(images[0])), fix=_("check the path"))
    from tenarai.evaluate.read import read_files
    from tenarai.report.stage_sheet import draw_readings

    settings = read_settings(store=store)
    results = []
    for result in read_files(images, settings, model=model):
        results.append(result)
        if as_json:
            click.echo(json.dumps(result.as_json(), ensure_ascii=False))
        else:
            say(result.as_line())
    if explain:
        write_file(explain, draw_readings(results, settings), option="--explain")
    if any(result.error for result in results):
        sys.exit(1)


def make_sample_if_default(settings: Settings) -> None:
    """Make the sample folder at first use, where no source is set."""
    from tenarai.settings import DEFAULT_SOURCE

    folder = Path(DEFAULT_SOURCE.removeprefix("folder:"))
    if settings.source != DEFAULT_SOURCE or folder.exists():
        return
    from tenarai.sample import make_sample

    say(_("no source is set: making a sample folder of real digits in {folder}", folder=folder))
    make_sample(folder)
