"""What each step makes of plain values: the files of its directory and the tables of its record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.calculation.result import RunResult
from crossmargin.conventions import CME_XM, SEGMENTS
from crossmargin.cycles.calls import Calls
from crossmargin.cycles.files import cusip_report, position_report, savings_report
from crossmargin.exceptions import CODES
from crossmargin.optimise.allocation import Allocation
from crossmargin.optimise.transfers import BUY, bookings, fixml, positions_csv
from crossmargin.results.table import MONEY
from crossmargin.results.tables import exception_table

SAVINGS_ADJUSTED = ("offset_rate", "requirement_ficc", "requirement_cme", "saving", "requirement")
CALLS_ADJUSTED = ("required_ficc", "required_cme", "collected", "call")
"""The figures that a later cycle also gives as adjustments of an earlier one."""


@dataclass(frozen=True)
class Made:
    """What a step has made.

    Attributes
    ----------
    files : dict of str to pyarrow.Table or bytes
        By name; a table becomes a CSV file as `io.results.csv_bytes` has it.
    tables : dict of str to pyarrow.Table
        What the ledger keeps of it.
    said : str
        In a few words, for the terminal.
    rejected : int
        Rows that could not be used.
    """

    files: Mapping[str, pa.Table | bytes]
    said: str
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    rejected: int = 0


def positions(run: RunResult, number: int, notes: pa.Table) -> Made:
    """Return the positions of a cycle: by CUSIP, as futures-equivalents, and what was set aside.

    Parameters
    ----------
    run : RunResult
    number : int
        The run of the cycle.
    notes : pyarrow.Table
        Further exceptions, of an `ExceptionLog`.
    """
    exceptions = _unstamped(run.exceptions.to_arrow())
    exceptions = pa.concat_tables([exceptions, exception_table(notes)])
    cusips, equivalents = cusip_report(run, number), position_report(run, number)
    rejected = run.manifest["rows"]["rejected"]
    said = f"{_counted(len(cusips), 'position')} at FICC"
    if rejected:
        said += f"; {_counted(rejected, 'row')} rejected"
    return Made(
        {
            "XMFICCCUSIP.csv": cusips,
            "XMFICCPOSN.csv": equivalents,
            "exceptions.csv": exceptions,
        },
        said,
        rejected=rejected,
    )


def allocation(found: Allocation) -> Made:
    """Return the futures to move, and what that saves.

    Parameters
    ----------
    found : Allocation
    """
    accounts, transfers = found.accounts.to_arrow(), found.transfers.to_arrow()
    saved = pc.sum(accounts["unused_saving"]).as_py() or 0
    return Made(
        {
            "accounts.csv": accounts,
            "lines.csv": found.lines.to_arrow(),
            "transfers.csv": transfers,
            "options.json": (json.dumps(found.manifest["options"], indent=2) + "\n").encode(),
        },
        f"{_counted(len(transfers), 'transfer')}, saving {saved:,.0f} USD",
        {"transfers": transfers},
    )


BOOKED = "positions.csv"
"""The file of booked rows, as positions to add to those that they were chosen from."""
MOVED = "moved.csv"
"""The file that says how many contracts a cross-margin account should hold afterwards."""


def booked(transfers: pa.Table, run: RunResult, prices: Mapping[str, float]) -> Made:
    """Return the transfers as they are booked: buys and sells, FIXML, positions.

    Parameters
    ----------
    transfers : pyarrow.Table
        As the allocation recorded them.
    run : RunResult
        That they were chosen in.
    prices : mapping of str to float
        Settlement prices by contract, to book at.
    """
    rows = bookings(transfers, run.manifest)
    return Made(
        {
            "transfers.csv": rows,
            "transfers.xml": fixml(transfers, run.manifest, prices),
            BOOKED: positions_csv(transfers),
            MOVED: _plain_csv(_moved(transfers, _crossed(run))),
        },
        f"{_counted(len(rows), 'buy or sell', 'buys and sells')}",
        {"bookings": _unstamped(rows)},
    )


def savings(run: RunResult, number: int, before: pa.Table | None, good: pa.Table | None) -> Made:
    """Return the offset rates and requirements of a cycle.

    Parameters
    ----------
    run : RunResult
        After the fallback, if a clearing house is late.
    number : int
        The run of the cycle.
    before : pyarrow.Table, optional
        The savings of the cycle that this one adjusts.
    good : pyarrow.Table, optional
        What each account pays by every rule, if a clearing house is late.
    """
    accounts = run.accounts.to_arrow()
    files: dict[str, pa.Table | bytes] = {
        "XMFICCMARGINSAVINGS.csv": savings_report(run, number),
        "accounts.csv": _unstamped(accounts),
    }
    if good is not None:
        files["fallbacks.csv"] = good
    if before is not None:
        files["adjustments.csv"] = adjustments(before, accounts, SAVINGS_ADJUSTED)
    total = [pc.sum(accounts[name]).as_py() or 0 for name in ("requirement", "saving")]
    said = f"requirement {total[0]:,.0f} USD, saving {total[1]:,.0f} USD"
    return Made(files, said, {"savings": _unstamped(accounts)})


def calls(called: Calls, before: pa.Table | None) -> Made:
    """Return what is called, by account and by customer.

    Parameters
    ----------
    called : Calls
    before : pyarrow.Table, optional
        The calls of the cycle that this one adjusts.
    """
    accounts = _unstamped(called.accounts.to_arrow())
    files: dict[str, pa.Table | bytes] = {
        "calls.csv": accounts,
        "customers.csv": _unstamped(called.customers.to_arrow()),
        "exceptions.csv": _unstamped(called.exceptions.to_arrow()),
    }
    if before is not None:
        files["adjustments.csv"] = adjustments(before, accounts, CALLS_ADJUSTED)
    rejected = called.manifest["exceptions"]
    return Made(
        files,
        _called(accounts, given=bool(called.manifest["inputs"])),
        {"calls": accounts},
        sum(count for code, count in rejected.items() if CODES[code].severity == "rejected"),
    )


def _called(accounts: pa.Table, *, given: bool) -> str:
    """Return in a few words what is called; without deposits, what is collected."""
    if not given:
        collected = pc.sum(accounts["collected"]).as_py() or 0
        return f"collected {collected:,.0f} USD; no deposits are given: calls are not known"
    called = accounts["call"].drop_null()
    some = int(np.count_nonzero(columns.numbers(called.cast(pa.float64())) > 0.0))
    said = f"{_counted(some, 'call')} of {pc.sum(called).as_py() or 0:,.0f} USD"
    unknown = accounts["call"].null_count
    return f"{said}; unknown for {_counted(unknown, 'account')}" if unknown else said


def adjustments(before: pa.Table, now: pa.Table, figures: Sequence[str]) -> pa.Table:
    """Return figures of a cycle as adjustments of those of an earlier one.

    Parameters
    ----------
    before, now : pyarrow.Table
        A row per account.
    figures : sequence of str
        Columns of both.

    Returns
    -------
    pyarrow.Table
        A row for each account of `now`; a change is null where either figure is.
    """
    account = columns.plain(now["account"])
    at = pc.index_in(account, value_set=columns.plain(before["account"]))
    cells: dict[str, Any] = {"account": account}
    for name in figures:
        earlier = columns.plain(before[name]).take(at)
        later = columns.plain(now[name])
        cells[f"{name}_before"] = earlier
        cells[name] = later
        change = pc.subtract(later, earlier.cast(later.type))
        cells[f"{name}_change"] = change.cast(MONEY) if later.type == MONEY else change
    return pa.table(cells)


def not_booked(moved: Mapping[str, pa.Table], run: RunResult, arrived: str) -> pa.Table:
    """Return the transfers that are not in the futures of a later cycle.

    Parameters
    ----------
    moved : mapping of str to pyarrow.Table
        By the run of the cycle that booked them, in order: account, instrument, and the contracts
        in the cross-margin account before and after.
    run : RunResult
        Of the later cycle.
    arrived : str
        Its futures file.

    Returns
    -------
    pyarrow.Table
        account, instrument, message.
    """
    names = ("account", "instrument", "message")
    if not any(map(len, moved.values())):
        return pa.table({name: columns.text_column([]) for name in names})
    now = _crossed(run)
    wanted: dict[tuple[str, str], tuple[str, int, int]] = {}
    for slot, table in moved.items():
        for account, instrument, old, new in zip(
            *(columns.plain(c).to_pylist() for c in table.columns), strict=True
        ):
            wanted[account, instrument] = (slot, int(old), int(new))
    rows = []
    for (account, instrument), (slot, old, new) in wanted.items():
        there = now.get((account, instrument), 0)
        if there != new:
            why = ", as before the transfer" if there == old else ""
            rows.append(
                {
                    "account": account,
                    "instrument": instrument,
                    "message": f"after the transfer of {slot} the cross-margin account should hold "
                    f"{new:,} contracts of {instrument}; {arrived} has {there:,}{why}",
                }
            )
    return pa.table({name: columns.text_column([row[name] for row in rows]) for name in names})


def _crossed(run: RunResult) -> dict[tuple[str, str], int]:
    """Return the contracts that are cross-margined, by account and future."""
    held = run.positions.to_arrow()
    held = held.filter(pc.equal(held["segment"], columns.scalar(SEGMENTS[CME_XM])))
    names = ("account", "instrument", "quantity")
    rows = zip(*(held[name].to_pylist() for name in names), strict=True)
    return {(account, future): int(quantity) for account, future, quantity in rows}


def _moved(transfers: pa.Table, held: Mapping[tuple[str, str], int]) -> pa.Table:
    """Return the contracts in the cross-margin account before transfers and after."""
    before, after = [], []
    for row in transfers.to_pylist():
        there = held.get((row["account"], row["instrument"]), 0)
        bought = row["contracts"] if row["cross_margin_side"] == BUY else -row["contracts"]
        before.append(there)
        after.append(there + bought)
    return pa.table(
        {
            "account": columns.plain(transfers["account"]),
            "instrument": columns.plain(transfers["instrument"]),
            "crossed": columns.column(np.array(before, np.int64)),
            "crossed_after": columns.column(np.array(after, np.int64)),
        }
    )


def _unstamped(table: pa.Table) -> pa.Table:
    """Return a table without the columns that say of which run it is: its directory says it."""
    stamps = [name for name in ("as_of", "cycle", "run_id") if name in table.column_names]
    return table.drop_columns(stamps) if stamps else table


def _plain_csv(table: pa.Table) -> bytes:
    """Return a table as a CSV file that is read again, every text as it is."""
    import pyarrow.csv as pacsv

    sink = pa.BufferOutputStream()
    plain = pa.table([columns.plain(c) for c in table.columns], names=table.column_names)
    pacsv.write_csv(plain, sink)
    return bytes(sink.getvalue())


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"
