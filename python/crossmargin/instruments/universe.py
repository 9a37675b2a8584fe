"""All instruments of a run, resolved against the market.

Methodology, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import Contract, last_delivery_day, reference_period
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.securities import Basket, CashFlows, Securities, accrued, cash_flows
from crossmargin.instruments.terms import Line, Sensitivities, Terms, resolve, sensitivities
from crossmargin.market import Market
from crossmargin.market.calendars import DAY, Calendar, add_business_days, is_business_day
from crossmargin.market.curve import NODES, years_between

TREASURY, FORWARD_CASH, FUTURE = "treasury", "forward cash leg", "future"
RATE_INDEX = {"SR3": "SOFR", "SR1": "SOFR", "ZQ": "EFFR"}
"""The fixings that settle a short-rate future."""
_PUBLISHED: dict[str, Calendar] = {"SOFR": "sofr", "EFFR": "effr"}
"""The days that have a fixing."""

_NOTHING = Line(np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Universe:
    """Instruments in the order of every cube and book: Treasuries, forward cash leg, futures.

    Attributes
    ----------
    name : ndarray of str, [I]
        CUSIP, `USD 2025-03-20`, `ZNM25`.
    kind : ndarray of str, [I]
        `treasury`, `forward cash leg` or `future`.
    root : ndarray of str, [I]
        Of futures, else empty.
    unpriced : ndarray of str, [I]
        Why no model covers the instrument (`NO_MODEL`, `NO_BASKET`), else empty.
    cheapest : ndarray of str, [I]
        Base cheapest to deliver, for Treasury futures.
    price : ndarray of float64, [I]
        Model price on the curve: dirty for a Treasury, else as the contract is quoted; NaN where
        unpriced.
    market_value : ndarray of float64, [I]
        USD per lot or contract for the VaR floor; a future counts as its base cheapest's forward
        dirty value over the conversion factor, forward cash leg and short-rate futures as zero, a
        security without a model as its price, zero if it has none.
    years : ndarray of float64, [I]
        Remaining years; of the base cheapest for a Treasury future; zero without a market value.
    terms : Terms
        All lines. An unpriced instrument has an empty one.
    curve_factors : int
        How many of the first factors are zero rates.
    sensitivities : Sensitivities
        Exact derivatives by these, each instrument valued by its base line.
    """

    name: Text
    kind: Text
    root: Text
    unpriced: Text
    cheapest: Text
    price: Float
    market_value: Float
    years: Float
    terms: Terms
    curve_factors: int = NODES.size
    sensitivities: Sensitivities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Differentiate: both models and the offsets of the agreement need it."""
        found = sensitivities(self.fixed_terms(), self.curve_factors)
        object.__setattr__(self, "sensitivities", found)

    @property
    def priced(self) -> Mask:
        """Whether a model covers an instrument, [I]."""
        return np.asarray(self.unpriced == "")

    def fixed_terms(self) -> Terms:
        """Return every instrument valued by its base line alone (`fixed` P&L)."""
        return self.terms.only_lines(self.terms.base_line)


def forward_cash_name(date: np.datetime64) -> str:
    """Return the name of cash due on a date."""
    return f"USD {date}"


