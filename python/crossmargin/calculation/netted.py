"""Third stage: one line for each instrument of a group and segment, and the engine's book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin.book.netting import Legs, Lines, net, open_legs, to_book
from crossmargin.book.schemas import POSITIONS
from crossmargin.book.sizes import market_size, note_sizes
from crossmargin.book.trades import canonical_order
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
    as_of = parsed.market.as_of
    needed = [c for one in clearing_houses for c in one.model.contracts(as_of)]
    needed += compared_contracts(parsed.observed_margins, as_of)
    contracts = tuple(canonical_order({*trades.contracts, *needed}))
    universe = universe_on(parsed.market, parsed, contracts, baskets)
    first = universe.name.size - len(contracts)
    legs = open_legs(
        trades,
        held=trades.held,
        contract_at=first + np.array([contracts.index(c) for c in trades.contracts], np.int64),
        price=universe.price,
    )
    lines = net(
        group=assignment.group[legs.trade],
        segment=assignment.segment[legs.trade],
        instrument=legs.instrument,
        lots=legs.lots,
        xm=trades.xm[legs.trade],
        assignment_reason=assignment.assignment_reason[legs.trade],
    )
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
    groups, instruments = assignment.group_account.size, universe.name.size
    book = to_book(lines, groups=groups, instruments=instruments)
    elsewhere = {
        ccp: to_book(
            lines, groups=groups, instruments=instruments, segments=range(segment, segment + 1)
        )
        for segment, ccp in enumerate(trades.ccps, start=len(SEGMENTS))
    }
    return NettedBook(contracts, universe, legs, lines, book, elsewhere, log.table())


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
