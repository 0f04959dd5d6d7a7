"""The `tenarai` command; what it can do lies in `tenarai.cli`, a module a subject.

Exit codes: 0 done (also "nothing new"), 1 failed, 2 wrong usage. Errors are one message; `--debug` adds the traceback.
"""

from __future__ import annotations

import traceback
from typing import Any

import click

from benchmarks.base.commands import pretrain, score
from tenarai.cli.champions import models, promote, rollback, why
from tenarai.cli.exports import export
from tenarai.cli.nights import nightly, read
from tenarai.cli.notices import notify
from tenarai.cli.options import read_language, say
from tenarai.cli.serving import deploy, up
from tenarai.cli.setup import connect, doctor
from tenarai.cli.sheets import sheet
from tenarai.cli.studies import study
from tenarai.errors import TenaraiError


class OneMessageGroup(click.Group):
    """Turns every error a person can mend into one message on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; see the class."""
        try:
            return super().invoke(ctx)
        except TenaraiError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.secho(error.describe(read_language()), fg="red", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            say("stopped; the next run goes on from here", err=True)
            ctx.exit(1)


@click.group(cls=OneMessageGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="tenarai")
def main(debug: bool) -> None:
    """Tenarai: a recogniser of your own handwriting that gets better every night."""


for command in (
    nightly,
    read,
    models,
    rollback,
    promote,
    why,
    score,
    study,
    pretrain,
    export,
    sheet,
    up,
    deploy,
    notify,
    doctor,
    connect,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
