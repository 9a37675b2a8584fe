"""A finished run as the input of a subcommand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.calculation.result import RunResult
from crossmargin.calculation.store import read_run
from crossmargin.exceptions import InputError

ResultsDir = Annotated[
    Path,
    typer.Option("--results", metavar="DIR", help="Results of a run, from `crossmargin run`."),
]
RESULTS = Path("results")
"""Where a subcommand looks unless told otherwise."""


def finished_run(directory: Path, threads: int | None = None) -> RunResult:
    """Return a run from its results, with its stages.

    Raises
    ------
    InputError
        There are no such results, or they lack their stages.
    """
    run = read_run(directory, threads=threads)
    if run.stages is None:
        raise InputError(f"{directory}: was written without the stages of the run; run it again")
    return run
