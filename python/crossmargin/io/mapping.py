"""Turn a user's extract into our columns as a columns file says, exactly and before parsing."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.cells import read_cells
from crossmargin.io.column_map import ColumnMap, Origin
from crossmargin.io.tables import Given


def in_our_columns(given: Given, name: str, column_map: ColumnMap) -> Given:
    """Return an input with its columns renamed, scaled and filled as the columns file says.

    Columns that the file does not name do not change.

    Parameters
    ----------
    given : Given
        The table as read.
    name : str
        Name of the input in messages.
    column_map : ColumnMap

    Returns
    -------
    Given

    Raises
    ------
    InputError
        A column named in the columns file is missing.
    """
    key = name.replace(" ", "_")
    origins = column_map.tables.get(key, {})
    if not origins:
        return given
    table = given.table
    for ours, origin in origins.items():
        for column in filter(None, (origin.column, origin.sign)):
            if column not in table.column_names:
                has = ", ".join(f"`{other}`" for other in table.column_names[:12])
                raise InputError(
                    f"{column_map.label}, `{key}.{ours}`: {name} has no column `{column}`; it has "
                    f"{has}"
                )
    used = {column for origin in origins.values() for column in (origin.column, origin.sign)}
    hidden = [column for column in origins if column in table.column_names and column not in used]
    made = {ours: _column(table, origin, given.point) for ours, origin in origins.items()}
    kept = {
        column: table[column]
        for column in table.column_names
        if column not in used and column not in hidden
    }
    notes = given.notes
    if hidden:
        shown = ", ".join(f"`{column}`" for column in hidden)
        notes += (f"column {shown} is not read; the columns file names another one for it",)
    return replace(given, table=pa.table({**kept, **made}), notes=notes)


def _column(table: pa.Table, origin: Origin, point: bool) -> pa.ChunkedArray | pa.Array:
    if not origin.column:
        constant = columns.scalar(origin.constant)
        return pc.if_else(_blank_rows(table), columns.nothing(constant.type), constant)
    column = table[origin.column]
    if origin.power or origin.sign:
        return _numbers(table, origin, point)
    if origin.values:
        # A blank cell is null in some kinds of file; it may also be one of the file's codes.
        number, words = columns.encoded(_text(column).fill_null(columns.scalar("")))
        ours = [origin.values.get(word, word) for word in columns.texts(words)]
        cells = columns.text_column(ours).take(columns.column(number))
        if "" in origin.values:
            return pc.if_else(_blank_rows(table), columns.nothing(cells.type), cells)
        return cells
    return column


def _blank_rows(table: pa.Table) -> pa.BooleanArray:
    """Return a mask of the rows without content; constants must not turn them into rows."""
    blank = np.ones(len(table), bool)
    for column in table.columns:
        if not blank.any():
            break
        blank &= columns.flags(pc.equal(_text(column), columns.scalar("")), null=True)
    return columns.column(blank)


def _numbers(table: pa.Table, origin: Origin, point: bool) -> pa.Array:
    """Return numbers in our unit and with their sign, as text; other cells do not change."""
    column = table[origin.column]
    read = read_cells(column, "number", point=point)
    value = columns.numbers(read.value)
    # Numbers left unchanged would be read later, without their unit and sign.
    spoiled = read.bad if origin.sign else read.unclear
    spoiled = np.zeros(len(table), bool) if spoiled is None else spoiled
    cell = _text(column)
    side = _text(table[origin.sign or origin.column]).fill_null(columns.scalar(""))
    # Each distinct pair of a cell and its side is read once.
    pair, _ = columns.encoded(
        pc.binary_join_element_wise(cell, side, "\0", null_handling="replace")
    )
    _, first = np.unique(pair, return_index=True)
    cells = [
        _cell(*parts, origin)
        for parts in zip(
            columns.texts(cell.take(columns.column(first))),
            columns.texts(side.take(columns.column(first))),
            value[first].tolist(),
            spoiled[first].tolist(),
            strict=True,
        )
    ]
    return columns.text_column(cells).take(columns.column(pair))


def _cell(
    cell: str | None, side: str | None, value: float, spoiled: bool, origin: Origin
) -> str | None:
    """Return a number as an exact decimal cell; if it makes no sense, a cell that is refused."""
    if spoiled:
        return f"{cell} in `{origin.column}`"
    if math.isnan(value):
        return cell
    if origin.sign:
        known = side in origin.positive or side in origin.negative
        if not known or value < 0.0:
            return f"{cell} with {origin.sign} {side or 'blank'}"
    number = Decimal(repr(value)).scaleb(origin.power)
    if origin.sign and side in origin.negative:
        number = -number
    # No decimal mark, so that it can be read in one way only.
    return f"{int(number)}" if number == int(number) else f"{number:e}"


def _text(column: pa.ChunkedArray | pa.Array) -> pa.StringArray:
    plain = columns.plain(columns.one_array(column))
    return pc.utf8_trim_whitespace(plain.cast(pa.string()))
