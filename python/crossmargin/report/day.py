"""Print a day: what was done, what it waits for, what was set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from crossmargin.report.console import new_grid
from crossmargin.report.terminal import account_of, notes_on_inputs, print_exceptions

if TYPE_CHECKING:
    from crossmargin.cycles.day.play import PlayedDay

MOST = 20
"""Exceptions that are printed."""


def print_day(played: PlayedDay, console: Console) -> None:
    """Print how far a day is.

    Parameters
    ----------
    played : PlayedDay
    console : Console
        Where to print.
    """
    mark = "   SYNTHETIC: made-up market and book" if played.synthetic else ""
    console.print(Text(f"Day {played.date}{mark}"))
    console.print()
    rows = played.steps.to_arrow().to_pylist()
    grid = new_grid(console, "Steps" if rows else "No step is done.")
    for name in ("cycle", "run", "step", ""):
        grid.add_column(name)
    for row in rows:
        told = row["made"] if row["now"] else "done before"
        grid.add_row(row["cycle"], str(row["run"]), row["step"], Text(told or ""))
    console.print(grid)
    console.print()
    for text in played.waits:
        console.print(Text(f"waits for {text}"), soft_wrap=True)
    exceptions = played.exceptions.to_arrow().to_pylist()
    for number, row in enumerate(exceptions):
        if number == MOST:
            console.print(Text(f"... and {len(exceptions) - MOST:,} more in exceptions.csv"))
            break
        what = "set aside" if row["severity"] == "rejected" else "note"
        what = "changed" if row["code"] == "STEP_CHANGED" else what
        told = f"{what}: {row['file']}: {row['message']}{account_of(row)}"
        console.print(Text(told), soft_wrap=True)
    noted = played.noted.to_arrow()
    if len(noted):
        for line in notes_on_inputs(noted):
            console.print(line, soft_wrap=True)
        console.print()
        print_exceptions(noted, console)
        steps = ", ".join(f"{step}/exceptions.csv" for step in noted["step"].unique().to_pylist())
        rejected = f"{played.rejected:,} rows are rejected; " if played.rejected else ""
        console.print(Text(f"{rejected}see {steps}"), soft_wrap=True)
    console.print(Text(f"Ledger: {played.ledger}"), soft_wrap=True)
