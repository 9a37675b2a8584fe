"""`crossmargin explain`: why an account pays what it pays."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.analysis.explain import explain as explain_account
from crossmargin.cli.finished import RESULTS, ResultsDir, check_known, finished_run
from crossmargin.cli.output import output
from crossmargin.report.explain import print_explanation


def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of the run.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Explain what an account pays: what decides, in which scenario, by which position."""
    run = finished_run(results)
    check_known(run, [account], results)
    print_explanation(explain_account(run, account), output())
