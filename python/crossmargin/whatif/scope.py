"""What a session can be asked about: its models, accounts and instruments at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.clients import Clients
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
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract, last_day
from crossmargin.instruments.identifiers import canonical_cusip, canonical_name, parse_contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE
from crossmargin.margin.portfolios import row_of
from crossmargin.results.schemas.whatif import WHAT_IFS
from crossmargin.results.tables import caveat_columns, money_columns, saving_columns
from crossmargin.whatif.cached import CachedAccounts, can_be_cached
from crossmargin.whatif.parts import Leg

Quantities = Mapping[str, SupportsFloat]
"""Quantities by instrument."""


@dataclass(frozen=True, eq=False)
class Scope:
    """Models, and the accounts and instruments that they can be asked about.

    A scope never changes. A session replaces it by a larger one; questions that have begun finish
    with the one they began with.

    Attributes
    ----------
    models : PreparedModels
    batch : Batch
        All accounts.
    accounts : dict of str to int
        The number of each account.
    instruments : dict of str to int
        The number of each instrument that can be traded: all but forward cash legs.
    cached : CachedAccounts, optional
        None if no account can be cached.
    future : list of bool, [I]
    other, crossed : list of int, [I]
        The segment of an ordinary position, and that of a cross-margined one: the same where the
        instrument may not be cross-margined. Plain lists: an element of an array takes many times
        as long to read.
    eligible : list of bool, [A]
    omnibus : dict of int to str
        By number of an account in one, the omnibus account that its trades at FICC change.
    """

    models: PreparedModels
    batch: Batch
    accounts: dict[str, int]
    instruments: dict[str, int]
    cached: CachedAccounts | None
    future: list[bool]
    other: list[int]
    crossed: list[int]
    eligible: list[bool]
    omnibus: Mapping[int, str]

    def account(self, name: str) -> int:
        """Return the number of an account; ValueError if there is none."""
        if not isinstance(name, str) or name not in self.accounts:
            raise InputError(f"account {name!r} is not in the run; see session.accounts")
        return self.accounts[name]

    def instrument(self, name: str) -> int | None:
        """Return the number of an instrument, also under another name; None if it is not here."""
        number = self.instruments.get(name)
        if number is None:
            try:
                number = self.instruments.get(canonical_name(str(name), self.models.market.as_of))
            except ValueError:
                return None
        return number

    def symbol(self, number: int) -> str:
        """Return the name of an instrument."""
        return str(self.models.universe.name[number])

    def held(self, account: int, segment: int, instrument: int) -> int:
        """Return how many lots or contracts a segment of an account holds."""
        book = self.batch.book
        row = account * len(SEGMENTS) + segment
        first, last = int(book.row_ptr[row]), int(book.row_ptr[row + 1])
        at = first + int(np.searchsorted(book.column[first:last], instrument))
        return int(book.quantity[at]) if at < last and book.column[at] == instrument else 0

    def trade_legs(self, account: int, trades: Quantities, *, xm: bool) -> list[Leg]:
        """Return the legs of trades, checked.

        Parameters
        ----------
        account : int
        trades : mapping of str to number
            Instruments that are here.
        xm : bool
            Whether they are booked in the cross-margin account.

        Raises
        ------
        ValueError
            A quantity is not a whole number of lots, or the trade would change another account:
            the omnibus account that this one is in.
        """
        segments = self.crossed if xm and self.eligible[account] else self.other
        legs = []
        for name, quantity in trades.items():
            instrument = self.instruments.get(name)
            if instrument is None:
                instrument = self._number(name)
            lots = _lots(name, quantity, self.future[instrument])
            if lots:
                if account in self.omnibus and not self.future[instrument]:
                    raise InputError(self.elsewhere(account))
                legs.append((segments[instrument], instrument, lots))
        return legs

    def elsewhere(self, account: int) -> str:
        """Return what to say of a trade at FICC of an account that is in an omnibus account."""
        return (
            f"account {list(self.accounts)[account]} is in the omnibus account "
            f"{self.omnibus[account]}, which its trades at FICC change: ask that"
        )

    def move_legs(self, account: int, moves: Quantities) -> list[Leg]:
        """Return the legs of moves between the ordinary and the cross-margin account, checked.

        Parameters
        ----------
        account : int
        moves : mapping of str to number
            What is added to the cross-margin account and taken from the ordinary one.

        Raises
        ------
        ValueError
            As in `trade_legs`; or the account or an instrument may not be cross-margined, or
            neither account holds what is to be moved.
        """
        total: dict[int, int] = {}
        for name, quantity in moves.items():
            instrument = self._number(name)
            lots = _lots(name, quantity, self.future[instrument])
            total[instrument] = total.get(instrument, 0) + lots
        legs: list[Leg] = []
        for instrument, lots in total.items():
            if lots:
                self._check_move(account, instrument, lots)
                legs += [
                    (self.crossed[instrument], instrument, lots),
                    (self.other[instrument], instrument, -lots),
                ]
        return legs

    def answer(self, account: int, legs: list[Leg]) -> dict[str, Any]:
        """Return the margin of an account after some legs, as a row of `WHAT_IFS`."""
        if self.cached is not None:
            answer = self.cached.ask(account, legs)
            if answer is not None:
                return answer
        row: dict[str, Any] = self.answers([account], [legs], Execution(1)).to_pylist()[0]
        return row

    def answers(
        self, accounts: list[int], legs: Sequence[list[Leg]], execution: Execution
    ) -> pa.Table:
        """Return the margin of accounts, each after some legs, by the columnar models.

        Parameters
        ----------
        accounts : list of int, [N]
        legs : sequence of list of Leg, [N]
        execution : Execution

        Returns
        -------
        pyarrow.Table
            `WHAT_IFS`, a row for each question.

        Raises
        ------
        AmountError
            An amount is absurdly large; its group is the number of the question.
        """
        batch = self.batch.take(np.array(accounts, dtype=np.int64))
        clients, there = batch.clients, batch.elsewhere
        book = _with_legs(batch.book, legs)
        margins = margin_accounts(book, there, self.models, execution)
        agreement = agree_offsets(book, self.models, margins, clients, execution)
        required = require_accounts(margins, agreement, clients)
        name = list(self.accounts)
        return WHAT_IFS.table(
            {
                "account": columns.text_column([name[number] for number in accounts]),
                **saving_columns(agreement.saving),
                **money_columns(required),
                **caveat_columns(caveats_of(book, there, self.models, clients)),
            }
        )

    def _check_move(self, account: int, instrument: int, lots: int) -> None:
        """Refuse a move of what may not be cross-margined, or is not held."""
        name = self.symbol(instrument)
        if not self.eligible[account]:
            owner = list(self.accounts)[account]
            raise InputError(f"account {owner} may not be cross-margined: {name} cannot be moved")
        inside, outside = self.crossed[instrument], self.other[instrument]
        if inside == outside:
            raise InputError(f"{name} may not be cross-margined: it cannot be moved")
        crossed, ordinary = (self.held(account, at, instrument) for at in (inside, outside))
        if not (_within(lots, ordinary) or _within(-lots, crossed)):
            unit = 1 if self.future[instrument] else LOT
            raise InputError(
                f"move of {lots * unit:,} {name}: the ordinary account holds {ordinary * unit:,} "
                f"and the cross-margin account {crossed * unit:,}; a move has the sign of the "
                "position when it goes into the cross-margin account, the opposite one when it "
                "comes out, and is at most what is held"
            )

    def _number(self, name: str) -> int:
        number = self.instrument(name)
        if number is None:
            raise InputError(f"instrument {name!r} is not in the run; see session.instruments")
        return number


def scope_of(
    models: PreparedModels,
    batch: Batch,
    names: Sequence[str],
    *,
    memory: int,
    omnibus: Mapping[int, str],
) -> Scope:
    """Return the scope of some models and accounts.

    Parameters
    ----------
    models : PreparedModels
    batch : Batch
        The accounts, in the columns of these models.
    names : sequence of str, [A]
        Names of the accounts.
    memory : int
        Bytes for cached accounts.
    omnibus : mapping of int to str
        As in `Scope`.
    """
    universe = models.universe
    tradable = np.flatnonzero(universe.kind != FORWARD_CASH)
    future = universe.kind == FUTURE
    other = np.where(future, CME_OTHER, FICC_OTHER)
    crossed = np.where(models.eligible, np.where(future, CME_XM, FICC_XM), other)
    cached = None
    if can_be_cached(models):
        cached = CachedAccounts(
            batch.book, batch.elsewhere, models, batch.clients, names=names, memory=memory
        )
    return Scope(
        models=models,
        batch=batch,
        accounts={name: number for number, name in enumerate(names)},
        instruments={str(universe.name[i]): int(i) for i in tradable},
        cached=cached,
        future=future.tolist(),
        other=other.tolist(),
        crossed=crossed.tolist(),
        eligible=batch.clients.eligible.tolist(),
        omnibus=omnibus,
    )


def with_empty_account(
    batch: Batch, *, eligible: bool, multiplier: float, floor: float, minimum: float
) -> Batch:
    """Return a batch with one more account, which holds nothing.

    Parameters
    ----------
    batch : Batch
        The groups of its accounts come before those at other clearing firms; the new account's
        comes between them.
    eligible : bool
        Whether it may be cross-margined.
    multiplier, floor, minimum : float
        The firm's own terms.
    """
    clients = batch.clients
    group = clients.eligible.size

    def inserted(book: Book, rows: int) -> Book:
        at = group * rows
        ptr = np.insert(book.row_ptr, at, np.repeat(book.row_ptr[at], rows))
        return Book.from_arrays(ptr, book.column, book.quantity, columns=book.columns)

    return replace(
        batch,
        book=inserted(batch.book, len(SEGMENTS)),
        elsewhere={ccp: inserted(book, 1) for ccp, book in batch.elsewhere.items()},
        clients=Clients(
            eligible=np.append(clients.eligible, eligible),
            complete=np.append(clients.complete, True),
            multiplier=np.append(clients.multiplier, multiplier),
            floor=np.append(clients.floor, floor),
            minimum=np.append(clients.minimum, minimum),
            group_account=np.insert(clients.group_account, group, group),
        ),
    )


def find_instrument(name: str, securities: Securities, as_of: np.datetime64) -> int | Contract:
    """Return an instrument that a run could hold: a security by its number, or a contract.

    Parameters
    ----------
    name : str
        In any form that the positions of a run may use.
    securities : Securities
        The run's securities, held or not; ascending by CUSIP.
    as_of : datetime64[D]

    Raises
    ------
    ValueError
        There is none of this name, or it has matured or expired.
    """
    text = str(name)
    try:
        contract = parse_contract(text, as_of)
    except ValueError as error:
        trouble = str(error)
    else:
        if last_day(contract) < as_of:
            raise InputError(f"{contract.symbol} expired on {last_day(contract)}")
        return contract
    try:
        cusip = canonical_cusip(text)
    except ValueError as error:
        raise InputError(f"instrument {error}") from None
    at = int(np.searchsorted(securities.cusip, cusip))
    if at == securities.cusip.size or securities.cusip[at] != cusip:
        # Names of contracts begin with a letter, CUSIPs with a digit.
        why = "" if text[:1].isdigit() else f", and is no contract: {trouble}"
        raise InputError(f"instrument {text!r} is not in the run's securities{why}")
    if securities.maturity_date[at] <= as_of:
        raise InputError(f"{cusip} matured on {securities.maturity_date[at]}")
    return at


def _within(lots: int, held: int) -> bool:
    """Return whether a part of a position has its sign and is not more than all of it."""
    return 0 < lots <= held or held <= lots < 0


_NOT_NUMBERS = (str, bytes, bool, np.bool_)


def _lots(name: str, quantity: SupportsFloat, future: bool) -> int:
    """Return a quantity in contracts or lots of face, checked."""
    lot, largest = (1, LARGEST_CONTRACTS) if future else (LOT, LARGEST_FACE)
    try:
        number = math.nan if isinstance(quantity, _NOT_NUMBERS) else float(quantity)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= largest:
        raise InputError(f"quantity {quantity!r} of {name} is not a number within {largest:g}")
    lots = int(number // lot)
    if lots * lot != number:
        raise InputError(
            f"quantity {quantity!r} of {name} is not a whole number of "
            + ("contracts" if future else f"lots of {LOT} USD face")
        )
    return lots


def _with_legs(book: Book, legs: Sequence[list[Leg]]) -> Book:
    """Return a book with legs added to its first groups."""
    width = len(SEGMENTS)
    place = row_of(book)
    new = np.array(
        [(group, *leg) for group, own in enumerate(legs) for leg in own], np.int64
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
