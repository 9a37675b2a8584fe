"""What the days to come change, for the terminal: day by day, then where it costs most."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.analysis.upcoming import Upcoming
from crossmargin.calculation.events import EVENTS
from crossmargin.report.rows import TOP, print_rows

_COSTS = ("day", "account", "requirement_before", "requirement_after", "cost", "cost_so_far")
_EVENTS = ("day", "account", "instrument", "event", "quantity", "message")
_HEADS = {"requirement_before": "before", "requirement_after": "after"}


def print_upcoming(found: Upcoming, console: Console, accounts: Sequence[str] = ()) -> None:
    """Print what the days to come change, and what it will cost.

    Parameters
    ----------
    found : Upcoming
    console : Console
    accounts : sequence of str
        Accounts of which every event is printed. Without any only sums, the largest costs, and the
        events behind them.
    """
    manifest, events, costs = found.manifest, list(found.events), list(found.costs)
    days = manifest["days"]
    head = Text(f"What changes from {days[0]} to {days[-1]}, on the market of {manifest['as_of']}")
    head.append(f", cycle {manifest['cycle']}, policy {manifest['policy']['name']}")
    if manifest["synthetic"]:
        head.append("   SYNTHETIC: made-up market and book", style="bold yellow")
    console.print(head, soft_wrap=True)
    for line in _remarks(manifest, costs):
        console.print(Text(f"  {line}"), soft_wrap=True)
    if not events:
        console.print("  nothing changes")
        return
    most = None if accounts else TOP
    _print("Day by day, USD", _by_day(events, costs), ("day", *EVENTS, "accounts", "cost"), console)
    if not accounts:
        costs.sort(key=lambda row: (row["cost"] is None, -(row["cost"] or 0)))
    _print("Costs, USD" if accounts else "Largest costs, USD", costs, _COSTS, console, most)
    if not accounts:
        rank = {(row["day"], row["account"]): place for place, row in enumerate(costs[:TOP])}
        events = [row for row in events if (row["day"], row["margined_in"]) in rank]
        events.sort(key=lambda row: rank[row["day"], row["margined_in"]])
    _print("Events" if accounts else "Events behind them", events, _EVENTS, console, most)


def _remarks(manifest: Mapping[str, Any], costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a reader has to know of the figures."""
    lines = []
    if manifest["repos_renewed"]:
        lines.append("repos that end are taken as renewed")
    if manifest["undated"]:
        one = manifest["undated"] == 1
        lines.append(
            f"{manifest['undated']:,} {'trade' if one else 'trades'} failed or without a "
            f"settlement date {'stays' if one else 'stay'} in the book"
        )
    unknown = len({row["account"] for row in costs if row["cost"] is None})
    if unknown:
        many = "account" if unknown == 1 else "accounts"
        lines.append(f"not in the sums: {unknown:,} {many} with positions that no model prices")
    return lines


def _by_day(
    events: Sequence[Mapping[str, Any]], costs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for each day: how many rows of positions each event concerns, and the cost."""
    count: Counter[tuple[Any, str]] = Counter()
    for row in events:
        count[row["day"], row["event"]] += row["trades"]
    total: dict[Any, Decimal] = defaultdict(Decimal)
    changed = Counter(row["day"] for row in costs)
    for row in costs:
        total[row["day"]] += row["cost"] or 0
    return [
        {
            "day": day,
            **{code: count[day, code] for code in EVENTS},
            "accounts": changed[day],
            "cost": total[day],
        }
        for day in sorted({day for day, _ in count})
    ]


def _print(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    console: Console,
    most: int | None = None,
) -> None:
    """Print a table; columns of events that do not occur are left out."""
    names = [name for name in names if name not in EVENTS or any(row[name] for row in rows)]
    heads = {**_HEADS, **{code: code.lower().replace("_", " ") for code in EVENTS}}
    print_rows(title, rows, names, console, cell=_cell, heads=heads, most=most)


def _cell(name: str, value: Any) -> str:
    """Return a cell."""
    if value is None:
        return "unknown"
    if isinstance(value, Decimal):
        return f"{value:+,.0f}" if name.startswith("cost") else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
