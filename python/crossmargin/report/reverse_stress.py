"""What uses up an account's requirement, for the terminal. Needs the extra `cli`."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from crossmargin.analysis.reverse_stress import COMPONENTS, SIDES, TOLD, ReverseStress
from crossmargin.report.console import new_grid

AT = dict(zip(SIDES, ("P&L at FICC", "P&L at CME", "P&L at others"), strict=True))
ALL_FACTORS = "*"
"""Marks a length that is measured among all factors, not among the components."""


def print_reverse_stress(found: ReverseStress, console: Console) -> None:
    """Print the mildest moves that use up an account's requirement.

    Parameters
    ----------
    found
        From `crossmargin.reverse_stress`.
    console
        Where to print.
    """
    manifest = found.manifest
    mark = "   SYNTHETIC: made-up market and book" if manifest["synthetic"] else ""
    line = f"as of {manifest['as_of']}, cycle {manifest['cycle']}, {manifest['policy']['name']}"
    console.print(Text(line + mark), soft_wrap=True)
    if found.reason is not None:
        console.print(Text(f"account {found.account}: {found.reason}"), soft_wrap=True)
        return
    console.print(
        Text(
            f"account {found.account}: the mildest moves over {found.horizon} business days that "
            f"lose its requirement, {found.requirement:,} USD"
        ),
        soft_wrap=True,
    )
    console.print()
    rows = list(found.moves)
    console.print(_moves(rows, console))
    console.print()
    for row in rows:
        if row["multiple"] is not None:
            parts = [part for part in found.scenarios if part["move"] == row["move"]]
            told = ", ".join(_scenario(part, len(parts)) for part in parts)
            console.print(
                Text(f"{row['move']}: {row['multiple']:.2f} times {told}"), soft_wrap=True
            )
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        names = ", ".join(row["move"] for row in rows if row["reason"] == reason)
        console.print(Text(f"{names}: {reason}"), soft_wrap=True)
    share = sum(found.components["share"].to_pylist())
    console.print(
        Text(
            f"Standard deviations are those of the curve's first {COMPONENTS} components "
            f"({share:.0%} of its moves), but {ALL_FACTORS} among all factors: these two do not "
            "compare. P&L: a gain is positive."
        ),
        soft_wrap=True,
    )


def _moves(rows: list[dict[str, Any]], console: Console) -> Grid:
    """Return the moves that were found."""
    there = [row for row in rows if row["reason"] is None]
    # A column of zeros would take room from the others.
    sides = [s for s in SIDES if s != "other_ccps" or any(row[f"loss_{s}"] for row in there)]
    grid = new_grid(console)
    grid.add_column("move")
    for name in ("std. dev.", *(f"{tenor}y, bp" for tenor in TOLD), *(AT[s] for s in sides)):
        grid.add_column(name, justify="right")
    for row in there:
        grid.add_row(
            row["move"],
            _length(row),
            *(f"{row[f'bp_{tenor}']:+.1f}" for tenor in TOLD),
            *(_pnl(row[f"loss_{side}"]) for side in sides),
        )
    return grid


def _length(row: dict[str, Any]) -> str:
    """Return the length of a move, with the measure's mark or a blank of its width."""
    mark = " " if row["multiple"] is None else ALL_FACTORS
    return f"{row['standard_deviations']:.2f} {mark}"


def _pnl(loss: float) -> str:
    """Return the P&L of a loss in whole USD, with its sign; zero has none."""
    pnl = -round(loss)
    return f"{pnl:+,}" if pnl else "0"


def _scenario(part: dict[str, Any], of: int) -> str:
    """Return a scenario in words, with its share if there are several."""
    share = "" if of == 1 else f"{part['weight']:.0%} of "
    return f"{share}{part['date']}" + (f" ({part['tag']})" if part["tag"] else "")
