"""`crossmargin attribute`: why requirements changed between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.attribution import attribute as attribution_of
from crossmargin.cli.finished import finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import output, print_line
from crossmargin.io.results import write_table
from crossmargin.report.attribution import print_account_attribution, print_attribution


def attribute(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Results of a run.")],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="Results of a run of the same day or later.")
    ],
    account: Annotated[
        str | None, typer.Option(help="Explain this account alone.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write all accounts to this file, .csv or .parquet.", show_default=False),
    ] = None,
    threads: Threads = None,
) -> None:
    """Explain why requirements changed: positions, time, market, scenarios, inputs, policy."""
    runs = [finished_run(results, threads) for results in (before, after)]
    found = attribution_of(*runs, threads=threads)
    if account is not None:
        found = found.account(account)
    if out is not None:
        write_table(found.accounts.to_arrow(), out)
    if account is None:
        print_attribution(found, output())
    else:
        print_account_attribution(found, output())
    if out is not None:
        print_line(f"File: {out}")
