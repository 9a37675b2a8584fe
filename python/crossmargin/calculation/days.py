"""A book on the markets of many days: what a market does not change is computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from crossmargin.agreement.clients import Clients
from crossmargin.agreement.eligibility import eligible_contracts, eligible_securities
from crossmargin.agreement.requirement import Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Integer
from crossmargin.book.netting import Netting, reassumed
from crossmargin.calculation.classified import ClassifiedTrades, classify_trades
from crossmargin.calculation.clients import clients_of, rows_rejected
from crossmargin.calculation.input_tables import InputTables
from crossmargin.calculation.inputs import ParsedInputs, inputs_on, moved_inputs
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.margins import (
    agree_offsets,
    margin_accounts,
    naming_accounts,
    require_accounts,
)
from crossmargin.calculation.netted import (
    NettedBook,
    books_of,
    contracts_of,
    leg_keys,
    net_trades,
    universe_on,
)
from crossmargin.calculation.prepared import models_on
from crossmargin.engine import Execution
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.margin.ccps import clearing_houses
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import DeliveryMonthRules, Policy


@dataclass(frozen=True)
class OpenBook:
    """What is open of a book on one day, netted.

    Attributes
    ----------
    parsed, classified, netted
        The first stages; the market is that of `parsed`.
    rejected : ndarray of int64, [A]
        Rejected rows that name each account.
    clients : Clients
    """

    parsed: ParsedInputs
    classified: ClassifiedTrades
    netted: NettedBook
    rejected: Integer
    clients: Clients

    @cached_property
    def keys(self) -> Netting:
        """What the legs are added up by."""
        return leg_keys(self.netted.legs, self.parsed.trades, self.classified.assignment)

    def holds_on(self, parsed: ParsedInputs, policy: Policy) -> bool:
        """Tell whether the same legs lie in the same accounts on the day of `moved_inputs`.

        Securities may come near to maturity, futures near to delivery, and models may need other
        contracts.
        """
        before, after = self.parsed.market.as_of, parsed.market.as_of
        if before == after:
            return True
        contracts = contracts_of(parsed, clearing_houses(policy))
        rules, delivery = policy.eligibility, policy.get(DeliveryMonthRules)
        old, new = (
            np.append(
                eligible_securities(parsed.securities, day, rules),
                eligible_contracts(contracts, day, rules, delivery),
            )
            for day in (before, after)
        )
        return contracts == self.netted.contracts and np.array_equal(old, new)

    def moved(self, parsed: ParsedInputs, baskets: BasketStore) -> OpenBook:
        """Return the book on another market, on which it holds the same.

        Parameters
        ----------
        parsed : ParsedInputs
            From `moved_inputs`.
        baskets : BasketStore
            Keeps the baskets of the futures.
        """
        trades, assignment = parsed.trades, self.classified.assignment
        universe = universe_on(parsed.market, parsed, self.netted.contracts, baskets)
        netted = replace(self.netted, universe=universe)
        if netted.legs.assumed.size:
            # Start cash that is blank follows the market, and with it cash due at both ends.
            legs = reassumed(netted.legs, trades, held=trades.held, price=universe.price)
            lines = self.keys.lines(legs.lots)
            book, elsewhere = books_of(lines, trades, assignment, universe)
            netted = replace(netted, legs=legs, lines=lines, book=book, elsewhere=elsewhere)
        moved = replace(self, parsed=parsed, netted=netted)
        if "keys" in vars(self):
            vars(moved)["keys"] = self.keys
        return moved


@dataclass(frozen=True)
class MarginedDay:
    """The requirement of every account on one day.

    Attributes
    ----------
    book : OpenBook
    saving : Saving
        [A].
    requirements : Requirements
        [A].
    without : Requirements
        The same positions in the same accounts at an offset rate of zero.
    """

    book: OpenBook
    saving: Saving
    requirements: Requirements
    without: Requirements


class Days:
    """Margins the same tables on one market after the other.

    Parameters
    ----------
    tables : InputTables
    execution : Execution
    """

    def __init__(self, tables: InputTables, execution: Execution) -> None:
        self._tables = tables
        self._execution = execution
        self._scenarios = ScenarioStore()
        self._baskets = BasketStore()
        self._last: OpenBook | None = None

    def on(self, market: Market) -> MarginedDay:
        """Return the requirements that a run on a market gives, to the bit.

        Parameters
        ----------
        market : Market

        Returns
        -------
        MarginedDay

        Raises
        ------
        InputError
            As `crossmargin.run` on that market.
        """
        # A book that fails on one market is no book to go on from.
        last, self._last = self._last, None
        self._last = book = self._open(market, last)
        netted, clients, policy = book.netted, book.clients, self._tables.policy
        models = models_on(
            netted.universe,
            book.parsed,
            policy,
            book.parsed.market,
            Kept(self._scenarios, self._baskets),
            self._execution,
        )
        with naming_accounts(book.parsed.accounts, clients):
            margins = margin_accounts(netted.book, netted.elsewhere, models, self._execution)
            agreement = agree_offsets(netted.book, models, margins, clients, self._execution)
        saving = agreement.saving
        none = replace(saving, offset_rate=np.zeros_like(saving.offset_rate))
        return MarginedDay(
            book,
            saving,
            require_accounts(margins, agreement, clients),
            require_accounts(margins, replace(agreement, saving=none), clients),
        )

    def _open(self, market: Market, last: OpenBook | None) -> OpenBook:
        """Return the book on a market, from the last one if the same of it is open."""
        policy = self._tables.policy
        if last is None or last.parsed.market.as_of != market.as_of:
            self._baskets = self._baskets.for_another_day()
        if last is not None:
            moved = moved_inputs(self._tables, last.parsed, market, self._baskets)
            if moved is not None and last.holds_on(moved, policy):
                return last.moved(moved, self._baskets)
        earlier = None if last is None else last.parsed.market.history
        parsed = inputs_on(self._tables, market, earlier, self._baskets)
        classified = classify_trades(parsed, policy)
        netted = net_trades(parsed, classified, clearing_houses(policy), self._baskets)
        rejected = rows_rejected(parsed, parsed.exceptions)
        clients = clients_of(parsed, classified, rejected)
        return OpenBook(parsed, classified, netted, rejected, clients)
