"""What CME's model asks for one contract, on past days.

The contracts are priced on real par yields. Old issues are not at hand: those of the Treasury's
calendar, with coupons at the par yields of their day, stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crossmargin.arrays import Dates, Float
from crossmargin.calculation.policy_market import policy_market
from crossmargin.conventions import CME, FUTURES, HVAR, SVAR
from crossmargin.engine import Execution, revalue
from crossmargin.instruments.contracts import roots
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe, build_universe
from crossmargin.io.market import read_market
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.equivalents import front_contract
from crossmargin.margin.model import ModelInputs
from crossmargin.margin.outright import outright_book
from crossmargin.market import Market
from crossmargin.market.history import History
from crossmargin.market.market import build_market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy
from crossmargin.sample.market import History as SampleHistory
from crossmargin.sample.securities import make_securities

YIELDS = "us_treasury_par_yields.csv.gz"
MINIMUM_ROWS = 900
"""Rows between February 2006, when the thirty-year yield came back, and January 2010."""


@dataclass(frozen=True)
class Outrights:
    """Components of V of one contract, long and short, USD, [2 x D x R]; NaN where not listed."""

    hvar: Float
    svar: Float

    def v(self, weight: float) -> Float:
        """Return V with a weight of HVaR, long or short, whichever is more, [D x R]."""
        mean = weight * self.hvar + (1.0 - weight) * self.svar
        return np.asarray(mean.max(axis=0))


def past(data: Path, as_of: np.datetime64) -> History:
    """Return the history of par yields up to a day."""
    return read_market(data / YIELDS, as_of=str(as_of)).history


def outrights(
    history: History, policies: Mapping[str, Policy], date: Dates, names: Sequence[str]
) -> dict[str, Outrights]:
    """Return what CME's model asks for the front contracts of some roots, under some policies.

    Parameters
    ----------
    history : History
        Par yields until after the days.
    policies : mapping of str to Policy
        With the model by historical simulation.
    date : ndarray of datetime64[D], [D]
        Days that the history has.
    names : sequence of str, [R]
        Roots of Treasury futures.

    Returns
    -------
    dict of str to Outrights
    """
    found = {name: np.full((2, 2, date.size, len(names)), np.nan) for name in policies}
    for number, day in enumerate(date):
        plain = market_of(history, day)
        issues, store = issues_of(plain), ScenarioStore()
        seen: dict[int, tuple[Market, Universe]] = {}
        for name, policy in policies.items():
            market = policy_market(policy, plain)
            if id(market) not in seen:
                seen[id(market)] = market, fronts(market, issues)
            universe = seen[id(market)][1]
            component = _components(policy, market, universe, issues, store)
            root = universe.root.tolist()
            for column, wanted in enumerate(names):
                if wanted in root and universe.priced[at := root.index(wanted)]:
                    found[name][:, :, number, column] = component[:, :, at]
    return {name: Outrights(*both) for name, both in found.items()}


def market_of(history: History, day: np.datetime64) -> Market:
    """Return the market of a past day."""
    held = history.date <= day
    return build_market(history.date[held], history.par_yield[held], as_of=day)


def issues_of(market: Market) -> Securities:
    """Return the issues that stand for those outstanding, priced on the curve."""
    history = market.history
    percent = history.par_yield * 100.0
    issues = make_securities(0, SampleHistory(history.date, percent, np.zeros(history.date.size)))
    # The sample's prices lie off the curve by spreads of its own.
    return replace(issues, price=np.full(issues.price.size, np.nan))


def fronts(market: Market, issues: Securities) -> Universe:
    """Return the front contract of each Treasury root that was listed."""
    contracts = (front_contract(root, market.as_of) for root in roots("treasury"))
    return build_universe(
        securities=issues,
        held=np.empty(0, dtype=np.int64),
        cash_dates=np.empty(0, dtype="datetime64[D]"),
        contracts=[contract for contract in contracts if contract is not None],
        market=market,
    )


def _components(
    policy: Policy, market: Market, universe: Universe, issues: Securities, store: ScenarioStore
) -> Float:
    """Return HVaR and SVaR of one contract of each instrument, long and short, [2 x 2 x I]."""
    model = next(house.model for house in clearing_houses(policy) if house.ccp == CME)
    size = universe.name.size
    inputs = ModelInputs(
        universe=universe,
        held=issues.take(np.empty(0, dtype=np.int64)),
        market=market,
        scenarios=replace(policy.scenarios_of(CME), minimum_rows=MINIMUM_ROWS),
        eligible=np.ones(size, dtype=bool),
        store=store,
    )
    book = outright_book(range(size), size)
    margin = model.prepare(inputs, Execution(1)).margin(book, Execution(1))
    return np.stack(
        [margin.component[name][:, FUTURES].reshape(size, 2).T for name in (HVAR, SVAR)]
    )


def losses(history: History, date: Dates, names: Sequence[str], rows: int) -> Float:
    """Return the losses of one long contract in the one-day moves after each day.

    Parameters
    ----------
    history : History
    date : ndarray of datetime64[D], [D]
    names : sequence of str, [R]
    rows : int
        Moves after each day; they apply to the contract as it is on that day.

    Returns
    -------
    ndarray of float64, [D x R x rows]
        USD; NaN where a root was not listed, or after the history.
    """
    found = np.full((date.size, len(names), rows), np.nan)
    change = history.zero_rate_change(1)
    for number, day in enumerate(date):
        market = market_of(history, day)
        universe = fronts(market, issues_of(market))
        first = int(np.searchsorted(history.date, day))
        move = np.ascontiguousarray(change[first : first + rows])
        pnl = revalue(universe.terms, move)
        root = universe.root.tolist()
        for column, wanted in enumerate(names):
            if wanted in root:
                found[number, column, : move.shape[0]] = -pnl[root.index(wanted)]
    return found
