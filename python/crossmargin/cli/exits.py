"""How the command ends: exit codes, signals, and what is said of an error."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from crossmargin.exceptions import CODES
from crossmargin.io.results import holds_results
from crossmargin.results.shown import shown

UNUSABLE = 2
REJECTED = 3
INTERNAL = 70
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(BaseException):
    """A signal that ends the command, as an exception: half-written results are removed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome = ""


def stop(number: int, frame: object) -> None:
    """Handle a signal that ends the command."""
    raise StoppedError(number)


@contextlib.contextmanager
def telling(out: Path) -> Iterator[set[str]]:
    """Let a stop tell whether the results of the run whose id is put into the set stand."""
    ids: set[str] = set()
    try:
        yield ids
    except StoppedError as stopped:
        written = any(holds_results(out, run_id) for run_id in ids)
        stopped.outcome = f"; the results are in {out}" if written else f"; {out} is as it was"
        raise


def exit_if_rejected(counts: Mapping[str, int]) -> None:
    """End with a code of its own where an exception of these codes is a rejected row."""
    if any(CODES[code].severity == "rejected" for code in counts):
        raise typer.Exit(REJECTED)


def complain(message: str, *, above: str = "") -> None:
    """Write a message to standard error, if anybody reads it."""
    with contextlib.suppress(OSError):
        for line in (*above.splitlines(), f"crossmargin: {message}"):
            sys.stderr.write(f"{shown(line)}\n")
        sys.stderr.flush()
