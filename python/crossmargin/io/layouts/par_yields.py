"""Par yields as FRED and the Treasury's XML feed publish them; its CSV needs no layout."""

from __future__ import annotations

import re

import pyarrow as pa

from crossmargin.io.layouts.headers import plain_names

_FRED = re.compile(r"dgs([0-9]+)(mo)?")
_FEED = re.compile(r"bc_([0-9]+(?:_[0-9]+)?)(month|year)")


def fred_yields(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read FRED's download of yields at constant maturity: `DGS1MO`, ..., `DGS30`."""
    named = plain_names(table)
    series = {}
    for name in named:
        match = _FRED.fullmatch(name)
        if match:
            series[named[name]] = match[1] + (match[2] or "y")
    date = named.get("observationdate") or named.get("date")
    if not series or date is None:
        return None
    return (
        _renamed(table, {date: "date", **series}),
        f"read as FRED's download of {', '.join(series)}",
    )


def treasury_feed(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read the properties of the Treasury's XML feed: `NEW_DATE`, `BC_1MONTH`, ..., `BC_30YEAR`."""
    nodes = {}
    for name in table.column_names:
        match = _FEED.fullmatch(name.lower())
        if match:
            nodes[name] = match[1] + ("mo" if match[2] == "month" else "y")
    if not nodes or "NEW_DATE" not in table.column_names:
        return None
    return (
        _renamed(table, {"NEW_DATE": "date", **nodes}),
        "read as the Treasury's XML feed of par yields",
    )


def _renamed(table: pa.Table, names: dict[str, str]) -> pa.Table:
    return table.rename_columns([names.get(name, name) for name in table.column_names])
