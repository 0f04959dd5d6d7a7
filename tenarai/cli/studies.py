"""The article's experiment: `study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.daily import make_sample_if_default
from tenarai.cli.options import read_language, read_settings, say, source_option, store_option
from tenarai.locale import _, translate

if TYPE_CHECKING:
    from tenarai.study import Table


class Several(click.ParamType):  # type: ignore[type-arg]
    """Values of a type, separated by commas, each once: `5,40` → `(5, 40)`.

    Args:
        one: Click's type of one value.
    """

    name = "list"

    def __init__(self, one: Any) -> None:
        """Keep the type of one value."""
        self._one = one

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Split a text and convert each value."""
        return tuple(dict.fromkeys(self._one.convert(word.strip(), param, ctx) for word in value.split(",")))


EPOCHS = Several(click.IntRange(1, 1000))
RECIPES = Several(click.Choice(["mlp", "cnn", "transfer"]))
PARTS = Several(click.Choice(["article", "epochs", "samples", "switches"]))


@click.command()
@source_option
@store_option
@click.option("--epochs", type=EPOCHS, metavar="5,40", help="Numbers of epochs to compare. Default: 5,40.")
@click.option("--recipes", type=RECIPES, metavar="mlp,…", help="Recipes to train. Default: mlp,cnn,transfer.")
@click.option("--parts", type=PARTS, metavar="article,…", help="Default: article,epochs,samples,switches.")
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
    from tenarai.settings import StudySettings
    from tenarai.study import run_study

    if bool(label) != bool(image):
        raise click.UsageError(translate(_("--image and --label belong together: give both"), read_language()))
    settings = read_settings(source=source, store=store)
    make_sample_if_default(settings)
    form = StudySettings(**{name: value for name, value in asked.items() if value is not None})
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
