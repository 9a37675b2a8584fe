"""Helpers of all layouts: columns by their plain names, as text."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns


def plain_names(table: pa.Table) -> dict[str, str]:
    """Return columns by plain name, in lower-case letters and digits: `Issue Date` as issuedate."""
    return {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in table.column_names}


def text(table: pa.Table, *names: str) -> pa.StringArray | None:
    """Return the column with one of these plain names as trimmed text; None if there is none."""
    named = plain_names(table)
    found = [named[name] for name in names if name in named]
    if not found:
        return None
    column = columns.plain(table[found[0]]).cast(pa.string())
    return pc.utf8_trim_whitespace(columns.one_array(column).fill_null(columns.scalar("")))


def blanked(cells: dict[str, pa.Array], keep: npt.NDArray[np.bool_]) -> pa.Table:
    """Return a table of these columns in which the rows that are not kept are blank."""
    kept = columns.column(keep)
    return pa.table(
        {
            name: pc.if_else(kept, column, columns.nothing(column.type))
            for name, column in cells.items()
        }
    )
