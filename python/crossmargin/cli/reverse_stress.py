"""`crossmargin reverse-stress`: the mildest moves that use up an account's requirement."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.analysis.reverse_stress import reverse_stress as reverse_stress_of
from crossmargin.cli.finished import RESULTS, ResultsDir, finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import output
from crossmargin.report.reverse_stress import print_reverse_stress


def reverse_stress(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of the run.")],
    results: ResultsDir = RESULTS,
    threads: Threads = None,
) -> None:
    """Find the mildest moves of the market that use up an account's requirement."""
    run = finished_run(results, threads)
    print_reverse_stress(reverse_stress_of(run, account, threads=threads), output())
