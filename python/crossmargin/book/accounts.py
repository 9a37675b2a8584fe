"""Read accounts, each once, from the rows of the accounts table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.book.schemas import OMNIBUS
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
        Takes the rejected rows, and the accounts that name an omnibus account which cannot take
        their positions.

    Returns
    -------
    pyarrow.Table
        In the order of the file. Only an omnibus account that takes positions is named.
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
    return _with_usable_omnibus(
        table.take(columns.column(np.flatnonzero(~repeats))), file=file, log=log
    )


def omnibus_of(accounts: pa.Table) -> Integer:
    """Return the account in which each account's positions at FICC net, -1 for none, [A].

    Parameters
    ----------
    accounts : pyarrow.Table
        From `read_accounts`.

    Returns
    -------
    ndarray of int64
        Numbers of accounts; an omnibus account has its own.
    """
    number = _named(accounts)
    own = _is_omnibus(accounts)
    number[own] = np.flatnonzero(own)
    return number


def members_of(omnibus: Integer) -> Integer:
    """Return the numbers of the accounts that are in another one.

    Parameters
    ----------
    omnibus : ndarray of int64, [A]
        From `omnibus_of`.

    Returns
    -------
    ndarray of int64
        Ascending.
    """
    return np.flatnonzero((omnibus >= 0) & (omnibus != np.arange(omnibus.size)))


def _named(accounts: pa.Table) -> Integer:
    """Return the number of the omnibus account that each account names, -1 for none, [A]."""
    known = columns.plain(accounts["account"])
    named = columns.plain(accounts["omnibus"]).cast(pa.string())
    return columns.integers(pc.index_in(named, value_set=known)).copy()


def _is_omnibus(accounts: pa.Table) -> Mask:
    return columns.flags(pc.equal(accounts["ficc_role"], columns.scalar(OMNIBUS)))


def _with_usable_omnibus(accounts: pa.Table, *, file: str, log: ExceptionLog) -> pa.Table:
    """Return the accounts, naming no omnibus account that cannot take positions; log those."""
    omnibus = _is_omnibus(accounts)
    given = columns.is_known(accounts["omnibus"])
    if not (given.any() or omnibus.any()):
        return accounts
    at = _named(accounts)
    house = columns.flags(pc.equal(accounts["origin"], columns.scalar("house")))
    sponsored = columns.flags(pc.equal(accounts["ficc_role"], columns.scalar("sponsored_member")))
    name, into = columns.texts(accounts["account"]), columns.texts(accounts["omnibus"])
    firm = columns.texts(accounts["clearing_firm"])
    apart = "its positions at FICC are margined in the account itself"
    # Index -1, for accounts without an omnibus account, takes the last element; `given` says so.
    troubles = (
        (omnibus & house, "an omnibus account holds customers' positions: its origin is house"),
        (omnibus & given, "an omnibus account cannot be in another"),
        (at < 0, "omnibus {into} has no usable row in the accounts table; add it"),
        (~omnibus[at], "the ficc_role of {into} is not omnibus"),
        (house | house[at], "positions of the house and of customers never net"),
        (sponsored, "a sponsored member is margined by itself; its ficc_role or omnibus is wrong"),
        (firm != firm[at], "{into} is at another clearing firm"),
    )
    usable = np.ones(given.size, dtype=bool)
    for number, (wrong, message) in enumerate(troubles):
        bad = np.flatnonzero(usable & wrong & (given | (number == 0)))
        usable[bad] = False
        log.add(
            "OMNIBUS_INVALID",
            file=file,
            row=columns.integers(accounts["row"])[bad],
            account=name[bad],
            message=[f"{message.format(into=text)}: {apart}" for text in into[bad]],
        )
    place = accounts.column_names.index("omnibus")
    kept = pc.if_else(columns.column(usable), columns.plain(accounts["omnibus"]), None)
    return accounts.set_column(place, "omnibus", kept)
