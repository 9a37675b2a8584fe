"""What is on deposit for each account, from the rows of the deposits table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns, exact
from crossmargin.arrays import Integer, Mask
from crossmargin.book.rows import Names
from crossmargin.book.schemas import DEPOSITS
from crossmargin.conventions import CME, FICC
from crossmargin.exceptions import ExceptionLog, InputError

LARGEST = 9e13
"""USD; all deposits together are less."""


@dataclass(frozen=True)
class Deposits:
    """What is on deposit for each account after haircuts, [A].

    Attributes
    ----------
    ficc, cme : ndarray of int64
        Whole cents.
    known : ndarray of bool
        Whether no row that names the account was rejected.
    """

    ficc: Integer
    cme: Integer
    known: Mask


def sum_deposits(table: pa.Table, account: pa.ChunkedArray, log: ExceptionLog) -> Deposits:
    """Return the deposits by account; reject the rows of unknown accounts.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    account : pyarrow.ChunkedArray
        Names of the accounts, [A].
    log : ExceptionLog
        Holds the rows that were rejected while reading, and takes those rejected here.

    Returns
    -------
    Deposits
        An account without a row has nothing on deposit. Each row is rounded to the cent.

    Raises
    ------
    InputError
        All deposits together are absurdly large.
    """
    account = columns.plain(account)
    names = Names(table["account"])
    owner = names.index_in(account)
    lost = np.flatnonzero(owner < 0)
    log.add(
        "ACCOUNT_UNKNOWN",
        file=DEPOSITS.name,
        row=columns.integers(table["row"])[lost],
        account=names.take(lost),
        message=[f"account {names[row]} is not in the run" for row in lost.tolist()],
    )
    value = columns.numbers(table["value"])
    if float(value.sum()) >= LARGEST:
        raise InputError(
            f"{DEPOSITS.name}: `value` adds up to {value.sum():,.0f} USD; check its unit"
        )
    cents, ccp = exact.cents(value), columns.texts(table["ccp"])
    total = {}
    for name in (FICC, CME):
        own = (owner >= 0) & (ccp == name)
        total[name] = np.zeros(len(account), np.int64)
        np.add.at(total[name], owner[own], cents[own])
    exceptions = log.table()
    rejected = pc.and_(
        pc.equal(exceptions["file"], columns.scalar(DEPOSITS.name)),
        pc.equal(exceptions["severity"], columns.scalar("rejected")),
    )
    named = pc.index_in(exceptions.filter(rejected)["account"], value_set=account)
    known = np.ones(len(account), bool)
    known[columns.integers(named.drop_null())] = False
    return Deposits(total[FICC], total[CME], known)
