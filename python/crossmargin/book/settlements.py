"""Read settlement prices of contracts from the rows of the settlements table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Integer
from crossmargin.instruments.contracts import Contract, last_trading_day
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.settlement_basis import Settlements


def read_settlements(table: pa.Table, *, as_of: np.datetime64) -> Settlements:
    """Return the settlement prices of a table, with their contracts resolved.

    Rows after the as-of date and rows without a price are ignored.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    as_of : datetime64[D]

    Returns
    -------
    Settlements

    Raises
    ------
    ValueError
        A contract is unknown, had stopped trading, or has two prices on one day; the message names
        the row.
    """
    past = columns.dates(table["date"]) <= as_of
    table = table.filter(columns.column(past)).drop_null()
    date, row = columns.dates(table["date"]), columns.integers(table["row"])
    contracts, number = _contracts(table["contract"], date, row)
    _check_traded(contracts, number, date, row)
    return Settlements(contracts, number, date, columns.numbers(table["price"]), row)


def _contracts(names: pa.ChunkedArray, date: Dates, row: Integer) -> tuple[list[Contract], Integer]:
    """Return the distinct contracts, and the index of each row's contract as of its date."""
    code, different = columns.encoded(names)
    text = columns.texts(different)
    found: dict[Contract, int] = {}
    number = np.empty(date.size, np.int64)

    def of(at: int) -> int:
        try:
            contract = parse_contract(text[code[at]], date[at])
        except ValueError as error:
            raise ValueError(f"row {row[at]}: {error}") from None
        return found.setdefault(contract, len(found))

    order = np.lexsort((date, code))
    for mine in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        if mine.size:
            # Over the years a one-digit year may stand for two contracts, the later one later.
            ends = of(mine[0]), of(mine[-1])
            number[mine] = ends[0] if ends[0] == ends[1] else [of(at) for at in mine]
    return list(found), number


def _check_traded(contracts: list[Contract], number: Integer, date: Dates, row: Integer) -> None:
    """Refuse a price after the last trading day, and two prices of a contract on one day."""
    last = np.array([last_trading_day(c) for c in contracts], "datetime64[D]")[number]
    late = np.flatnonzero(date > last)
    if late.size:
        at = late[0]
        raise ValueError(
            f"row {row[at]}: {contracts[number[at]].symbol} stopped trading on {last[at]}, before "
            f"{date[at]}; check the contract's year and the date"
        )
    order = np.lexsort((row, date, number))
    again = (np.diff(number[order]) == 0) & (np.diff(date[order]).astype(np.int64) == 0)
    if again.any():
        at = order[1:][again][0]
        raise ValueError(
            f"row {row[at]}: {contracts[number[at]].symbol} has another price on {date[at]}; keep "
            "one row"
        )
