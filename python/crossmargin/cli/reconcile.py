"""`crossmargin reconcile`: a run beside what the clearing houses report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.reconcile import (
    MOST_TOLERANCE,
    TOLERANCE_RATE,
    TOLERANCE_USD,
    ours_of,
    read_reports,
    reconciled,
)
from crossmargin.book.programme import EQUIVALENTS
from crossmargin.calculation.offset_rates import with_offset_rates
from crossmargin.calculation.store import write_run
from crossmargin.cli.exits import REJECTED, exit_code
from crossmargin.cli.finished import finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import print_line, show
from crossmargin.exceptions import InputError, counts
from crossmargin.io.results import RECONCILIATION, check_target
from crossmargin.report.reconcile import print_reconciliation


def _tolerance(value: float) -> float:
    """Refuse what is no tolerance: NaN passes any check of a range."""
    if not 0.0 <= value < MOST_TOLERANCE:
        raise typer.BadParameter(f"{value} is not a number from 0 on")
    return value


def reconcile(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="Results of a run.")],
    observed: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="XMFICCMARGINSAVINGS, XMFICCCUSIP or XMFICCPOSN, or a table with `account` and "
            "columns of our accounts table. May be given for each of them.",
            show_default=False,
        ),
    ],
    tolerance_usd: Annotated[
        float,
        typer.Option(metavar="USD", help="A larger difference is a break.", callback=_tolerance),
    ] = TOLERANCE_USD,
    tolerance_rate: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="The same for rates: 0.0001 is a hundredth of a percentage point.",
            callback=_tolerance,
        ),
    ] = TOLERANCE_RATE,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write all tables to this directory: accounts, components, positions, "
            "offset_rates, exceptions (Parquet), manifest.json.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the run with the observed offset rates to this directory.",
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
) -> int:
    """Compare a run with what the clearing houses report, and name the likeliest causes.

    Exit codes: 0, no account breaks; 3, some do, or rows of a report are set aside; 2, an input
    cannot be used.
    """
    if out is not None:
        check_target(out, RECONCILIATION)
    if apply is not None:
        check_target(apply)
    ours = ours_of(directory)
    reports = read_reports(list(observed), ours.manifest)
    # Most reports need the tables alone; to make the models anew takes longer than all the rest.
    if apply is not None or any(one.report is EQUIVALENTS for one in reports):
        ours = ours_of(finished_run(directory, threads))
    found = reconciled(ours, reports, tolerance_usd, tolerance_rate)
    applied = None
    if apply is not None and ours.run is not None:
        if not len(found.offset_rates):
            raise InputError(
                "--apply: no report has an offset rate of an account of the run; give "
                "XMFICCMARGINSAVINGS"
            )
        hashes = ", ".join(entry["hash"] for entry in found.manifest["inputs"].values())
        applied = with_offset_rates(ours.run, found.offset_rates, source=f"observed: {hashes}")
    if out is not None:
        found.write(out)
    if applied is not None and apply is not None:
        write_run(applied, apply)
    show(lambda console: print_reconciliation(found, console))
    for written in (out, apply):
        if written is not None:
            print_line(f"Directory: {written}")
    return REJECTED if found.breaks else exit_code(counts(found.exceptions.to_arrow()))
