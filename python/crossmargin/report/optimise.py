"""An allocation for the terminal: the book first, then where most can be saved. Needs `cli`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.optimise.allocation import Allocation
from crossmargin.report.rows import TOP, print_rows
from crossmargin.report.terminal import CAVEATS, marks_of, meanings

NO_CASH = "NO_CASH"
NO_CHOICE = {
    "NOT_ELIGIBLE": "not eligible",
    "INCOMPLETE": "with rejected rows",
    "UNPRICED": "with positions that no model prices",
    "NO_FUTURES": "without futures that may be moved",
    NO_CASH: "without cross-margined cash: futures alone save nothing; eligible cash outside it "
    "can be tried with `crossmargin whatif ACCOUNT --move`",
}
_ACCOUNTS = (
    *("account", "requirement", "requirement_none", "requirement_after", "unused_saving"),
    *("transfers", "gap", "binding", "binding_after", "offset_rate", "offset_rate_after"),
)
_MARKED = ("requirement_after", "unused_saving")
_TRANSFERS = ("account", "instrument", "contracts", "moves", "cross_margin_side", "saves")
_LINES = ("instrument", "total", "crossed", "crossed_after", "one_more", "one_less")
QUICK = "a quick search: no bound was calculated, and a full one may find more"
SAVES = "saves: what would be due again with this transfer alone left out; they need not add up"
_NAMES = {
    "requirement": "pays",
    "requirement_none": "with none",
    "requirement_after": "could pay",
    "cross_margin_side": "cross-margin side",
    "crossed": "cross-margined",
    "crossed_after": "afterwards",
}


def print_allocation(
    found: Allocation, console: Console, accounts: Sequence[str] | None = None
) -> None:
    """Print what a book could save, and the accounts that could save most; or named accounts.

    Parameters
    ----------
    found : Allocation
    console : Console
    accounts : sequence of str, optional
        Accounts to print line by line. Of one alone there are no sums.
    """
    rows = list(found.accounts)
    manifest = found.manifest
    head = Text(f"Allocation as of {manifest['as_of']}, cycle {manifest['cycle']}")
    head.append(f": {_counted(len(rows), 'account')}, policy {manifest['policy']['name']}")
    if manifest["synthetic"]:
        head.append("   SYNTHETIC: made-up market and book", style="bold yellow")
    console.print(head)
    if len(rows) > 1 or not accounts:
        _print_book(rows, found, console, transfers=not accounts)
    for name in accounts or ():
        _print_account(found, name, console)


def _print_book(
    rows: Sequence[Mapping[str, Any]], found: Allocation, console: Console, *, transfers: bool
) -> None:
    """Print sums, the accounts that could save most, and if asked for their transfers."""
    for line in _book(rows, found):
        console.print(Text(f"  {line}"), soft_wrap=True)
    moved = [row for row in rows if row["transfers"]]
    moved.sort(key=lambda row: -row["unused_saving"])
    _print("Largest unused savings, USD", moved, _ACCOUNTS, console, mark=_mark)
    for meaning in meanings(map(marks_of, moved[:TOP])):
        console.print(meaning)
    if not transfers:
        return
    names = [row["account"] for row in moved[:TOP]]
    place = {name: number for number, name in enumerate(names)}
    theirs = [row for row in found.transfers if row["account"] in place]
    theirs.sort(key=lambda row: (place[row["account"]], -row["saves"]))
    _print_transfers("Their transfers", theirs, _TRANSFERS, console)


def _print_transfers(
    title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], console: Console
) -> None:
    """Print transfers, and what the last column of them is."""
    if rows:
        _print(title, rows, names, console, most=None)
        console.print(Text(SAVES), soft_wrap=True)


def _print_account(found: Allocation, name: str, console: Console) -> None:
    """Print the lines of one account, and what one contract more or less would change."""
    row = next(row for row in found.accounts if row["account"] == name)
    console.print()
    console.print(Text(f"Account {name}"), style="bold")
    for line in _account(row, found):
        console.print(Text(f"  {line}"), soft_wrap=True)
    for meaning in meanings([marks_of(row)]):
        console.print(meaning)
    lines = [line for line in found.lines if line["account"] == name]
    _print("Its futures, and USD for one contract more or less", lines, _LINES, console, most=None)
    own = [transfer for transfer in found.transfers if transfer["account"] == name]
    _print_transfers("Its transfers", own, _TRANSFERS[1:], console)


def _book(rows: Sequence[Mapping[str, Any]], found: Allocation) -> list[str]:
    """Return the lines on the whole book."""
    known = [row for row in rows if row["requirement"] is not None]
    carried = Counter(mark for row in known for mark in marks_of(row))
    marks = "".join(mark for mark in CAVEATS if carried[mark])
    pays, none, could, unused = (
        sum((row[name] for row in known), Decimal(0))
        for name in ("requirement", "requirement_none", "requirement_after", "unused_saving")
    )
    lines = [
        f"pays {_usd(pays)} USD, could pay {_usd(could)}{marks}: "
        f"unused saving {_usd(unused)}{marks}; with no futures cross-margined {_usd(none)}",
        *(f"{mark} {_counted(carried[mark], 'account')}: {CAVEATS[mark]}" for mark in marks),
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
    if _is_quick(found):
        lines.append(QUICK)
    # Where futures move back too, the only choices were now and none.
    outcomes = Counter(NO_CASH if _is_without_cash(row, found) else row["outcome"] for row in rows)
    without = [f"{outcomes[code]:,} {text}" for code, text in NO_CHOICE.items() if outcomes[code]]
    if without:
        lines.append(f"no choice: {', '.join(without)}")
    if len(known) < len(rows):
        apart = _counted(len(rows) - len(known), "account")
        lines.append(f"not in these sums: {apart} with positions that no model prices")
    return lines


def _account(row: Mapping[str, Any], found: Allocation) -> list[str]:
    """Return the lines on one account."""
    marks = marks_of(row)
    lines = [
        f"pays {_usd(row['requirement'])} USD, could pay {_usd(row['requirement_after'])}{marks}: "
        f"unused saving {_usd(row['unused_saving'])}{marks}; "
        f"with no futures cross-margined {_usd(row['requirement_none'])}"
    ]
    if row["outcome"] in NO_CHOICE:
        return [*lines, f"no choice: {NO_CHOICE[row['outcome']]}"]
    lines.append(
        f"now the rate is {row['offset_rate']:.1%}{_binds(row['binding'], capped=False)}; "
        f"afterwards {row['offset_rate_after']:.1%}"
        f"{_binds(row['binding_after'], capped=row['capped_after'])}"
    )
    if _is_quick(found):
        return [*lines, QUICK]
    if _is_without_cash(row, found):
        return [*lines, "no cross-margined cash: futures alone save nothing"]
    lines.append(
        "no other choice pays noticeably less"
        if row["optimal"]
        else f"no choice pays less than {_usd(row['lower_bound'])}: a gap of {row['gap']:.2%}"
    )
    return lines


def _is_quick(found: Allocation) -> bool:
    """Return whether nothing was proved."""
    return bool(found.manifest["options"]["quick"])


def _is_without_cash(row: Mapping[str, Any], found: Allocation) -> bool:
    """Return whether an account has futures that may be moved, and no cash beside them.

    A quick allocation has no proofs, which tell it where futures move back.
    """
    unproved = row["outcome"] == "moved" and row["optimal"] is None
    return row["outcome"] == NO_CASH or (unproved and not _is_quick(found))


def _binds(ccp: str | None, *, capped: bool) -> str:
    """Return what decides a rate."""
    parts = [f"{ccp} binds"] * (ccp is not None) + ["capped"] * capped
    return f" ({', '.join(parts)})" if parts else ""


def _ranked(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed; no interpolation."""
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def _mark(name: str, row: Mapping[str, Any]) -> str:
    """Return the marks of a cell."""
    return marks_of(row) if name in _MARKED else ""


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


_print = partial(print_rows, cell=_cell, heads=_NAMES)


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.0f}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
