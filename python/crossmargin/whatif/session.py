"""What hypothetical trades would change in an account's margin, exact to the bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.netting import net, to_book
from crossmargin.book.trades import LARGEST_CONTRACTS, LARGEST_FACE, LOT
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import (
    agree_offsets,
    caveats_of,
    margin_accounts,
    require_accounts,
)
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.calculation.result import RunResult, stages_of
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.instruments.identifiers import canonical_name
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE
from crossmargin.margin.portfolios import row_of
from crossmargin.results.schema import WHAT_IFS
from crossmargin.results.table import Table
from crossmargin.results.tables import caveat_columns, money_columns, saving_columns
from crossmargin.whatif.cached import CachedAccounts, can_be_cached
from crossmargin.whatif.parts import Leg

Trades = Mapping[str, SupportsFloat]
"""Quantities by instrument."""

MEMORY = 2**30
"""Default memory for a session's cached accounts, bytes: enough for several thousand."""


class Session:
    """Answers to what a trade would change in the accounts of a finished run.

    The first question about an account caches its P&L; `what_if` then answers in microseconds. Once
    `memory` is full, the accounts not asked about for longest are dropped. The answers are the same
    with and without the cache, and equal a run's. An account is not cached if

    - its sums might not be exact: a user's cube off the grid, or gross P&L from 2^33 USD on;
    - a charge or model of the policy does not say what it is for one account; all of ours do;
    - there are no native kernels;
    - it takes more than `memory` by itself.

    `what_if` then takes as long as `what_ifs` with one question. Several threads may ask the same
    session.

    Parameters
    ----------
    run : RunResult
        From `crossmargin.run` in this process.
    memory : int
        Bytes for cached accounts; 1 GiB if not given, 0 to cache none. In addition a session holds
        a copy of the models' P&L, or two under an offset method by tables.
    threads : int, optional
        For `what_ifs`; default: as many as the process may use. A single question takes one.

    Attributes
    ----------
    instruments : tuple of str
        What can be traded: CUSIPs and contracts of the run.
    accounts : tuple of str
        The accounts that can be asked about.

    Raises
    ------
    TypeError
        `run` is not a run.
    ValueError
        The run has no stages, or `memory` is not a number of bytes.

    Examples
    --------
    >>> session = Session(run)  # doctest: +SKIP
    >>> session.what_if("ACC1", {"ZNM25": -10})["requirement"]  # doctest: +SKIP
    """

    def __init__(self, run: RunResult, *, memory: int = MEMORY, threads: int | None = None) -> None:
        if not isinstance(run, RunResult):
            raise TypeError(f"a session needs a run, from xm.run(...), not {type(run).__name__}")
        stages = stages_of(run)
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
            raise ValueError(f"memory: a number of bytes expected, got {memory!r}")
        self._models: PreparedModels = stages.models
        self._batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
        self._execution = Execution(threads)
        self._as_of = stages.models.market.as_of
        names = run.accounts.to_arrow()["account"].to_pylist()
        self.accounts: tuple[str, ...] = tuple(names)
        self._account = {name: number for number, name in enumerate(names)}
        universe = self._models.universe
        tradable = np.flatnonzero(universe.kind != FORWARD_CASH)
        self._instrument = {str(universe.name[i]): int(i) for i in tradable}
        self.instruments: tuple[str, ...] = tuple(self._instrument)
        # Plain lists: an element of an array takes many times as long to read.
        future = universe.kind == FUTURE
        self._future: list[bool] = future.tolist()
        self._other: list[int] = np.where(future, CME_OTHER, FICC_OTHER).tolist()
        self._crossed: list[int] = np.where(
            self._models.eligible, np.where(future, CME_XM, FICC_XM), self._other
        ).tolist()
        self._eligible: list[bool] = self._batch.clients.eligible.tolist()
        self._cached: CachedAccounts | None = None
        if can_be_cached(self._models):
            self._cached = CachedAccounts(
                self._batch.book,
                self._batch.elsewhere,
                self._models,
                self._batch.clients,
                names=names,
                memory=memory,
            )

    def __repr__(self) -> str:
        """Return the run's date, and how much can be asked about, as text."""
        return (
            f"<Session {self._as_of}: {len(self.accounts):,} accounts, "
            f"{len(self.instruments):,} instruments>"
        )

    def what_if(self, account: str, trades: Trades, *, xm: bool = True) -> dict[str, Any]:
        """Return the margin of one account after some hypothetical trades.

        Parameters
        ----------
        account : str
            One of `accounts`.
        trades : mapping of str to number
            USD of face by CUSIP, and lots by contract: signed whole numbers, as ints, floats,
            Decimals or NumPy numbers. Empty: the account as it is.
        xm : bool
            Whether the trades are booked in the cross-margin account; eligible ones are then
            cross-margined.

        Returns
        -------
        dict
            The columns of `what_ifs`, as Python values.

        Raises
        ------
        TypeError
            The trades are not a mapping.
        ValueError
            An unknown account or instrument, or a quantity that is not a whole number of lots; the
            message names it and what to do.
        """
        number = self._number(account)
        legs = self._resolve(trades, number, xm)
        if self._cached is not None:
            answer = self._cached.ask(number, legs)
            if answer is not None:
                return answer
        row: dict[str, Any] = self._ask([number], [legs], Execution(1)).to_pylist()[0]
        return row

    def what_ifs(self, questions: Iterable[tuple[str, Trades]], *, xm: bool = True) -> Table:
        """Return the margin after each of many hypothetical trades, taken one at a time.

        Parameters
        ----------
        questions : iterable of (account, trades)
            As in `what_if`.
        xm : bool
            As in `what_if`.

        Returns
        -------
        Table
            A row per question; its columns are those of `crossmargin.results.schema.WHAT_IFS`.

        Raises
        ------
        TypeError, ValueError
            As in `what_if`.
        """
        asked = [_pair(question) for question in questions]
        numbers = [self._number(account) for account, _ in asked]
        trades = [
            self._resolve(legs, number, xm)
            for number, (_, legs) in zip(numbers, asked, strict=True)
        ]
        return Table(self._ask(numbers, trades, self._execution))

    def _ask(self, accounts: list[int], trades: list[list[Leg]], execution: Execution) -> pa.Table:
        """Return the answers to questions by the columnar models."""
        asked = np.array(accounts, dtype=np.int64)
        batch = self._batch.take(asked)
        clients, there = batch.clients, batch.elsewhere
        book = _with_trades(batch.book, trades)
        margins = margin_accounts(book, there, self._models, execution)
        agreement = agree_offsets(book, self._models, margins, clients, execution)
        required = require_accounts(margins, agreement, clients)
        return WHAT_IFS.table(
            {
                "account": columns.text_column([self.accounts[number] for number in accounts]),
                **saving_columns(agreement.saving),
                **money_columns(required),
                **caveat_columns(caveats_of(book, there, self._models, clients)),
            }
        )

    def _number(self, account: str) -> int:
        if not isinstance(account, str) or account not in self._account:
            raise ValueError(f"account {account!r} is not in the run; see session.accounts")
        return self._account[account]

    def _resolve(self, trades: Trades, account: int, xm: bool) -> list[Leg]:
        """Return the checked legs of a trade."""
        # The test for any mapping takes as long as the rest.
        if type(trades) is not dict and not isinstance(trades, Mapping):
            raise TypeError(
                'trades: quantities by instrument expected, such as {"ZNM25": -10}, got '
                f"{type(trades).__name__}"
            )
        segments = self._crossed if xm and self._eligible[account] else self._other
        legs = []
        for name, quantity in trades.items():
            instrument = self._instrument.get(name)
            if instrument is None:
                instrument = self._written_otherwise(name)
            lots = _lots(name, quantity, self._future[instrument])
            if lots:
                legs.append((segments[instrument], instrument, lots))
        return legs

    def _written_otherwise(self, name: str) -> int:
        """Return the number of an instrument whose name is written in another form."""
        try:
            return self._instrument[canonical_name(str(name), self._as_of)]
        except (KeyError, ValueError):
            raise ValueError(
                f"instrument {name!r} is not in the run, so its P&L is not known; see "
                "session.instruments, or run the book with a position in it"
            ) from None


