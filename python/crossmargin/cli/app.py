"""The application: its subcommands and their options. Needs typer."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from crossmargin.cli.attribute import attribute
from crossmargin.cli.calls import calls
from crossmargin.cli.check import check
from crossmargin.cli.compare import compare
from crossmargin.cli.day import day
from crossmargin.cli.exits import UNUSABLE, complain
from crossmargin.cli.explain import explain
from crossmargin.cli.ledger import ledger
from crossmargin.cli.optimise import optimise
from crossmargin.cli.output import print_line
from crossmargin.cli.policy import policies
from crossmargin.cli.programme_off import programme_off
from crossmargin.cli.reconcile import reconcile
from crossmargin.cli.reverse_stress import reverse_stress
from crossmargin.cli.run import run
from crossmargin.cli.sample import sample
from crossmargin.cli.upcoming import upcoming
from crossmargin.cli.whatif import whatif
from crossmargin.exceptions import InputError
from crossmargin.version import __version__

# typer exports one kind of usage error. Where the others are differs by its version.
UsageError: Any = typer.BadParameter.__mro__[1]


class Once(TyperCommand):
    """A command that refuses an option given twice, because only the last one would count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the options as they were given, then parse them as usual."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, count in Counter(given).items():
            if count > 1 and option.nargs == 1 and not getattr(option, "multiple", False):
                raise InputError(f"{option.opts[0]} is given {count} times; give it once")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="crossmargin",
    help="Margin of a client book under CME-FICC cross-margining, by both clearing houses' models.",
    epilog="Exit codes: 0 done; 3 written, some rows rejected; 2 unusable input or output, nothing "
    "written; 70 internal error; 128 + its number: stopped by a signal (130: Ctrl-C).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print_line(f"crossmargin {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Hold the options of the command itself."""


def _help_of(command: Callable[..., Any]) -> str:
    """Return the help of a command; a paragraph is one line, since lines would be kept."""
    paragraphs = inspect.getdoc(command) or ""
    return "\n\n".join(" ".join(text.split()) for text in paragraphs.split("\n\n"))


for subcommand in (
    *(run, check, sample, compare),
    *(explain, whatif, optimise, attribute, reverse_stress),
    *(day, calls, programme_off, upcoming, reconcile, ledger),
):
    app.command(cls=Once, help=_help_of(subcommand))(subcommand)
app.add_typer(policies)


def run_app(arguments: Sequence[str]) -> int:
    """Run a subcommand and return its exit code; say what is wrong with a command line.

    Parameters
    ----------
    arguments
        Those of the command line, without the program's name.
    """
    try:
        return app(list(arguments), standalone_mode=False) or 0
    except UsageError as error:
        # Without arguments the help has been printed, and there is no message.
        if message := error.format_message():
            end = "" if message.endswith((".", "?")) else "."
            # The error on an option without its value does not name the command.
            path = error.ctx.command_path if error.ctx else "crossmargin"
            complain(f"{message}{end} See `{path} --help`.")
        return UNUSABLE
