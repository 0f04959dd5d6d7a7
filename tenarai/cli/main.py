"""The `tenarai` command; each module beside this one has the commands of a subject.

Exit codes: 0 done (also "nothing new"), 1 failed, 2 wrong usage. Errors are one message; `--debug` adds the traceback.
"""

from __future__ import annotations

import copy
import gettext
import inspect
import os
import traceback
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.daily import confirm_label, label, nightly, read, sheet
from tenarai.cli.models import export, models, promote, rollback, why
from tenarai.cli.options import read_language, say
from tenarai.cli.setup import check, connect, deploy, doctor, forget, notify, up, watch
from tenarai.cli.studies import study
from tenarai.errors import TenaraiError
from tenarai.locale import DOMAIN, FOLDER, Message, _, translate

if TYPE_CHECKING:
    from rich.console import RenderableType

SECTIONS = {
    _("Every day"): (nightly, read, label, sheet, confirm_label),
    _("Set up"): (connect, doctor, check, forget, up, deploy, watch, notify),
    _("Models"): (models, why, rollback, promote, export),
    _("Experiments"): (study,),
}

os.environ.setdefault("DO_NOT_TRACK", "1")  # before Prefect is imported
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")  # steps run in place log to the terminal
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class Formatter(click.HelpFormatter):
    """Wraps by the columns that characters take on a terminal: Japanese ones take two."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and what they mean, in two columns."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, col_spacing, 0, 0))
        table.add_column(max_width=col_max, overflow="fold")
        table.add_column(overflow="fold")
        for name, meaning in rows:
            table.add_row(Text(name), Text(meaning))
        self._write_wrapped(table)

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        line = translate(_("{heading}:", heading=heading), read_language())
        self.write(f"{'':{self.current_indent}}{line}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        from rich.text import Text

        paragraphs = inspect.cleandoc(text).split("\n\n")
        self._write_wrapped(Text("\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)))

    def _write_wrapped(self, content: RenderableType) -> None:
        from rich.console import Console

        console = Console(file=StringIO(), width=self.width - self.current_indent, color_system=None)
        with console.capture() as captured:
            console.print(content)
        for line in captured.get().splitlines():
            self.write(f"{'':{self.current_indent}}{line}".rstrip() + "\n")


class Context(click.Context):
    """Click's, with our formatter."""

    formatter_class = Formatter


class TenaraiGroup(click.Group):
    """Shows help in the language of the settings, and an error that a person can fix as one message, with exit code 1.

    Attributes:
        sections: Commands by the heading that they are listed under.
    """

    def __init__(self, *args: Any, sections: dict[str, Sequence[click.Command]] | None = None, **options: Any) -> None:
        """Add the commands of all sections."""
        super().__init__(*args, **options)
        self.sections = sections or {}
        for command in (command for commands in self.sections.values() for command in commands):
            self.add_command(command)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command; Click finds its own texts by gettext."""
        gettext.bindtextdomain(DOMAIN, str(FOLDER))
        gettext.textdomain(DOMAIN)
        os.environ["LANGUAGE"] = read_language()
        return click.Group.main(_translated(self), *args, **options)

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

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command by its name, translated."""
        command = super().get_command(ctx, name)
        return command and _translated(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, each with the first line of its help."""
        for heading, commands in self.sections.items():
            with formatter.section(translate(heading, read_language())):
                formatter.write_dl([(str(one.name), _summarise(one)) for one in commands])


def _translated(command: click.Command) -> click.Command:
    """A copy of a command that shows its help in the language of the settings."""
    language = read_language()
    twin = copy.copy(command)
    twin.context_class = Context
    twin.help = translate(Message(inspect.cleandoc(command.help or "")), language)
    twin.params = [copy.copy(param) for param in command.params]
    for param in twin.params:
        if isinstance(param, click.Option) and param.help:
            param.help = translate(Message(param.help), language)
    return twin


def _summarise(command: click.Command) -> str:
    """The first paragraph of its help, as one line."""
    paragraph = str(_translated(command).help).split("\n\n")[0]
    return " ".join(paragraph.split("\n")).rstrip(".。")


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
