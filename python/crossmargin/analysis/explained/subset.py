"""The instruments of one account, priced by themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.analysis.explained.asked import Asked
from crossmargin.arrays import Integer
from crossmargin.engine import Book
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe, build_universe
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.model import ClearingHouse
from crossmargin.margin.outright import compared_contracts
from crossmargin.market import Market


@dataclass(frozen=True)
class Subset:
    """The instruments that an account holds, and those that the models need beside them.

    Attributes
    ----------
    universe : Universe
        In the order of the run's.
    held : Securities
        Its first instruments.
    kept : ndarray of int64, [J]
        Their numbers in the run.
    ccps : tuple of ClearingHouse
        Of the run's policy.
    """

    universe: Universe
    held: Securities
    kept: Integer
    ccps: tuple[ClearingHouse, ...]

    def book(self, book: Book) -> Book:
        """Return a book of the run with its instruments numbered as here."""
        column = np.searchsorted(self.kept, book.column)
        return Book.from_arrays(book.row_ptr, column, book.quantity, self.kept.size)


def subset(asked: Asked, market: Market | None = None) -> Subset:
    """Return the instruments of one account.

    Parameters
    ----------
    asked : Asked
    market : Market, optional
        The run's market if not given.

    Returns
    -------
    Subset
    """
    stages = asked.stages
    parsed, netted, models = stages.parsed, stages.netted, stages.models
    ccps = clearing_houses(models.policy)
    needed = {c for one in ccps for c in one.model.contracts(asked.as_of)}
    needed.update(compared_contracts(parsed.observed_margins, asked.as_of))
    securities, dates = parsed.trades.held.size, parsed.trades.cash_dates.size
    wanted = np.zeros(models.universe.name.size, dtype=bool)
    wanted[asked.lines.instrument] = True
    wanted[securities + dates :] |= [contract in needed for contract in netted.contracts]
    kept = np.flatnonzero(wanted)
    held = parsed.trades.held[wanted[:securities]]
    universe = build_universe(
        securities=parsed.securities,
        held=held,
        cash_dates=parsed.trades.cash_dates[wanted[securities : securities + dates]],
        contracts=[
            contract
            for contract, use in zip(
                netted.contracts, wanted[securities + dates :].tolist(), strict=True
            )
            if use
        ],
        market=market or models.market,
        baskets=stages.kept.baskets,
    )
    return Subset(universe, parsed.securities.take(held), kept, ccps)
