"""`crossmargin optimise`: which futures to move into the cross-margin accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crossmargin.cli.finished import RESULTS, ResultsDir, check_known, finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import output, print_line
from crossmargin.io.results import ALLOCATION, check_target
from crossmargin.margin.model import LARGEST_MARGIN
from crossmargin.optimise.allocation import BOXES, allocate
from crossmargin.report.optimise import print_allocation
from crossmargin.report.progress import DelayedProgress


def _amount(usd: float) -> float:
    """Refuse what is no amount: NaN passes any check of a range."""
    if not 0.0 <= usd <= LARGEST_MARGIN:
        raise typer.BadParameter(f"{usd} is not an amount from 0 to {LARGEST_MARGIN:,.0f} USD")
    return usd


def optimise(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT]...", help="Accounts of the run; all if none is given."),
    ] = None,
    results: ResultsDir = RESULTS,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the allocation to this directory: transfers.csv, transfers.xml (FIXML), "
            "positions.csv (rows to append to the positions of `crossmargin run --positions`), "
            "accounts.parquet, lines.parquet, manifest.json.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    front_month: Annotated[
        bool, typer.Option("--front-month", help="Move only the first month of each root.")
    ] = False,
    exclude_roll: Annotated[
        bool,
        typer.Option("--exclude-roll", help="Leave Treasury futures alone that are being rolled."),
    ] = False,
    most_transfers: Annotated[
        int | None,
        typer.Option(min=0, help="The most lines of an account to move.", show_default=False),
    ] = None,
    transfer_cost: Annotated[
        float,
        typer.Option(
            metavar="USD", help="What moving a line costs; it must save more.", callback=_amount
        ),
    ] = 0.0,
    minimum_gain: Annotated[
        float,
        typer.Option(
            metavar="USD", help="What an account must save to be changed.", callback=_amount
        ),
    ] = 0.0,
    boxes: Annotated[
        int, typer.Option(min=1, help="Effort for each account's bound: more give a closer one.")
    ] = BOXES,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Look only for a good choice, some thirty times faster: no bounds."
        ),
    ] = False,
    threads: Threads = None,
) -> None:
    """Find the futures to move into the cross-margin accounts, and back, to pay least.

    Each answer comes with a bound that no choice can go below, but a quick one. Futures of the
    named accounts are listed with what one contract more or less would change.
    """
    if out is not None:
        check_target(out, ALLOCATION)
    run = finished_run(results, threads)
    check_known(run, accounts or (), results)
    with DelayedProgress(Console(stderr=True)) as progress:
        found = allocate(
            run,
            accounts or None,
            front_month=front_month,
            exclude_roll=exclude_roll,
            most_transfers=most_transfers,
            transfer_cost=transfer_cost,
            minimum_gain=minimum_gain,
            boxes=boxes,
            quick=quick,
            threads=threads,
            progress=progress,
        )
        if out is not None:
            progress("writing", 1.0)
            found.write(out)
    print_allocation(found, output(), list(dict.fromkeys(accounts or ())))
    if out is not None:
        print_line(f"Directory: {out}")
