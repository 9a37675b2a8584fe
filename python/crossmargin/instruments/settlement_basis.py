"""The basis of Treasury futures: settlement prices minus our model price of each day.

Methodology, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np

from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.instruments.baskets import ANNOUNCED_DAYS, deliverable, parse_resold
from crossmargin.instruments.contracts import Contract, last_delivery_day
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.securities import Securities, accrued, cash_flows
from crossmargin.market import Market
from crossmargin.market.basis import Basis, basis_by_root
from crossmargin.market.calendars import DAY
from crossmargin.market.curve import (
    POINTS,
    Curve,
    bootstrap,
    curves_discount_factor,
    years_between,
)

LARGEST = 10.0
"""Price points; a settlement further from its model price is of another contract, or mistyped."""
PLACES = 1e6
"""The basis is rounded to a millionth of a point, so that adding it back is exact."""
LONGEST_GAP = 31
"""Most days between maturities; something has matured in every month since the 1970s."""


class Derived(NamedTuple):
    """The basis by root that settlement prices give, and notes on it for the user."""

    basis: dict[str, Basis]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Settlements:
    """Settlement prices of futures, each on a day on which the contract traded.

    Attributes
    ----------
    contracts : list of Contract
    number : ndarray of int64, [N]
        Index of each row's contract in `contracts`.
    date : ndarray of datetime64[D], [N]
    price : ndarray of float64, [N]
        Price points.
    row : ndarray of int64, [N]
        Row numbers in the file, for error messages.
    """

    contracts: list[Contract]
    number: Integer
    date: Dates
    price: Float
    row: Integer


def settlement_basis(
    settlements: Settlements, *, market: Market, securities: Securities
) -> Derived:
    """Return the basis of Treasury futures: settlement minus model price of the day.

    Some rows are left out and counted: those of short-rate futures, those of days without a curve,
    and those of contracts whose basket is no longer complete in the securities table.

    Parameters
    ----------
    settlements : Settlements
        None after the as-of date.
    market : Market
        Its par yields give the curve of each day.
    securities : Securities
        They give the baskets. Their market prices are today's and are not used.

    Returns
    -------
    Derived

    Raises
    ------
    ValueError
        A price is implausible; the message names the row.
    """
    contracts, number = settlements.contracts, settlements.number
    date, price = settlements.date, settlements.price
    treasury = np.array([c.rule.kind == "treasury" for c in contracts], bool)[number]
    history = market.history
    at = np.searchsorted(history.date, date)
    has_curve = history.date[np.minimum(at, history.date.size - 1)] == date
    whole_from = _whole_from(securities, market.as_of)
    whole = np.array([_shortest(c) >= whole_from for c in contracts], bool)[number]
    used = treasury & has_curve & whole
    log_df = (
        bootstrap(history.date, history.par_yield) if used.any() else np.empty((0, POINTS.size))
    )
    model = np.full(date.size, np.nan)
    for n, contract in enumerate(contracts):
        mine = np.flatnonzero(used & (number == n))
        if mine.size:
            model[mine] = model_prices(contract, date[mine], log_df[at[mine]], securities)
    basis = np.rint((price - model) * PLACES) / PLACES
    _check_plausible(basis, settlements)

    known = np.flatnonzero(~np.isnan(basis))
    root = np.array([c.root for c in contracts], object)
    symbol = np.array([c.symbol for c in contracts], object)
    found = basis_by_root(
        date[known],
        _ranked(root, number[known]),
        _ranked(symbol, number[known]),
        basis[known],
        as_of=market.as_of,
    )
    left_out = {
        "of short-rate futures": ~treasury,
        "of days without par yields": treasury & ~has_curve,
        f"of contracts into which a security that matured before {whole_from} could be delivered: "
        "the securities table does not hold all of these": treasury & has_curve & ~whole,
        "of contracts with an empty basket": used & np.isnan(model),
    }
    return Derived(found, (*_told(root[number[known]], basis[known]), *_counted(left_out)))


def _ranked(names: Text, number: Integer) -> tuple[Integer, Sequence[str]]:
    """Return the rank of each row's name, and the names ascending."""
    different, rank = np.unique(names, return_inverse=True)
    return rank[number], different.tolist()


