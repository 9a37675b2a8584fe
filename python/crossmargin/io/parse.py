"""Read a given table as the typed table of a schema; rows that cannot be read are logged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Mask
from crossmargin.book.schemas import ARROW_TYPE, Column, Schema
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.cells import Cells, CellTypeError, is_words, read_cells, shown_cells
from crossmargin.io.dates import FIRST_YEAR, LAST_YEAR, Order, slash_order
from crossmargin.io.tables import Given

ROW = "row"
"""The column that holds the number of a row in its file, from 1."""

_NEAR = 0.85
_MOST_NAMES_COMPARED = 200
_THOUSAND = 1000.0
MAX_FAULTS = 1_000_000
"""Most bad cells; each has a message, and a file with more is probably another kind of file."""
_WANTED = {
    "text": "not a plain text of at most 1,000 characters",
    "number": "not a finite number; write digits with a decimal point",
    "date": f"not a date; write an existing day as YYYY-MM-DD, {FIRST_YEAR} to {LAST_YEAR}",
    "flag": "neither true nor false",
}
_UNCLEAR = {
    "number": (
        "unclear: its comma or point may be the decimal mark or separate thousands; write digits "
        "with a decimal point"
    ),
    "date": (
        "unclear: the file has dates with the day first and others with the month first; write "
        "YYYY-MM-DD"
    ),
}


@dataclass(frozen=True)
class Parsed:
    """An input table after reading.

    Attributes
    ----------
    table
        The columns of the schema in their types (null or their default if the file lacks them),
        extra columns if the schema keeps them, and `row`. Rejected and blank rows are left out.
    extra_columns
        Names of columns in the file that the schema does not have.
    warnings
        What the user should check, although nothing was rejected.
    rows_read
        Number of data rows in the file, without blank ones.
    notes
        How it was read, if that needs a note.
    """

    table: pa.Table
    extra_columns: tuple[str, ...]
    warnings: tuple[str, ...]
    rows_read: int
    notes: tuple[str, ...] = ()


def parse(
    table: pa.Table, schema: Schema, *, file: str, log: ExceptionLog, point: bool = True
) -> Parsed:
    """Return an input table with its cells read.

    Parameters
    ----------
    table
        As `crossmargin.io.tables.read_table` returns it.
    schema
        The columns to read.
    file
        Name of the input in exceptions.
    log
        Takes an exception for each bad cell (its row is left out), a note for each unknown column
        whose name is close to a known one, and a note for each unusual way of reading.
    point
        Whether the decimal mark is a point, as in `Given`.

    Raises
    ------
    InputError
        A required column is missing or has a type that cannot be read, a cell of a market history
        is bad, or more than `MAX_FAULTS` cells of another table are.
    """
    known = [column.name for column in schema.columns]
    table, notes = _with_known_names(table, known)
    extra = tuple(name for name in table.column_names if name not in known)
    near = _near_names(extra, known)
    _check_columns(table, schema, near, file)
    for name, meant in near.items():
        log.add("COLUMN_NAME_NEAR", file=file, message=_near_message(name, meant))

    there = set(table.column_names)
    given = {c: _one_column(table[c.name], c) for c in schema.columns if c.name in there}
    order, order_notes = slash_order(
        {c.name: g for c, g in given.items() if c.kind == "date" and is_words(g.type)}
    )
    present = {c.name: _cells(g, c, file, point, order) for c, g in given.items()}
    number_notes = (f"`{name}`: {cells.note}" for name, cells in present.items() if cells.note)
    notes = (*notes, *order_notes, *number_notes)
    for note in notes:
        log.add("READ_AS", file=file, message=note)
    blank = _blank_rows(table, present, extra)
    row = np.arange(1, len(table) + 1, dtype=np.int64)
    named = {
        part: present[name].value
        for part, name in (("account", schema.account), ("instrument", schema.instrument))
        if name in present
    }
    rejected = np.zeros(len(table), bool)
    count = 0
    for column in schema.columns:
        if column.name not in present:
            continue
        for wrong, wanted in _faults(column, present[column.name], blank):
            rejected |= wrong
            count += int(np.count_nonzero(wrong))
            if count > MAX_FAULTS:
                raise InputError(
                    f"{file}: more than {MAX_FAULTS:,} cells cannot be read, in `{column.name}` "
                    f"the first in row {np.flatnonzero(wrong)[0] + 1}; give a file of {schema.name}"
                )
            _report(table, column, np.flatnonzero(wrong), wanted, row, named, file, log)

    read = {c.name: _filled(c, present.get(c.name), len(table)) for c in schema.columns}
    warnings = [_near_message(name, meant) for name, meant in near.items()]
    if schema.keep_extra:
        for name in extra:
            carried = columns.plain(table[name])
            if name == ROW or not _carried(carried.type):
                warnings.append(f"column `{name}` cannot be copied to the results")
            else:
                read[name] = carried
    read[ROW] = columns.column(row)
    # Column by column: Arrow takes four times as long to filter a whole table.
    keep = columns.column(~(rejected | blank))
    kept = {name: columns.one_array(cells).filter(keep) for name, cells in read.items()}
    rows_read = len(table) - int(np.count_nonzero(blank))
    return Parsed(pa.table(kept), extra, tuple(warnings), rows_read, notes)


def describe_input(given: Given, parsed: Parsed) -> dict[str, Any]:
    """Return what the manifest says of an input: file, hash, rows, unread columns, warnings."""
    described = {
        **describe_file(given.path, given.hash),
        "rows_read": parsed.rows_read,
        "extra_columns": list(parsed.extra_columns),
        "warnings": [*given.notes, *parsed.notes, *parsed.warnings],
    }
    return described if given.stamp is None else {**described, "report": asdict(given.stamp)}


def describe_file(path: str, digest: str) -> dict[str, Any]:
    """Return which file an input is for the manifest; a table that was given has no path."""
    return {"path": path or None, "hash": digest}


def missing_columns(names: Sequence[str]) -> str:
    """Return a message on the missing columns."""
    told = ", ".join(f"`{name}`" for name in names)
    return f"column {told} is missing" if len(names) == 1 else f"columns {told} are missing"


def _check_columns(table: pa.Table, schema: Schema, near: dict[str, str], file: str) -> None:
    """Refuse a file that lacks a required column, and name a column that may be meant."""
    lacking = [c.name for c in schema.columns if c.required and c.name not in table.column_names]
    if not lacking:
        return
    meant = {right: wrong for wrong, right in near.items() if right in lacking}
    hint = "; ".join(f"rename `{wrong}` to `{right}`" for right, wrong in meant.items())
    has = ", ".join(f"`{name}`" for name in table.column_names[:12])
    raise InputError(f"{file}: {missing_columns(lacking)}; {hint or f'the file has {has}'}")


def _with_known_names(table: pa.Table, known: list[str]) -> tuple[pa.Table, tuple[str, ...]]:
    """Rename columns whose names differ from known ones only in case, blanks, dots or hyphens."""
    names = table.column_names
    plain = [_plain_name(name) for name in names]
    count = Counter(plain)
    renamed = {
        name: meant
        for name, meant in zip(names, plain, strict=True)
        if meant in known and name != meant and count[meant] == 1
    }
    if not renamed:
        return table, ()
    notes = tuple(f"column `{name}` is read as `{meant}`" for name, meant in renamed.items())
    return table.rename_columns([renamed.get(name, name) for name in names]), notes


def _plain_name(name: str) -> str:
    return re.sub(r"[\s.\-]+", "_", name[:100].lower())


def _near_names(extra: tuple[str, ...], known: list[str]) -> dict[str, str]:
    """Return the unknown names that are close to a known one, by that known name."""
    if not extra:
        return {}
    # Most files have no other columns.
    import difflib

    near = {}
    for name in extra[:_MOST_NAMES_COMPARED]:
        close = difflib.get_close_matches(_plain_name(name), known, n=1, cutoff=_NEAR)
        if close:
            near[name] = close[0]
    return near


def _near_message(name: str, meant: str) -> str:
    return f"column `{name[:100]}` is unknown and not read; if it is `{meant}`, rename it"


def _one_column(column: pa.ChunkedArray, wanted: Column) -> pa.Array:
    """Return a column as one array; dates as a dictionary, since they are read twice."""
    array = columns.one_array(column)
    return array.dictionary_encode() if wanted.kind == "date" and is_words(array.type) else array


def _cells(given: pa.Array, column: Column, file: str, point: bool, order: Order) -> Cells:
    try:
        return read_cells(
            given,
            column.kind,
            choices=column.choices,
            identifier=column.kind == "text" and not column.may_be_blank,
            percent=column.unit == "percent",
            point=point,
            thousands=column.high > _THOUSAND,
            order=order,
        )
    except CellTypeError as error:
        raise InputError(
            f"{file}: column `{column.name}` {error}; give it as {column.kind}"
        ) from None


def _blank_rows(table: pa.Table, present: dict[str, Cells], extra: tuple[str, ...]) -> Mask:
    blank = np.ones(len(table), bool)
    for cells in present.values():
        blank &= cells.missing
    for name in extra:
        if not blank.any():
            break
        column = columns.plain(table[name])
        empty = ~columns.is_known(column)
        if pa.types.is_string(column.type):
            trimmed = pc.utf8_trim_whitespace(column)
            empty |= columns.flags(pc.equal(trimmed, columns.scalar("")))
        blank &= empty
    return blank


def _faults(column: Column, cells: Cells, blank: Mask) -> list[tuple[Mask, str]]:
    """Return masks of the wrong rows of a column, each with what is wrong."""
    wanted = _WANTED.get(column.kind, f"not one of {', '.join(column.choices)}")
    faults = [(cells.bad, wanted)]
    if cells.unclear is not None:
        faults = [(cells.bad & ~cells.unclear, wanted), (cells.unclear, _UNCLEAR[column.kind])]
    if not column.may_be_blank:
        faults.append((cells.missing & ~blank, ""))
    if column.kind == "number":
        value = columns.numbers(cells.value)
        outside = (value < column.low) | (value > column.high)
        faults.append((outside, f"outside {column.low:.16g} to {column.high:.16g}"))
    return [(wrong, why) for wrong, why in faults if wrong.any()]


def _report(
    table: pa.Table,
    column: Column,
    at: npt.NDArray[np.int64],
    wanted: str,
    row: npt.NDArray[np.int64],
    named: dict[str, pa.Array],
    file: str,
    log: ExceptionLog,
) -> None:
    """Log the wrong cells of a column; refuse a market history at the first one."""
    if column.code is None:
        at = at[:1]
    head = f"`{column.name}` is "
    place = columns.column(at)
    if wanted:
        shown = columns.texts(shown_cells(table[column.name].take(place)))
        message = [f'{head}"{text}": {wanted}' for text in shown]
    else:
        message = [f"{head}blank; it must be given"] * len(at)
    if column.code is None:
        raise InputError(f"{file}, row {row[at[0]]}: {message[0]}")
    log.add(
        column.code,
        file=file,
        row=row[at],
        message=message,
        account=named["account"].take(place) if "account" in named else None,
        instrument=named["instrument"].take(place) if "instrument" in named else None,
    )


def _filled(column: Column, cells: Cells | None, count: int) -> pa.Array:
    value = pa.nulls(count, ARROW_TYPE[column.kind]) if cells is None else cells.value
    if column.default is None:
        return value
    default = columns.scalar(column.default)
    if not pa.types.is_dictionary(value.type):
        return value.fill_null(default)
    # Arrow fills a dictionary with a scalar of its own type only, and imports pandas to make one.
    return columns.plain(value).fill_null(default).dictionary_encode()


def _carried(kind: pa.DataType) -> bool:
    """Tell whether an extra column's type can be written to the results."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
    )
