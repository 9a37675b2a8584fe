"""How the command ends: exit codes, signals and error messages."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from crossmargin.exceptions import CODES
from crossmargin.io.results import holds_results
from crossmargin.results.shown import shown

UNUSABLE = 2
REJECTED = 3
INTERNAL = 70
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(BaseException):
    """A signal that ends the command, as an exception, so that half-written results go."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome = ""


def stop(number: int, frame: object) -> None:
    """Handle a signal that ends the command."""
    raise StoppedError(number)


@contextlib.contextmanager
def telling(out: Path) -> Iterator[set[str]]:
    """Make a stop say whether results were written; put the run's id into the set."""
    ids: set[str] = set()
    try:
        yield ids
    except StoppedError as stopped:
        written = any(holds_results(out, run_id) for run_id in ids)
        stopped.outcome = f"; the results are in {out}" if written else f"; {out} is as it was"
        raise


def exit_code(counts: Mapping[str, int]) -> int:
    """Return 3 if one of these exception codes is that of rejected rows, else 0."""
    return REJECTED if any(CODES[code].severity == "rejected" for code in counts) else 0


def complain(message: str, *, above: str = "") -> None:
    """Write a message to standard error, unless its reader has left."""
    with contextlib.suppress(OSError):
        for line in (*above.splitlines(), f"crossmargin: {message}"):
            sys.stderr.write(f"{shown(line)}\n")
        sys.stderr.flush()
