"""All instruments of a run, valued on the market.

Methodology, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.instruments.benchmarks import benchmarks
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore, basket_lines
from crossmargin.instruments.securities import CashFlows, Securities
from crossmargin.instruments.short_rates import RATE_INDEX, rate_line
from crossmargin.instruments.terms import (
    NOTHING,
    Line,
    Sensitivities,
    Terms,
    resolve,
    sensitivities,
    spread_sensitivities,
)
from crossmargin.market import Market
from crossmargin.market.curve import NODES, years_between
from crossmargin.market.history import History

TREASURY, FORWARD_CASH, FUTURE = "treasury", "forward cash leg", "future"


@dataclass(frozen=True)
class Universe:
    """Instruments in the order of every cube and book: Treasuries, forward cash legs, futures.

    Attributes
    ----------
    name : ndarray of str, [I]
        CUSIP, `USD 2025-03-20`, `ZNM25`.
    kind : ndarray of str, [I]
        `treasury`, `forward cash leg` or `future`.
    root : ndarray of str, [I]
        Root of a future, else empty.
    unpriced : ndarray of str, [I]
        The code for an instrument that no model covers (`NO_MODEL`, `NO_BASKET`), else empty.
    cheapest : ndarray of str, [I]
        Cheapest-to-deliver security of a Treasury future, without a shift; else empty.
    price : ndarray of float64, [I]
        Model price on the curve: dirty for a Treasury, else as the contract is quoted; NaN where
        unpriced.
    market_value : ndarray of float64, [I]
        USD per lot or contract, for the VaR floor. A Treasury future counts as the forward dirty
        value of its cheapest security over the conversion factor. Forward cash legs and short-rate
        futures count as zero. A security without a model counts as its price, zero without one.
    years : ndarray of float64, [I]
        Remaining years, for a Treasury future those of its cheapest security; zero where the
        market value is.
    terms : Terms
        All lines. An unpriced instrument has one empty line.
    line_spread : ndarray of float64, [L]
        Continuous z-spread in each line of `terms`; zero without a market price.
    curve_factors : int
        Number of zero-rate factors, which come first.
    sensitivities : Sensitivities
        Exact derivatives by the zero rates, each instrument valued by its base line.
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
    line_spread: Float
    curve_factors: int = NODES.size
    sensitivities: Sensitivities = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the derivatives, which both models and the agreement need."""
        found = sensitivities(self.fixed_terms(), self.curve_factors)
        object.__setattr__(self, "sensitivities", found)

    @property
    def priced(self) -> Mask:
        """Whether a model covers each instrument, [I]."""
        return np.asarray(self.unpriced == "")

    def fixed_terms(self) -> Terms:
        """Return the terms of each instrument's base line alone (`fixed` P&L)."""
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
    """Return the instruments of a book, valued on the market.

    Parameters
    ----------
    securities : Securities
        All known securities, sorted by CUSIP; futures take their baskets from them.
    held : ndarray of int64
        Indices of the securities in the book, ascending.
    cash_dates : ndarray of datetime64[D]
        Days of the forward cash legs in the book, ascending.
    contracts : sequence of Contract
        Futures, in the order wanted.
    market : Market
        Gives the curve, the fixings, and the factors of spreads and bases.
    baskets : BasketStore, optional
        Keeps the baskets, and the schedules of bonds, for later calls.

    Returns
    -------
    Universe
    """
    own = securities.take(held)
    baskets = baskets or BasketStore()
    known = baskets.bonds(securities, market.as_of)
    alive, bonds = known.alive, known.securities
    flows = baskets.flows(known, market.curve)
    bond_of = np.full(securities.cusip.size, -1)
    bond_of[alive] = np.arange(alive.size)
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
    lines = [line for one in valued for line in one.lines]
    lines_of = [len(one.lines) for one in valued]
    terms = resolve(lines, lines_of, market.curve, scale, short_rates=market.short_rate_curve)
    base = terms.base_line
    # An empty line does not mean that a model is missing: a short-rate future whose days are all
    # fixed has no flow either.
    unknown = np.array([lines[number] is NOTHING for number in base], dtype=np.bool_)
    bond = np.concatenate([np.empty(0, np.int64), *(one.bond for one in valued)])[base]
    # A line without a bond has -1, the last element.
    spread = np.append(_spread_factors(securities, market)[alive], -1)[bond]
    basis = _basis_factors(len(valued), contracts, market.history)
    factor = np.column_stack([spread, basis]).astype(np.int32)
    loading = np.column_stack([spread_sensitivities(terms, lines), scale])
    terms = terms.with_linear(factor, loading)
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
        line_spread=np.array([line.spread for line in lines]),
        curve_factors=market.history.curve_factors,
    )


class _Valued(NamedTuple):
    """The lines of an instrument, and the bond of each; -1 for a line without a bond."""

    lines: list[Line]
    bond: Integer

    @classmethod
    def by_one(cls, line: Line, bond: int = -1) -> _Valued:
        return cls([line], np.array([bond]))


def _spot_line(flows: CashFlows, bond: int) -> Line:
    """Return the line of a bond; an empty line for -1."""
    if bond < 0:
        return NOTHING
    own = slice(flows.ptr[bond], flows.ptr[bond + 1])
    time = flows.time[own]
    return Line(flows.amount[own], time, np.zeros(time.size), float(flows.spread[bond]))


def _cash_lines(date: Dates, as_of: np.datetime64) -> list[Line]:
    """Return the lines of forward cash legs; cash that failed is due now and does not move."""
    time = np.maximum(years_between(as_of, date), 0.0)
    return [Line(np.array([100.0]), np.array([t]), np.zeros(1)) for t in time]


def _spread_factors(securities: Securities, market: Market) -> Integer:
    """Return the spread factor of each security, -1 where the policy has none, [N]."""
    history = market.history
    if history.specific is None or history.specific.spreads is None:
        return np.full(securities.cusip.size, -1)
    years = years_between(market.as_of, securities.maturity_date)
    latest = np.isin(np.arange(years.size), list(benchmarks(securities, market.as_of).values()))
    return history.curve_factors + history.specific.spreads.index(years, latest)


def _basis_factors(instruments: int, contracts: Sequence[Contract], history: History) -> Integer:
    """Return the basis of each future, which come last; -1 for none, [I]."""
    factor = {name: k for k, name in enumerate(history.factor)}
    basis = np.full(instruments, -1)
    basis[instruments - len(contracts) :] = [factor.get(f"basis:{c.root}", -1) for c in contracts]
    return basis


def _described(
    cusip: Text, cash_dates: Dates, contracts: Sequence[Contract]
) -> tuple[Text, Text, Text]:
    """Return kind, root and name of securities, forward cash legs and futures, [I]."""
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
    """Return remaining years and market value in USD for the floor, [I].

    An instrument with a bond has that bond's years and value. A security without a model has its
    price, if one is given. Everything else counts zero.
    """
    has_bond = bond >= 0
    years, market_value = np.zeros(bond.size), np.where(has_bond, value, 0.0)
    years[has_bond] = years_between(as_of, bonds.maturity_date[bond[has_bond]])
    by_price = np.flatnonzero(unknown[: own.cusip.size] & ~np.isnan(own.price))
    market_value[by_price] = own.price[by_price]
    years[by_price] = years_between(as_of, own.maturity_date[by_price])
    return years, market_value


def forward_cash_name(date: np.datetime64) -> str:
    """Return the name of the forward cash leg due on a date."""
    return f"USD {date}"