def model_prices(contract: Contract, date: Dates, log_df: Float, securities: Securities) -> Float:
    """Return the model price of a Treasury future on past days.

    Parameters
    ----------
    contract : Contract
    date : ndarray of datetime64[D], [T]
        Days on or before last delivery.
    log_df : ndarray of float64, [T x 63]
        The curve of each day.
    securities : Securities
        All known securities, matured ones included.

    Returns
    -------
    ndarray of float64, [T]
        Price points; NaN where nothing is deliverable.
    """
    delivery = last_delivery_day(contract)
    bonds = securities.take(np.flatnonzero(securities.nominal))
    bonds = bonds.take(np.flatnonzero(_into(contract, bonds, date.max())))
    if bonds.cusip.size == 0:
        return np.full(date.size, np.nan)
    factor = conversion_factors(contract, bonds.coupon, bonds.maturity_date)
    # Only flows after delivery are needed; without a price there is no spread.
    unpriced = replace(bonds, price=np.full(bonds.cusip.size, np.nan))
    flows = cash_flows(unpriced, Curve(delivery, np.zeros(POINTS.size)))
    when, flow_date = np.unique(flows.date, return_inverse=True)
    days = date[:, None]
    forward = curves_discount_factor(log_df, years_between(days, when))
    forward /= curves_discount_factor(log_df, years_between(days, np.array([delivery])))
    count = np.diff(flows.ptr)
    amount = flows.amount / np.repeat(factor, count)
    value = np.zeros((date.size, bonds.cusip.size))
    # Flow by flow: the same order of additions as in a run of that day.
    for k in range(int(count.max())):
        paying = np.flatnonzero(count > k)
        flow = flows.ptr[paying] + k
        value[:, paying] += amount[flow] * forward[:, flow_date[flow]]
    value += -accrued(bonds, delivery) / factor
    cheapest = np.where(_basket_by_day(contract, bonds, date), value, np.inf).min(axis=1)
    return np.where(np.isinf(cheapest), np.nan, cheapest)


def _into(contract: Contract, bonds: Securities, as_of: np.datetime64) -> Mask:
    return deliverable(
        contract,
        issue_date=bonds.issue_date,
        maturity_date=bonds.maturity_date,
        as_of=as_of,
        resold_as=bonds.resold_as,
    )


def _basket_by_day(contract: Contract, bonds: Securities, date: Dates) -> Mask:
    """Return a mask of the bonds deliverable as seen on each day, [T x B]."""
    sales = [np.datetime64(day, "D") for text in bonds.resold_as for day, _ in parse_resold(text)]
    known = np.unique(np.concatenate([bonds.issue_date, np.array(sales, "datetime64[D]")]))
    stage, first, of_day = np.unique(
        np.searchsorted(known - ANNOUNCED_DAYS * DAY, date, side="right"),
        return_index=True,
        return_inverse=True,
    )
    return np.stack([_into(contract, bonds, date[first[s]]) for s in range(stage.size)])[of_day]


def _check_plausible(basis: Float, given: Settlements) -> None:
    far = np.flatnonzero(np.abs(basis) > LARGEST)
    if far.size:
        at = far[0]
        raise ValueError(
            f"row {given.row[at]}: {given.contracts[given.number[at]].symbol} at "
            f"{given.price[at]:g} on {given.date[at]} is {abs(basis[at]):.4g} points from its "
            "model price; check that the price is in points (32nds as 110-165), its contract and "
            "date, and that the securities table holds all outstanding notes and bonds"
        )


def _whole_from(securities: Securities, as_of: np.datetime64) -> np.datetime64:
    """Return the day since which the table holds every security that matured.

    The table is assumed to hold all securities outstanding on the as-of date. Matured securities
    are assumed complete as far back as at least one matures every 31 days.
    """
    maturity = np.unique(securities.maturity_date[securities.nominal])
    back = np.concatenate([[as_of + DAY], maturity[maturity <= as_of][::-1]])
    gap = np.flatnonzero(np.diff(back).astype(np.int64) < -LONGEST_GAP)
    return cast(np.datetime64, back[gap[0]] if gap.size else back[-1])


def _shortest(contract: Contract) -> np.datetime64:
    """Return the first maturity date that can be delivered into a contract."""
    first_day = contract.month.astype("datetime64[D]")
    return cast(np.datetime64, add_months(first_day, contract.rule.remaining_min_months)[()])


def _told(root: Text, basis: Float) -> list[str]:
    """Return a note for each root on how far settlements are from the model."""
    told = []
    for name in sorted(set(root)):
        own = basis[root == name]
        told.append(
            f"{name}: {own.size} settlement prices give the basis; settlement minus model price is "
            f"{own.min():.3f} to {own.max():.3f} points, median {np.median(own):.3f}"
        )
    return told


def _counted(left_out: dict[str, Mask]) -> list[str]:
    return [f"{mask.sum()} rows left out {why}" for why, mask in left_out.items() if mask.any()]
