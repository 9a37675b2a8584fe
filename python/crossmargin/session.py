"""What hypothetical trades would do to accounts: the run's own numbers, exact to the bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin.agreement.outcome import Clients, Models, margin_book
from crossmargin.book.netting import (
    CME_OTHER,
    CME_XM,
    FICC_OTHER,
    FICC_XM,
    SEGMENTS,
    net,
    to_book,
)
from crossmargin.book.trades import LARGEST_CONTRACTS, LARGEST_FACE, LOT
from crossmargin.engine import Book
from crossmargin.instruments.contracts import parse_contract
from crossmargin.instruments.universe import DATED_CASH, FUTURE
from crossmargin.io.results import Table
from crossmargin.report.tables import money_columns, saving_columns
from crossmargin.run import Run

Integer = npt.NDArray[np.int64]

Trades = Mapping[str, float]


@dataclass(frozen=True)
class _Trade:
    """One leg of a hypothetical trade, resolved."""

    instrument: int
    lots: int
    segment: int


class Session:
    """Accounts of a finished run, ready to be asked what a trade would change.

    Parameters
    ----------
    run : Run
        From `crossmargin.run` in this process.
    threads : int, optional
        All the process may use if not given; a single question takes one.

    Attributes
    ----------
    instruments : tuple of str
        What can be traded: CUSIPs and contracts of the run.
    accounts : tuple of str
        Whom it can be asked of.

    Examples
    --------
    >>> session = Session(run)  # doctest: +SKIP
    >>> session.what_if("ACC1", {"ZNM25": -10})["requirement"]  # doctest: +SKIP
    """

    def __init__(self, run: Run, *, threads: int | None = None) -> None:
        if run.state is None:
            raise ValueError("this run has no models; ask one that was made in this process")
        state = run.state
        self._models: Models = state.models
        self._clients: Clients = state.clients
        self._book: Book = state.book
        self._eligible = state.eligible_instrument
        self._threads = threads
        self._as_of = state.as_of
        names = run.accounts.to_arrow()["account"].to_pylist()
        self._account = {name: number for number, name in enumerate(names)}
        universe = self._models.universe
        tradable = np.flatnonzero(universe.kind != DATED_CASH)
        self._instrument = {str(universe.name[i]): int(i) for i in tradable}
        extra = np.arange(len(names), self._clients.group_account.size)
        owner = self._clients.group_account[extra]
        self._elsewhere: dict[int, list[int]] = {}
        for group, account in zip(extra.tolist(), owner.tolist(), strict=True):
            self._elsewhere.setdefault(account, []).append(group)

    @property
    def instruments(self) -> tuple[str, ...]:
        """CUSIPs and contracts that can be traded."""
        return tuple(self._instrument)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names of the accounts."""
        return tuple(self._account)

    def what_if(self, account: str, trades: Trades, *, xm: bool = True) -> dict[str, object]:
        """Return the margin of one account after some hypothetical trades.

        Parameters
        ----------
        account : str
            One of `accounts`.
        trades : mapping of str to number
            By CUSIP USD of face, by contract lots; signed. Empty: the account as it is.
        xm : bool
            Booked in the cross-margin account, where what is eligible is cross-margined.

        Returns
        -------
        dict
            The columns of `what_ifs`, as Python values.

        Raises
        ------
        ValueError
            An unknown account or instrument, or a quantity that is no whole lot; the message names
            it and what to do.
        """
        row: dict[str, object] = self._ask([(account, trades)], xm=xm, threads=1).to_pylist()[0]
        return row

    def what_ifs(self, questions: Iterable[tuple[str, Trades]], *, xm: bool = True) -> Table:
        """Return the margin after each of many hypothetical trades, each by itself.

        Parameters
        ----------
        questions : iterable of (account, trades)
            As in `what_if`.
        xm : bool
            As in `what_if`.

        Returns
        -------
        Table
            A row per question: account, `p_ficc`, `p_cme`, `p`, `binding`, `capped`, `reason`, and
            the money columns of the accounts table.

        Raises
        ------
        ValueError
            As in `what_if`.
        """
        return Table(self._ask(list(questions), xm=xm, threads=self._threads))

    def _ask(
        self, questions: list[tuple[str, Trades]], *, xm: bool, threads: int | None
    ) -> pa.Table:
        asked = np.array([self._number(account) for account, _ in questions], dtype=np.int64)
        trades = [
            self._resolve(legs, int(a), xm) for a, (_, legs) in zip(asked, questions, strict=True)
        ]
        # The account's own group for each question, then its groups at other firms.
        group, owner = [asked], [np.arange(asked.size)]
        for question, account in enumerate(asked.tolist()):
            for other in self._elsewhere.get(account, ()):
                group.append(np.array([other]))
                owner.append(np.array([question]))
        groups = np.concatenate(group)
        book = self._book_with(groups, trades)
        clients = Clients(
            eligible=self._clients.eligible[asked],
            complete=self._clients.complete[asked],
            multiplier=self._clients.multiplier[asked],
            floor=self._clients.floor[asked],
            minimum=self._clients.minimum[asked],
            group_account=np.concatenate(owner),
        )
        outcome = margin_book(book, self._models, clients, threads=threads)
        return pa.table(
            {
                "account": pa.array([account for account, _ in questions], pa.string()),
                **saving_columns(outcome.saving),
                **money_columns(outcome.required),
            }
        )

    def _book_with(self, groups: Integer, trades: list[list[_Trade]]) -> Book:
        """Return the lines of some groups, the trades of the first ones added."""
        width = len(SEGMENTS)
        row = (groups[:, None] * width + np.arange(width)).ravel()
        count = self._book.row_ptr[row + 1] - self._book.row_ptr[row]
        at = np.repeat(self._book.row_ptr[row] - np.cumsum(count) + count, count)
        at = at + np.arange(count.sum())
        place = np.repeat(np.arange(row.size), count)
        new = [(g, t) for g, legs in enumerate(trades) for t in legs]
        segment = np.concatenate([place % width, np.array([t.segment for _, t in new], np.int64)])
        lots = self._book.quantity[at].astype(np.int64)
        size = segment.size
        lines = net(
            group=np.concatenate([place // width, np.array([g for g, _ in new], np.int64)]),
            segment=segment,
            instrument=np.concatenate(
                [self._book.column[at], np.array([t.instrument for _, t in new], np.int64)]
            ).astype(np.int64),
            lots=np.concatenate([lots, np.array([t.lots for _, t in new], np.int64)]),
            xm=np.zeros(size, dtype=bool),
            why=np.full(size, "", dtype=object),
        )
        return to_book(lines, groups=groups.size, instruments=self._book.columns)

    def _number(self, account: str) -> int:
        if account not in self._account:
            raise ValueError(f"account {account!r} is not in the run; see session.accounts")
        return self._account[account]

    def _resolve(self, trades: Trades, account: int, xm: bool) -> list[_Trade]:
        return [self._leg(name, quantity, account, xm) for name, quantity in trades.items()]

    def _leg(self, name: str, quantity: float, account: int, xm: bool) -> _Trade:
        instrument = self._instrument.get(name)
        if instrument is None:
            try:
                instrument = self._instrument[parse_contract(name, self._as_of).symbol]
            except (KeyError, ValueError):
                raise ValueError(
                    f"instrument {name!r} is not in the run, so no P&L of it is known; see "
                    "session.instruments, or run the book with a position in it"
                ) from None
        future = bool(self._models.universe.kind[instrument] == FUTURE)
        lot, largest = (1, LARGEST_CONTRACTS) if future else (LOT, LARGEST_FACE)
        if not abs(quantity) <= largest:
            raise ValueError(f"quantity {quantity!r} of {name} is no number within {largest:g}")
        lots = int(quantity // lot)
        if lots * lot != quantity:
            raise ValueError(
                f"quantity {quantity!r} of {name} is no whole number of "
                + ("contracts" if future else f"lots of {LOT} USD face")
            )
        inside = xm and bool(self._clients.eligible[account] and self._eligible[instrument])
        if future:
            return _Trade(instrument, lots, CME_XM if inside else CME_OTHER)
        return _Trade(instrument, lots, FICC_XM if inside else FICC_OTHER)
