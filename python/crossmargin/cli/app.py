"""The application: its subcommands, and the only place where errors become exit codes."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import io
import os
import signal
import sys
import traceback
from collections import Counter
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from crossmargin.cli.attribute import attribute
from crossmargin.cli.check import check
from crossmargin.cli.compare import compare
from crossmargin.cli.exits import INTERNAL, STOPS, UNUSABLE, StoppedError, complain, stop
from crossmargin.cli.explain import explain
from crossmargin.cli.optimise import optimise
from crossmargin.cli.output import print_line
from crossmargin.cli.policy import policies
from crossmargin.cli.reverse_stress import reverse_stress
from crossmargin.cli.run import run
from crossmargin.cli.sample import sample
from crossmargin.cli.whatif import whatif
from crossmargin.exceptions import InputError

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
        print_line(f"crossmargin {importlib.metadata.version('crossmargin')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Hold the options of the command itself."""


for subcommand in (
    *(run, check, sample, compare),
    *(explain, whatif, optimise, attribute, reverse_stress),
):
    app.command(cls=Once)(subcommand)
app.add_typer(policies)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; errors become exit codes only here.

    Parameters
    ----------
    arguments
        Those of the command line, without the program's name; default: those of this process.

    Returns
    -------
    int
        0 done; 3 written, some rows rejected; 2 unusable input or output, nothing written; 70
        internal error; 128 + its number for a signal.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # An ignored signal stays ignored: `nohup` ignores SIGHUP.
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, stop)) for number in heard]
    try:
        return app(arguments, standalone_mode=False) or 0
    except StoppedError as stopped:
        complain(f"stopped by {signal.Signals(stopped.number).name}{stopped.outcome}")
        return 128 + stopped.number
    except SystemExit:
        # rich and typer end like this if the reader of their output has left, as `head` does.
        return 0
    except InputError as error:
        complain(str(error))
        return UNUSABLE
    except UsageError as error:
        # Without arguments the help has been printed, and there is no message.
        if message := error.format_message():
            end = "" if message.endswith((".", "?")) else "."
            # The error on an option without its value does not name the command.
            path = error.ctx.command_path if error.ctx else "crossmargin"
            complain(f"{message}{end} See `{path} --help`.")
        return UNUSABLE
    except OSError as error:
        # Errors on inputs and results have their own type. This one is standard output's.
        complain(f"cannot go on: {error}")
        return UNUSABLE
    except MemoryError:
        complain("there is not enough memory; give a smaller book, or run it on a larger machine")
        return UNUSABLE
    except Exception:
        complain(
            "internal error; this is a fault of the program, not of your input. "
            "Please report it with the lines above.",
            above=traceback.format_exc(),
        )
        return INTERNAL
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def command() -> NoReturn:
    """Run the command and end the process with its exit code."""
    # Imported objects stay. The garbage collector need not scan them again and again.
    gc.freeze()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        # The reader of our output may have left.
        with contextlib.suppress(OSError):
            stream.flush()
    # Arrow's threads may still be starting; an ordinary exit can then abort the process.
    os._exit(code)
