"""The user's own P&L cube: a row for each instrument, a column for each scenario."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.cells import CellTypeError, read_cells, shown_cells

INSTRUMENT = "instrument"
LARGEST_PNL = 1e9
"""USD per 100 of face or per contract; a larger P&L is in another unit."""


def read_cube(
    table: pa.Table, *, name: str, point: bool = True
) -> tuple[list[str], npt.NDArray[np.float64], tuple[str, ...]]:
    """Return the instruments, P&L and scenarios of a cube.

    Parameters
    ----------
    table
        `instrument` and one column for each scenario, as `io.tables.read_table` returns them.
    name
        Name of the cube in messages.
    point
        Whether the decimal mark is a point, as in `Given`.

    Returns
    -------
    instrument : list of str, [I]
    pnl : ndarray of float64, [I x S]
        USD per 100 of face or per contract, gain positive; C order.
    scenario : tuple of str, [S]
        Headers of the scenarios, in the file's order.

    Raises
    ------
    InputError
        There is no column `instrument` or no scenario, an instrument appears twice or has no name,
        or a P&L is missing or not a finite number.
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
                f"{name}, rows {first[text]} and {row}: instrument {text} appears twice; keep one"
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
            f'is "{shown}"; every cell must be a number within {LARGEST_PNL:,.0f} USD'
        )
    return value
