"""All instruments of a run, resolved against the market.

Methodology, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore, basket_lines
from crossmargin.instruments.securities import CashFlows, Securities, cash_flows
from crossmargin.instruments.short_rates import RATE_INDEX, rate_line
from crossmargin.instruments.terms import (
    NOTHING,
    Line,
    Sensitivities,
    Terms,
    resolve,
    sensitivities,
)
from crossmargin.market import Market
from crossmargin.market.curve import NODES, years_between

TREASURY, FORWARD_CASH, FUTURE = "treasury", "forward cash leg", "future"


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


def build_universe(
    *,
    securities: Securities,
    held: Integer,
    cash_dates: Dates,
    contracts: Sequence[Contract],
    market: Market,
    baskets: BasketStore | None = None,
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
    baskets : BasketStore, optional
        Keeps the baskets for the next call.

    Returns
    -------
    Universe
    """
    own = securities.take(held)
    alive = np.flatnonzero(securities.nominal & (securities.maturity_date > market.as_of))
    bonds = securities.take(alive)
    flows = cash_flows(bonds, market.curve)
    bond_of = np.full(securities.cusip.size, -1)
    bond_of[alive] = np.arange(alive.size)
    baskets = baskets or BasketStore()
    valued = [
        *(_Valued.by_one(_spot_line(flows, b), b) for b in bond_of[held].tolist()),
        *(_Valued.by_one(line) for line in _cash_lines(cash_dates, market.as_of)),
    ]
    for contract in contracts:
        if contract.root in RATE_INDEX:
            valued.append(_Valued.by_one(rate_line(contract, market)))
        else:
            basket = baskets.of(securities, contract, bonds, market.as_of)
            valued.append(_Valued(*basket_lines(basket, flows, market.as_of)))
    scale = np.ones(len(valued))
    scale[len(valued) - len(contracts) :] = [c.rule.usd_per_point for c in contracts]
    terms = _resolved(valued, contracts, scale, market)
    base = terms.base_line
    # No flow is no lack of a model: a future whose days are all fixed has none either.
    lines = [line for one in valued for line in one.lines]
    unknown = np.array([lines[number] is NOTHING for number in base], dtype=np.bool_)
    bond = np.concatenate([np.empty(0, np.int64), *(one.bond for one in valued)])[base]
    kind, root, name = _described(own.cusip, cash_dates, contracts)
    value = terms.line_amount[base] * scale
    years, market_value = _worth(value, bond, bonds, own, unknown, market.as_of)
    lacks = np.where(kind == TREASURY, "NO_MODEL", "NO_BASKET")
    cheapest = np.full(kind.size, "", dtype=object)
    into = (bond >= 0) & (kind == FUTURE)
    cheapest[into] = bonds.cusip[bond[into]]
    return Universe(
        name=name,
        kind=kind,
        root=root,
        unpriced=np.where(unknown, lacks, "").astype(object),
        cheapest=cheapest,
        price=np.where(unknown, np.nan, terms.line_value[base]),
        market_value=market_value,
        years=years,
        terms=terms,
        curve_factors=len(market.history.factor) - len(market.history.basis),
    )


class _Valued(NamedTuple):
    """The ways to value an instrument: lines, and the bond of each, -1 where it is none's."""

    lines: list[Line]
    bond: Integer

    @classmethod
    def by_one(cls, line: Line, bond: int = -1) -> _Valued:
        return cls([line], np.array([bond]))


def _spot_line(flows: CashFlows, bond: int) -> Line:
    """Return the line of a bond; -1 has none."""
    if bond < 0:
        return NOTHING
    own = slice(flows.ptr[bond], flows.ptr[bond + 1])
    time = flows.time[own]
    return Line(flows.amount[own], time, np.zeros(time.size), float(flows.spread[bond]))


def _cash_lines(date: Dates, as_of: np.datetime64) -> list[Line]:
    """Return the lines of cash due; what was due and failed is worth itself and moves no more."""
    time = np.maximum(years_between(as_of, date), 0.0)
    return [Line(np.array([100.0]), np.array([t]), np.zeros(1)) for t in time]


def _resolved(
    valued: Sequence[_Valued], contracts: Sequence[Contract], scale: Float, market: Market
) -> Terms:
    """Discount the lines; the futures, which come last, move with the basis of their root too."""
    factor = {name: k for k, name in enumerate(market.history.factor)}
    linear = np.full(len(valued), -1, np.int32)
    linear[len(valued) - len(contracts) :] = [factor.get(f"basis:{c.root}", -1) for c in contracts]
    return resolve(
        [line for one in valued for line in one.lines],
        [len(one.lines) for one in valued],
        market.curve,
        scale,
        linear,
        np.where(linear >= 0, scale, 0.0),
        sofr=market.sofr_factors,
    )


def _described(
    cusip: Text, cash_dates: Dates, contracts: Sequence[Contract]
) -> tuple[Text, Text, Text]:
    """Return kind, root and name of securities, cash and futures, [I]."""
    kind = [TREASURY] * cusip.size + [FORWARD_CASH] * cash_dates.size + [FUTURE] * len(contracts)
    root = [""] * (cusip.size + cash_dates.size) + [c.root for c in contracts]
    name = [
        *cusip.tolist(),
        *(forward_cash_name(date) for date in cash_dates),
        *(c.symbol for c in contracts),
    ]
    return np.array(kind, object), np.array(root, object), np.array(name, object)


def _worth(
    value: Float,
    bond: Integer,
    bonds: Securities,
    own: Securities,
    unknown: Mask,
    as_of: np.datetime64,
) -> tuple[Float, Float]:
    """Return remaining years and USD for the floor, [I].

    What has a bond has its years and value; a security without a model is worth its price, if it
    has one; all else counts nothing.
    """
    has_bond = bond >= 0
    years, market_value = np.zeros(bond.size), np.where(has_bond, value, 0.0)
    years[has_bond] = years_between(as_of, bonds.maturity_date[bond[has_bond]])
    by_price = np.flatnonzero(unknown[: own.cusip.size] & ~np.isnan(own.price))
    market_value[by_price] = own.price[by_price]
    years[by_price] = years_between(as_of, own.maturity_date[by_price])
    return years, market_value


def forward_cash_name(date: np.datetime64) -> str:
    """Return the name of cash due on a date."""
    return f"USD {date}"
