"""What reports of positions have in common: spellings of their columns, and when they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.book.programme import (
    CONTRACT_HEADERS,
    CUSIP_HEADERS,
    HEAD_HEADERS,
    POSITION_HEADERS,
)
from crossmargin.exceptions import InputError
from crossmargin.io.cells import read_cells
from crossmargin.io.dates import slash_order
from crossmargin.io.layouts.headers import plain_names, text
from crossmargin.io.tables import Given, Stamp

NAMES: dict[str, tuple[str, ...]] = {
    "account": (
        *("account", "acctid", "accountid", "accountcode", "accountnumber", "accountno", "acct"),
        *("accountname", "custacct", "customeraccount", "custaccount", "clientid"),
        *("xmaccount", "subaccountcode", "subaccount", "subaccountid", "subacct"),
    ),
    "xm": ("xm", "xmflag", "xmind", "crossmargin", "crossmargined", "crossmarginflag"),
    "business_date": HEAD_HEADERS["day"],
    "cycle": HEAD_HEADERS["cycle"],
    "run": HEAD_HEADERS["run"],
    **CUSIP_HEADERS,
    **POSITION_HEADERS,
    **CONTRACT_HEADERS,
}
"""Spellings of each column in plain letters; of several that a file has, the first is read."""


def stamp_of(table: pa.Table) -> Stamp | None:
    """Return the business date, cycle and run that a report states in its columns.

    Parameters
    ----------
    table : pyarrow.Table
        As read, or any table with these columns.

    Returns
    -------
    Stamp, optional
        None if there is no such column, or no row.

    Raises
    ------
    InputError
        The rows differ in them.
    """
    cells = [text(table, *NAMES[name]) for name in ("business_date", "cycle", "run")]
    if cells[0] is None and cells[1] is None:
        return None
    blank = pa.repeat(columns.scalar(""), len(table))
    _, different = columns.encoded(
        pc.binary_join_element_wise(*(blank if c is None else c for c in cells), "\0")
    )
    stated = (str(one).upper().split("\0", 2) for one in different)
    stamps = [Stamp(_iso(day), *rest) for day, *rest in stated]
    told = {str(stamp): stamp for stamp in stamps if str(stamp)}
    if len(told) > 1:
        shown = "; ".join(list(told)[:3])
        raise InputError(
            f"positions: the report has rows of {len(told)} business dates, cycles or runs "
            f"({shown}), each of which holds all positions of its time; keep one"
        )
    return next(iter(told.values()), None)


def _iso(day: str) -> str:
    """Return a date as YYYY-MM-DD; another text as it is."""
    cells = columns.text_column([day]).dictionary_encode()
    read = columns.dates(read_cells(cells, "date", order=slash_order({"": cells})[0]).value)
    return day if np.isnat(read[0]) else str(read[0])


def column_of(table: pa.Table, name: str) -> str | None:
    """Return the file's own name of one of the columns of `NAMES`; None if it has none."""
    named = plain_names(table)
    return next((named[spelling] for spelling in NAMES[name] if spelling in named), None)


def blank_rows(table: pa.Table) -> pa.BooleanArray:
    """Return a mask of the rows without content."""
    blank = np.ones(len(table), bool)
    for name in table.column_names:
        if not blank.any():
            break
        cells = text(table.select([name]), *plain_names(table.select([name])))
        blank &= columns.flags(pc.equal(cells, columns.scalar("")))
    return columns.column(blank)


def constant(word: str, blank: pa.BooleanArray) -> pa.StringArray:
    """Return a column of one text, null where a row is blank: it must not become a row."""
    return pc.if_else(blank, columns.nothing(pa.string()), columns.scalar(word))


def made(
    given: Given, cells: dict[str, pa.Array], used: Sequence[str], note: str, stamp: Stamp | None
) -> Given:
    """Return the report in our columns, followed by its others, so that these are listed."""
    others = {
        name: given.table[name]
        for name in given.table.column_names
        if name not in used and name not in cells
    }
    return replace(
        given, table=pa.table({**cells, **others}), notes=(*given.notes, note), stamp=stamp
    )


def rows_of(count: int) -> str:
    """Return a number of rows for messages."""
    return "1 row" if count == 1 else f"{count:,} rows"
