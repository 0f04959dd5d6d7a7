"""The article's experiment: `study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.nights import make_sample_if_default
from tenarai.cli.options import read_settings, say, source_option, store_option

if TYPE_CHECKING:
    from tenarai.settings import StudySettings

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
            raise click.BadParameter(f"{word!r} is none of {', '.join(known)}", ctx, param)
    return found


def _read_numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """`5,40` → `(5, 40)`, each once, ascending."""
    if value is None:
        return None
    words = {word.strip() for word in value.split(",")}
    if not all(word.isascii() and word.isdecimal() and 1 <= int(word) <= 1000 for word in words) or len(words) > 8:
        raise click.BadParameter(f"{value!r} is no list of up to 8 numbers from 1 to 1000, such as 5,40", ctx, param)
    return tuple(sorted(map(int, words)))


@click.command()
@source_option
@store_option
@click.option("--epochs", callback=_read_numbers, metavar="5,40", help="Numbers of epochs to compare. Default: 5,40.")
@click.option("--recipes", callback=_read_words, metavar="mlp,…", help="What is trained. Default: mlp,cnn,transfer.")
@click.option("--parts", callback=_read_words, metavar="article,…", help="Default: article,epochs,samples,switches.")
@click.option("--seeds", type=click.IntRange(1, 50), help="How often everything is repeated. Default: 5.")
@click.option(
    "--per-label", type=click.IntRange(1, 1000), help="Train on so many a label. Default: four fifths of all."
)
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="A misread image to look into.")
@click.option("--label", default="", metavar="TEXT", help="What is written in it.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. Default: one a core.")
@click.option("--retrain", is_flag=True, help="Train everything again, even what is kept from before.")
def study(
    source: str | None,
    store: str | None,
    image: Path | None,
    label: str,
    workers: int | None,
    retrain: bool,
    **asked: Any,
) -> None:
    """The article's experiment on your own images: how many epochs, how many samples, and why a 4 is misread.

    Ctrl-C keeps what is done; the same command goes on from there.
    """
    from tenarai.locale import _
    from tenarai.study import as_text, run_study

    if label and image is None:
        raise click.UsageError("--label is the true label of an --image: give both.")
    settings = read_settings(source=source, store=store)
    make_sample_if_default(settings)
    form = _make_form(asked)
    report = run_study(settings, form, say, image=image, label=label, workers=workers, retrain=retrain)
    for table in report.tables:
        say("\n" + as_text(table, settings.language))
    say(report.headline, bold=True)
    say(_("report: {place}", place=report.place))


def _make_form(asked: dict[str, Any]) -> StudySettings:
    from tenarai.settings import StudySettings

    return StudySettings(**{name: value for name, value in asked.items() if value is not None})
