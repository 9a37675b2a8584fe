"""`crossmargin day`: play what has arrived of a day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crossmargin.cli.exits import REJECTED, exit_code
from crossmargin.cli.options import Threads
from crossmargin.cli.output import show
from crossmargin.cycles.day.play import play_day
from crossmargin.exceptions import counts
from crossmargin.report.day import print_day
from crossmargin.report.progress import DelayedProgress


def day(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The folder of a day: day.toml with its date, the static inputs (accounts, "
            "securities, par_yields and more, by these names), and arrivals/.",
        ),
    ],
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="The ledger, such as one for many days; default: ledger.duckdb in DIR.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    late: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CCP",
            help="FICC or CME, whose figures are late for what is played now: the policy's "
            "fallback stands in for them. May be given for both.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=0, help="Stop after so many steps.", show_default=False),
    ] = None,
    threads: Threads = None,
) -> int:
    """Play what has arrived of a day and is not done yet, and record it in a ledger.

    The cycles are ITD, CUR, EOD and EODXM. What arrives lies in DIR/arrivals: positions at FICC,
    and futures, for a cycle and a run of it, by their columns BusDate, Cycle and Run or by their
    names, such as ficc-CUR-1.csv and futures-CUR-1.csv. Each step writes DIR/steps/CYCLE-RUN/STEP.
    Stopped anywhere and started again, the day goes on; nothing is booked twice.

    Exit codes: 0, all was used; 3, rows of a step of this call were rejected, an arrived file was
    set aside, or a step's file was changed; 2, something cannot be used, and the day stops there.
    """
    with DelayedProgress(Console(stderr=True)) as progress:
        played = play_day(
            folder,
            ledger=ledger,
            late=late or (),
            steps=steps,
            threads=threads,
            progress=progress,
        )
    show(lambda console: print_day(played, console))
    return REJECTED if played.rejected else exit_code(counts(played.exceptions.to_arrow()))
