"""An explanation for the terminal: sentences first, then short tables. Needs the extra `cli`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.analysis.explain import Explanation
from crossmargin.analysis.explained.requirement import OWN
from crossmargin.conventions import OTHER, PORTFOLIOS, V
from crossmargin.report.rows import print_rows

PAID = {ccp: {PORTFOLIOS[portfolio], PORTFOLIOS[OTHER]} for ccp, portfolio in OWN.items()}
"""The margin portfolios that each clearing house of the programme is paid for."""
TOO_FEW = "-"
"""Where there are too few scenarios for an amount."""
_LINE = ("instrument", "segment", "quantity")


def print_explanation(told: Explanation, console: Console) -> None:
    """Print why an account pays what it pays.

    Parameters
    ----------
    told : Explanation
    console : Console
    """
    for sentence in told.sentences:
        console.print(Text(sentence))
    # Firms are named where there are several.
    firms = {row["clearing_firm"] for row in told.components}
    firm = ("clearing_firm",) if len(firms) > 1 else ()
    largest = sorted(told.positions, key=lambda row: -abs(row["requirement"] or 0))
    _print(
        "What positions add to the requirement, USD",
        largest,
        (*firm, *_LINE, "requirement", "at_fixed_rate", "programme_saving"),
        console,
    )
    for level in ("product", "tenor", "leg"):
        _print(f"By {level}, USD", _by(told, level), (level, "requirement"), console)
    which = (*firm, "ccp", "portfolio", "component")
    decides = [row for row in told.components if row["weight"] != 0.0 and _is_paid(row)]
    _print(
        "What decides each margin, USD", decides, (*which, "amount", "weight"), console, most=None
    )
    tail = [row for row in told.tails if row["weight"] != 0.0 and _is_paid(row)]
    _print(
        "The scenarios that decide, USD",
        tail,
        (*which, "scenario", "tag", "pnl", "weight"),
        console,
        most=None,
    )
    deciding = {_key(row, which) for row in tail}
    own = [row for row in told.alternatives if _key(row, which) in deciding]
    _print_alternatives("By another definition, USD", own, which, console)
    whole = [row for row in told.alternatives if row["component"] == V and _is_paid(row)]
    _print_alternatives("Over moves of another length, USD", whole, which, console)
    _print(
        "The saving",
        told.offset,
        ("ccp", "v_cash", "v_futures", "v_combined", "offset_rate", "binds", "capped"),
        console,
    )
    _print(
        "Without one line, USD",
        told.without,
        (*firm, *_LINE, "requirement", "difference", "offset_rate"),
        console,
    )
    _print(
        "In named episodes, USD",
        told.episodes,
        ("episode", "horizon", "leg", "covered", "date", "pnl"),
        console,
        most=None,
    )


def _is_paid(row: Mapping[str, Any]) -> bool:
    """Return whether a row is about a V that is paid, not one that only tells the offset."""
    paid = PAID.get(row["ccp"])
    return paid is None or row["portfolio"] in paid


def _key(row: Mapping[str, Any], which: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[name] for name in which)


def _print_alternatives(
    title: str, found: Sequence[Mapping[str, Any]], which: Sequence[str], console: Console
) -> None:
    """Print what other definitions would give: a row for each, a column for each amount."""
    names = dict.fromkeys(" ".join(_key(row, which)) for row in found)
    rows: dict[str, dict[str, Any]] = {}
    for row in found:
        given = rows.setdefault(row["definition"], dict.fromkeys(names, TOO_FEW))
        given["definition"] = row["definition"]
        if row["amount"] is not None:
            given[" ".join(_key(row, which))] = row["amount"]
    # A firm's name stays as it is.
    heads = {name: name for name in names}
    _print(title, rows.values(), ("definition", *names), console, heads=heads, most=None)


def _by(told: Explanation, level: str) -> list[dict[str, Any]]:
    """Return what each product, tenor or leg adds to the requirement, largest first."""
    total: dict[str, Decimal | None] = {}
    for row in told.positions:
        name, each = row[level] or row["instrument"], row["requirement"]
        before = total.get(name, Decimal(0))
        total[name] = None if each is None or before is None else before + each
    rows = [{level: name, "requirement": each} for name, each in total.items()]
    return sorted(rows, key=lambda row: -abs(row["requirement"] or 0))


def _cell(name: str, value: Any) -> str:
    """Return a cell; what is unknown says so."""
    if value is None:
        return "" if name == "tag" else "unknown"
    if isinstance(value, bool):
        return "yes" if value else ""
    if name in ("offset_rate", "weight"):
        return f"{value:.1%}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, float):
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_print = partial(print_rows, cell=_cell)
