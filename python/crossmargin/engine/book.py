"""The netted book: whole quantities by row and instrument, in compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.engine.arrays import Float, Int32, Int64, floats, frozen, indices, pointers

LARGEST_QUANTITY = 2.0**53
"""Quantities stay below it in magnitude, where float64 holds every whole number."""


@dataclass(frozen=True, eq=False)
class Book:
    """A netted book, CSR [A x I]; build it with `from_arrays`.

    Attributes
    ----------
    row_ptr : ndarray of int64 [A + 1]
        Where each row begins.
    column : ndarray of int32 [N]
        Instruments, strictly ascending within a row.
    quantity : ndarray of float64 [N]
        Whole lots or contracts, long positive, below 2^53 in magnitude.
    columns : int
        The number of instruments I.
    """

    row_ptr: Int64
    column: Int32
    quantity: Float
    columns: int

    @classmethod
    def from_arrays(
        cls,
        row_ptr: npt.ArrayLike,
        column: npt.ArrayLike,
        quantity: npt.ArrayLike,
        columns: int | None = None,
    ) -> Book:
        """Validate the arrays, copy them once, and freeze them.

        Parameters
        ----------
        row_ptr : array_like of int [A + 1]
            0 first, never falling, N last.
        column : array_like of int [N]
            Instrument numbers, strictly ascending within each row: net first, then sort.
        quantity : array_like of int or whole float [N]
            Lots of 100 USD face or contracts, long positive.
        columns : int, optional
            The number of instruments; the largest column plus one if not given.

        Returns
        -------
        Book

        Raises
        ------
        TypeError
            An argument has the wrong kind of values.
        ValueError
            The arrays do not make a book; the message names the argument and the row.
        """
        quantities = floats("quantity", quantity, copy=True)
        limit = np.iinfo(np.int32).max if columns is None else columns
        col = indices("column", column, limit, copy=True)
        if len(col) != len(quantities):
            raise ValueError(
                f"column has {len(col)} elements and quantity {len(quantities)}; "
                "there must be one quantity for each column"
            )
        ptr = pointers("row_ptr", row_ptr, len(col), "column", copy=True)
        _check_rows(ptr, col, quantities)
        if columns is None:
            columns = int(col.max()) + 1 if col.size else 0
        return cls(frozen(ptr), frozen(col), frozen(quantities), columns)

    @property
    def rows(self) -> int:
        """The number of rows A."""
        return len(self.row_ptr) - 1


def _row_of(row_ptr: Int64, element: int) -> int:
    """Return the row that holds an element."""
    return int(np.searchsorted(row_ptr, element, side="right")) - 1


def _check_rows(row_ptr: Int64, column: Int32, quantity: Float) -> None:
    """Raise unless columns ascend within each row and quantities are whole and not too large."""
    starts = np.zeros(len(column) + 1, dtype=bool)
    starts[row_ptr] = True
    steps = np.flatnonzero((column[1:] <= column[:-1]) & ~starts[1:-1])
    if steps.size:
        i = int(steps[0]) + 1
        problem = "repeats" if column[i] == column[i - 1] else "falls"
        raise ValueError(
            f"column: row {_row_of(row_ptr, i)} {problem} at instrument {column[i]} "
            f"(element {i}); net each instrument and sort each row ascending"
        )
    bad = np.flatnonzero((quantity != np.rint(quantity)) | (np.abs(quantity) >= LARGEST_QUANTITY))
    if bad.size:
        i = int(bad[0])
        raise ValueError(
            f"quantity: row {_row_of(row_ptr, i)} has {quantity[i]!r} (element {i}); quantities "
            "are whole lots or contracts below 2^53 in magnitude"
        )
