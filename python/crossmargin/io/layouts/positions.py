"""Positions as exchanges and back offices report them, in our columns.

A report is recognised by its header; case, spaces and underscores of the names do not matter. What
a position's `xm` is comes from the report: the cross-margin report holds cross-margined positions
only. Rows that cannot be margined here keep what they say and are refused by name when they are
read; those of other products are left out and counted in the note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.cells import read_cells
from crossmargin.io.dates import slash_order
from crossmargin.io.layouts.headers import plain_names, text
from crossmargin.io.tables import Given

OURS = ("account", "kind", "instrument", "quantity")
"""A file with these columns is in our own form."""

NAMES: dict[str, tuple[str, ...]] = {
    "account": (
        *("account", "acctid", "accountid", "accountcode", "accountnumber", "accountno", "acct"),
        *("accountname", "custacct", "customeraccount", "custaccount"),
    ),
    "cusip": ("cusip", "cusipid", "cusipnumber", "securityid"),
    "position": ("position", "positionpar", "paramount", "par", "facevalue", "face", "quantity"),
    "xm": ("xm", "xmflag", "xmind", "crossmargin", "crossmargined", "crossmarginflag"),
    "clearing_firm": ("clearingfirm",),
    "business_date": ("busdate", "businessdate", "businessdt"),
    "cycle": ("cycle", "cyclecode"),
    "run": ("run", "runnumber"),
    "product": ("product", "productcode"),
    "month": ("contractmonth", "month", "contractperiod"),
}
"""Spellings of each column in plain letters; of several that a file has, the first is read."""


@dataclass(frozen=True)
class Stamp:
    """What a report says of itself: texts as in the file, the date as YYYY-MM-DD."""

    business_date: str
    cycle: str
    run: str

    def __str__(self) -> str:
        """Return the stamp for messages."""
        run = f" run {self.run}" if self.run else ""
        return f"{self.business_date} {self.cycle}{run}".strip()


def from_positions_report(given: Given) -> Given:
    """Return a report of positions in our columns; a file in our own form unchanged.

    Parameters
    ----------
    given : Given
        The table as read.

    Returns
    -------
    Given
        With notes on what was read.

    Raises
    ------
    InputError
        The report is of a kind that holds no positions to margin, or of several cycles.
    """
    if set(OURS) <= plain_names(given.table).keys():
        return given
    _refuse_equivalents(given.table)
    for layout in (xm_cusip,):
        read = layout(given)
        if read is not None:
            return read
    return given


def is_known(table: pa.Table) -> bool:
    """Tell whether positions are in our own form, or in that of a known report."""
    return set(OURS) <= plain_names(table).keys() or _is_xm_cusip(table)


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
    blank = columns.text_column([""] * len(table))
    _, different = columns.encoded(
        pc.binary_join_element_wise(*(blank if c is None else c for c in cells), "\0")
    )
    stamps = [Stamp(_iso(day), *rest) for day, *rest in (str(d).split("\0") for d in different)]
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


def xm_cusip(given: Given) -> Given | None:
    """Read the exchange's cross-margin report by CUSIP: what FICC has allocated to each account.

    Each row is taken as an unsettled purchase or sale of its face, cross-margined unless a column
    says otherwise.
    """
    table = given.table
    found = {name: column_of(table, name) for name in ("account", "cusip", "position")}
    stamped = [column_of(table, name) for name in ("business_date", "cycle")]
    if not _is_xm_cusip(table):
        return None
    blank = blank_rows(table)
    cells: dict[str, pa.Array] = {
        "account": table[found["account"]],
        "kind": constant("cash", blank),
        "instrument": table[found["cusip"]],
        "quantity": table[found["position"]],
    }
    xm = column_of(table, "xm")
    cells["xm"] = constant("true", blank) if xm is None else table[xm]
    says = "cross-margined" if xm is None else f"cross-margined where `{xm}` says so"
    stamp = stamp_of(table)
    note = f"read as the cross-margin report by CUSIP of {stamp}: unsettled positions, {says}"
    used = [name for name in (*found.values(), *stamped, column_of(table, "run"), xm) if name]
    return made(given, cells, used, note)


def _is_xm_cusip(table: pa.Table) -> bool:
    named = ("account", "cusip", "position", "business_date", "cycle")
    return all(column_of(table, name) is not None for name in named)


def _refuse_equivalents(table: pa.Table) -> None:
    """Refuse the report of the same Treasury positions as futures-equivalents."""
    named = [column_of(table, n) for n in ("business_date", "cycle", "run", "product", "month")]
    if None not in named and column_of(table, "position") is not None:
        raise InputError(
            "positions: this is the exchange's report of Treasury positions as "
            "futures-equivalents (XMFICCPOSN); its rows are no futures. Give the report by CUSIP "
            "(XMFICCCUSIP), whose positions are the same"
        )


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


def made(given: Given, cells: dict[str, pa.Array], used: Sequence[str], note: str) -> Given:
    """Return the report in our columns, followed by its others, so that these are listed."""
    others = {
        name: given.table[name]
        for name in given.table.column_names
        if name not in used and name not in cells
    }
    return replace(given, table=pa.table({**cells, **others}), notes=(*given.notes, note))
