"""Every day: `nightly`, `read`, `label`, `sheet`, `confirm-label`."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tenarai.cli.options import read_settings, say, source_option, store_option, visible, write_file
from tenarai.errors import SettingsError
from tenarai.locale import _

if TYPE_CHECKING:
    from tenarai.settings import Settings

LOOPBACK = "127.0.0.1"


@click.command()
@source_option
@store_option
@click.option("--force", is_flag=True, help="Train even when nothing is new, with another seed.")
@click.option("--accept-changes", is_flag=True, help="Accept changes of the folder that look like an accident.")
@click.option("--recipe", type=click.Choice(["auto", "transfer", "cnn", "mlp"]), help="What to train. Default: auto.")
@click.option("--max-epochs", type=click.IntRange(1, 1000), help="Largest number of epochs. Default: 60.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the training. Default: 0.")
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
    """Run a night now: sync, train, evaluate, report.

    It runs on the Prefect server that PREFECT_API_URL names or `tenarai up` runs in this folder, else without one.
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
@click.option("--explain", type=click.Path(path_type=Path), metavar="PNG", help="Draw the steps from image to reading.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE…")
def read(store: str | None, as_json: bool, model: str | None, explain: Path | None, images: tuple[Path, ...]) -> None:
    """Read images, or folders of them, with the champion."""
    if not any(map(os.path.lexists, images)):  # before NumPy and the like are imported
        raise SettingsError(_("{file} does not exist", file=str(images[0])), fix=_("check the path"))
    from tenarai.evaluate.read import read_files

    settings = read_settings(store=store)
    files = [file for path in images for file in _files_in(path)]
    if not files:
        raise SettingsError(
            _("{folder} holds no files", folder=str(images[0])), fix=_("name images, or a folder of them")
        )
    results = []
    for result in read_files(files, settings, model=model):
        results.append(result)
        if as_json:
            click.echo(visible(json.dumps(result.as_json(), ensure_ascii=False)))
        else:
            say(result.as_line())
    if explain:
        from tenarai.report.pictures import draw_readings

        write_file(explain, draw_readings(results, settings), option="--explain")
    if any(result.error for result in results):
        sys.exit(1)


def _files_in(path: Path) -> list[Path]:
    """The files of a folder; any other path stands for itself, and reading it says what is wrong with it."""
    with suppress(OSError):
        if path.is_dir():
            return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return [path]


@click.command()
@source_option
@store_option
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on; 0.0.0.0 for the home network.")
@click.option("--port", type=click.IntRange(1, 65535), default=4300, show_default=True, help="Port of the page.")
def label(source: str | None, store: str | None, host: str, port: int) -> None:
    """File doubtful images in a browser or on a phone.

    Tap a label, and the file moves into its folder.
    With --host the page is open to your network and asks for a password.
    """
    import segno
    import uvicorn

    from tenarai.label.app import login_key, make_app
    from tenarai.orchestration.runs import resolve_secrets
    from tenarai.orchestration.server import LOGIN, find_home, read_or_make_login

    settings = resolve_secrets(read_settings(source=source, store=store))
    listener = listen(host, port)
    if host in {LOOPBACK, "::1", "localhost"}:
        app, url = make_app(settings), f"http://{host}:{port}/"
        say(_("{url} is ready. Ctrl-C ends it.", url=url), bold=True)
    else:
        home = find_home()
        home.mkdir(parents=True, exist_ok=True)
        login = read_or_make_login(home)
        app = make_app(settings, login=login)
        url = f"http://{find_address() if host in {'0.0.0.0', '::'} else host}:{port}/"  # noqa: S104
        say(_("{url} is ready. Ctrl-C ends it.", url=url), bold=True)
        say(_("It asks for the password in {file}; the QR code contains it:", file=str(home / LOGIN)))
        segno.make(f"{url}login?key={login_key(login)}", error="l").terminal(compact=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


@click.command()
@source_option
@store_option
@click.option("--for", "labels", metavar="4,7", default="", help="Characters. Default: those that help most.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), help="Default: TENARAI_PRACTICE_SHEET, else a4.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("sheet.pdf"), show_default=True)
def sheet(source: str | None, store: str | None, labels: str, paper: Literal["a4", "letter"] | None, out: Path) -> None:
    """Make a practice sheet to print and fill in, as PDF.

    A photo of it, filled in, goes into sheets/.
    """
    from tenarai.sheets import draw_sheet_now

    settings = read_settings(source=source, store=store)
    asked = paper or ("a4" if settings.practice_sheet == "none" else settings.practice_sheet)
    settings = settings.model_copy(update={"practice_sheet": asked})
    chosen = [label.strip() for label in re.split("[,、，]", labels) if label.strip()]
    data = draw_sheet_now(settings, labels=chosen, date=f"{datetime.now():%Y-%m-%d}")
    write_file(out, data, option="--out")
    say(_("{file}: print it at any size, fill it in, and put a photo of it into sheets/", file=str(out)))


@click.command("confirm-label")
@source_option
@store_option
@click.argument("label", metavar="LABEL")
def confirm_label(source: str | None, store: str | None, label: str) -> None:
    """Use a new label at once.

    Images of a new label wait until there are enough of them, in case its folder is a mistake.
    """
    from tenarai.night import open_night
    from tenarai.records import State
    from tenarai.sync.names import clean
    from tenarai.sync.source import confirm_label

    if {"/", "\\"} & set(label) or label in {"", ".", ".."}:
        raise SettingsError(
            _("{label!r} is not a label", label=label),
            expected=_("the name of one folder in digits/"),
            fix=_("give the folder's name alone"),
        )
    night = open_night(read_settings(source=source, store=store))
    with night.lock(), night.catalogue() as catalogue:
        images = catalogue.images(night.settings.source, states=tuple(State))
        folders = {clean(folder) for image in images for folder in image.path.split("/")[1:-1]}
        if clean(label) not in folders:
            raise SettingsError(
                _("no folder is called {label!r}", label=label),
                expected=", ".join(sorted(folders)),
                fix=_("check the name; if the folder is new, run `tenarai nightly` first"),
            )
        confirm_label(catalogue, night.settings.source, label, night.run)
    say(_("{label} is a label from the next night on", label=label))


def make_sample_if_default(settings: Settings) -> None:
    """Make the sample folder at first use, where no source is set."""
    from tenarai.settings import DEFAULT_SOURCE

    folder = Path(DEFAULT_SOURCE.removeprefix("folder:"))
    if settings.source != DEFAULT_SOURCE or folder.exists():
        return
    from tenarai.sample import make_sample

    say(_("no source is set: making a sample folder of real digits in {folder}", folder=folder))
    make_sample(folder)


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anybody is sent there."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SettingsError(
            _("port {port} of {host} cannot be used", port=port, host=host),
            received=error.strerror or str(error),
            fix=_("stop what listens there, or choose another with --port"),
        ) from error


def find_address() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
