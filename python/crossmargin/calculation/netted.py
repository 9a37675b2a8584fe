"""Third stage: one line for each instrument of a group and segment, and the engine's book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin.agreement.eligibility import Assignment
from crossmargin.book.netting import Legs, Lines, Netting, open_legs, to_book
from crossmargin.book.schemas import POSITIONS
from crossmargin.book.sizes import market_size, note_sizes
from crossmargin.book.trades import Trades, canonical_order
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.columns import column
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Book
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.universe import Universe, build_universe
from crossmargin.margin.model import ClearingHouse
from crossmargin.margin.outright import compared_contracts
from crossmargin.market import Market


@dataclass(frozen=True)
class NettedBook:
    """The book as the models take it.

    Attributes
    ----------
    contracts : tuple of Contract
        Futures of the universe: those of the trades, and others that the models need.
    universe : Universe
        The instruments, on the market that the book was netted with, [I].
    legs : Legs
        The open legs of each trade.
    lines : Lines
        The netted lines, as results show them.
    book : Book
        Rows are group * 4 + segment, columns the universe's instruments.
    elsewhere : dict of str to Book
        By clearing house outside the programme; rows are groups.
    exceptions : pyarrow.Table
        Positions that are larger than the amount in issue or the open interest.
    """

    contracts: tuple[Contract, ...]
    universe: Universe
    legs: Legs
    lines: Lines
    book: Book
    elsewhere: dict[str, Book]
    exceptions: pa.Table


def net_trades(
    parsed: ParsedInputs,
    classified: ClassifiedTrades,
    clearing_houses: Sequence[ClearingHouse],
    baskets: BasketStore | None = None,
) -> NettedBook:
    """Return the netted book of the trades.

    Parameters
    ----------
    parsed : ParsedInputs
        The market's prices replace start cash that is blank.
    classified : ClassifiedTrades
    clearing_houses : sequence of ClearingHouse
        Their models may need contracts besides those of the trades.
    baskets : BasketStore, optional
        Keeps the baskets of the futures for the next call.

    Returns
    -------
    NettedBook

    Raises
    ------
    InputError
        There is no instrument to margin.
    """
    trades, assignment = parsed.trades, classified.assignment
    contracts = contracts_of(parsed, clearing_houses)
    universe = universe_on(parsed.market, parsed, contracts, baskets)
    legs = legs_on(universe, trades, contracts)
    lines = leg_keys(legs, trades, assignment).lines(legs.lots)
    log = ExceptionLog()
    note_sizes(
        lines,
        universe,
        market_size(universe, parsed.securities.outstanding[trades.held], parsed.open_interest),
        parsed.accounts["account"].take(column(assignment.group_account[lines.group])),
        POSITIONS.name,
        log,
    )
    if universe.name.size == 0:
        raise InputError("there is no instrument to margin; check positions and the as-of date")
    book, elsewhere = books_of(lines, trades, assignment, universe)
    return NettedBook(contracts, universe, legs, lines, book, elsewhere, log.table())


def contracts_of(
    parsed: ParsedInputs, clearing_houses: Sequence[ClearingHouse]
) -> tuple[Contract, ...]:
    """Return the contracts of the trades and those that the models need on the day, in order."""
    as_of = parsed.market.as_of
    needed = [c for one in clearing_houses for c in one.model.contracts(as_of)]
    needed += compared_contracts(parsed.observed_margins, as_of)
    return tuple(canonical_order({*parsed.trades.contracts, *needed}))


def legs_on(universe: Universe, trades: Trades, contracts: Sequence[Contract]) -> Legs:
    """Return the open legs of the trades; prices of the universe replace start cash that is blank.

    Parameters
    ----------
    universe : Universe
        Of these trades and contracts, on any market of the day.
    trades : Trades
    contracts : sequence of Contract
        The universe's futures, which come last.
    """
    first = universe.name.size - len(contracts)
    return open_legs(
        trades,
        held=trades.held,
        contract_at=first + np.array([contracts.index(c) for c in trades.contracts], np.int64),
        price=universe.price,
    )


def leg_keys(legs: Legs, trades: Trades, assignment: Assignment) -> Netting:
    """Return what the legs of trades are added up by."""
    return Netting(
        group=assignment.group[legs.trade],
        segment=assignment.segment[legs.trade],
        instrument=legs.instrument,
        xm=trades.xm[legs.trade],
        assignment_reason=assignment.assignment_reason[legs.trade],
    )


def books_of(
    lines: Lines, trades: Trades, assignment: Assignment, universe: Universe
) -> tuple[Book, dict[str, Book]]:
    """Return the engine's book of the programme, and one for each clearing house outside it."""
    groups, instruments = assignment.group_account.size, universe.name.size
    book = to_book(lines, groups=groups, instruments=instruments)
    elsewhere = {
        ccp: to_book(
            lines, groups=groups, instruments=instruments, segments=range(segment, segment + 1)
        )
        for segment, ccp in enumerate(trades.ccps, start=len(SEGMENTS))
    }
    return book, elsewhere


def universe_on(
    market: Market,
    parsed: ParsedInputs,
    contracts: Sequence[Contract],
    baskets: BasketStore | None = None,
) -> Universe:
    """Return the instruments of a book on a market, in an order that no market changes.

    Parameters
    ----------
    market : Market
        Of the day that the trades were read for.
    parsed : ParsedInputs
        The securities that are known, and the trades that say which of them are held.
    contracts : sequence of Contract
    baskets : BasketStore, optional
        Keeps the baskets of the futures for the next call.

    Returns
    -------
    Universe
    """
    return build_universe(
        securities=parsed.securities,
        held=parsed.trades.held,
        cash_dates=parsed.trades.cash_dates,
        contracts=contracts,
        market=market,
        baskets=baskets,
    )
