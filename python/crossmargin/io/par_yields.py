"""Read daily par yields as one typed table, from the Treasury's download or our plain form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.book.schemas import Kind
from crossmargin.exceptions import InputError
from crossmargin.io.cells import Cells, CellTypeError, is_words, read_cells, shown_cells
from crossmargin.io.dates import slash_order
from crossmargin.io.parse import Parsed, missing_columns
from crossmargin.io.tables import Given
from crossmargin.market.curve import TENORS
from crossmargin.market.rates import DECIMAL_UNDER, below_neighbours, far_below

LOWEST, HIGHEST = -5.0, 30.0
"""Percent; a yield outside is a placeholder or from another column."""

_BILLS = ("1mo", "3mo", "6mo")
_ZERO_BILL_UNDER = 1.0
_TENOR = re.compile(r"([0-9]+(?:[._][0-9]+)?)[ _]?(mo|m|month|months|yr|y|year|years)")


@dataclass(frozen=True)
class _File:
    """The yields of one file, by day ascending, each day once."""

    name: str
    day: Dates
    percent: Float  # [N x 11], NaN where missing or if the file lacks the column
    has: Mask  # [11]
    row: Integer
    extra_columns: tuple[str, ...]
    repeated: int
    rows_read: int
    notes: tuple[str, ...]


def read_par_yields(given: Given, *, name: str = "par yields") -> Parsed:
    """Return a history of par yields read from one table; see `join_par_yields`."""
    return join_par_yields([(name, given)])


def join_par_yields(given: Sequence[tuple[str, Given]]) -> Parsed:
    """Return a history of par yields from tables split by year or by tenor.

    Headers may be ``Date,"1 Mo",...,"30 Yr"`` or ``date,1mo,...,30y``; rows may be in any order.
    Other tenors and columns are listed but not read. If two tables have the same day and tenor,
    the yields must be equal.

    A missing yield is a blank, ``N/A`` or a similar word. A zero that cannot be true is also taken
    as missing: at nodes of a year or more, and at a bill whose next longer node has one percent or
    more.

    Parameters
    ----------
    given
        The name of each table in messages, and the table.

    Returns
    -------
    Parsed
        `table`: `date` (date32, ascending) and the eleven nodes (float64, percent, null where
        missing).

    Raises
    ------
    InputError
        A column is missing, a cell cannot be read, a yield is outside -5 to 30 percent, a cell, a
        row or the whole history looks like decimals, or one date has two different rows.
    """
    files = [_read_file(one, name) for name, one in given]
    name = files[0].name if len(files) == 1 else "par yields"
    _check_nodes(np.any([file.has for file in files], axis=0), name)
    day = np.unique(np.concatenate([file.day for file in files]))
    percent, repeated = _joined(files, day)
    percent = _without_false_zeros(percent)
    _check_percent(files, day, percent, name)

    table = {"date": columns.column(day)}
    for k, node in enumerate(TENORS):
        table[node] = columns.column(percent[:, k], ~np.isnan(percent[:, k]))
    extra = tuple(dict.fromkeys(column for file in files for column in file.extra_columns))
    repeated += sum(file.repeated for file in files)
    warnings = (f"{repeated} repeated rows dropped",) if repeated else ()
    notes = tuple(dict.fromkeys(note for file in files for note in file.notes))
    rows_read = sum(file.rows_read for file in files)
    return Parsed(pa.table(table), extra, warnings, rows_read, notes)


def _read_file(given: Given, name: str) -> _File:
    table = given.table
    where = _columns(table, name)
    nodes = [node for node in TENORS if node in where]
    if "date" not in where or not nodes:
        _check_nodes(np.isin(TENORS, nodes), name, date="date" in where)
    cells = {
        node: _read(
            table,
            where[node],
            name,
            kind="number",
            percent=True,
            thousands=False,
            point=given.point,
        )
        for node in nodes
    }
    when = columns.one_array(table[where["date"]])
    texts = {where["date"]: when.dictionary_encode()} if is_words(when.type) else {}
    slashes, notes = slash_order(texts)
    dates = _read(table, where["date"], name, kind="date", order=slashes)
    notes += tuple(f"`{where[node]}`: {cell.note}" for node, cell in cells.items() if cell.note)
    nothing = np.full(len(table), np.nan)
    percent = np.column_stack(
        [columns.numbers(cells[node].value) if node in cells else nothing for node in TENORS]
    )
    missing = np.all([cell.missing for cell in cells.values()], axis=0)
    _refuse(dates.missing & ~missing, table, where["date"], "has yields and no date", name)
    row = np.flatnonzero(~dates.missing)
    weekend = ~np.is_busday(columns.dates(dates.value)[row])
    if weekend.any():
        notes += (
            f"{weekend.sum()} rows of Saturdays and Sundays left out: the Treasury publishes no "
            "yields for them",
        )
        row = row[~weekend]
    percent = _without_false_zeros(percent[row])
    _check_plausible(percent, row, name)
    day = columns.dates(dates.value)[row]
    order = np.argsort(day, kind="stable")
    kept, repeated = _once(day[order], percent[order], row[order], name)
    extra = tuple(column for column in table.column_names if column not in where.values())
    return _File(
        name,
        day[order][kept],
        percent[order][kept],
        np.isin(TENORS, nodes),
        row[order][kept],
        extra,
        repeated,
        row.size,
        notes,
    )


def _joined(files: list[_File], day: Dates) -> tuple[Float, int]:
    """Return the yields of all files by day, and the number of rows that added nothing."""
    percent = np.full((day.size, len(TENORS)), np.nan)
    told = np.full(percent.shape, -1)  # index of the file that gives each cell
    repeated = 0
    for number, file in enumerate(files):
        cell = np.ix_(np.searchsorted(day, file.day), np.flatnonzero(file.has))
        own, before, old = file.percent[:, file.has], percent[cell], told[cell]
        differs = (old >= 0) & (own != before) & ~(np.isnan(own) & np.isnan(before))
        if differs.any():
            at, k = (int(v[0]) for v in np.nonzero(differs))
            raise InputError(
                f"{files[old[at, k]].name} and {file.name}: different yields for {file.day[at]}; "
                "keep one"
            )
        repeated += int(np.count_nonzero(np.all(old >= 0, axis=1)))
        percent[cell], told[cell] = own, number
    return percent, repeated


def _check_nodes(has: Mask, name: str, *, date: bool = True) -> None:
    """Refuse a history that lacks a column."""
    lacking = [*([] if date else ["date"]), *np.array(TENORS)[~has]]
    if lacking:
        raise InputError(
            f"{name}: {missing_columns(lacking)}; give the official download or columns date, "
            + ", ".join(TENORS)
        )


def _columns(table: pa.Table, name: str) -> dict[str, str]:
    """Return the file's columns by what they hold: the date, or the name of a node."""
    where: dict[str, str] = {}
    for column in table.column_names:
        meant = _canonical(column)
        if meant in where:
            raise InputError(
                f"{name}: columns `{where[meant]}` and `{column}` are both {meant}; keep one"
            )
        if meant == "date" or meant in TENORS:
            where[meant] = column
    return where


