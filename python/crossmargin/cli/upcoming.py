"""`crossmargin upcoming`: what the next business days change by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.upcoming import DAYS, MOST_DAYS
from crossmargin.analysis.upcoming import upcoming as upcoming_of
from crossmargin.cli.finished import RESULTS, ResultsDir, check_known, finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import output, print_line
from crossmargin.io.results import UPCOMING, check_target
from crossmargin.report.upcoming import print_upcoming


def upcoming(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT]...", help="Accounts of the run; all if none is given."),
    ] = None,
    results: ResultsDir = RESULTS,
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="Business days to look ahead.")
    ] = DAYS,
    repos_renewed: Annotated[
        bool, typer.Option("--repos-renewed", help="Take repos that end as renewed.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write all events and costs to this directory: events.parquet, costs.parquet, "
            "manifest.json.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
) -> None:
    """List what the next business days change in each account, and the margin it will cost.

    Legs settle, repos start and end, securities and futures come to their end or leave the
    programme; the market stays as it is, and nothing is traded.
    """
    if out is not None:
        check_target(out, UPCOMING)
    run = finished_run(results, threads)
    check_known(run, accounts or (), results)
    found = upcoming_of(
        run, days, accounts=accounts or None, repos_renewed=repos_renewed, threads=threads
    )
    if out is not None:
        found.write(out)
    print_upcoming(found, output(), list(dict.fromkeys(accounts or ())))
    if out is not None:
        print_line(f"Directory: {out}")
