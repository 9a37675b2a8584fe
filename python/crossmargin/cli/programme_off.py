"""`crossmargin programme-off`: what would be due on top if the benefit stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.programme_off import programme_off as off_of_run
from crossmargin.cli.exits import exit_code
from crossmargin.cli.finished import RESULTS, ResultsDir, finished_run
from crossmargin.cli.options import ColumnsFile, DepositsFile, Threads
from crossmargin.cli.output import print_line, show
from crossmargin.exceptions import counts
from crossmargin.io.results import write_table
from crossmargin.report.calls import print_programme_off


def programme_off(
    results: ResultsDir = RESULTS,
    deposits: DepositsFile = None,
    columns: ColumnsFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write all accounts to this file, .csv or .parquet.", show_default=False),
    ] = None,
    threads: Threads = None,
) -> int:
    """Show the liquidity it would take if the programme's benefit stopped tomorrow.

    At an offset rate of zero, and with all positions in ordinary accounts; and what the deposits
    leave of it. Exit code 3: rows of the deposits are rejected.
    """
    found = off_of_run(finished_run(results, threads), deposits, columns)
    if out is not None:
        write_table(found.accounts.to_arrow(), out)
    show(lambda console: print_programme_off(found, console))
    if out is not None:
        print_line(f"File: {out}")
    return exit_code(counts(found.exceptions.to_arrow()))
