"""Read accounts, each once, from the rows of the accounts table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import ExceptionLog


def read_accounts(table: pa.Table, *, file: str, log: ExceptionLog) -> pa.Table:
    """Return the first row of each account; reject later rows, so the account gets no benefit.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    file : str
        Name of the table in exceptions.
    log : ExceptionLog
        Takes the rejected rows.

    Returns
    -------
    pyarrow.Table
        In the order of the file.
    """
    account, _ = columns.encoded(table["account"])
    _, first = np.unique(account, return_index=True)
    repeats = np.ones(account.size, dtype=bool)
    repeats[first] = False
    again = np.flatnonzero(repeats)
    name = columns.texts(table["account"].take(columns.column(again)))
    log.add(
        "ACCOUNT_DUPLICATE",
        file=file,
        row=columns.integers(table["row"])[again],
        account=name,
        message=[f"account {text} has an earlier row, which is used; keep one" for text in name],
    )
    return table.take(columns.column(np.flatnonzero(~repeats)))
