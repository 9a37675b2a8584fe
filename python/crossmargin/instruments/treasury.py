"""Price and yield of Treasury notes and bonds, in the Treasury and the street convention.

Both discount a flow that is r/s of a half-year plus j half-years away at the semi-annual yield y,
with v = 1/(1 + y/2). They differ in the fraction r/s:

- ``treasury`` (31 CFR 356 Appendix B): simple interest, v^j / (1 + (r/s)(y/2));
- ``street``: compound interest, v^(j + r/s); simple interest if only the last flow is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Dates, Float
from crossmargin.exact import exp, log
from crossmargin.instruments.schedule import (
    accrued_interest,
    as_dates,
    coupon_amounts,
    coupon_dates,
    coupon_period,
)
from crossmargin.market.rates import check_coupons, warn_of_decimal_yields

Convention = Literal["treasury", "street"]

LOWEST_YIELD, HIGHEST_YIELD = -1.99, 1e9
"""Decimal; at -2 a half-year discounts by an infinite factor."""

MAX_STEPS = 2000
"""Ten are usual. But if the first step of a long bond ends near -199%, every further one raises
1 + y/2 by a share of about one over its number of half-years only.
"""


@dataclass(frozen=True)
class Price:
    """A price per 100 of face.

    Attributes
    ----------
    clean, accrued, dirty : float or ndarray of float64
        dirty = clean + accrued.
    convention : str
        How the yield was discounted: treasury or street.
    """

    clean: float | Float
    accrued: float | Float
    dirty: float | Float
    convention: Convention


@dataclass(frozen=True)
class Yield:
    """A semi-annual, bond-equivalent yield.

    Attributes
    ----------
    yield_pct : float or ndarray of float64
        Percent.
    convention : str
        How the yield discounts: treasury or street.
    """

    yield_pct: float | Float
    convention: Convention


@dataclass(frozen=True)
class _Bonds:
    """Flows to discount: a row for each bond, a column for each quasi-coupon date ahead."""

    amount: Float  # [N x J], 0 beyond maturity
    fraction: Float  # [N], r/s
    simple: npt.NDArray[np.bool_]  # [N], whether the fraction bears simple interest
    accrued: Float  # [N]

    def dirty(self, yields: Float) -> tuple[Float, Float]:
        """Return the dirty price at decimal yields, and its derivative, [N]."""
        v = 1.0 / (1.0 + yields / 2.0)
        value, slope = np.zeros_like(v), np.zeros_like(v)
        # Horner's scheme in v, and its derivative.
        for j in range(self.amount.shape[1] - 1, -1, -1):
            slope = slope * v + value
            value = value * v + self.amount[:, j]
        # d v / d y = -v^2 / 2
        slope = slope * (-v * v / 2.0)
        simple = 1.0 / (1.0 + self.fraction * (yields / 2.0))
        compound = exp(self.fraction * log(v))
        stub = np.where(self.simple, simple, compound)
        stub_slope = -self.fraction / 2.0 * np.where(self.simple, simple * simple, compound * v)
        return value * stub, slope * stub + value * stub_slope


def _bonds(
    coupon: Float,
    maturity: Dates,
    settlement: Dates,
    dated_date: npt.ArrayLike | None,
    first_coupon_date: npt.ArrayLike | None,
    convention: Convention,
) -> _Bonds:
    """Return the flows of bonds; all arguments have one dimension."""
    if convention not in get_args(Convention):
        raise ValueError(f"unknown convention {convention!r}; use 'treasury' or 'street'")
    bad = ~((coupon >= 0.0) & (coupon < np.inf))
    if np.any(bad):
        raise ValueError(f"coupon_pct {100.0 * coupon[bad][0]:g} must be a number, 0 or more")
    check_coupons(100.0 * coupon)
    if np.any(settlement >= maturity):
        at = np.flatnonzero(settlement >= maturity)[0]
        raise ValueError(f"settlement {settlement[at]} must lie before maturity {maturity[at]}")
    irregular = {"dated_date": dated_date, "first_coupon_date": first_coupon_date}
    accrued = accrued_interest(coupon, maturity, settlement, **irregular)
    # Quasi-coupon dates before a late first coupon pay nothing, but count as half-years.
    count = np.diff(coupon_dates(maturity, settlement)[0])
    ptr, date, paid = coupon_amounts(coupon, maturity, settlement, **irregular)
    amount = np.zeros((len(maturity), int(count.max(initial=0))))
    # Both lists end at maturity, so a bond's flows belong to its last dates.
    bond = np.repeat(np.arange(len(maturity)), np.diff(ptr))
    place = count[bond] - (ptr[bond + 1] - np.arange(len(date)))
    amount[bond, place] = paid
    previous, following = coupon_period(maturity, settlement)
    days = (following - settlement).astype(np.int64), (following - previous).astype(np.int64)
    simple = (count == 1) | (convention == "treasury")
    return _Bonds(amount, days[0] / days[1], simple, accrued)


def _flat(**columns: Any) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Broadcast arguments against each other; return their shape and each as one dimension."""
    given = {name: np.asarray(column) for name, column in columns.items() if column is not None}
    arrays = np.broadcast_arrays(*given.values())
    flat = {name: a.ravel() for name, a in zip(given, arrays, strict=True)}
    return arrays[0].shape, {name: flat.get(name) for name in columns}


