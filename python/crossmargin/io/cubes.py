"""A P&L cube of the user's own: a row an instrument, a column a scenario."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.cells import CellTypeError, read_cells, shown_cells

INSTRUMENT = "instrument"
LARGEST_PNL = 1e9
"""USD per 100 face or per contract; beyond it is another unit."""


def read_cube(
    table: pa.Table, *, name: str, point: bool = True
) -> tuple[list[str], npt.NDArray[np.float64], tuple[str, ...]]:
    """Read a cube.

    Parameters
    ----------
    table
        `instrument` and one column for each scenario, as `io.tables.read_table` leaves them.
    name
        What the cube is called in messages.
    point
        Whether the decimal mark is a point, as `Given` has it.

    Returns
    -------
    instrument : list of str, [I]
    pnl : ndarray of float64, [I x S]
        USD per 100 face or per contract, gain positive; C order.
    scenario : tuple of str, [S]
        Headers of the scenarios, in the file's order.

    Raises
    ------
    InputError
        If there is no `instrument`, no scenario, an instrument twice or without a name, or a
        P&L that is missing or no finite number.
    """
    if INSTRUMENT not in table.column_names:
        raise InputError(f"{name}: column `{INSTRUMENT}` is missing; it names each row")
    scenario = tuple(column for column in table.column_names if column != INSTRUMENT)
    if not scenario or not len(table):
        raise InputError(f"{name}: give at least one instrument and one scenario column")
    instrument = _instruments(table, name)
    pnl = np.empty((len(table), len(scenario)))
    for s, column in enumerate(scenario):
        pnl[:, s] = _scenario(table[column], column, instrument, name, point)
    return instrument, pnl, scenario


def _instruments(table: pa.Table, name: str) -> list[str]:
    try:
        cells = read_cells(table[INSTRUMENT], "text", identifier=True)
    except CellTypeError as error:
        raise InputError(f"{name}: column `{INSTRUMENT}` {error}; give it as text") from None
    wrong = np.flatnonzero(cells.missing | cells.bad)
    if wrong.size:
        raise InputError(f"{name}, row {wrong[0] + 1}: `{INSTRUMENT}` is blank or unreadable")
    instrument: list[str] = cells.value.to_pylist()
    first: dict[str, int] = {}
    for row, text in enumerate(instrument, start=1):
        if first.setdefault(text, row) != row:
            raise InputError(
                f"{name}, rows {first[text]} and {row}: instrument {text} is there twice; keep one"
            )
    return instrument


def _scenario(
    column: pa.ChunkedArray, scenario: str, instrument: list[str], name: str, point: bool
) -> npt.NDArray[np.float64]:
    try:
        cells = read_cells(column, "number", point=point)
    except CellTypeError as error:
        raise InputError(f"{name}: scenario `{scenario}` {error}; give P&L as numbers") from None
    value = columns.numbers(cells.value)
    wrong = np.flatnonzero(cells.missing | cells.bad | (np.abs(value) > LARGEST_PNL))
    if wrong.size:
        shown = shown_cells(column.slice(wrong[0], 1))[0].as_py()
        raise InputError(
            f"{name}, row {wrong[0] + 1}: P&L of {instrument[wrong[0]]} in scenario `{scenario}` "
            f'is "{shown}", no number within {LARGEST_PNL:,.0f} USD; every cell must have one'
        )
    return value
