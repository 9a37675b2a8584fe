"""A result table, and money in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns

MONEY = pa.decimal128(20, 2)
"""USD with cents."""


class Table:
    """A result table; speaks the Arrow PyCapsule protocol.

    Parameters
    ----------
    table
        The Arrow table; never changed.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow(self) -> pa.Table:
        """Return the pyarrow table itself."""
        return self._table

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; money as `decimal.Decimal`. Needs pandas."""
        return self._table.to_pandas()

    def to_polars(self) -> Any:
        """Return a polars DataFrame. Needs polars."""
        import polars

        return polars.from_arrow(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the table over to another Arrow library."""
        return self._table.__arrow_c_stream__(requested_schema)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self._table.column_names
        return names

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        """Show the shape and the columns."""
        return f"<Table {len(self):,} rows: {', '.join(self.column_names)}>"


def money(
    cents: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None = None
) -> pa.Decimal128Array:
    """Return whole cents as decimal(20, 2), exactly.

    Parameters
    ----------
    cents : ndarray of int64, [N]
        Amounts in cents.
    valid : ndarray of bool, [N], optional
        False where the amount is not known: null.
    """
    low = np.ascontiguousarray(cents, dtype=np.int64)
    # A 128-bit two's complement, low word first; the high word only repeats the sign.
    words = np.column_stack([low, low >> 63]).astype("<i8")
    return columns.from_buffer(MONEY, low.size, words, valid)
