"""The article's experiment: `study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.nights import make_sample_if_default
from tenarai.cli.options import read_language, read_settings, say, source_option, store_option
from tenarai.locale import _, translate

if TYPE_CHECKING:
    from tenarai.settings import StudySettings
    from tenarai.study import Table

PARTS = ("article", "epochs", "samples", "switches")
RECIPES = ("mlp", "cnn", "transfer")


def _read_words(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """`mlp,cnn` → `("mlp", "cnn")`."""
    if value is None:
        return None
    known = RECIPES if param.name == "recipes" else PARTS
    found = tuple(dict.fromkeys(word.strip() for word in value.split(",")))
    for word in found:
        if word not in known:
            raise _invalid(_("{word!r} is none of {known}", word=word, known=", ".join(known)), ctx, param)
    return found


def _read_numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """`5,40` → `(5, 40)`, each once, ascending."""
    if value is None:
        return None
    words = {word.strip() for word in value.split(",")}
    if not all(word.isascii() and word.isdecimal() and 1 <= int(word) <= 1000 for word in words) or len(words) > 8:
        raise _invalid(_("{value!r} is not a list of up to 8 numbers from 1 to 1000", value=value), ctx, param)
    return tuple(sorted(map(int, words)))


@click.command()
@source_option
@store_option
@click.option("--epochs", callback=_read_numbers, metavar="5,40", help="Numbers of epochs to compare. Default: 5,40.")
@click.option("--recipes", callback=_read_words, metavar="mlp,…", help="Recipes to train. Default: mlp,cnn,transfer.")
@click.option("--parts", callback=_read_words, metavar="article,…", help="Default: article,epochs,samples,switches.")
@click.option("--seeds", type=click.IntRange(1, 50), help="How often each training is repeated. Default: 5.")
@click.option(
    "--per-label", type=click.IntRange(1, 1000), help="Training images per label. Default: four fifths of all."
)
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="A misread image to look into.")
@click.option("--label", default="", metavar="TEXT", help="True label of the image.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. Default: one per core.")
@click.option("--retrain", is_flag=True, help="Train everything again, even what is kept.")
def study(
    source: str | None,
    store: str | None,
    image: Path | None,
    label: str,
    workers: int | None,
    retrain: bool,
    **asked: Any,
) -> None:
    """Try epochs, recipes and image counts on your own images.

    The article's experiment: how many epochs and images are worth it, and why a 4 is misread. Ctrl-C keeps what is
    done; the same command continues from there.
    """
    from tenarai.study import run_study

    if bool(label) != bool(image):
        raise click.UsageError(translate(_("--image and --label belong together: give both"), read_language()))
    settings = read_settings(source=source, store=store)
    make_sample_if_default(settings)
    form = _make_form(asked)
    report = run_study(settings, form, say, image=image, label=label, workers=workers, retrain=retrain)
    for table in report.tables:
        show_table(table, settings.language)
    say(report.headline, bold=True)
    say(_("report: {place}", place=report.place))


def show_table(table: Table, language: str) -> None:
    """Print a part of a study: its heading, what was found, and the numbers in columns."""
    from rich.console import Console
    from rich.table import Table as Columns
    from rich.text import Text

    columns = Columns(box=None, pad_edge=False)
    for number, title in enumerate(table.head):
        columns.add_column(Text(translate(title, language)), justify="right" if number else "left")
    for row in table.rows:
        columns.add_row(*(Text(translate(cell, language)) for cell in row))
    click.echo()
    say(table.title, bold=True)
    for sentence in table.sentences:
        click.echo(f"* {translate(sentence, language)}")
    Console().print(columns)
    say(table.note)


def _invalid(message: str, ctx: click.Context, param: click.Parameter) -> click.BadParameter:
    return click.BadParameter(translate(message, read_language()), ctx, param)


def _make_form(asked: dict[str, Any]) -> StudySettings:
    from tenarai.settings import StudySettings

    return StudySettings(**{name: value for name, value in asked.items() if value is not None})
