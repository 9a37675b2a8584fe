"""`crossmargin calls`: what to call from each account, and what may be paid out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.exits import exit_code
from crossmargin.cli.finished import RESULTS, ResultsDir, finished_run
from crossmargin.cli.options import ColumnsFile, DepositsFile, Threads
from crossmargin.cli.output import print_line, show
from crossmargin.cycles.calls import calls as calls_of_run
from crossmargin.io.results import CALLS, check_target
from crossmargin.report.calls import print_calls


def calls(
    results: ResultsDir = RESULTS,
    deposits: DepositsFile = None,
    columns: ColumnsFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the calls to this directory: accounts.parquet, customers.parquet, "
            "exceptions.parquet, manifest.json.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
) -> int:
    """Show what to call from each account, what is in excess, and what may be paid out.

    Collected is the largest of what the clearing houses require, with the addition of a heightened
    risk profile, the firm's own terms, and the house model of accounts that ask for it. No
    account's excess covers another's call. Exit code 3: rows of the deposits are rejected.
    """
    if out is not None:
        check_target(out, CALLS)
    called = calls_of_run(finished_run(results, threads), deposits, columns, threads)
    if out is not None:
        called.write(out)
    show(lambda console: print_calls(called, console))
    if out is not None:
        print_line(f"Directory: {out}")
    return exit_code(called.manifest["exceptions"])
