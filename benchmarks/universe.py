"""The instruments and cubes of the benchmarks, as the engine makes them from the sample's market.

The P&L is that of the default policy at both clearing houses, on the grid. No file is read: market
and securities are the sample's, which are the same on every machine.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

import crossmargin as xm
from crossmargin.arrays import Float, Integer
from crossmargin.calculation.policy_market import policy_market
from crossmargin.calculation.prepared import PreparedModels, prepare_models
from crossmargin.conventions import CME, FICC
from crossmargin.engine import Cube
from crossmargin.instruments.contracts import Contract, last_day, roots
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe, build_universe
from crossmargin.market import Market
from crossmargin.market.calendars import DAY
from crossmargin.market.curve import Curve, years_between
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.sample import SEED
from crossmargin.sample.market import make_history
from crossmargin.sample.securities import make_securities

LEGS = 50
"""Cash instruments that are forward cash legs of repos, one a week."""
STRESSED = "stressed"
"""The name of the cube of all periods of stress."""
MONTH, WEEK = 30 * DAY, 7 * DAY
COUPON_STEP = 0.00125
"""An eighth of a percent, in which the Treasury sets coupons."""


@dataclass(frozen=True)
class Size:
    """Instruments of a universe: cash (Treasuries and forward cash legs), then futures."""

    cash: int
    futures: int

    @property
    def instruments(self) -> int:
        """All of them."""
        return self.cash + self.futures


HEADLINE, WIDE = Size(450, 150), Size(1_900, 500)


@dataclass(frozen=True)
class Instruments:
    """What a book is made from: cash, then futures.

    Attributes
    ----------
    cash : int
        How many are cash.
    years : ndarray of float64, [I]
        Remaining years; for a future those of what is delivered or accrues into it.
    value : ndarray of float64, [I]
        Value of a basis point, USD a lot or contract.
    """

    cash: int
    years: Float
    value: Float

    @property
    def count(self) -> int:
        """The number of instruments I."""
        return self.years.size


@dataclass(frozen=True)
class Real:
    """Instruments, popular ones first, and their P&L.

    Attributes
    ----------
    instruments : Instruments
    cubes : dict of str to Cube, [I x S]
        By clearing house, and for the periods of stress; on the grid.
    periods : tuple of slice
        The columns of each period of stress.
    """

    instruments: Instruments
    cubes: dict[str, Cube]
    periods: tuple[slice, ...]


class Desk:
    """A market and the instruments on it: everything that a move of the curve does not change."""

    def __init__(self, size: Size = HEADLINE) -> None:
        self.policy = xm.read_policy()
        self.market = policy_market(self.policy, xm.sample_market())
        self.store, self.baskets = ScenarioStore(), BasketStore()
        as_of = self.market.as_of
        self.securities = issues(as_of, size.cash - LEGS)
        self.legs = as_of + WEEK * np.arange(1, LEGS + 1)
        self.contracts = next_contracts(as_of, 2 * size.futures)
        # There are no issues yet to deliver into the last ones of some roots.
        priced = self.universe(self.market).priced[size.cash :]
        self.contracts = [self.contracts[n] for n in np.flatnonzero(priced)[: size.futures]]

    def universe(self, market: Market) -> Universe:
        """Return the instruments on a market: issues by CUSIP, legs by date, futures by month."""
        return build_universe(
            securities=self.securities,
            held=np.arange(self.securities.cusip.size),
            cash_dates=self.legs,
            contracts=self.contracts,
            market=market,
            baskets=self.baskets,
        )

    def move(self, number: int) -> PreparedModels:
        """Return the models after the curve has moved by so many thousandths."""
        curve = Curve(self.market.as_of, self.market.curve.log_df * (1.0 + number / 1000.0))
        moved = self.market.with_curve(curve)
        universe = self.universe(moved)
        return prepare_models(self.policy, moved, universe, self.securities, store=self.store)

    def instruments(self, universe: Universe) -> Instruments:
        """Return what a book is made from, in the order of the universe."""
        last = [last_day(contract) for contract in self.contracts]
        day = np.concatenate([self.securities.maturity_date, self.legs, last])
        years = np.maximum(years_between(self.market.as_of, day), universe.years)
        cash = self.securities.cusip.size + self.legs.size
        return Instruments(cash, years, universe.sensitivities.dv01)

    def by_popularity(self) -> Integer:
        """Return the order of popularity: the latest issues first, legs spread evenly among them.

        Futures are in that order already.
        """
        latest = np.argsort(-self.securities.issue_date.astype(np.int64), kind="stable")
        place = np.concatenate([np.linspace(0.0, 1.0, n) for n in (latest.size, LEGS)])
        cash = np.concatenate([latest, latest.size + np.arange(LEGS)])
        future = cash.size + np.arange(len(self.contracts))
        return np.concatenate([cash[np.argsort(place, kind="stable")], future])


@cache
def real(size: Size = HEADLINE) -> Real:
    """Return instruments and cubes of the sample's market under the default policy."""
    desk = Desk(size)
    models = desk.move(0)
    own, order = desk.instruments(models.universe), desk.by_popularity()
    ficc, cme = models.ccps[FICC], models.ccps[CME]
    made = {FICC: ficc.cube, CME: cme.historical, STRESSED: cme.stressed.cube}
    return Real(
        Instruments(own.cash, own.years[order], own.value[order]),
        {name: Cube(cube.pnl[order]) for name, cube in made.items()},
        cme.stressed.rows,
    )


def issues(as_of: np.datetime64, count: int) -> Securities:
    """Return so many notes and bonds, sorted by CUSIP: the sample's, and more like them.

    The sample has the issues of the Treasury's calendar. Each further set matures some weeks
    before these and pays more.
    """
    sample = make_securities(SEED, make_history(SEED, as_of))
    sample = sample.take(np.flatnonzero(sample.nominal & (sample.maturity_date > as_of + MONTH)))
    sets = [sample]
    while (missing := count - sum(one.cusip.size for one in sets)) > 0:
        number = len(sets)
        later = sample.take(np.flatnonzero(sample.maturity_date > as_of + MONTH + number * WEEK))
        more = replace(
            later,
            cusip=np.array([f"{cusip}{number}" for cusip in later.cusip], dtype=object),
            coupon=later.coupon + number * COUPON_STEP,
            issue_date=later.issue_date - number * WEEK,
            maturity_date=later.maturity_date - number * WEEK,
            price=np.full(later.cusip.size, np.nan),
            resold_as=np.full(later.cusip.size, "", dtype=object),
        )
        # The last set may be too large: the issues that it keeps are spread evenly.
        kept = np.linspace(0, more.cusip.size - 1, min(missing, more.cusip.size))
        sets.append(more.take(kept.astype(np.int64)))
    names = [field.name for field in fields(Securities) if field.init]
    everything = Securities(**{n: np.concatenate([getattr(s, n) for s in sets]) for n in names})
    return everything.take(np.argsort(everything.cusip, kind="stable")[:count])


def next_contracts(as_of: np.datetime64, count: int) -> list[Contract]:
    """Return the next contracts of all roots, by delivery month."""
    found: list[Contract] = []
    month = as_of.astype("datetime64[M]")
    while len(found) < count:
        month += np.timedelta64(1, "M")
        for root in roots():
            with suppress(ValueError):  # Not every root is listed in every month.
                found.append(Contract(root, month))
    return found[:count]