def build_universe(
    *,
    securities: Securities,
    held: Integer,
    cash_dates: Dates,
    contracts: Sequence[Contract],
    market: Market,
) -> Universe:
    """Resolve the instruments of a book.

    Parameters
    ----------
    securities : Securities
        All that are known, sorted by CUSIP: futures take their baskets from them.
    held : ndarray of int64
        Numbers of the securities in the book, ascending.
    cash_dates : ndarray of datetime64[D]
        Days on which the book has forward cash leg, ascending.
    contracts : sequence of Contract
        Futures, in the order they shall have.
    market : Market
        The curve, fixings and the roots with a basis history.

    Returns
    -------
    Universe
    """
    curve = market.curve
    alive = securities.nominal & (securities.maturity_date > market.as_of)
    nominal = np.flatnonzero(alive)
    bonds = securities.take(nominal)
    flows = cash_flows(bonds, curve)
    bond_of = np.full(securities.cusip.size, -1)
    bond_of[nominal] = np.arange(nominal.size)

    lines: list[Line] = []
    lines_of: list[int] = []
    line_bond: list[int] = []
    for b in bond_of[held]:
        lines.append(_NOTHING if b < 0 else _spot_line(flows, b))
        lines_of.append(1)
        line_bond.append(b)
    for time in np.maximum(years_between(market.as_of, cash_dates), 0.0):
        # Cash that was due and failed is worth itself and moves no more.
        lines.append(Line(np.array([100.0]), np.array([time]), np.zeros(1)))
        lines_of.append(1)
        line_bond.append(-1)
    for contract in contracts:
        if contract.root in RATE_INDEX:
            own, basket = [_rate_line(contract, market)], np.array([-1])
        else:
            known = _basket(contract, securities, bonds, market.as_of)
            own, basket = _basket_lines(known, flows, market.as_of)
        lines += own
        lines_of.append(len(own))
        line_bond += basket.tolist()

    roots = [c.root for c in contracts]
    scale = np.ones(len(lines_of))
    scale[len(lines_of) - len(contracts) :] = [c.rule.usd_per_point for c in contracts]
    factor = {name: k for k, name in enumerate(market.history.factor)}
    linear = [-1] * (len(lines_of) - len(contracts)) + [
        factor.get(f"basis:{root}", -1) for root in roots
    ]
    linear_factor = np.array(linear, dtype=np.int32)
    terms = resolve(
        lines,
        lines_of,
        curve,
        scale,
        linear_factor,
        np.where(linear_factor >= 0, scale, 0.0),
        sofr=market.sofr_factors,
    )
    base_line = terms.base_line
    base_bond = np.array(line_bond)[base_line]
    has_bond = base_bond >= 0

    kind = np.array(
        [TREASURY] * held.size + [FORWARD_CASH] * cash_dates.size + [FUTURE] * len(contracts),
        dtype=object,
    )
    root = np.array([""] * (held.size + cash_dates.size) + roots, dtype=object)
    # No flow is no lack of a model: a future whose days are all fixed has none either.
    unknown = np.array([lines[number] is _NOTHING for number in base_line], dtype=np.bool_)
    unpriced = np.where(unknown, np.where(kind == TREASURY, "NO_MODEL", "NO_BASKET"), "")
    years = np.zeros(kind.size)
    years[has_bond] = years_between(market.as_of, bonds.maturity_date[base_bond[has_bond]])
    market_value = np.where(has_bond, terms.line_amount[base_line] * scale, 0.0)
    # A security without a model is worth its price, where one is given.
    by_price = np.flatnonzero(unknown[: held.size] & ~np.isnan(securities.price[held]))
    market_value[by_price] = securities.price[held[by_price]]
    years[by_price] = years_between(market.as_of, securities.maturity_date[held[by_price]])
    cheapest = np.full(kind.size, "", dtype=object)
    treasury_future = has_bond & (kind == FUTURE)
    cheapest[treasury_future] = bonds.cusip[base_bond[treasury_future]]
    names = [
        *securities.cusip[held].tolist(),
        *(forward_cash_name(d) for d in cash_dates),
        *(c.symbol for c in contracts),
    ]
    return Universe(
        name=np.array(names, dtype=object),
        kind=kind,
        root=root,
        unpriced=unpriced.astype(object),
        cheapest=cheapest,
        price=np.where(unknown, np.nan, terms.line_value[base_line]),
        market_value=market_value,
        years=years,
        terms=terms,
        curve_factors=len(market.history.factor) - len(market.history.basis),
    )


def _spot_line(flows: CashFlows, bond: int) -> Line:
    own = slice(flows.ptr[bond], flows.ptr[bond + 1])
    time = flows.time[own]
    return Line(flows.amount[own], time, np.zeros(time.size), float(flows.spread[bond]))


def _basket(
    contract: Contract, securities: Securities, bonds: Securities, as_of: np.datetime64
) -> Basket:
    """Return a contract's basket among the bonds; the securities keep it for the next curve."""
    known = securities.baskets.get((contract, as_of))
    if known is not None:
        return known
    into = deliverable(
        contract,
        issue_date=bonds.issue_date,
        maturity_date=bonds.maturity_date,
        as_of=as_of,
        resold_as=bonds.resold_as,
    )
    bond = np.flatnonzero(into)
    chosen = bonds.take(bond)
    delivery = last_delivery_day(contract)
    factor = conversion_factors(contract, chosen.coupon, chosen.maturity_date)
    basket = Basket(bond, factor, -accrued(chosen, delivery) / factor, delivery)
    securities.baskets[contract, as_of] = basket
    return basket


