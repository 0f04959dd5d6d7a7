"""Labels: `label`, the page that files images, and `confirm-label`."""

from __future__ import annotations

import socket

import click

from tenarai.cli.options import read_settings, say, source_option, store_option
from tenarai.errors import SettingsError
from tenarai.locale import _

LOOPBACK = "127.0.0.1"


@click.command("confirm-label")
@source_option
@store_option
@click.argument("label", metavar="LABEL")
def confirm_label(source: str | None, store: str | None, label: str) -> None:
    """Use a new label at once.

    Images of a new label wait until there are enough of them, in case its folder is a mistake.
    """
    from tenarai.night import open_night
    from tenarai.sync.source import confirm_label

    if {"/", "\\"} & set(label) or label in {"", ".", ".."}:
        raise SettingsError(
            _("{label!r} is not a label", label=label),
            expected=_("the name of one folder in digits/"),
            fix=_("give the folder's name alone"),
        )
    night = open_night(read_settings(source=source, store=store))
    with night.lock(), night.catalogue() as catalogue:
        confirm_label(catalogue, night.settings.source, label, night.run)
    say(_("{label} is a label from the next night on", label=label))


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
    import uvicorn

    from tenarai.label.app import login_key, make_app
    from tenarai.locale import _
    from tenarai.orchestration.runs import resolve_secrets
    from tenarai.orchestration.server import LOGIN, find_home, read_or_make_login

    settings = resolve_secrets(read_settings(source=source, store=store))
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
        print_qr_code(f"{url}login?key={login_key(login)}")
    uvicorn.run(app, host=host, port=port, log_level="warning")


def find_address() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def print_qr_code(text: str) -> None:
    """Print a QR code for a phone's camera."""
    import segno

    segno.make(text, error="l").terminal(compact=True)
