"""The command from its arguments to its exit code: the only place where errors become codes."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import NoReturn

from crossmargin.cli.exits import INTERNAL, STOPS, UNUSABLE, StoppedError, complain, stop
from crossmargin.cli.inputs import InputOptions
from crossmargin.cli.plain import plain_run
from crossmargin.exceptions import InputError

INPUTS = {field.name for field in fields(InputOptions)}


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
    # Before signals are heard: an import that they interrupt may do anything.
    try:
        run = _subcommand(sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as error:
        lacking = (error.name or "").partition(".")[0]
        if lacking not in ("typer", "rich"):
            raise
        complain(f"the command needs {lacking}; install it with `pip install 'crossmargin[cli]'`")
        return UNUSABLE
    # An ignored signal stays ignored: `nohup` ignores SIGHUP.
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, stop)) for number in heard]
    try:
        return run()
    except StoppedError as stopped:
        complain(f"stopped by {signal.Signals(stopped.number).name}{stopped.outcome}")
        return 128 + stopped.number
    except SystemExit:
        # rich and typer end like this if the reader of their output has left, as `head` does.
        return 0
    except InputError as error:
        complain(str(error))
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


def _subcommand(arguments: list[str]) -> Callable[[], int]:
    """Import what is asked for, and no more; return what does it."""
    if (options := plain_run(arguments)) is not None:
        from crossmargin.cli.margining import margin_inputs

        inputs = InputOptions(**{name: options.pop(name) for name in INPUTS & options.keys()})
        return partial(margin_inputs, inputs, **options)
    from crossmargin.cli.app import run_app

    return partial(run_app, arguments)


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