def _basket_lines(
    basket: Basket, flows: CashFlows, as_of: np.datetime64
) -> tuple[list[Line], Integer]:
    """Return a line for each deliverable bond: its forward clean price over its factor.

    Forward clean price = sum of flows after delivery, cf DF(t) / DF(d), minus interest accrued at
    d (methodology, section 4).
    """
    if basket.bond.size == 0:
        return [_NOTHING], np.array([-1])
    horizon = float(years_between(as_of, np.array(basket.delivery)))
    lines = []
    for b, cf, constant in zip(basket.bond, basket.factor, basket.offset, strict=True):
        own = slice(flows.ptr[b], flows.ptr[b + 1])
        later = flows.date[own] > basket.delivery
        time = flows.time[own][later]
        lines.append(
            Line(
                flows.amount[own][later] / cf,
                time,
                np.full(time.size, horizon),
                float(flows.spread[b]),
                float(constant),
            )
        )
    return lines, basket.bond


def _rate_line(contract: Contract, market: Market) -> Line:
    """Return the line of a short-rate future: 100 minus the rate of its period, in percent.

    SR3 compounds over the period, SR1 and ZQ average over the month, both actual/360. Days on or
    before the as-of date have their fixing, or else the curve's overnight rate, and do not move
    (methodology, section 4). The curve is that of SOFR where the market has one.
    """
    start, end = reference_period(contract)
    first_open = min(max(start, market.as_of + DAY), end)
    rate = _overnight_rates(contract, market)
    days = int((end - start).astype(np.int64))
    if contract.root == "SR3":
        growth = 1.0
        # A fixing compounds over all the days it stands for, not day by day.
        for fixing_day in np.unique(rate.day):
            same = rate.day == fixing_day
            growth *= 1.0 + rate.value[same][0] * np.count_nonzero(same) / 360.0
        time = years_between(market.as_of, np.array([first_open, end]))
        annual = 100.0 * 360.0 / days
        return Line(
            np.array([-annual * growth]),
            time[:1],
            time[1:],
            offset=100.0 + annual,
            sofr=market.history.sofr is not None,
        )
    open_days = np.arange(first_open, end)
    time = years_between(market.as_of, np.arange(first_open, end + DAY))
    daily = 100.0 * 360.0 / days
    known = 100.0 * float(exact.ordered_sum(rate.value)) / days
    return Line(
        np.full(open_days.size, -daily),
        time[:-1],
        time[1:],
        offset=100.0 + daily * open_days.size - known,
        sofr=market.history.sofr is not None,
    )


@dataclass(frozen=True)
class _Overnight:
    """The rate of each past day of a period, decimal.

    Attributes
    ----------
    day : ndarray of datetime64[D]
        The day of the fixing that counts: the last one published on or before each day.
    value : ndarray of float64
        That fixing, or the curve's overnight rate where it is not known.
    known : ndarray of bool
        Whether it is.
    """

    day: Dates
    value: Float
    known: Mask


def _overnight_rates(contract: Contract, market: Market) -> _Overnight:
    """Return the overnight rates of a contract's period up to the as-of date."""
    index = RATE_INDEX[contract.root]
    calendar = _PUBLISHED[index]
    start, end = reference_period(contract)
    days = np.arange(start, min(max(start, market.as_of + DAY), end))
    day = np.where(is_business_day(days, calendar), days, add_business_days(days, -1, calendar))
    sofr = market.history.sofr
    curve = market.curve if sofr is None else sofr.curve
    tomorrow = years_between(market.as_of, np.array(market.as_of + DAY))
    value = np.full(day.size, (1.0 / float(curve.discount_factor(tomorrow)) - 1.0) * 360.0)
    known = np.zeros(day.size, dtype=np.bool_)
    if index in market.fixings:
        date, rate = market.fixings[index]
        at = np.minimum(np.searchsorted(date, day), date.size - 1)
        known = date[at] == day
        value[known] = rate[at][known]
    return _Overnight(day, value, known)


def missing_fixings(contract: Contract, market: Market) -> Dates:
    """Return the days whose fixing a short-rate future needs and the market does not have.

    Parameters
    ----------
    contract : Contract
        Any of ours; a Treasury future needs none.
    market : Market
        With the as-of date and fixings.

    Returns
    -------
    ndarray of datetime64[D]
        Ascending, each once. A fixing is published the next morning: the last one on or before the
        as-of date cannot be known yet and is not missing.
    """
    if contract.root not in RATE_INDEX:
        return np.empty(0, "datetime64[D]")
    rate = _overnight_rates(contract, market)
    calendar = _PUBLISHED[RATE_INDEX[contract.root]]
    published = add_business_days(market.as_of + DAY, -1, calendar)
    return np.unique(rate.day[~rate.known & (rate.day < published)])
