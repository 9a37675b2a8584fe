"""What-ifs for the terminal, or as plain text. Needs the extra `cli`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from crossmargin.report.console import new_grid
from crossmargin.report.terminal import CAVEATS, NO_SPREAD, TOO_MUCH, decided_by, print_exceptions
from crossmargin.whatif.cap import ToCap
from crossmargin.whatif.impact import Impact

AMOUNTS = {
    "requirement_ficc": "cross-margined at FICC",
    "requirement_cme": "cross-margined at CME",
    "other_ficc": "other positions at FICC",
    "other_cme": "other positions at CME",
    "other_ccps": "at other clearing houses",
    "requirement": "requirement",
    "house_requirement": "house requirement",
    "standalone_requirement": "without the programme",
    "saving": "saving",
}
"""The amounts that are shown, in order, and what they are called."""
RATES = {
    "offset_rate": "offset rate",
    "offset_rate_ficc": "saved by FICC's model",
    "offset_rate_cme": "saved by CME's model",
}
MOST = 40
"""Answers to questions from a file that are printed."""


def print_impact(impact: Impact, asked: str, console: Console) -> None:
    """Print an account before and after trades and moves, and what each of them changes.

    Parameters
    ----------
    impact
        The answer.
    asked
        The question, in words.
    console
        Where to print.
    """
    before, after, difference = impact.before, impact.after, impact.difference
    console.print(Text(asked), soft_wrap=True)
    console.print()
    grid = new_grid(console)
    grid.add_column("USD")
    for name in ("before", "after", "difference"):
        grid.add_column(name, justify="right")
    for name, told in AMOUNTS.items():
        # Zeros of accounts without such positions say nothing.
        shown = [before[name], after[name], difference[name]]
        if any(shown) or None in shown or name in ("requirement", "saving"):
            grid.add_row(told, *map(_usd, shown))
    for name, told in RATES.items():
        grid.add_row(told, _share(before[name]), _share(after[name]), _points(difference[name]))
    grid.add_row("binding or reason", decided_by(before), decided_by(after), "")
    console.print(grid)
    _print_caveats([before, after], console)
    parts = impact.parts.to_arrow()
    if len(parts) > 1:
        console.print()
        console.print(_parts(parts, console))


def _parts(parts: pa.Table, console: Console) -> Grid:
    grid = new_grid(console, "What each part changes, USD")
    grid.add_column("part")
    for name in ("requirement", "saving"):
        grid.add_column(name, justify="right")
    for row in parts.to_pylist():
        told = row["leg"] or "all together beyond that"
        if row["with_leg"] is not None:
            told += f" with {row['with_leg']}"
        grid.add_row(Text(told), _usd(row["requirement"]), _usd(row["saving"]))
    # An amount that is unknown in one part is unknown in all that follow from it.
    totals = [
        None if parts[name].null_count else pc.sum(parts[name]).as_py()
        for name in ("requirement", "saving")
    ]
    grid.add_row("difference", *map(_usd, totals))
    return grid


def print_impact_table(table: pa.Table, console: Console) -> None:
    """Print what a round trade of each benchmark and front future does to an account.

    Parameters
    ----------
    table
        From `Session.impact_table`.
    console
        Where to print.
    """
    rows = table.to_pylist()
    first = rows[0] if rows else None
    if first is None:
        console.print("There is no benchmark and no front contract.")
        return
    console.print(
        Text(
            f"Account {first['account']}: requirement {_usd(first['requirement_before'])} USD, "
            f"offset rate {_share(first['offset_rate_before'])}"
        ),
        soft_wrap=True,
    )
    grid = new_grid(
        console,
        "Change of the requirement and of the offset rate (pp: percentage points) by trades booked "
        "in the cross-margin account",
    )
    for name in ("tenor", "instrument"):
        grid.add_column(name)
    for name in ("quantity", "if long, USD", "rate", "if short, USD", "rate"):
        grid.add_column(name, justify="right")
    for long, short in zip(rows[::2], rows[1::2], strict=True):
        cells = [f"{long['quantity']:,}"]
        for row in (long, short):
            cells += [_usd(row["requirement_difference"]), _points(row["offset_rate_difference"])]
        grid.add_row(long["tenor"], Text(long["instrument"]), *cells)
    console.print(grid)


def print_to_cap(found: ToCap, console: Console) -> None:
    """Print how many contracts bring an account to the cap, or why none do.

    Parameters
    ----------
    found
        From `Session.to_cap`.
    console
        Where to print.
    """
    if found.contracts is None or found.answer is None:
        line = f"Account {found.account}, {found.instrument}: {found.reason}"
    else:
        moved = " moved in" if found.move else " booked in the cross-margin account"
        line = (
            f"Account {found.account}: {found.contracts:,} {found.instrument}{moved} bring the "
            f"offset rate to its cap, {_share(found.highest_rate)}; requirement then "
            f"{_usd(found.answer['requirement'])} USD, saving {_usd(found.answer['saving'])} USD"
        )
    console.print(Text(line), soft_wrap=True)


def print_answers(answers: pa.Table, exceptions: pa.Table, console: Console) -> None:
    """Print the answers to the questions of a file, and what was set aside.

    Parameters
    ----------
    answers, exceptions
        From `crossmargin.answer_questions`.
    console
        Where to print.
    """
    more = f" (the first {MOST} of {len(answers):,})" if len(answers) > MOST else ""
    grid = new_grid(console, f"Answers{more}, USD")
    for name in ("question", "account"):
        grid.add_column(name)
    for name in ("before", "after", "difference", "offset rate"):
        grid.add_column(name, justify="right")
    grid.add_column("binding or reason")
    rows = answers.slice(0, MOST).to_pylist()
    for row in rows:
        after = {name: row[f"{name}_after"] for name in ("binding", "reason", "capped")}
        grid.add_row(
            Text(row["question"]),
            Text(row["account"]),
            *(_usd(row[f"requirement_{when}"]) for when in ("before", "after", "difference")),
            _share(row["offset_rate_after"]),
            decided_by(after),
        )
    if rows:
        console.print(grid)
        console.print()
    print_exceptions(exceptions, console)


def _print_caveats(states: list[dict[str, Any]], console: Console) -> None:
    """Print the caveats on the figures."""
    carried = {
        TOO_MUCH: any(state["saving_is_upper_bound"] for state in states),
        NO_SPREAD: any(state["spread_risk"] for state in states),
    }
    for mark, text in CAVEATS.items():
        if carried[mark]:
            console.print(Text(f"{mark} {text}"))


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _share(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.2%}"


def _points(difference: float | None) -> str:
    """Return the difference of two rates, in percentage points."""
    return "" if difference is None else f"{100.0 * difference:+.2f} pp"