def _pair(question: tuple[str, Trades]) -> tuple[str, Trades]:
    """Return a question, checked to be a pair."""
    if not isinstance(question, tuple | list) or len(question) != 2:
        raise TypeError(
            f'questions: pairs expected, such as ("ACC1", {{"ZNM25": -10}}), got {question!r:.60}'
        )
    account, trades = question
    return account, trades


_NOT_NUMBERS = (str, bytes, bool, np.bool_)


def _lots(name: str, quantity: SupportsFloat, future: bool) -> int:
    """Return a quantity in contracts or lots of face, checked."""
    lot, largest = (1, LARGEST_CONTRACTS) if future else (LOT, LARGEST_FACE)
    try:
        number = math.nan if isinstance(quantity, _NOT_NUMBERS) else float(quantity)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= largest:
        raise ValueError(f"quantity {quantity!r} of {name} is not a number within {largest:g}")
    lots = int(number // lot)
    if lots * lot != number:
        raise ValueError(
            f"quantity {quantity!r} of {name} is not a whole number of "
            + ("contracts" if future else f"lots of {LOT} USD face")
        )
    return lots


def _with_trades(book: Book, trades: list[list[Leg]]) -> Book:
    """Return a book with the trades of its first groups added."""
    width = len(SEGMENTS)
    place = row_of(book)
    new = np.array(
        [(group, *leg) for group, legs in enumerate(trades) for leg in legs], np.int64
    ).reshape(-1, 4)
    size = place.size + len(new)
    lines = net(
        group=np.concatenate([place // width, new[:, 0]]),
        segment=np.concatenate([place % width, new[:, 1]]),
        instrument=np.concatenate([book.column, new[:, 2]]).astype(np.int64),
        lots=np.concatenate([book.quantity.astype(np.int64), new[:, 3]]),
        xm=np.zeros(size, dtype=bool),
        assignment_reason=np.zeros(size, dtype=np.int64),
    )
    return to_book(lines, groups=book.rows // width, instruments=book.columns)