def _canonical(column: str) -> str:
    """Return `date` or the node that a header stands for, else the header itself."""
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
    """Return the yields with NaN in place of zeros that mean a missing yield."""
    percent = percent.copy()
    bills = len(_BILLS)
    percent[:, bills:][percent[:, bills:] == 0.0] = np.nan
    longer = percent[:, bills]
    for k in reversed(range(bills)):
        false = (percent[:, k] == 0.0) & (longer >= _ZERO_BILL_UNDER)
        percent[false, k] = np.nan
        longer = np.where(np.isnan(percent[:, k]), longer, percent[:, k])
    return percent


def _check_plausible(percent: Float, row: Integer, name: str) -> None:
    with np.errstate(invalid="ignore"):
        outside = (percent < LOWEST) | (percent > HIGHEST)
    if outside.any():
        at, k = (int(v[0]) for v in np.nonzero(outside))
        raise InputError(
            f"{name}, row {row[at] + 1}: {TENORS[k]} is {percent[at, k]:g} percent, outside "
            f"{LOWEST:g} to {HIGHEST:g}; correct or remove the row"
        )


def _check_percent(files: list[_File], day: Dates, percent: Float, name: str) -> None:
    """Refuse a row, or a whole history, that looks like decimals."""
    largest = np.where(np.isnan(percent), 0.0, np.abs(percent)).max(axis=1, initial=0.0)
    some = largest > 0.0
    if not some.any():
        return
    low = some & (largest < DECIMAL_UNDER)
    if low.sum() == some.sum():
        raise InputError(
            f"{name}: every yield is below {DECIMAL_UNDER:g}; they look like decimals: give percent"
        )
    low &= far_below(largest, np.median(largest[some]))
    if low.any():
        at = day[np.flatnonzero(low)[0]]
        file = next(file for file in files if at in file.day)
        raise InputError(
            f"{file.name}, row {file.row[file.day == at][0] + 1}: every yield is below "
            f"{DECIMAL_UNDER:g}, but other rows are above 1; it looks like decimals: give percent"
        )
    beside = below_neighbours(percent)
    if beside.any():
        at, k = (int(v[0]) for v in np.nonzero(beside))
        file = next(file for file in files if file.has[k] and day[at] in file.day)
        raise InputError(
            f"{file.name}, row {file.row[file.day == day[at]][0] + 1}: {TENORS[k]} is "
            f"{percent[at, k]:g} on {day[at]}, far below the terms around it; it looks like a "
            f"decimal ({beside[:, k].sum()} of {day.size} days do): give percent"
        )


def _once(day: Dates, percent: Float, row: Integer, name: str) -> tuple[Mask, int]:
    """Return a mask of a sorted history without equal repeats; refuse repeats that differ."""
    repeat = np.zeros(len(day), bool)
    repeat[1:] = day[1:] == day[:-1]
    for at in np.flatnonzero(repeat):
        if not np.array_equal(percent[at], percent[at - 1], equal_nan=True):
            raise InputError(
                f"{name}, rows {row[at - 1] + 1} and {row[at] + 1}: different yields for "
                f"{day[at]}; keep one"
            )
    return ~repeat, int(repeat.sum())
