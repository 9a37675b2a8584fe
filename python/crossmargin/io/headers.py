"""Find a table's header and its named columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.exceptions import InputError

FIRST_ROWS = 20
"""Most rows searched for the header."""
_VALUE = re.compile(r"\s*[$(+-]?[0-9][0-9.,:/-]*[)%]?\s*$")
"""A number or a date."""


def header_row(rows: Sequence[Sequence[str]]) -> int:
    """Return the index of the header among a table's first rows.

    Titles, empty rows and Excel's `sep=` line may precede it. They fill few cells; a header fills
    most. Of the rows that fill most cells, the header is the first without a number or date, if
    there is one, since a title may fill a row too (`Positions, as of, 3/13/2025`).

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells of the first rows; at least one row is filled.

    Returns
    -------
    int
    """
    count = [filled(row) for row in rows]
    most = max(count)
    full = [number for number, cells in enumerate(count) if 2 * cells > most]
    return next((number for number in full if not any(map(_VALUE.match, rows[number]))), full[0])


def filled(row: Sequence[str]) -> int:
    """Return the number of cells in a row that are not blank."""
    return sum(1 for cell in row if cell.strip())


def rows_left_out(rows: Sequence[Sequence[str]], count: int, unit: str) -> tuple[str, ...]:
    """Return a note on the `count` lines before the header, if any of them has content."""
    title = next((cell.strip() for row in rows for cell in row if cell.strip()), "")
    if not title:
        return ()
    which = f"{unit} 1 is" if count == 1 else f"{unit}s 1 to {count} are"
    return (f'{which} before the header and not read: "{title[:60]}"; rows are counted from it',)


def named_columns(table: pa.Table, label: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table with the columns that have a name, and notes on those left out.

    Columns without name and content, as Excel exports them, are left out. So is a first column
    without a name that numbers the rows, as pandas writes it.

    Raises
    ------
    InputError
        Another column without a name has content, or two columns have the same name.
    """
    names = [name.strip() for name in table.column_names]
    kept, notes = [], []
    for place, name in enumerate(names):
        if name:
            kept.append(place)
            continue
        content = _content(table.column(place))
        if place == 0 and _counts_rows(content):
            notes.append("the first column has no name and numbers the rows; it is not read")
        elif pc.any(pc.not_equal(content, columns.scalar(""))).as_py():
            row = pc.index(pc.not_equal(content, columns.scalar("")), columns.scalar(True)).as_py()
            raise InputError(
                f"{label}: column {place + 1} has no name, but content in row {row + 1}; give it a "
                "name, or delete it"
            )
    refuse_repeated([names[place] for place in kept], label)
    return table.select(kept).rename_columns([names[place] for place in kept]), tuple(notes)


def refuse_repeated(names: Sequence[str], label: str) -> None:
    """Refuse two columns with the same name."""
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise InputError(f"{label}: column `{repeated[:100]}` appears more than once; keep one")


def _content(column: pa.ChunkedArray) -> pa.StringArray:
    """Return cells as trimmed text; blank where they are null."""
    text = columns.one_array(columns.plain(column).cast(pa.string()))
    return pc.utf8_trim_whitespace(text.fill_null(columns.scalar("")))


def _counts_rows(content: pa.StringArray) -> bool:
    count = columns.column(np.arange(len(content) + 1)).cast(pa.string())
    return len(content) > 0 and (
        content.equals(count.slice(0, len(content))) or content.equals(count.slice(1))
    )
