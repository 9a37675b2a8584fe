"""`crossmargin compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.analysis.compare import differences, inputs_that_differ, margined
from crossmargin.cli.output import output, print_line
from crossmargin.io.results import write_table
from crossmargin.report.terminal import print_comparison


def compare(
    dir_a: Annotated[Path, typer.Argument(metavar="DIR_A", help="Results of a run.")],
    dir_b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Results of another run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write all accounts to this file, .csv or .parquet.", show_default=False),
    ] = None,
) -> None:
    """Compare two runs account by account: two policies, two days."""
    a, b = margined(dir_a), margined(dir_b)
    table = differences(a, b)
    if out is not None:
        write_table(table, out)
    print_comparison(
        table,
        (str(dir_a), str(dir_b)),
        (a.manifest, b.manifest),
        inputs_that_differ(a, b),
        output(),
    )
    if out is not None:
        print_line(f"File: {out}")
