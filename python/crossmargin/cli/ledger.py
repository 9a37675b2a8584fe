"""`crossmargin ledger`: what was called when, for whom, under which policy and inputs."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from crossmargin.cli.output import output, print_line
from crossmargin.conventions import CYCLES
from crossmargin.cycles.ledger import Ledger
from crossmargin.exceptions import InputError
from crossmargin.io.results import write_table
from crossmargin.report.ledger import print_ledger


def ledger(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The ledger's file.")],
    day: Annotated[
        str | None,
        typer.Option(
            metavar="DAY",
            help="A day, or FIRST..LAST, where either may be left out. Without it and without "
            "accounts or customers, the last day recorded.",
            show_default=False,
        ),
    ] = None,
    cycle: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(CYCLES)}; may be repeated.", show_default=False),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(help="An account; may be repeated.", show_default=False),
    ] = None,
    customer: Annotated[
        list[str] | None,
        typer.Option(help="A customer, with all accounts; may be repeated.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write these calls, a row per record and account, to this file, .csv or .parquet.",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check first that the ledger is as it was recorded."),
    ] = False,
) -> None:
    """Show what was called when, for whom, under which policy and inputs."""
    for name in cycle or ():
        if name not in CYCLES:
            raise InputError(f"--cycle: one of {', '.join(CYCLES)} expected, got {name!r:.60}")
    book = Ledger(path)
    if verify:
        print_line(
            f"All is as it was recorded; the last record's hash is {book.verify() or 'none'}"
        )
    days = None if day is None else _days(day)
    if days is None and not account and not customer:
        days = _last_day(book, cycle)
    steps = book.steps(day=days, cycle=cycle or None)
    calls = book.calls(
        day=days, cycle=cycle or None, account=account or None, customer=customer or None
    )
    if out is not None:
        write_table(calls.to_arrow(), out)
    print_ledger(steps, calls, output(), rows=bool(account or customer))
    if out is not None:
        print_line(f"File: {out}")


def _days(text: str) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last day of what was given as `--day`."""
    first, dots, last = text.partition("..")
    ends: list[datetime.date] = []
    for part, open_end in (
        (first, datetime.date.min),
        (last if dots else first, datetime.date.max),
    ):
        try:
            ends.append(datetime.date.fromisoformat(part) if part or not dots else open_end)
        except ValueError:
            raise InputError(
                f"--day: a date such as 2026-11-30, or FIRST..LAST, expected, got {text!r:.60}"
            ) from None
    return ends[0], ends[1]


def _last_day(book: Ledger, cycle: list[str] | None) -> Any:
    """Return the last day recorded; None if there is no record."""
    days = book.steps(cycle=cycle or None)["day"].to_pylist()
    return days[-1] if days else None
