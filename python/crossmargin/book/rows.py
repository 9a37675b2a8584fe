"""Rows of an input table while they are checked: those still accepted, and a log of the others.

A row is rejected at the first check that it fails.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.exceptions import ExceptionLog, Texts


class Names:
    """A column of names as indices, [N], so that each distinct name is read once.

    Attributes
    ----------
    number : ndarray of int64, [N]
        Index of each row's name.
    different : pyarrow.StringArray
        The distinct names.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.number, self.different = columns.encoded(column)

    def __getitem__(self, row: int) -> str:
        """Return the name of a row."""
        return str(self.different[self.number[row].item()])

    def take(self, row: Integer) -> pa.StringArray:
        """Return the names of some rows."""
        return self.different.take(columns.column(self.number[row]))

    def index_in(self, known: pa.Array | pa.ChunkedArray) -> Integer:
        """Return the index of each row's name in `known`, -1 if it is not there."""
        found = pc.index_in(self.different, value_set=columns.plain(known))
        return columns.integers(found)[self.number]


class Rows:
    """The rows still accepted, and the log for the others.

    Parameters
    ----------
    row : pyarrow.ChunkedArray of int64, [N]
        Row numbers in the file.
    instrument : Names
        Instruments of the rows, for exceptions.
    account : Names, optional
        Accounts of the rows, for exceptions.
    file : str
        Name of the table in exceptions.
    log : ExceptionLog
        Takes rejected rows and notes.

    Attributes
    ----------
    row : ndarray of int64, [N]
    instrument : Names
    file : str
    ok : ndarray of bool, [N]
        Which rows are accepted so far.
    """

    def __init__(
        self,
        row: pa.ChunkedArray,
        instrument: Names,
        account: Names | None = None,
        *,
        file: str,
        log: ExceptionLog,
    ) -> None:
        self.row = columns.integers(row)
        self.instrument = instrument
        self.file = file
        self.ok = np.ones(self.row.size, dtype=bool)
        self._account = account
        self._log = log

    def note(self, at: Integer, code: str, message: Texts) -> None:
        """Log a note on some rows; they stay accepted."""
        self._log.add(
            code,
            file=self.file,
            row=self.row[at],
            account=None if self._account is None else self._account.take(at),
            instrument=self.instrument.take(at),
            message=message,
        )

    def where(self, at: int) -> str:
        """Return the file and the number of a row, for messages."""
        return self._log.place(self.file, int(self.row[at]))

    def note_file(self, code: str, message: str) -> None:
        """Log a note on the whole file."""
        self._log.add(code, file=self.file, message=message)

    def reject(self, mask: Mask, code: str, message: Callable[[int], str]) -> None:
        """Log and reject those rows of a mask that are still accepted."""
        at = np.flatnonzero(self.ok & mask)
        if at.size:
            self.note(at, code, [message(i) for i in at.tolist()])
            self.ok[at] = False
