"""Check whether input tables are plausible: not empty, no repeated rows, long and short told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.book.schemas import Schema
from crossmargin.exceptions import ExceptionLog, InputError

SIDES = ("side", "sign", "direction", "buysell", "bs", "longshort", "ls")
"""Names, in letters alone, of columns that tell long from short in extracts."""
SHOWN = 3
"""Most rows that a note names."""


def refuse_empty(file: str, read: int, log: ExceptionLog) -> NoReturn:
    """Refuse an input without a usable row.

    Parameters
    ----------
    file : str
        Name of the input in exceptions.
    read : int
        Number of rows in it.
    log : ExceptionLog
        Holds the reasons for which they were rejected.

    Raises
    ------
    InputError
        Always; the message names the input and its first rejected row.
    """
    why = "has no row"
    if read:
        why = f"none of its {read:,} rows can be used"
        table = log.table()
        names = [file, *(one.file for one in log.files if one.input == file)]
        of_file = pc.is_in(table["file"], value_set=columns.text_column(names))
        rejected = pc.equal(table["severity"], columns.scalar("rejected"))
        for first in table.filter(pc.and_(of_file, rejected)).slice(0, 1).to_pylist():
            which = "" if first["file"] == file else f"{first['file']}, "
            why += f"; the first, {which}row {first['row']}: {first['message']}"
    raise InputError(
        f"{file}: {why}; give the whole table, or allow an empty one (allow_empty=True, "
        "--allow-empty)"
    )


def note_side(table: pa.Table, extra_columns: Iterable[str], file: str, log: ExceptionLog) -> None:
    """Note an unread column that may hold the sign, if no quantity is negative.

    Parameters
    ----------
    table : pyarrow.Table
        Positions, typed.
    extra_columns : iterable of str
        Names of the file's unknown columns.
    file : str
        Name of the file in exceptions.
    log : ExceptionLog
        Takes the note.
    """
    names = [name for name in extra_columns if re.sub("[^a-z]", "", name.lower()) in SIDES]
    if names and columns.numbers(table["quantity"]).min(initial=0.0) == 0.0:
        log.add(
            "READ_AS",
            file=file,
            message=f"column `{names[0][:100]}` is not read and no quantity is negative, so all "
            "futures and cash are long; if the column tells the side, name it in a columns file "
            "(--columns)",
        )


def note_repeats(
    table: pa.Table, schema: Schema, log: ExceptionLog, *, what: str = "trade"
) -> None:
    """Note the rows of an input that equal an earlier row in every known column.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    schema : Schema
        Its columns.
    log : ExceptionLog
        Takes one note: on some rows, or on a file in which every row appears more than once.
    what : str
        What a row is.
    """
    cell, size = np.zeros(len(table), np.int64), 1
    for column in schema.columns:
        number, different = columns.encoded(table[column.name])
        kinds = len(different) + 1
        if size * kinds >= 2**62:
            found, cell = np.unique(cell, return_inverse=True)
            size = found.size
        cell, size = cell * kinds + number + 1, size * kinds
    order = np.argsort(cell, kind="stable")
    again = np.diff(cell[order]) == 0
    if not again.any():
        return
    row = columns.integers(table["row"])[np.sort(order[1:][again])].tolist()
    first_of_its_kind = np.flatnonzero(np.append(True, ~again))
    if np.diff(np.append(first_of_its_kind, len(table))).min() > 1:
        message = (
            "every row appears more than once, as if the file had been given twice; all are "
            f"counted. {_row(row[0], schema.name, log)} is the first that repeats"
        )
        log.add("FILE_REPEATED", file=schema.name, message=message)
        return
    if log.files:
        shown = "; ".join(log.place(schema.name, number) for number in row[:SHOWN])
    else:
        shown = f"rows {', '.join(str(number) for number in row[:SHOWN])}"
    message = (
        f"{len(row):,} rows equal an earlier one in every column ({shown}"
        f"{', ...' if len(row) > SHOWN else ''}); each is counted as a {what} of its own"
    )
    log.add("ROWS_REPEATED", file=schema.name, message=message)


def _row(number: int, file: str, log: ExceptionLog) -> str:
    """Return what a message on a file calls a row, as the beginning of a sentence."""
    return log.place(file, number) if log.files else f"Row {number}"


def note_same_inputs(hashes: Mapping[str, str], log: ExceptionLog) -> None:
    """Note the inputs that have the same content as an earlier one.

    Parameters
    ----------
    hashes : mapping of str to str
        Hash of the content by input.
    log : ExceptionLog
        Takes the notes.
    """
    first: dict[str, str] = {}
    for file, digest in hashes.items():
        earlier = first.setdefault(digest, file)
        if earlier != file:
            message = f"{earlier} and {file} are the same file or table; check which one is meant"
            log.add("INPUT_REPEATED", file=file, message=message)
