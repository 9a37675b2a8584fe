"""The ledger on the terminal. Needs the extra `cli`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc
from rich.console import Console
from rich.text import Text

from crossmargin.report.rows import print_rows
from crossmargin.results.table import Table

MOST = 40
"""Rows of each table."""
HASH = 12
"""Characters of a hash where it only tells one from another."""
_STEPS = (
    "record",
    "day",
    "cycle",
    "run",
    "step",
    "recorded_at",
    "policy",
    "policy_hash",
    "inputs_hash",
)
_OF_CALLS = ("record", "day", "cycle", "run", "accounts", "collected", "call", "calls_unknown")
_CALLS = (
    *("record", "day", "cycle", "run", "account", "customer", "collected", "deposits", "call"),
    *("call_change", "policy_hash", "inputs_hash"),
)


def print_ledger(steps: Table, calls: Table, console: Console, *, rows: bool) -> None:
    """Print records of steps, what they called, and the inputs behind them.

    Parameters
    ----------
    steps, calls
        From a `Ledger`.
    console
        Where to print.
    rows
        Whether to print the calls account by account, else their sums by record.
    """
    recorded = list(steps)
    if rows:
        called = set(calls["record"].to_pylist())
        recorded = [row for row in recorded if row["record"] in called]
    if not recorded:
        console.print("Nothing is recorded of them.")
        return
    late = any(row["late"] or row["fallback"] for row in recorded)
    names = (*_STEPS, *(("late", "fallback") if late else ()))
    print_rows("Steps", recorded, names, console, cell=_cell, most=MOST)
    if not len(calls):
        console.print()
        console.print("Nothing was called in these steps.")
        return
    if rows:
        found = list(calls[:MOST])
        print_rows("Calls, USD", found, _CALLS, console, cell=_cell, most=MOST)
        if len(calls) > MOST:
            console.print(Text(f"{len(calls) - MOST:,} more rows: write them with --out"))
    else:
        sums = list(_sums(calls))
        names = _OF_CALLS
        if any(row["collected_unknown"] for row in sums):
            names = (*_OF_CALLS, "collected_unknown")
        print_rows("Calls by record, USD", sums, names, console, cell=_cell, most=MOST)
    names, heads = ("day", "records", "input", "hash"), {"hash": "SHA-256"}
    print_rows("Inputs", _inputs(recorded), names, console, cell=_cell, heads=heads, most=MOST)


def _inputs(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the inputs of each day, each once, with the records that have it."""
    days: dict[Any, list[int]] = {}
    found: dict[tuple[Any, str, str], list[int]] = {}
    for row in recorded:
        days.setdefault(row["day"], []).append(row["record"])
        for name, sha in json.loads(row["inputs"]).items():
            found.setdefault((row["day"], name, sha), []).append(row["record"])
    return [
        {
            "day": day,
            "records": "all" if records == days[day] else _ranges(records),
            "input": name,
            "hash": sha,
        }
        for (day, name, sha), records in found.items()
    ]


def _ranges(numbers: list[int]) -> str:
    """Return whole numbers in few words: 1-3, 5."""
    ends: list[list[int]] = []
    for number in sorted(numbers):
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ", ".join(f"{one}" if one == last else f"{one}-{last}" for one, last in ends)


def _sums(calls: Table) -> Iterator[Mapping[str, Any]]:
    """Yield the sums of each record's calls."""
    table = calls.to_arrow()
    record = table["record"].to_numpy()
    first = 0
    while first < len(table):
        # Rows of a record lie together.
        size = int((record[first:] != record[first]).argmax()) or len(table) - first
        part = table.slice(first, size)
        yield {
            **{name: part[name][0].as_py() for name in ("record", "day", "cycle", "run")},
            "accounts": len(part),
            "collected": pc.sum(part["collected"]).as_py(),
            "call": pc.sum(part["call"]).as_py(),
            "calls_unknown": part["call"].null_count,
            "collected_unknown": part["collected"].null_count,
        }
        first += size


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "unknown" if name in ("collected", "deposits", "call") else ""
    if isinstance(value, Decimal):
        return f"{value:+,.2f}" if name.endswith("_change") else f"{value:,.2f}"
    if name.endswith("_hash"):
        return str(value)[:HASH]
    if name in ("accounts", "calls_unknown", "collected_unknown"):
        return f"{value:,}"
    return str(value)
