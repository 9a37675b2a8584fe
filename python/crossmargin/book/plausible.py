"""Whether a book can be meant: it has rows, has them once, and no more than the market has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Float
from crossmargin.book.netting import Lines
from crossmargin.book.schemas import Schema
from crossmargin.book.trades import LOT
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.universe import FUTURE, Universe

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


def market_size(
    universe: Universe, outstanding: Float, open_interest: Mapping[str, float]
) -> Float:
    """Return how much there is of each instrument, in lots or contracts, NaN if not known, [I].

    Parameters
    ----------
    universe : Universe
        Securities come first.
    outstanding : ndarray of float64
        USD of face of each of those securities, NaN where not given.
    open_interest : mapping of str to float
        Contracts, by contract or root; a contract's own goes before its root's.
    """
    size = np.full(universe.name.size, np.nan)
    size[: outstanding.size] = outstanding / LOT
    for i in np.flatnonzero(universe.kind == FUTURE):
        of_root = open_interest.get(universe.root[i], np.nan)
        size[i] = open_interest.get(universe.name[i], of_root)
    return size


def note_sizes(
    lines: Lines,
    universe: Universe,
    size: Float,
    account: pa.Array,
    file: str,
    log: ExceptionLog,
) -> None:
    """Note positions, and sides of the book, that are larger than what there is.

    Parameters
    ----------
    lines : Lines
        The netted book, [N].
    universe : Universe
        Names of the instruments.
    size : ndarray of float64, [I]
        From `market_size`.
    account : pyarrow.StringArray, [N]
        Of each line.
    file : str
        What exceptions call the positions table.
    log : ExceptionLog
        Takes a note for each position, and one for each other instrument of which the longs or the
        shorts of all accounts together are too many.
    """

    def text(lots: float, i: int) -> str:
        if universe.kind[i] == FUTURE:
            return f"{lots:,.0f} contracts, more than the {size[i]:,.0f} of open interest"
        return f"{LOT * lots:,.0f} USD of face, more than the {LOT * size[i]:,.0f} outstanding"

    at = np.flatnonzero(np.abs(lines.lots) > size[lines.instrument])
    log.add(
        "ABOVE_OUTSTANDING",
        file=file,
        account=account.take(columns.column(at)),
        instrument=universe.name[lines.instrument[at]],
        message=[
            f"a position of {text(lines.lots[n], lines.instrument[n])}; check the quantity's unit"
            for n in at.tolist()
        ],
    )
    sides = [
        np.bincount(lines.instrument, np.maximum(sign * lines.lots, 0), size.size)
        for sign in (1, -1)
    ]
    together = np.maximum(*sides)
    noted = np.zeros(size.size, dtype=bool)
    noted[lines.instrument[at]] = True
    beyond = np.flatnonzero((together > size) & ~noted)
    log.add(
        "ABOVE_OUTSTANDING",
        file=file,
        instrument=universe.name[beyond],
        message=[
            f"one side of the book has {text(together[i], i)}; check whether rows are there twice"
            for i in beyond.tolist()
        ],
    )
