"""The `tenarai` command. Each command imports what it needs when it runs, so that `tenarai --help` is instant.

Exit codes: 0 done (also "nothing new"), 1 failed, 2 wrong usage. Errors are one message; `--debug` adds the traceback.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import SettingsError, TenaraiError

if TYPE_CHECKING:
    from tasks.settings import Settings


class OneMessageGroup(click.Group):
    """Turns every error a person can mend into one message on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; see the class."""
        try:
            return super().invoke(ctx)
        except TenaraiError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.secho(f"{_kind(error)}: {error}", fg="red", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped; the next run goes on from here", err=True)
            ctx.exit(1)


def _kind(error: TenaraiError) -> str:
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(error).__name__.removesuffix("Error"))
    return f"{words.strip()} error" if words else "error"


store_option = click.option("--store", metavar="P", help="Where everything is kept: a path, s3://… or gs://…")
source_option = click.option("--source", metavar="S", help="folder:<path> or drive:<folder id>.")


@click.group(cls=OneMessageGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="tenarai")
def main(debug: bool) -> None:
    """Tenarai: a recogniser of your own handwriting that gets better every night."""


@main.command()
@source_option
@store_option
@click.option("--force", is_flag=True, help="Train even when nothing is new, with another seed.")
@click.option("--recipe", type=click.Choice(["auto", "transfer", "cnn", "mlp"]), help="How to train. Default: auto.")
@click.option("--max-epochs", type=click.IntRange(1, 1000), help="Epochs at most. Default: 60.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the training. Default: 0.")
@click.option("--device", type=click.Choice(["auto", "gpu", "cpu"]), help="Where to train. Default: auto.")
@click.pass_context
def nightly(ctx: click.Context, /, source: str | None, store: str | None, force: bool, **training: Any) -> None:
    """One night, here and now: sync, prepare, train, examine, decide, report."""
    from flows.console import run_here

    settings = _settings(source=source, store=store)
    _make_sample_if_default(settings)
    chosen = {name: value for name, value in training.items() if value is not None}
    outcome = run_here(settings, force=force, training=chosen, debug=bool(ctx.find_root().params.get("debug")))
    click.secho(f"\n{outcome.message}", bold=True)
    click.echo(f"report: {outcome.report}")


@main.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per image: file, label, probability, unsure.")
@click.option("--model", metavar="ID", help="Read with this model instead of the champion.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE…")
def read(store: str | None, as_json: bool, model: str | None, images: tuple[Path, ...]) -> None:
    """What the champion reads in IMAGE…, and how sure it is."""
    from flows.read import read_files

    failed = False
    for result in read_files(images, _settings(store=store), model=model):
        failed = failed or bool(result.error)
        if as_json:
            click.echo(json.dumps(result.as_json(), ensure_ascii=False))
        else:
            click.echo(result.as_line())
    if failed:
        sys.exit(1)


@main.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
@click.option("--no-score", is_flag=True, help="List only; do not re-score on today's exam.")
def models(store: str | None, as_json: bool, no_score: bool) -> None:
    """Everyone who was champion, re-scored on today's exam."""
    from flows.models import list_models

    for line in list_models(_settings(store=store), score=not no_score):
        click.echo(json.dumps(line.as_json(), ensure_ascii=False) if as_json else line.as_line())


@main.command()
@store_option
@click.option("--to", "model", metavar="MODEL", help="The model to put back. Default: the champion before this one.")
@click.option("--why", default="", metavar="TEXT", help="Kept in the history.")
def rollback(store: str | None, model: str | None, why: str) -> None:
    """Put an earlier champion back; the next reading uses it."""
    from flows.rollback import roll_back_champion

    click.echo(roll_back_champion(_settings(store=store), to=model, why=why))


@main.command()
@store_option
@click.option("--why", required=True, metavar="TEXT", help="Kept in the history.")
@click.argument("model", metavar="ID")
def promote(store: str | None, why: str, model: str) -> None:
    """Make a model champion against the gate's verdict."""
    from flows.rollback import promote_by_hand

    click.echo(promote_by_hand(_settings(store=store), model, why=why))


@main.command()
@click.option("--draws", type=click.IntRange(1, 100), default=3, show_default=True, help="How often samples are drawn.")
@click.option("--base-only", is_flag=True, help="Train nothing; only let the base model read.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write the misread images here, as one PNG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per set.")
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
def score(draws: int, base_only: bool, sheet: Path | None, as_json: bool, data: Path) -> None:
    """How well the digits in DATA (<set>/<label>/<file>) are read, untouched and after a few samples."""
    from flows.score import as_table, draw_misread, score_folder

    scores = score_folder(data, draws=draws, few_shot=not base_only, say=lambda line: click.echo(line, err=True))
    if sheet:
        sheet.write_bytes(draw_misread(scores))
    for one in scores if as_json else ():
        after = {str(k): [round(share, 4) for share in shares] for k, shares in one.after.items()}
        counts = {"set": one.writer.name, "images": len(one.read), "right": int(one.right.sum())}
        click.echo(json.dumps({**counts, "unreadable": len(one.writer.problems), "after": after}, ensure_ascii=False))
    if not as_json:
        click.echo(as_table(scores, draws))


@main.command()
@click.option("--mnist", type=click.Path(path_type=Path), help="mnist.npz as Keras has it. Default: fetched by Keras.")
@click.option("--usps", type=click.Path(path_type=Path), help="The same of USPS. Default: go without.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("tasks/model/base"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=18, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def pretrain(mnist: Path | None, usps: Path | None, out: Path, epochs: int, seed: int) -> None:
    """Train the base model anew (hours on a CPU), and write weights, record and card to OUT."""
    from flows.pretrain import pretrain_base

    info = pretrain_base(mnist, usps, out, epochs=epochs, seed=seed, say=click.echo)
    click.secho(f"{info.id}: {info.metrics}", bold=True)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the Prefect UI.")
def up(port: int) -> None:
    """Start server, pools, deployments and both workers on this machine, until Ctrl-C."""
    from flows.up import run_up

    sys.exit(run_up(port=port))


def _settings(**given: str | None) -> Settings:
    from pydantic import ValidationError

    from tasks.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "TENARAI_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            f"the setting {name} is off", expected=first["msg"], received=repr(first["input"]), mend=f"set {name} anew"
        ) from error


def _make_sample_if_default(settings: Settings) -> None:
    """The sample folder, at first use, when nobody named a source of their own."""
    from tasks.settings import DEFAULT_SOURCE

    folder = Path(DEFAULT_SOURCE.removeprefix("folder:"))
    if settings.source != DEFAULT_SOURCE or folder.exists():
        return
    from tasks.sample import make_sample

    click.echo(f"no source named: making a sample folder of real digits in {folder}")
    make_sample(folder)


if __name__ == "__main__":
    main()
