"""The `tenarai` command; each module beside this one has the commands of a subject.

Exit codes: 0 done (also "nothing new"), 1 failed, 2 wrong usage. Errors are one message; `--debug` adds the traceback.
"""

from __future__ import annotations

import os
import traceback
from typing import Any

import click

from tenarai.cli.help import TranslatedGroup
from tenarai.cli.labels import confirm_label, label
from tenarai.cli.models import export, models, promote, rollback, why
from tenarai.cli.nights import nightly, read, sheet
from tenarai.cli.options import read_language, say
from tenarai.cli.server import deploy, notify, up
from tenarai.cli.setup import check, connect, doctor
from tenarai.cli.studies import study
from tenarai.errors import TenaraiError
from tenarai.locale import _

SECTIONS = {
    _("Every day"): (nightly, read, label, sheet, confirm_label),
    _("Set up"): (connect, doctor, check, up, deploy, notify),
    _("Models"): (models, why, rollback, promote, export),
    _("Experiments"): (study,),
}

os.environ.setdefault("DO_NOT_TRACK", "1")  # before Prefect is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class TenaraiGroup(TranslatedGroup):
    """Shows every error that a person can fix as one message on stderr, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TenaraiError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            say(_("Error: {message}", message=error.describe(read_language())), fg="red", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            say(_("stopped; the next run continues from here"), err=True)
            ctx.exit(1)


@click.group(
    cls=TenaraiGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="tenarai", help="Show the version and exit.")
def main(debug: bool) -> None:
    """Tenarai: a recogniser of your own handwriting that gets better every night."""


if __name__ == "__main__":
    main()
