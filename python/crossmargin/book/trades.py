"""Trades that can be margined, as columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.exceptions import FileRows
from crossmargin.instruments.contracts import Contract, roots

CASH, REPO, REVERSE, FUTURE = range(len(POSITION_KINDS))
LOT = 100
"""USD of face, or of a forward cash leg, in a lot."""
LARGEST_FACE = 1e12
LARGEST_CONTRACTS = 1e7
NEAR = 10
"""Business days; an end within so many is noted."""


@dataclass(frozen=True)
class Trades:
    """Accepted rows of the positions table, as columns of length R.

    Attributes
    ----------
    row : ndarray of int64
        Data row in the file, from 1; in several files, counted through them all.
    account : ndarray of int64
        Index of the account in the accounts table.
    firm : ndarray of int64
        Index in `firms` of the clearing firm if it differs from the account's, else -1.
    kind : ndarray of int64
        Index in `schemas.POSITION_KINDS`.
    instrument : pyarrow.StringArray
        As the row names it.
    security, contract : ndarray of int64
        Index of the security (cash, repo, reverse) or in `contracts` (future), else -1.
    lots : ndarray of int64
        Lots of 100 USD face, or contracts; signed for cash and futures, positive for repo.
    xm : ndarray of bool
        Booked in the cross-margin account.
    start_open, end_open : ndarray of bool
        Which legs of a repo are open, that is not settled.
    start_date, end_date : ndarray of datetime64[D]
    settle_date : ndarray of datetime64[D]
        Of cash; NaT where none is given.
    failed : ndarray of bool
        A leg that was due is still open.
    repo_rate : ndarray of float64
        Decimal.
    start_cash : ndarray of float64
        USD, NaN where blank, which is allowed only if a model prices the security.
    contracts : tuple of Contract
        In the canonical order of futures.
    firms : tuple of str
        Ascending.
    ccp : ndarray of int64
        Index in `ccps` of the clearing house outside the programme that holds the trade, else -1.
    ccps : tuple of str
        Clearing houses of the policy outside the programme.
    files : tuple of FileRows
        The files, if there are several; for the log of exceptions.
    cash_dates : ndarray of datetime64[D]
        Days on which an open repo leg pays cash, ascending.
    held : ndarray of int64
        Indices of the traded securities, ascending.
    """

    row: Integer
    account: Integer
    firm: Integer
    kind: Integer
    instrument: pa.StringArray
    security: Integer
    contract: Integer
    lots: Integer
    xm: Mask
    start_open: Mask
    end_open: Mask
    start_date: Dates
    end_date: Dates
    settle_date: Dates
    failed: Mask
    repo_rate: Float
    start_cash: Float
    contracts: tuple[Contract, ...]
    firms: tuple[str, ...]
    ccp: Integer
    ccps: tuple[str, ...]
    files: tuple[FileRows, ...] = ()
    cash_dates: Dates = field(init=False)
    held: Integer = field(init=False)

    def __post_init__(self) -> None:
        """Find the dates and securities of the trades."""
        due = [self.start_date[self.start_open], self.end_date[self.end_open]]
        cash_dates = different_numbers(np.concatenate(due).astype(np.int64)).astype("datetime64[D]")
        object.__setattr__(self, "cash_dates", cash_dates)
        object.__setattr__(self, "held", different_numbers(self.security[self.security >= 0]))


def canonical_order(contracts: Iterable[Contract]) -> list[Contract]:
    """Return contracts sorted by root, in the order of contracts.toml, and by month."""
    rank = {root: number for number, root in enumerate(roots())}
    return sorted(contracts, key=lambda c: (rank[c.root], c.month))


WIDE = 1 << 20
"""Numbers that lie further apart are not counted one by one."""


def different_numbers(number: Integer) -> Integer:
    """Return the distinct numbers, ascending; without sorting if they lie close together."""
    lowest, highest = int(number.min(initial=0)), int(number.max(initial=0))
    if highest - lowest > WIDE + number.size:
        return np.unique(number)
    return np.asarray(np.flatnonzero(np.bincount(number - lowest)) + lowest)
