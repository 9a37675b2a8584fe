"""The signed number of contracts of each row of a report, from the columns that it has for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Float, Mask
from crossmargin.io.cells import Cells, read_cells, shown_cells
from crossmargin.io.layouts.reports import rows_of

LONG_WORDS = ("B", "BUY", "BOT", "BOUGHT", "L", "LONG", "1")
SHORT_WORDS = ("S", "SELL", "SLD", "SOLD", "SHORT", "2")


def from_long_and_short(
    long: pa.ChunkedArray, short: pa.ChunkedArray, *, point: bool
) -> tuple[pa.Array, list[str]]:
    """Return long less short, and notes; a blank beside a number is none.

    Parameters
    ----------
    long, short : pyarrow.ChunkedArray
        As in the file. Short positions may be negative numbers, if all of them are.
    point : bool
        As in `Given`.
    """
    read = [read_cells(cells, "number", point=point) for cells in (long, short)]
    bought, sold = (columns.numbers(cells.value) for cells in read)
    notes = [f"`{cells.note}`" for cells in read if cells.note]
    signed = bool(np.any(sold < 0.0) and not np.any(sold > 0.0))
    if signed:
        sold = -sold
        notes.append("short positions are negative numbers")
    wrong = (bought < 0.0) | (sold < 0.0) | read[0].bad | read[1].bad
    net = np.nan_to_num(bought) - np.nan_to_num(sold)
    both = int(np.count_nonzero((bought > 0.0) & (sold > 0.0)))
    if both:
        notes.append(f"long and short in {rows_of(both)}: netted")

    def shown() -> pa.StringArray:
        return pc.binary_join_element_wise(_shown(long), _shown(short), " less ")

    return _cells(net, wrong, shown, read[0].missing & read[1].missing), notes


def from_side(
    quantity: pa.ChunkedArray, side: pa.StringArray, name: str, *, point: bool
) -> tuple[pa.Array, list[str]]:
    """Return quantities with the sign of their side, and notes.

    Parameters
    ----------
    quantity : pyarrow.ChunkedArray
    side : pyarrow.StringArray
        Words for long and short. A quantity that has a sign already must agree.
    name : str
        The column of sides, in messages.
    point : bool
        As in `Given`.
    """
    read = read_cells(quantity, "number", point=point)
    value = columns.numbers(read.value)
    word = pc.utf8_upper(side)
    buys, sells = (
        columns.flags(pc.is_in(word, value_set=columns.text_column(words)))
        for words in (LONG_WORDS, SHORT_WORDS)
    )
    signed = bool(np.any(value < 0.0))
    if signed:
        wrong = (buys & (value < 0.0)) | (sells & (value > 0.0))
        net, note = value, f"quantities have a sign, with which `{name}` agrees"
    else:
        wrong = ~buys & ~sells & (value != 0.0)
        net, note = np.where(sells, -value, value), f"`{name}` says which are short"
    wrong = (wrong & ~np.isnan(value)) | read.bad

    def shown() -> pa.StringArray:
        return pc.binary_join_element_wise(_shown(quantity), side, f" with {name} ")

    return _cells(net, wrong, shown, read.missing), [note]


def differing(net: Float, made: pa.Array) -> int:
    """Return in how many rows a net quantity is not long less short."""
    other = columns.numbers(read_cells(made, "number").value)
    return int(np.count_nonzero(np.abs(net - other) > 0.0))


def values(quantity: pa.ChunkedArray | pa.Array, *, point: bool) -> Cells:
    """Return quantities as numbers."""
    return read_cells(quantity, "number", point=point)


def _cells(net: Float, wrong: Mask, shown: Callable[[], pa.Array], missing: Mask) -> pa.Array:
    """Return numbers; if some rows are wrong all as text, those as they are shown."""
    if not wrong.any():
        return columns.column(net, ~missing)
    # Without a decimal mark, so that they can be read in one way only.
    words = columns.text_column(
        [
            f"{value:.0f}" if value.is_integer() else repr(value)
            for value in np.nan_to_num(net).tolist()
        ]
    )
    cells = pc.if_else(columns.column(wrong), shown(), words)
    return pc.if_else(columns.column(missing & ~wrong), columns.nothing(pa.string()), cells)


def _shown(cells: pa.ChunkedArray) -> pa.StringArray:
    return shown_cells(columns.plain(cells))
