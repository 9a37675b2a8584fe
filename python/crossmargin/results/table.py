"""A result table, and money in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.results.shown import as_html, as_text

if TYPE_CHECKING:
    import pandas
    import polars

MONEY = pa.decimal128(20, 2)
"""USD with cents."""
BATCH = 1000
"""Rows that iteration converts to Python objects at once."""

Money: TypeAlias = Literal["decimal", "float"]


class Table:
    """A result table that supports the Arrow PyCapsule protocol.

    ``table["requirement"]`` is a pyarrow column; ``table[10:20]`` and ``table.head()``
    are tables of some rows; iteration gives a dict for each row.

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

    def to_pandas(self, money: Money = "decimal") -> pandas.DataFrame:
        """Return a pandas DataFrame. Needs pandas.

        Parameters
        ----------
        money : {"decimal", "float"}
            Amounts as exact `decimal.Decimal`, or as the nearest floats with NaN where not known.
            Floats suit plots, products and `nlargest`.
        """
        return self._with(money).to_pandas()

    def to_polars(self, money: Money = "decimal") -> polars.DataFrame:
        """Return a polars DataFrame. Needs polars.

        Parameters
        ----------
        money : {"decimal", "float"}
            As in `to_pandas`; null where not known.
        """
        import polars

        return polars.DataFrame(self._with(money))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a stream for other Arrow libraries."""
        return self._table.__arrow_c_stream__(requested_schema)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self._table.column_names
        return names

    def head(self, rows: int = 5) -> Table:
        """Return the first rows."""
        return self[:rows]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, key: str) -> pa.ChunkedArray: ...
    @overload
    def __getitem__(self, key: slice) -> Table: ...
    def __getitem__(self, key: str | slice) -> pa.ChunkedArray | Table:
        """Return a column by its name, or the rows of a slice."""
        if isinstance(key, str):
            if key not in self.column_names:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.column_names)}")
            return self._table[key]
        if not isinstance(key, slice):
            raise TypeError(f"a column's name or a slice of rows expected, got {key!r:.60}")
        start, stop, step = key.indices(len(self))
        if step != 1:
            raise ValueError(f"a slice of rows has step 1, not {step}")
        return Table(self._table.slice(start, max(0, stop - start)))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dict."""
        for batch in self._table.to_batches(max_chunksize=BATCH):
            yield from batch.to_pylist()

    def __repr__(self) -> str:
        """Return the first rows and the size of the table as text."""
        return as_text(self._table)

    def _repr_html_(self) -> str:
        return as_html(self._table)

    def _with(self, money: Money) -> pa.Table:
        """Return the table with its amounts in the given form."""
        if money not in ("decimal", "float"):
            raise ValueError(f"money: one of decimal, float expected, got {money!r}")
        table = self._table
        if money == "float":
            for place, field in enumerate(table.schema):
                if pa.types.is_decimal128(field.type):
                    table = table.set_column(place, field.name, _floats(table.column(place)))
        return table


def money(
    cents: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None = None
) -> pa.Decimal128Array:
    """Return whole cents as decimal(20, 2), exactly.

    Parameters
    ----------
    cents : ndarray of int64, [N]
        Amounts in cents.
    valid : ndarray of bool, [N], optional
        False where the amount is not known, which gives null.
    """
    low = np.ascontiguousarray(cents, dtype=np.int64)
    # A 128-bit two's complement, low word first; the high word only repeats the sign.
    words = np.column_stack([low, low >> 63]).astype("<i8")
    return columns.from_buffer(MONEY, low.size, words, valid)


ZERO = money(np.zeros(1, dtype=np.int64))[0]
"""No money, as Arrow compares it: given a number of Python's it would import pandas."""


def _floats(column: pa.ChunkedArray) -> pa.DoubleArray:
    """Return decimals as the nearest float64; Arrow's cast is off by a bit for one in eight."""
    array = columns.one_array(column)
    kind = pa.decimal128(array.type.precision, 0)
    units = pa.Array.from_buffers(kind, len(array), array.buffers(), offset=array.offset)
    return columns.column(columns.numbers(units) / 10.0**array.type.scale, columns.is_known(array))
