"""Calls, and the programme's end, for the terminal or as plain text. Needs the extra `cli`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.analysis.programme_off import ProgrammeOff
from crossmargin.cycles.calls import Calls
from crossmargin.report.rows import print_rows
from crossmargin.report.terminal import print_exceptions

_CALLS = ("account", "required_ficc", "required_cme", "collected", "collected_by", "deposits")
_SHORT = ("call", "call_ficc", "call_cme")
_COLLECTED = (*_CALLS[:4], "heightened_addition", "house_margin", "collected_by")
_FREE = ("account", "collected", "deposits", "excess", "withdrawable")
_CUSTOMERS = ("customer", "clearing_firm", "accounts", "collected", "deposits", "call")
_GAP = ("account", "required_ficc", "required_cme", "gap", "gap_ordinary")
_BY = {
    "ccps": "what the clearing houses require",
    "multiplier": "the multiplier",
    "floor": "the floor",
    "minimum": "the minimum",
    "house_model": "the house model",
}


def print_calls(called: Calls, console: Console) -> None:
    """Print the sums, the largest calls and what most can be paid out.

    Parameters
    ----------
    called : Calls
    console : Console
    """
    rows = list(called.accounts)
    _head("Calls", called.manifest, len(rows), console)
    for line in _sums(rows, given=bool(called.manifest["inputs"])):
        console.print(Text(f"  {line}"), soft_wrap=True)
    if not called.manifest["inputs"]:
        _print("Most collected, USD", _largest(rows, "collected"), _COLLECTED, console)
    else:
        _print("Largest calls, USD", _largest(rows, "call"), (*_CALLS, *_SHORT), console)
        short = [r for r in rows if r["call"] == 0 and (r["call_ficc"] or r["call_cme"])]
        short.sort(key=lambda row: -(row["call_ficc"] + row["call_cme"]))
        _print(
            "Covered in all and short at one clearing house, USD",
            short,
            (*_CALLS[:4], "deposits", "call_ficc", "call_cme"),
            console,
        )
        customers = [row for row in called.customers if row["customer"] is not None]
        _print("Customers with the largest calls", _largest(customers, "call"), _CUSTOMERS, console)
        _print("Most withdrawable, USD", _largest(rows, "withdrawable"), _FREE, console)
    console.print()
    print_exceptions(called.exceptions.to_arrow(), console)


def _sums(rows: Sequence[Mapping[str, Any]], *, given: bool) -> list[str]:
    """Return the lines on all accounts."""
    known = [row for row in rows if row["collected"] is not None]
    required = sum(
        (row["required_ficc"] + row["required_cme"] + row["required_other_ccps"] for row in known),
        Decimal(0),
    )
    lines = [f"required {_usd(required)} USD, collected {_usd(_sum(known, 'collected'))}"]
    deciding = Counter(row["collected_by"] for row in known)
    told = [f"{deciding[by]:,} by {text}" for by, text in _BY.items() if deciding[by]]
    lines.append(f"decided for {', '.join(told)}" if told else "nothing is collected")
    if given:
        sure = [row for row in known if row["call"] is not None]
        lines += [
            f"on deposit {_usd(_sum(sure, 'deposits'))}; "
            f"{_counted(sum(row['call'] > 0 for row in sure), 'call')}, "
            f"{_usd(_sum(sure, 'call'))} in all; "
            f"withdrawable {_usd(sum((r['withdrawable'] or Decimal(0) for r in sure), Decimal(0)))}"
        ]
        if len(sure) < len(known):
            apart = _counted(len(known) - len(sure), "account")
            lines.append(f"no call: {apart} with a rejected row of deposits")
    else:
        lines.append("no deposits are given: calls and excess are not known")
    if len(known) < len(rows):
        apart = _counted(len(rows) - len(known), "account")
        lines.append(f"not in these sums: {apart} with positions that are not priced")
    low = sum(row["status"] == "incomplete" and row["collected"] is not None for row in rows)
    if low:
        lines.append(
            f"{_counted(low, 'account')} with rejected positions: at least so much is collected, "
            "and nothing is withdrawable"
        )
    away = [row for row in rows if row["required_elsewhere"]]
    if away:
        lines.append(
            f"called by other clearing firms, and in no sum: "
            f"{_usd(_sum(away, 'required_elsewhere'))} of {_counted(len(away), 'account')}"
        )
    return lines


def print_programme_off(found: ProgrammeOff, console: Console) -> None:
    """Print the gap in total, and the accounts with the largest.

    Parameters
    ----------
    found : ProgrammeOff
    console : Console
    """
    rows, (total,) = list(found.accounts), list(found.total)
    given = bool(found.manifest["inputs"])
    _head("Without the programme's benefit", found.manifest, len(rows), console)
    lines = [
        f"at an offset rate of zero {_usd(total['gap'])} USD more would be due: "
        f"{_usd(total['gap_ficc'])} at FICC, {_usd(total['gap_cme'])} at CME",
        f"with all positions in ordinary accounts {_usd(total['gap_ordinary'])} more",
    ]
    if given:
        lines.append(
            f"what is on deposit beyond today's requirement leaves {_usd(total['left'])} of the "
            f"first: {_usd(total['left_ficc'])} at FICC, {_usd(total['left_cme'])} at CME; and "
            f"{_usd(total['left_ordinary'])} of the second"
        )
    if total["accounts_unknown"]:
        lines.append(
            f"not in these sums: {_counted(total['accounts_unknown'], 'account')} with an amount "
            "that is not known"
        )
    if total["accounts_incomplete"]:
        lines.append(
            f"{_counted(total['accounts_incomplete'], 'account')} with rejected positions: no "
            "benefit now, so no gap is told; correct the rows"
        )
    for line in lines:
        console.print(Text(f"  {line}"), soft_wrap=True)
    names = (*_GAP, "left", "left_ordinary") if given else _GAP
    _print("Largest gaps, USD", _largest(rows, "gap"), names, console)
    console.print()
    print_exceptions(found.exceptions.to_arrow(), console)


def _head(what: str, manifest: Mapping[str, Any], accounts: int, console: Console) -> None:
    head = Text(f"{what} as of {manifest['as_of']}, cycle {manifest['cycle']}")
    head.append(f": {_counted(accounts, 'account')}, policy {manifest['policy']['name']}")
    if manifest["synthetic"]:
        head.append("   SYNTHETIC: made-up market and book", style="bold yellow")
    console.print(head)


def _largest(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Return the rows with a positive amount, the largest first."""
    some = [row for row in rows if row[name]]
    return sorted((row for row in some if row[name] > 0), key=lambda row: -row[name])


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    return sum((row[name] for row in rows), Decimal(0))


def _cell(name: str, value: Any) -> str:
    """Return a cell."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_print = partial(print_rows, cell=_cell)


def _usd(amount: Decimal) -> str:
    return f"{amount:,.0f}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
