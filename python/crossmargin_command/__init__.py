"""The first steps of the command `crossmargin`, before anything large is imported.

Importing any module of the package `crossmargin` takes half a second, in which Ctrl-C would end in
a traceback; so these steps live outside it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def command() -> NoReturn:
    """Run the command and end the process with its exit code."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    _open_closed_streams()
    from crossmargin import cli

    cli.command()


def _open_closed_streams() -> None:
    """Open what was closed (`>&-`) to nowhere: a file would else take the stream's number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
