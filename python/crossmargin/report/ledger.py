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
_OF_CALLS = ("record", "day", "cycle", "run", "accounts", "collected", "call", "unknown")
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
        print_rows("Calls by record, USD", _sums(calls), _OF_CALLS, console, cell=_cell, most=MOST)
    inputs = {
        (row["inputs_hash"], name): {"inputs_hash": row["inputs_hash"], "input": name, "hash": sha}
        for row in recorded
        for name, sha in json.loads(row["inputs"]).items()
    }
    names = ("inputs_hash", "input", "hash")
    heads = {"hash": "SHA-256"}
    print_rows("Inputs", inputs.values(), names, console, cell=_cell, heads=heads, most=MOST)


def _sums(calls: Table) -> Iterator[Mapping[str, Any]]:
    """Yield the sums of each record's calls."""
    table = calls.to_arrow()
    record = table["record"].to_numpy()
    first = 0
    while first < len(table):
        # Rows of a record lie together.
        size = int((record[first:] != record[first]).argmax()) or len(table) - first
        part = table.slice(first, size)
        known = part.filter(part["call"].is_valid())
        yield {
            **{name: part[name][0].as_py() for name in ("record", "day", "cycle", "run")},
            "accounts": len(part),
            "collected": pc.sum(known["collected"]).as_py(),
            "call": pc.sum(known["call"]).as_py(),
            "unknown": len(part) - len(known),
        }
        first += size


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "unknown" if name in ("collected", "deposits", "call") else ""
    if isinstance(value, Decimal):
        return f"{value:+,.2f}" if name.endswith("_change") else f"{value:,.2f}"
    if name.endswith("_hash"):
        return str(value)[:HASH]
    if name in ("accounts", "unknown"):
        return f"{value:,}"
    return str(value)
