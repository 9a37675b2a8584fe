"""The netted book: whole quantities by row and instrument, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine.arrays import floats, frozen, indices, integers, pointers, whole

LARGEST_QUANTITY = 2.0**53
"""Quantities are smaller in magnitude; below it float64 holds every whole number."""


@dataclass(frozen=True, eq=False)
class Book:
    """A netted book, CSR [A x I].

    The arrays are checked, copied and made read-only, also in a copied or unpickled book.

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

    Raises
    ------
    TypeError, ValueError
        As in `from_arrays`, which takes lists too.
    """

    row_ptr: Integer
    column: Int32
    quantity: Float
    columns: int

    def __post_init__(self) -> None:
        """Check and copy the arrays, and freeze the copies."""
        columns = whole("columns", self.columns)
        quantity = floats("quantity", self.quantity, copy=True)
        column = indices("column", self.column, columns, copy=True)
        if len(column) != len(quantity):
            raise ValueError(
                f"column has {len(column)} elements and quantity {len(quantity)}; "
                "there must be one quantity for each column"
            )
        row_ptr = pointers("row_ptr", self.row_ptr, len(column), "column", copy=True)
        _check_rows(row_ptr, column, quantity)
        for name, array in (("row_ptr", row_ptr), ("column", column), ("quantity", quantity)):
            object.__setattr__(self, name, frozen(array))
        object.__setattr__(self, "columns", columns)

    @classmethod
    def from_arrays(
        cls,
        row_ptr: npt.ArrayLike,
        column: npt.ArrayLike,
        quantity: npt.ArrayLike,
        columns: int | None = None,
    ) -> Book:
        """Return the book of some arrays or lists.

        Parameters
        ----------
        row_ptr : array_like of int [A + 1]
            Begins with 0, never falls, ends with N.
        column : array_like of int [N]
            Indices of instruments, strictly ascending within each row: net first, then sort.
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
            The values of an argument have the wrong type.
        ValueError
            The arrays do not make a book; the message names the argument and the row.
        """
        if columns is None:
            given = integers("column", column, np.int32)
            columns = max(0, int(given.max())) + 1 if given.size else 0
        # `asarray` would drop a mask.
        return cls(np.asanyarray(row_ptr), np.asanyarray(column), np.asanyarray(quantity), columns)

    def __reduce__(self) -> tuple[type[Book], tuple[Any, ...]]:
        """Copy and unpickle through the constructor, which checks and freezes."""
        return type(self), (self.row_ptr, self.column, self.quantity, self.columns)

    @property
    def rows(self) -> int:
        """The number of rows A."""
        return len(self.row_ptr) - 1


def _row_of(row_ptr: Integer, element: int) -> int:
    """Return the row that holds an element."""
    return int(np.searchsorted(row_ptr, element, side="right")) - 1


def _check_rows(row_ptr: Integer, column: Int32, quantity: Float) -> None:
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
