"""Daily par yields: the official Treasury download, or our plain form, to one typed table."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.exceptions import InputError
from crossmargin.book.schemas import Kind
from crossmargin.io.cells import Cells, CellTypeError, Mask, is_words, read_cells, shown_cells
from crossmargin.io.dates import slash_order
from crossmargin.io.parse import Parsed
from crossmargin.market.curve import TENORS

LOWEST, HIGHEST = -5.0, 30.0
"""Percent; a yield outside is a placeholder or another column."""

_BILLS = ("1mo", "3mo", "6mo")
_ZERO_BILL_UNDER = 1.0
DECIMAL_UNDER = 0.25
_TENOR = re.compile(r"([0-9]+(?:[._][0-9]+)?)[ _]?(mo|m|month|months|yr|y|year|years)")

Float = npt.NDArray[np.float64]


def read_par_yields(given: pa.Table, *, name: str = "par yields", point: bool = True) -> Parsed:
    """Read a history of par yields.

    Headers may be ``Date,"1 Mo",...,"30 Yr"`` or ``date,1mo,...,30y``; rows in any order. Other
    tenors and columns are listed, not read.

    A missing yield is a blank, ``N/A`` or the like, and also a zero that cannot be true: at nodes
    of a year and longer, and at a bill whose next longer node stands at one percent or more.

    Parameters
    ----------
    given
        A table as `io.tables.read_table` leaves it.
    name
        What the input is called in messages.
    point
        Whether the decimal mark is a point, as `Given` has it.

    Returns
    -------
    Parsed
        `table`: `date` (date32, ascending) and the eleven nodes (float64, percent, null where
        missing).

    Raises
    ------
    InputError
        If a column is missing, a cell cannot be read, a yield is outside -5 to 30 percent, a row
        or the file looks like decimals, or one date has two different rows.
    """
    where = _columns(given, name)
    cells = {
        node: _read(given, where[node], name, kind="number", percent=True, point=point)
        for node in TENORS
    }
    when = columns.one_array(given[where["date"]])
    texts = {where["date"]: when.dictionary_encode()} if is_words(when.type) else {}
    slashes, notes = slash_order(texts)
    dates = _read(given, where["date"], name, kind="date", order=slashes)
    percent = np.column_stack([columns.numbers(cells[node].value) for node in TENORS])
    missing = np.all([cell.missing for cell in cells.values()], axis=0)
    _refuse(dates.missing & ~missing, given, where["date"], "has yields and no date", name)
    row = np.flatnonzero(~dates.missing)
    percent = _without_false_zeros(percent[row])
    _check_plausible(percent, row, name)

    day = columns.dates(dates.value)[row]
    order = np.argsort(day, kind="stable")
    kept, repeated = _once(day[order], percent[order], row[order], name)
    table = {"date": columns.column(day[order][kept])}
    for k, node in enumerate(TENORS):
        values = percent[order][kept][:, k]
        table[node] = columns.column(values, ~np.isnan(values))
    extra = tuple(column for column in given.column_names if column not in where.values())
    warnings = (f"{repeated} repeated rows dropped",) if repeated else ()
    notes += tuple(f"`{where[node]}`: {cell.note}" for node, cell in cells.items() if cell.note)
    return Parsed(pa.table(table), extra, warnings, len(row), notes)


def _columns(table: pa.Table, name: str) -> dict[str, str]:
    """Return which column of the file is the date and which is which node."""
    where: dict[str, str] = {}
    for column in table.column_names:
        meant = _canonical(column)
        if meant in where:
            raise InputError(
                f"{name}: columns `{where[meant]}` and `{column}` are both {meant}; keep one"
            )
        if meant == "date" or meant in TENORS:
            where[meant] = column
    lacking = [wanted for wanted in ("date", *TENORS) if wanted not in where]
    if lacking:
        raise InputError(
            f"{name}: column {', '.join(f'`{wanted}`' for wanted in lacking)} is missing; give "
            "the official download or columns date, " + ", ".join(TENORS)
        )
    return where


def _canonical(column: str) -> str:
    """Return `date` or the node a header stands for, else the header itself."""
    plain = column.strip().lower()
    tenor = _TENOR.fullmatch(plain)
    return tenor[1] + ("mo" if tenor[2].startswith("m") else "y") if tenor else plain


def _read(table: pa.Table, column: str, name: str, *, kind: Kind, **form: Any) -> Cells:
    try:
        cells = read_cells(table[column], kind, **form)
    except CellTypeError as error:
        raise InputError(f"{name}: column `{column}` {error}; give it as {kind}") from None
    _refuse(cells.bad, table, column, f"cannot be read as a {kind}", name)
    return cells


def _refuse(wrong: Mask, table: pa.Table, column: str, why: str, name: str) -> None:
    """Refuse the file at the first wrong cell."""
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        shown = shown_cells(table[column].slice(at, 1))[0].as_py()
        raise InputError(f'{name}, row {at + 1}: `{column}` is "{shown}": {why}; correct the row')


def _without_false_zeros(percent: Float) -> Float:
    """Return the yields with NaN for zeros that stand for missing ones."""
    percent = percent.copy()
    bills = len(_BILLS)
    percent[:, bills:][percent[:, bills:] == 0.0] = np.nan
    longer = percent[:, bills]
    for k in reversed(range(bills)):
        false = (percent[:, k] == 0.0) & (longer >= _ZERO_BILL_UNDER)
        percent[false, k] = np.nan
        longer = np.where(np.isnan(percent[:, k]), longer, percent[:, k])
    return percent


def _check_plausible(percent: Float, row: npt.NDArray[np.int64], name: str) -> None:
    with np.errstate(invalid="ignore"):
        outside = (percent < LOWEST) | (percent > HIGHEST)
    if outside.any():
        at, k = (int(v[0]) for v in np.nonzero(outside))
        raise InputError(
            f"{name}, row {row[at] + 1}: {TENORS[k]} is {percent[at, k]:g} percent, outside "
            f"{LOWEST:g} to {HIGHEST:g}; correct or remove the row"
        )
    largest = np.where(np.isnan(percent), 0.0, np.abs(percent)).max(axis=1, initial=0.0)
    some = largest > 0.0
    if not some.any():
        return
    low = some & (largest < DECIMAL_UNDER)
    if low.sum() == some.sum():
        raise InputError(
            f"{name}: no yield reaches {DECIMAL_UNDER:g}; these look like decimals: give percent"
        )
    if low.any() and np.median(largest[some]) >= 1.0:
        at = int(np.flatnonzero(low)[0])
        raise InputError(
            f"{name}, row {row[at] + 1}: no yield reaches {DECIMAL_UNDER:g} where others are "
            "above 1; the row looks like decimals: give percent"
        )


def _once(
    day: npt.NDArray[np.datetime64], percent: Float, row: npt.NDArray[np.int64], name: str
) -> tuple[Mask, int]:
    """Return which rows of a sorted history to keep; equal repeats go, others are refused."""
    repeat = np.zeros(len(day), bool)
    repeat[1:] = day[1:] == day[:-1]
    for at in np.flatnonzero(repeat):
        if not np.array_equal(percent[at], percent[at - 1], equal_nan=True):
            raise InputError(
                f"{name}, rows {row[at - 1] + 1} and {row[at] + 1}: different yields for "
                f"{day[at]}; keep one"
            )
    return ~repeat, int(repeat.sum())
