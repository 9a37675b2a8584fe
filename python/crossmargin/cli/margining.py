"""What `crossmargin run` does once its options are read. Nothing here needs typer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from rich.console import Console

from crossmargin.calculation.run import run as margin_book
from crossmargin.calculation.store import write_run
from crossmargin.cli.exits import exit_code, telling
from crossmargin.cli.inputs import InputOptions
from crossmargin.cli.output import show
from crossmargin.exceptions import InputWarning
from crossmargin.io.results import check_target
from crossmargin.market import Market
from crossmargin.report.progress import DelayedProgress
from crossmargin.report.terminal import print_summary


def margin_inputs(
    inputs: InputOptions,
    out: Path,
    *,
    sample: bool = False,
    threads: int | None = None,
    max_rejected: int | None = None,
    allow_empty: bool = False,
) -> int:
    """Margin, write and summarise a book; the parameters are the options of `crossmargin run`.

    Returns
    -------
    int
        The exit code: 0, or 3 if rows were rejected.
    """
    check_target(out)
    if sample:
        inputs.check_leaves_room_for_sample()
    else:
        inputs.check_given("must be given, or --sample instead")
    out = out.expanduser()
    with (
        telling(out) as done,
        DelayedProgress(Console(stderr=True)) as progress,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", InputWarning)  # the summary's head says it
        book = inputs.of_the_book()
        if sample:
            market, tables = _sample()
            book |= tables
        else:
            market = inputs.market()
        result = margin_book(
            **book,
            market=market,
            policy=inputs.policy,
            progress=progress,
            threads=threads,
            max_rejected=max_rejected,
            allow_empty=allow_empty,
        )
        progress("writing", 1.0)
        done.add(result.manifest["run_id"])
        write_run(result, out)
    with telling(out) as done:
        done.add(result.manifest["run_id"])
        show(lambda console: print_summary(result, out, console))
    return exit_code(result.manifest["exceptions"])


def _sample() -> tuple[Market, dict[str, Any]]:
    """Return the embedded market and book."""
    # A run on the user's own book does not need it.
    from crossmargin.sample import sample_market, sample_tables

    tables = sample_tables()
    book = ("positions", "accounts", "securities")
    return sample_market(), {name: tables[name] for name in book}
