"""Rows of an input table under check: which are still accepted, and the log of those that are not.

A row leaves at the first check it fails.
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
    """A column of names by number, [N]: each different one is looked at once.

    Attributes
    ----------
    number : ndarray of int64, [N]
        Of each row, the number of its name.
    different : pyarrow.StringArray
        The names.
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
        """Return where each name stands among `known`, -1 where it does not."""
        found = pc.index_in(self.different, value_set=columns.plain(known))
        return columns.integers(found)[self.number]


class Rows:
    """The rows still accepted, and the log for those that are not.

    Parameters
    ----------
    row : pyarrow.ChunkedArray of int64, [N]
        Their numbers in the file.
    instrument : Names
        What exceptions say they are of.
    account : Names, optional
        Likewise.
    file : str
        What exceptions call the table.
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
        """Log some rows, which stay accepted."""
        self._log.add(
            code,
            file=self.file,
            row=self.row[at],
            account=None if self._account is None else self._account.take(at),
            instrument=self.instrument.take(at),
            message=message,
        )

    def note_file(self, code: str, message: str) -> None:
        """Log something of the whole file."""
        self._log.add(code, file=self.file, message=message)

    def reject(self, mask: Mask, code: str, message: Callable[[int], str]) -> None:
        """Log the accepted rows of a mask, and accept them no more."""
        at = np.flatnonzero(self.ok & mask)
        if at.size:
            self.note(at, code, [message(i) for i in at.tolist()])
            self.ok[at] = False
