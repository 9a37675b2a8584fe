"""An explanation for the terminal: sentences first, then short tables. Needs the extra `cli`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from crossmargin.analysis.explain import Explanation

TOP = 10
"""Rows of each table."""


def print_explanation(told: Explanation, console: Console) -> None:
    """Print why an account pays what it pays.

    Parameters
    ----------
    told : Explanation
    console : Console
    """
    for sentence in told.sentences:
        console.print(Text(sentence))
    largest = sorted(told.positions, key=lambda row: -abs(row["requirement"] or 0))
    _print(
        "What positions add to the requirement, USD",
        largest,
        ("instrument", "segment", "quantity", "requirement", "at_fixed_rate", "programme_saving"),
        console,
    )
    for level in ("product", "tenor", "leg"):
        _print(f"By {level}, USD", _by(told, level), (level, "requirement"), console)
    _print("What decides each margin, USD", _components(told), _COMPONENTS, console, most=None)
    tail = [row for row in told.tails if row["weight"] != 0.0]
    _print(
        "The scenarios that decide, USD",
        tail,
        ("ccp", "portfolio", "component", "scenario", "tag", "pnl", "weight"),
        console,
        most=None,
    )
    _print_alternatives(told, tail, console)
    _print(
        "The saving",
        told.offset,
        ("ccp", "v_cash", "v_futures", "v_combined", "offset_rate", "binds", "capped"),
        console,
    )
    _print(
        "Without one line, USD",
        told.without,
        ("instrument", "segment", "quantity", "requirement", "difference", "offset_rate"),
        console,
    )
    _print(
        "In named episodes, USD",
        told.episodes,
        ("episode", "horizon", "leg", "covered", "date", "pnl"),
        console,
        most=None,
    )


def _print_alternatives(told: Explanation, tail: list[dict[str, Any]], console: Console) -> None:
    """Print what other definitions would give: a row for each, a column for each deciding VaR."""
    # Of a clearing house of the programme, `combined` and `all` are not what is paid.
    several = {row["ccp"] for row in tail if row["portfolio"] != "all"}
    deciding = {
        (row["ccp"], row["portfolio"], row["component"])
        for row in tail
        if row["portfolio"] not in ("combined", "all") or row["ccp"] not in several
    }
    rows: dict[str, dict[str, Any]] = {}
    names: dict[str, None] = {}
    for row in told.alternatives:
        key = (row["ccp"], row["portfolio"], row["component"])
        if key in deciding:
            name = " ".join(key)
            names[name] = None
            rows.setdefault(row["definition"], {"definition": row["definition"]})[name] = row[
                "amount"
            ]
    whole = [{**dict.fromkeys(names), **row} for row in rows.values()]
    _print("By another definition, USD", whole, ("definition", *names), console)


_COMPONENTS = ("ccp", "portfolio", "component", "amount", "weight")


def _components(told: Explanation) -> list[dict[str, Any]]:
    """Return the components that decide, and V."""
    return [row for row in told.components if row["weight"] != 0.0]


def _by(told: Explanation, level: str) -> list[dict[str, Any]]:
    """Return what each product, tenor or leg adds to the requirement, largest first."""
    total: dict[str, Decimal | None] = {}
    for row in told.positions:
        name, each = row[level] or row["instrument"], row["requirement"]
        before = total.get(name, Decimal(0))
        total[name] = None if each is None or before is None else before + each
    rows = [{level: name, "requirement": each} for name, each in total.items()]
    return sorted(rows, key=lambda row: -abs(row["requirement"] or 0))


def _print(
    title: str,
    rows: Iterable[Mapping[str, Any]],
    names: tuple[str, ...],
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
        grid.add_column(name.replace("_", " "), justify="right" if numeric else "left")
    for row in rows[:most]:
        grid.add_row(*(Text(_cell(name, row[name])) for name in names))
    console.print()
    console.print(grid)


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