def _shaped(column: Float, shape: tuple[int, ...]) -> float | Float:
    """Return a column in the shape of the arguments; a float if they were scalars."""
    return column.reshape(shape) if shape else float(column[0])


def price_from_yield(
    *,
    coupon_pct: npt.ArrayLike,
    maturity: npt.ArrayLike,
    settlement: npt.ArrayLike,
    yield_pct: npt.ArrayLike,
    convention: Convention = "treasury",
    dated_date: npt.ArrayLike | None = None,
    first_coupon_date: npt.ArrayLike | None = None,
) -> Price:
    """Return the price of a note or bond at a yield.

    Parameters
    ----------
    coupon_pct : float or array_like of float
        Annual coupon, percent. All arguments are broadcast against each other.
    maturity, settlement : date_like or array_like
        Settlement lies before maturity.
    yield_pct : float or array_like of float
        Semi-annual yield, percent.
    convention : {"treasury", "street"}
        Simple or compound interest in the first fraction of a half-year; see the module.
    dated_date, first_coupon_date : date_like or array_like, optional
        For a short or long first period: the dates on which interest starts and is first paid
        (default: the next semi-annual date). NaT or None: all coupons are full.

    Returns
    -------
    Price
        Per 100 of face; floats if every argument is a scalar.

    Raises
    ------
    ValueError
        Dates are out of order, a coupon is negative or looks like a decimal, or a yield is not a
        number above -199%.

    Warns
    -----
    RateWarning
        A yield under 0.25% beside a coupon of 1% or more looks like a decimal.

    Notes
    -----
    31 CFR 356 Appendix B, section II: dirty * (1 + (r/s)(i/2)) = sum of flows * v^j, with the
    accrued interest of section I. The street's compound form replaces the left factor by
    (1 + i/2)^(r/s).

    Examples
    --------
    >>> price = price_from_yield(
    ...     coupon_pct=8.75, maturity="2020-05-15", settlement="1990-05-15", yield_pct=8.84
    ... )
    >>> round(price.clean, 6)
    99.057893
    """
    shape, flat = _flat(
        coupon=np.asarray(coupon_pct, np.float64) / 100.0,
        maturity=as_dates(maturity, "maturity"),
        settlement=as_dates(settlement, "settlement"),
        yields=np.asarray(yield_pct, np.float64) / 100.0,
        dated_date=_optional_dates(dated_date, "dated_date"),
        first_coupon_date=_optional_dates(first_coupon_date, "first_coupon_date"),
    )
    yields = flat.pop("yields")
    bad = ~((yields >= LOWEST_YIELD) & (yields <= HIGHEST_YIELD))
    if np.any(bad):
        raise ValueError(
            f"yield_pct {100.0 * yields[bad][0]:g} must be a number in percent, at least "
            f"{100.0 * LOWEST_YIELD:g}"
        )
    bonds = _bonds(**flat, convention=convention)
    warn_of_decimal_yields(100.0 * yields, 100.0 * flat["coupon"])
    dirty, _ = bonds.dirty(yields)
    return Price(
        clean=_shaped(dirty - bonds.accrued, shape),
        accrued=_shaped(bonds.accrued, shape),
        dirty=_shaped(dirty, shape),
        convention=convention,
    )


