"""From rows of the accounts table to accounts, each once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossmargin.book.exceptions import ExceptionLog


def read_accounts(table: pa.Table, *, file: str, log: ExceptionLog) -> pa.Table:
    """Keep the first row of each account and reject the others: the account gets no benefit.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` leaves it.
    file : str
        What exceptions call the table.
    log : ExceptionLog
        Takes the rejected rows.

    Returns
    -------
    pyarrow.Table
        In the order of the file.
    """
    name = np.asarray(table["account"].to_pylist(), dtype=str)
    _, first = np.unique(name, return_index=True)
    again = np.setdiff1d(np.arange(name.size), first)
    log.add(
        "ACCOUNT_DUPLICATE",
        file=file,
        row=table["row"].to_numpy()[again],
        account=name[again],
        message=[f"account {name[i]} has an earlier row, which is used; keep one" for i in again],
    )
    return table.take(np.sort(first))
