"""Ours beside what the clearing houses report, for the terminal. Needs the extra `cli`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from crossmargin.analysis.reconcile import Reconciliation
from crossmargin.analysis.reconciled.causes import CAUSES
from crossmargin.report.rows import TOP, print_rows
from crossmargin.report.terminal import print_exceptions

ACCOUNT_COLUMNS = (
    *("account", "cause", "components", "lines", "largest_difference"),
    *("offset_rate", "offset_rate_observed", "reason", "reason_observed"),
)
HEADS = {
    "lines": "positions",
    "largest_difference": "largest difference, USD",
    "offset_rate": "offset rate",
    "offset_rate_observed": "observed",
    "reason_observed": "observed reason",
}


def print_reconciliation(found: Reconciliation, console: Console) -> None:
    """Print how many accounts break, by cause, and those that break most.

    Parameters
    ----------
    found
        From `crossmargin.reconcile`.
    console
        Where to print.
    """
    manifest = found.manifest
    mark = "   SYNTHETIC: made-up market and book" if manifest["synthetic"] else ""
    console.print(Text(f"as of {manifest['as_of']}, cycle {manifest['cycle']}{mark}"))
    for name, entry in manifest["inputs"].items():
        read = f"{entry['rows_read']:,} rows of {entry['path'] or 'a table'}"
        console.print(Text(f"  {name}: {entry['report']}, {read}"))
    for name, entry in manifest["terms"].items():
        others = [value for value in entry["observed"] if value != entry["ours"]]
        if others and entry["ours"] is not None:
            shown = ", ".join(f"{value:.4%}" for value in others)
            console.print(Text(f"  {name}: {shown} there, {entry['ours']:.4%} here", style="bold"))
    total, breaks = manifest["accounts"], manifest["breaks"]
    usd, rate = manifest["tolerance_usd"], manifest["tolerance_rate"]
    line = f"  {breaks:,} of {total:,} accounts break, beyond {usd:g} USD or a rate's {rate:.4%}"
    console.print(Text(line, style="bold" if breaks else ""))
    counted = [
        {"cause": cause.code, "accounts": manifest["causes"][cause.code], "meaning": cause.meaning}
        for cause in CAUSES
        if cause.code in manifest["causes"]
    ]
    print_rows(
        "Likeliest causes",
        counted,
        ("cause", "accounts", "meaning"),
        console,
        cell=_cell,
        most=None,
    )
    rows = [row for row in found.accounts if row["is_break"]]
    rows.sort(key=lambda row: -abs(row["largest_difference"] or 0))
    print_rows("Accounts that break most", rows, ACCOUNT_COLUMNS, console, cell=_cell, heads=HEADS)
    lines = [row for row in found.positions if row["is_break"]]
    print_rows(
        "Positions that differ",
        lines,
        ("account", "instrument", "ours", "observed", "difference"),
        console,
        cell=_cell,
        most=TOP,
    )
    console.print()
    print_exceptions(found.exceptions.to_arrow(), console)


def _cell(name: str, value: Any) -> str:
    """Return a value as text."""
    if value is None:
        return ""
    if name.startswith("offset_rate"):
        return f"{value:.2%}"
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
