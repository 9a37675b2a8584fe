"""An allocation for the terminal: the book first, then where most can be saved. Needs `cli`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from crossmargin.optimise.allocation import Allocation

TOP = 10
"""Accounts, and transfers of an account, that are printed."""
NO_CHOICE = {
    "NOT_ELIGIBLE": "not eligible",
    "INCOMPLETE": "with rejected rows",
    "UNPRICED": "with positions that no model prices",
    "NO_FUTURES": "without futures that may be moved",
}
_ACCOUNTS = (
    *("account", "requirement", "requirement_none", "requirement_after", "unused_saving"),
    *("transfers", "gap", "binding", "binding_after", "offset_rate", "offset_rate_after"),
)
_TRANSFERS = ("account", "instrument", "contracts", "moves", "cross_margin_side", "saves")
_LINES = ("instrument", "total", "crossed", "crossed_after", "one_more", "one_less")
_NAMES = {
    "requirement": "pays",
    "requirement_none": "with none",
    "requirement_after": "could pay",
    "cross_margin_side": "cross-margin side",
    "crossed": "cross-margined",
    "crossed_after": "afterwards",
}


def print_allocation(found: Allocation, console: Console) -> None:
    """Print what a book could save, and the accounts that could save most.

    Parameters
    ----------
    found : Allocation
    console : Console
    """
    rows = list(found.accounts)
    manifest = found.manifest
    head = Text(f"Allocation as of {manifest['as_of']}, cycle {manifest['cycle']}")
    head.append(f": {_counted(len(rows), 'account')}, policy {manifest['policy']['name']}")
    if manifest["synthetic"]:
        head.append("   SYNTHETIC: made-up market and book", style="bold yellow")
    console.print(head)
    for line in _book(rows, found):
        console.print(Text(f"  {line}"))
    moved = [row for row in rows if row["transfers"]]
    moved.sort(key=lambda row: -row["unused_saving"])
    _print("Largest unused savings, USD", moved, _ACCOUNTS, console)
    names = [row["account"] for row in moved[:TOP]]
    place = {name: number for number, name in enumerate(names)}
    theirs = [row for row in found.transfers if row["account"] in place]
    theirs.sort(key=lambda row: (place[row["account"]], -row["saves"]))
    if theirs:
        _print("Their transfers", theirs, _TRANSFERS, console, most=None)


def print_account_allocation(found: Allocation, name: str, console: Console) -> None:
    """Print the lines of one account, and what one contract more or less would change.

    Parameters
    ----------
    found : Allocation
    name : str
        One of its accounts.
    console : Console
    """
    row = next(row for row in found.accounts if row["account"] == name)
    console.print()
    console.print(Text(f"Account {name}"), style="bold")
    for line in _account(row):
        console.print(Text(f"  {line}"))
    lines = [line for line in found.lines if line["account"] == name]
    _print("Its futures, and USD for one contract more or less", lines, _LINES, console, most=None)
    own = [transfer for transfer in found.transfers if transfer["account"] == name]
    _print("Its transfers", own, _TRANSFERS[1:], console, most=None)


def _book(rows: Sequence[Mapping[str, Any]], found: Allocation) -> list[str]:
    """Return the lines on the whole book."""
    known = [row for row in rows if row["requirement"] is not None]
    pays, none, could, unused = (
        sum((row[name] for row in known), Decimal(0))
        for name in ("requirement", "requirement_none", "requirement_after", "unused_saving")
    )
    lines = [
        f"pays {_usd(pays)} USD, could pay {_usd(could)}: unused saving {_usd(unused)}; "
        f"with no futures cross-margined {_usd(none)}",
        f"{_counted(sum(row['transfers'] > 0 for row in rows), 'account')} with transfers, "
        f"{_counted(len(found.transfers), 'transfer')}",
    ]
    gaps = sorted(row["gap"] for row in rows if row["gap"] is not None)
    if gaps:
        proven = sum(bool(row["optimal"]) for row in rows)
        lines.append(
            f"of {_counted(len(gaps), 'account')} with a choice {proven:,} proven optimal; "
            f"gap to the bound: median {_ranked(gaps, 0.5):.2%}, "
            f"95th percentile {_ranked(gaps, 0.95):.2%}"
        )
    outcomes = Counter(row["outcome"] for row in rows)
    without = [f"{outcomes[code]:,} {text}" for code, text in NO_CHOICE.items() if outcomes[code]]
    if without:
        lines.append(f"no choice: {', '.join(without)}")
    if len(known) < len(rows):
        apart = _counted(len(rows) - len(known), "account")
        lines.append(f"not in these sums: {apart} with positions that no model prices")
    return lines


def _account(row: Mapping[str, Any]) -> list[str]:
    """Return the lines on one account."""
    lines = [
        f"pays {_usd(row['requirement'])} USD, could pay {_usd(row['requirement_after'])}: "
        f"unused saving {_usd(row['unused_saving'])}; "
        f"with no futures cross-margined {_usd(row['requirement_none'])}"
    ]
    if row["outcome"] in NO_CHOICE:
        return [*lines, f"no choice: {NO_CHOICE[row['outcome']]}"]
    lines.append(
        f"now the rate is {row['offset_rate']:.1%}{_binds(row['binding'], capped=False)}; "
        f"afterwards {row['offset_rate_after']:.1%}"
        f"{_binds(row['binding_after'], capped=row['capped_after'])}"
    )
    lines.append(
        "no other choice pays noticeably less"
        if row["optimal"]
        else f"no choice pays less than {_usd(row['lower_bound'])}: a gap of {row['gap']:.2%}"
    )
    return lines


def _binds(ccp: str | None, *, capped: bool) -> str:
    """Return what decides a rate."""
    parts = [f"{ccp} binds"] * (ccp is not None) + ["capped"] * capped
    return f" ({', '.join(parts)})" if parts else ""


def _ranked(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed; no interpolation."""
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def _print(
    title: str,
    rows: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    console: Console,
    most: int | None = TOP,
) -> None:
    """Print some columns of the first rows; nothing where there is no row."""
    rows = list(rows)
    if not rows:
        return
    more = "" if most is None or len(rows) <= most else f" (the first {most} of {len(rows):,})"
    grid = Grid(
        title=title + more,
        title_justify="left",
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
    )
    for name in names:
        numeric = any(isinstance(row[name], int | float | Decimal) for row in rows)
        said = _NAMES.get(name, name.replace("_", " "))
        grid.add_column(said, justify="right" if numeric else "left")
    for row in rows[:most]:
        grid.add_row(*(Text(_cell(name, row[name])) for name in names))
    console.print()
    console.print(grid)


def _cell(name: str, value: Any) -> str:
    """Return a cell."""
    if value is None:
        return ""
    if name == "gap":
        return f"{value:.2%}"
    if isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if name in ("one_more", "one_less") else _usd(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.0f}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