def yield_from_price(
    *,
    coupon_pct: npt.ArrayLike,
    maturity: npt.ArrayLike,
    settlement: npt.ArrayLike,
    clean: npt.ArrayLike,
    convention: Convention = "treasury",
    dated_date: npt.ArrayLike | None = None,
    first_coupon_date: npt.ArrayLike | None = None,
) -> Yield:
    """Return the yield of a note or bond at a price.

    Parameters
    ----------
    coupon_pct : float or array_like of float
        Annual coupon, percent. All arguments are broadcast against each other.
    maturity, settlement : date_like or array_like
        Settlement lies before maturity.
    clean : float or array_like of float
        Clean price per 100 of face.
    convention : {"treasury", "street"}
        As in `price_from_yield`.
    dated_date, first_coupon_date : date_like or array_like, optional
        As in `price_from_yield`.

    Returns
    -------
    Yield
        A float if every argument is a scalar.

    Raises
    ------
    ValueError
        Dates are out of order, a coupon is negative or looks like a decimal, or no yield above
        -199% gives the price.

    Notes
    -----
    The inverse of `price_from_yield`, by Newton's method within a bracket: the price is a falling,
    convex function of the yield. Solved to the precision of the price.
    """
    shape, flat = _flat(
        coupon=np.asarray(coupon_pct, np.float64) / 100.0,
        maturity=as_dates(maturity, "maturity"),
        settlement=as_dates(settlement, "settlement"),
        clean=np.asarray(clean, np.float64),
        dated_date=_optional_dates(dated_date, "dated_date"),
        first_coupon_date=_optional_dates(first_coupon_date, "first_coupon_date"),
    )
    price = flat.pop("clean")
    bonds = _bonds(**flat, convention=convention)
    yields = _solve(bonds, price, flat["coupon"])
    return Yield(_shaped(100.0 * yields, shape), convention)


def _optional_dates(value: npt.ArrayLike | None, name: str) -> Dates | None:
    """Return dates of which some or all may be missing."""
    return None if value is None else as_dates(value, name, missing=True)


def _solve(bonds: _Bonds, clean: Float, guess: Float) -> Float:
    """Return the decimal yields at clean prices, [N]."""
    target = clean + bonds.accrued
    low, high = np.full(clean.shape, LOWEST_YIELD), np.full(clean.shape, HIGHEST_YIELD)
    # The comparison also refuses NaN.
    bad = ~((bonds.dirty(high)[0] < target) & (target < bonds.dirty(low)[0]))
    if np.any(bad):
        raise ValueError(
            f"clean {clean[bad][0]:g}: no yield above {100.0 * LOWEST_YIELD:g}% gives this price; "
            "give a price per 100 of face"
        )
    y = guess.copy()
    unsolved = np.ones(clean.shape, np.bool_)
    for _ in range(MAX_STEPS):
        value, slope = bonds.dirty(y)
        over = value > target
        low, high = np.where(over, y, low), np.where(over, high, y)
        newton = y - (value - target) / slope
        inside = (newton > low) & (newton < high)
        near = np.abs(value - target) <= 2.0**-50 * target
        following = np.where(inside | near, newton, (low + high) / 2.0)
        still = np.abs(following - y) <= 2.0**-52 * (1.0 + np.abs(y))
        # A solved row is not changed again, so it does not depend on the other rows.
        y = np.where(unsolved, following, y)
        unsolved &= ~(near | still)
        if not np.any(unsolved):
            return y
    raise ValueError(f"clean {clean[unsolved][0]:g}: no yield found in {MAX_STEPS} steps")
