"""Notices: `notify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenarai.cli.options import read_language, say
from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.orchestration import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("addresses", metavar="[URL]…", nargs=-1)
@click.option(
    "--on", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; again for more. Default: all."
)
@click.option("--try", "try_it", is_flag=True, help="Send a test notice.")
@click.option("--off", is_flag=True, help="Send no notices any more.")
def notify(addresses: Sequence[str], kinds: Sequence[str], try_it: bool, off: bool) -> None:
    """Send notices of nights to Apprise addresses, such as ntfy://my-topic.

    promoted, kept, failed, quiet (nothing new for a week), token (about to expire). The server that PREFECT_API_URL
    names keeps the addresses; setting them again replaces them.
    """
    from tenarai.orchestration.notices import remove_notices, set_up_notices, try_notices
    from tenarai.orchestration.server import reach_server

    if not addresses and not off:
        raise SettingsError(
            _("no address for notices is given"),
            expected=_("an address of Apprise, such as ntfy://my-topic or mailto://user:password@example.org"),
            fix=_("give one, or --off for no notices"),
        )
    reach_server()
    if off:
        remove_notices()
        say(_("notices are off"))
        return
    set_up_notices(addresses, kinds or KINDS)
    say(_("notices are on: {kinds}", kinds=", ".join(kinds or KINDS)))
    if try_it and not try_notices(read_language()):
        raise SettingsError(_("the test notice was not accepted"), fix=_("check the address and its password"))
