"""Whether input tables can be meant: they have rows, have them once, and tell the side."""

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
"""What extracts call the column that tells a long from a short position, in letters alone."""
SHOWN = 3
"""Rows that a note names."""


def refuse_empty(file: str, read: int, log: ExceptionLog) -> NoReturn:
    """Refuse an input of which no row can be used.

    Parameters
    ----------
    file : str
        What exceptions call it.
    read : int
        Rows that it has.
    log : ExceptionLog
        Knows why they were rejected.

    Raises
    ------
    InputError
        Always; the message names the input and its first rejected row.
    """
    why = "has no row"
    if read:
        why = f"none of its {read:,} rows can be used"
        table = log.table()
        of_file = pc.equal(table["file"], columns.scalar(file))
        rejected = pc.equal(table["severity"], columns.scalar("rejected"))
        for first in table.filter(pc.and_(of_file, rejected)).slice(0, 1).to_pylist():
            why += f"; the first, row {first['row']}: {first['message']}"
    raise InputError(
        f"{file}: {why}; give the whole table, or allow an empty one (allow_empty=True, "
        "--allow-empty)"
    )


def note_side(table: pa.Table, extra_columns: Iterable[str], file: str, log: ExceptionLog) -> None:
    """Note a column that may hold the sign, which is not read, where no quantity is negative.

    Parameters
    ----------
    table : pyarrow.Table
        Positions, typed.
    extra_columns : iterable of str
        Names of the file's columns that are not ours.
    file : str
        What exceptions call it.
    log : ExceptionLog
        Takes the note.
    """
    names = [name for name in extra_columns if re.sub("[^a-z]", "", name.lower()) in SIDES]
    if names and columns.numbers(table["quantity"]).min(initial=0.0) == 0.0:
        log.add(
            "READ_AS",
            file=file,
            message=f"column `{names[0][:100]}` is not read, and no quantity is negative: all "
            "futures and cash are long; if the column tells the side, say so in a columns file "
            "(--columns)",
        )


def note_repeats(table: pa.Table, schema: Schema, log: ExceptionLog) -> None:
    """Note the rows of an input that equal an earlier one in every column of ours.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` leaves it.
    schema : Schema
        Its columns.
    log : ExceptionLog
        Takes one note: of some rows, or of a file whose every row is there more than once.
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
    row = columns.integers(table["row"])[np.sort(order[1:][again])]
    first_of_its_kind = np.flatnonzero(np.append(True, ~again))
    if np.diff(np.append(first_of_its_kind, len(table))).min() > 1:
        message = (
            "every row is there more than once, as if the file had been given twice; each is "
            f"counted. Row {row[0]} is the first that repeats"
        )
        log.add("FILE_REPEATED", file=schema.name, message=message)
        return
    shown = ", ".join(str(number) for number in row[:SHOWN])
    message = (
        f"{row.size:,} rows equal an earlier one in every column (rows {shown}"
        f"{', ...' if row.size > SHOWN else ''}); each is counted as a trade of its own"
    )
    log.add("ROWS_REPEATED", file=schema.name, message=message)


def note_same_inputs(hashes: Mapping[str, str], log: ExceptionLog) -> None:
    """Note the inputs that have the same content as an earlier one.

    Parameters
    ----------
    hashes : mapping of str to str
        By input.
    log : ExceptionLog
        Takes the notes.
    """
    first: dict[str, str] = {}
    for file, digest in hashes.items():
        earlier = first.setdefault(digest, file)
        if earlier != file:
            message = f"{earlier} and {file} are the same file or table; check which is meant"
            log.add("INPUT_REPEATED", file=file, message=message)
