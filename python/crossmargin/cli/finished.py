"""A finished run as the input of a subcommand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from crossmargin.calculation.rebuild import REQUIRED, YIELDS, rebuild_run
from crossmargin.calculation.result import STAGES, RunResult
from crossmargin.calculation.store import read_run, read_tables
from crossmargin.exceptions import InputError
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import is_kept

ResultsDir = Annotated[
    Path,
    typer.Option("--results", metavar="DIR", help="Results of a run, from `crossmargin run`."),
]
RESULTS = Path("results")
"""Where a subcommand looks unless told otherwise."""


def finished_run(directory: Path, threads: int | None = None) -> RunResult:
    """Return a run from its results, with its stages.

    Where they were not kept, they are made again from the files that the run read.

    Raises
    ------
    InputError
        There are no such results, or they lack their stages and an input is gone or was changed.
    """
    if is_kept(directory, STAGES):
        return read_run(directory, threads=threads)
    _, manifest = read_tables(directory)
    return rebuild_run(directory, threads=threads, **_of_the_sample(manifest))


def check_known(run: RunResult, accounts: Iterable[str], directory: Path) -> None:
    """Refuse accounts that are not in the run."""
    known = set(run.accounts["account"].to_pylist())
    for account in accounts:
        if account not in known:
            raise InputError(
                f"account {account!r} is not in {directory}; the accounts are in "
                f"{directory / 'accounts.parquet'}"
            )


def _of_the_sample(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a run took from the embedded sample, as arguments of `rebuild_run`."""
    if not manifest["synthetic"]:
        return {}
    # A run on the user's own book does not need it.
    from crossmargin.sample import sample_market, sample_tables

    inputs = manifest.get("inputs")
    hashes = {
        name: entry.get("hash")
        for name, entry in (inputs.items() if isinstance(inputs, dict) else ())
        if isinstance(entry, dict) and not entry.get("path")
    }
    if YIELDS not in hashes:
        return {}
    tables = sample_tables()
    own = {
        name for name in hashes.keys() & tables.keys() if table_hash(tables[name]) == hashes[name]
    }
    market = sample_market() if YIELDS in own else None
    return {"market": market, "inputs": {name: tables[name] for name in own & {*REQUIRED}}}
