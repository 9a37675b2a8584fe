"""Why requirements changed between two runs, for the terminal. Needs the extra `cli`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.text import Text

from crossmargin.analysis.attribution import TOGETHER, Attribution
from crossmargin.report.console import new_grid
from crossmargin.results.schemas.attribution import AGREED
from crossmargin.results.table import ZERO

TOP = 10
"""Accounts and lines in each list."""
CAUSES = 5
"""Causes with a column of their own in the list of accounts: as many as fit a line."""
AMOUNTS = {"requirement": "change", "ficc": "at FICC", "cme": "at CME", "other_ccps": "at others"}


def print_attribution(found: Attribution, console: Console) -> None:
    """Print why the requirements of a book changed, and the accounts that moved most.

    Parameters
    ----------
    found
        From `crossmargin.attribute`.
    console
        Where to print.
    """
    _print_runs(found, console)
    accounts = found.accounts.to_arrow()
    if found.unknown:
        console.print(
            Text(
                f"  not in these sums: {found.unknown:,} of {len(accounts):,} accounts, whose "
                "requirement is unknown in one of the runs",
                style="bold",
            )
        )
    console.print()
    counted = accounts.filter(accounts["change"].is_valid())
    _print_steps(found, "Change of the book's requirement by cause, USD", counted, console)
    changed = counted.filter(pc.not_equal(counted["change"], ZERO))
    console.print()
    if not len(changed):
        console.print("No requirement differs.")
        return
    size = pc.negate(pc.abs(changed["change"]))
    order = pc.sort_indices(changed.append_column("size", size), sort_keys=[("size", "ascending")])
    rows = changed.take(order[:TOP]).to_pylist()
    grid = new_grid(console, f"Accounts that moved most, of {len(changed):,}, USD")
    grid.add_column("account")
    shown, rest = _largest(found, rows)
    for name in ("before", "after", "change", *shown, *(["other causes"] if rest else [])):
        grid.add_column(name, justify="right")
    for row in rows:
        amounts = [row[name] for name in ("before", "after")]
        moves = [row["change"], *(row[_column(step)] for step in shown)]
        if rest:
            moves.append(_total(row[_column(step)] for step in rest))
        grid.add_row(Text(row["account"]), *map(_usd, amounts), *map(_move, moves))
    console.print(grid)


def _largest(found: Attribution, rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the steps that move some accounts most, in order, and the others that move them."""
    size = {
        row["step"]: sum((abs(one[_column(row["step"])] or 0) for one in rows), Decimal(0))
        for row in found.book
    }
    moving = [step for step, amount in size.items() if amount]
    most = sorted(moving, key=lambda step: -size[step])[:CAUSES]
    return [step for step in moving if step in most], [s for s in moving if s not in most]


def print_account_attribution(found: Attribution, console: Console) -> None:
    """Print why one account's requirement changed, and which of its lines did.

    Parameters
    ----------
    found
        From `Attribution.account`.
    console
        Where to print.
    """
    accounts = found.accounts.to_arrow()
    [row] = accounts.to_pylist()
    _print_runs(found, console)
    line = f"  account {row['account']}: {_usd(row['before'])} to {_usd(row['after'])} USD"
    if row["only_in"]:
        line += f"; only in the run {row['only_in']}, so it counts as zero in the other"
    console.print(Text(line), soft_wrap=True)
    told = f"  offset rate {_agreed(row, 'before')} -> {_agreed(row, 'after')}"
    console.print(Text(told), soft_wrap=True)
    rejected = [row[f"rows_rejected_{side}"] for side in ("before", "after")]
    if any(rejected):
        told = " -> ".join("none" if rows is None else f"{rows:,}" for rows in rejected)
        line = f"  rejected rows {told}; the amounts leave them out"
        console.print(Text(line), soft_wrap=True)
    console.print()
    _print_steps(found, "Change of its requirement by cause, USD", accounts, console)
    console.print()
    lines = found.positions.to_arrow()
    if not len(lines):
        console.print("None of its lines differs.")
        return
    grid = new_grid(console, f"Largest changes of its {len(lines):,} lines that differ")
    for name in ("ccp", "instrument", "cross-margin"):
        grid.add_column(name)
    for name in ("before", "after", "change", "DV01 of the change"):
        grid.add_column(name, justify="right")
    for cells in lines.slice(0, TOP).to_pylist():
        dv01 = cells["change_dv01"]
        grid.add_row(
            Text(cells["ccp"]),
            Text(cells["instrument"]),
            "yes" if cells["xm"] else "no",
            f"{cells['before']:,}",
            f"{cells['after']:,}",
            f"{cells['change']:+,}",
            "unpriced" if dv01 is None else f"{dv01:+,.0f}",
        )
    console.print(grid)


def _agreed(row: Mapping[str, Any], side: str) -> str:
    """Return the offset rate of one run, with what decides it or why it is zero."""
    cells = {column.name: row[f"{column.name}_{side}"] for column in AGREED}
    if cells["offset_rate"] is None:
        return "none (no such account)"
    why = cells["reason"]
    if why is None:
        binding = cells["binding"]
        why = "by the policy's table" if binding is None else f"{binding} binds"
        why += ", capped" if cells["capped"] else ""
    elif why == "INCOMPLETE" and cells["rows_rejected"]:
        rows = cells["rows_rejected"]
        why += f": {rows:,} {'row' if rows == 1 else 'rows'} rejected"
    return f"{cells['offset_rate']:.1%} ({why})"


def _print_runs(found: Attribution, console: Console) -> None:
    for mark, manifest in (("before", found.before), ("after ", found.after)):
        console.print(Text(f"{mark}  {_described(manifest)}"), soft_wrap=True)


def _described(manifest: Mapping[str, Any]) -> str:
    mark = "   SYNTHETIC: made-up market and book" if manifest["synthetic"] else ""
    policy = manifest["policy"]["name"]
    return f"as of {manifest['as_of']}, cycle {manifest['cycle']}, {policy}{mark}"


def _print_steps(found: Attribution, title: str, accounts: pa.Table, console: Console) -> None:
    """Print the steps from the requirement before to the one after."""
    rows = found.book.to_arrow().to_pylist()
    shown = [row for row in rows if row["step"] != TOGETHER or row["requirement"] or row["what"]]
    names = [n for n in AMOUNTS if n != "other_ccps" or any(row[n] for row in rows)]
    grid = new_grid(console, title)
    grid.add_column("cause")
    for name in names:
        grid.add_column(AMOUNTS[name], justify="right")
    grid.add_column("what changed")
    for row in shown:
        told = row["what"] or "nothing"
        grid.add_row(row["step"], *(_move(row[name]) for name in names), Text(told))
    change = [_total(row[name] for row in rows) for name in names]
    before, after = (pc.sum(accounts[end]).as_py() for end in ("before", "after"))
    known = len(accounts) > 0 and accounts["change"].null_count == 0
    told = f"{_usd(before)} to {_usd(after)}" if known else ""
    grid.add_row("total", *(_move(amount if known else None) for amount in change), told)
    console.print(grid)


def _total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _column(step: str) -> str:
    return step.replace(" ", "_")


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _move(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:+,.2f}" if amount else "0"
