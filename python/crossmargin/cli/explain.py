"""`crossmargin explain`: why an account pays what it pays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.explain import explain as explain_account
from crossmargin.cli.finished import RESULTS, ResultsDir, finished_run
from crossmargin.cli.output import output
from crossmargin.exceptions import InputError
from crossmargin.report.explain import print_explanation


def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of the run.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Explain what an account pays: what decides, in which scenario, by which position."""
    run = finished_run(results)
    if account not in run.accounts["account"].to_pylist():
        raise InputError(
            f"account {account!r} is not in {results}; the accounts are in "
            f"{Path(results) / 'accounts.parquet'}"
        )
    print_explanation(explain_account(run, account), output())
