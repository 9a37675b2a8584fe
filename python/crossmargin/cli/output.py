"""What the command prints to standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from rich.console import Console

from crossmargin.cli.exits import complain
from crossmargin.report.console import Output


def output() -> Output:
    """Return standard output: as wide as the terminal, or wide and plain if piped."""
    return Output(width=None if sys.stdout.isatty() else 160)


def print_line(line: str) -> None:
    """Print one line, whatever its width."""
    output().print(line, soft_wrap=True)


def show(summary: Callable[[Console], None]) -> None:
    """Print a summary; a failure to print it does not change the exit code."""
    try:
        # rich ends the process if the reader has left.
        with contextlib.suppress(SystemExit):
            summary(output())
    except OSError as error:
        complain(f"the summary cannot be printed: {error}")
