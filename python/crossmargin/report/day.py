"""Print a day: what was done, what it waits for, what was set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from crossmargin.report.console import new_grid

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
        account = f" (account {row['account']})" if row["account"] else ""
        console.print(Text(f"{what}: {row['message']}{account}"), soft_wrap=True)
    if played.rejected:
        told = f"{played.rejected:,} rows are rejected; see exceptions.csv of the step"
        console.print(Text(told))
    console.print(Text(f"Ledger: {played.ledger}"), soft_wrap=True)
