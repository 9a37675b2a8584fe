"""The instruments that the sample's accounts trade: notes, bonds and futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Dates, Float, Mask, Text
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import Contract, last_trading_day
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.securities import Securities, accrued, cash_flows
from crossmargin.market.calendars import MONTH
from crossmargin.market.curve import Curve
from crossmargin.sample.market import History

BASIS_POINT = 1e-4
# Roots, and how often they are traded.
TREASURY_ROOTS = (
    ("ZT", 0.20),
    ("Z3N", 0.05),
    ("ZF", 0.24),
    ("ZN", 0.22),
    ("TN", 0.12),
    ("TWE", 0.02),
    ("ZB", 0.08),
    ("UB", 0.07),
)
FRONT, NEXT, EXPIRING = 0.88, 0.11, 0.01
"""Shares of the first contract after as_of, of the next one, and of the one about to expire."""
# Root, share, months between contracts, number of contracts, USD a basis point.
RATE_ROOTS = (("SR3", 0.75, 3, 10, 25.0), ("SR1", 0.08, 1, 6, 41.67), ("ZQ", 0.17, 1, 6, 41.67))


@dataclass(frozen=True)
class Tradable:
    """The instruments that the sample's accounts trade: nominal bonds, then contracts.

    Attributes
    ----------
    name : ndarray of str, [I]
    bonds : int
        Number of notes and bonds, which come first.
    dv01 : ndarray of float64, [I]
        USD a basis point, of 100 of face or of a contract.
    dirty : ndarray of float64, [bonds]
        Price with accrued interest, per 100 of face.
    maturity : ndarray of datetime64[D], [bonds]
    eligible : ndarray of bool, [bonds]
        Whether more than a year is left to maturity.
    weight : dict of str to ndarray, [I]
        For each pool, the weights with which instruments are drawn.
    basket : ndarray of float64, [I x bonds]
        For each contract, the weights of its deliverable bonds; zero rows for other instruments.
    """

    name: Text
    bonds: int
    dv01: Float
    dirty: Float
    maturity: Dates
    eligible: Mask
    weight: dict[str, Float]
    basket: Float


def make_tradable(securities: Securities, history: History) -> Tradable:
    """Return the instruments that accounts trade, with their sensitivities and popularity.

    Parameters
    ----------
    securities : Securities
        From `make_securities`.
    history : History
        Gives the curve of the last day.

    Returns
    -------
    Tradable

    Raises
    ------
    ValueError
        A contract in use has nothing to deliver.

    Notes
    -----
    Sensitivities are those of the discounted cash flows to a parallel move of the continuous zero
    rates. A Treasury future has the sensitivity of its cheapest bond over the conversion factor;
    the cheapest has the lowest price over factor. Recent issues are traded most, and against
    futures the cheapest to deliver.
    """
    curve = history.curve()
    as_of = curve.as_of
    bonds = securities.take(np.flatnonzero(securities.nominal))
    dirty, dv01 = _dirty_and_dv01(bonds, curve)
    age = (as_of - bonds.issue_date).astype(np.int64) / 365.0
    popular = 1.0 / (0.1 + age)
    years = (bonds.maturity_date - as_of).astype(np.int64) / 365.0

    quoted = _contracts(as_of)
    size = dirty.size + len(quoted)
    treasury, rate = np.zeros(size), np.zeros(size)
    sensitivity = np.concatenate([dv01, np.zeros(len(quoted))])
    basket = np.zeros((size, dirty.size))
    for number, (contract, share, usd) in enumerate(quoted, dirty.size):
        if contract.rule.kind != "treasury":
            rate[number], sensitivity[number] = share, usd
            continue
        treasury[number] = share
        into = np.flatnonzero(
            deliverable(
                contract,
                issue_date=bonds.issue_date,
                maturity_date=bonds.maturity_date,
                as_of=as_of,
                resold_as=bonds.resold_as,
            )
        )
        if into.size == 0:
            raise ValueError(f"the sample has no security deliverable into {contract.symbol}")
        factor = conversion_factors(contract, bonds.coupon[into], bonds.maturity_date[into])
        by_price = np.argsort(bonds.price[into] / factor, kind="stable")
        cheapest = into[by_price[0]]
        per_point = contract.rule.usd_per_point
        sensitivity[number] = dv01[cheapest] / factor[by_price[0]] * per_point
        rank = np.arange(1.0, into.size + 1)
        basket[number, into[by_price]] = 1.0 / (rank * rank)

    none = np.zeros(len(quoted))
    return Tradable(
        name=np.concatenate([bonds.cusip, [c.symbol for c, _, _ in quoted]]).astype(object),
        bonds=dirty.size,
        dv01=sensitivity,
        dirty=dirty,
        maturity=bonds.maturity_date,
        eligible=bonds.maturity_date > add_months(as_of, 12),
        weight={
            "bond": np.concatenate([popular * np.minimum(years, 1.0), none]),
            "note": np.concatenate([np.where((years > 1.0) & (years < 3.0), popular, 0.0), none]),
            "treasury": treasury,
            "rate": rate,
        },
        basket=basket,
    )


def _dirty_and_dv01(bonds: Securities, curve: Curve) -> tuple[Float, Float]:
    """Return dirty prices and USD a basis point, both per 100 of face."""
    flows = cash_flows(bonds, curve)
    owner = np.repeat(np.arange(bonds.cusip.size), np.diff(flows.ptr))
    value = flows.amount * curve.discount_factor(flows.time)
    dv01 = np.bincount(owner, value * flows.time, bonds.cusip.size) * BASIS_POINT
    return np.asarray(bonds.price + accrued(bonds, curve.as_of)), np.asarray(dv01, np.float64)


def _contracts(as_of: np.datetime64) -> list[tuple[Contract, float, float]]:
    """Return the contracts in use, their shares, and USD a basis point of short-rate futures."""
    month = as_of.astype("datetime64[M]")
    number = int(month.astype(np.int64))
    front = month + (3 - (number + 1) % 3) * MONTH  # the first of March, June, ... after this month
    quoted = []
    for root, share in TREASURY_ROOTS:
        choices = [(front, FRONT), (front + 3 * MONTH, NEXT), (front - 3 * MONTH, EXPIRING)]
        for delivery, part in choices:
            contract = Contract(root, delivery)
            if last_trading_day(contract) > as_of:
                quoted.append((contract, share * part, 0.0))
    for root, share, step, count, usd in RATE_ROOTS:
        first = front if step == 3 else month + MONTH
        for n in range(count):
            # Nearer contracts are traded more.
            quoted.append((Contract(root, first + n * step * MONTH), share / (n + 2.0), usd))
    return quoted
