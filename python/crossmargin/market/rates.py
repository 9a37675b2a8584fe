"""Tell percent from decimals: find rates that look as if they were in the wrong unit."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Mask

EIGHTHS = 8
"""Nominal coupons and those of TIPS are multiples of 1/8 percent."""
LARGEST_DECIMAL_COUPON = 0.30
"""A coupon of 30% written as a decimal."""
ROUNDED_BY = 0.0051
"""Percent; the largest error when a coupon is rounded to two places."""
DECIMAL_UNDER = 0.25
"""Percent; a rate below it may be a decimal ..."""
MARKET_FROM = 1.0
"""... if the market's own rate is at least this."""


class RateWarning(UserWarning):
    """A rate looks like a decimal where percent is expected."""


def off_grid(coupon_pct: Float) -> Mask:
    """Return a mask of the coupons that are not a multiple of 1/8 percent."""
    eighths = coupon_pct * EIGHTHS
    return np.asarray(np.abs(eighths - np.rint(eighths)) > 1e-6)


def decimal_coupons(coupon_pct: Float) -> Mask:
    """Return a mask of the coupons that look like decimals: off the grid of 1/8, and very small.

    The lowest real coupons, 1/8 and 1/4 percent, are on the grid.
    """
    return off_grid(coupon_pct) & (coupon_pct > 0.0) & (coupon_pct <= LARGEST_DECIMAL_COUPON)


def far_below(rate_pct: npt.ArrayLike, market_pct: npt.ArrayLike) -> Mask:
    """Return a mask of the rates so far below the market's that they look like decimals.

    A rate of 0.05% is right where the market's is near zero too, as in 2021.
    """
    rate, market = np.asarray(rate_pct), np.asarray(market_pct)
    return np.asarray((np.abs(rate) < DECIMAL_UNDER) & (market >= MARKET_FROM))


def below_neighbours(percent: Float) -> Mask:
    """Return a mask of the rates of a curve that look like decimals beside neighbouring terms.

    The shortest terms are not judged: on 2008-09-17 three months paid 0.03%, six months 1.03%.

    Parameters
    ----------
    percent : ndarray of float64, [N x 11]
        Rates of each day by term, NaN where missing.

    Returns
    -------
    ndarray of bool, [N x 11]
    """
    low = np.abs(percent) < DECIMAL_UNDER
    # Two neighbouring low rates may both be decimals, so compare with the nearest rate that is
    # not low.
    other = np.where(low, np.nan, percent)
    shorter, longer = _filled(other), _filled(other[:, ::-1])[:, ::-1]
    around = np.minimum(shorter, np.where(np.isnan(longer), shorter, longer))
    return np.asarray(far_below(percent, around) & (percent != 0.0))


def _filled(rates: Float) -> Float:
    """Fill each missing rate with the last known rate before it in its row."""
    filled = rates.copy()
    for k in range(1, rates.shape[1]):
        filled[:, k] = np.where(np.isnan(filled[:, k]), filled[:, k - 1], filled[:, k])
    return filled


def check_coupons(coupon_pct: npt.ArrayLike) -> None:
    """Refuse coupons that look like decimals.

    Raises
    ------
    ValueError
        A coupon looks like a decimal; the message names the first one.
    """
    coupon = np.asarray(coupon_pct, np.float64)
    wrong = decimal_coupons(coupon)
    if wrong.any():
        raise ValueError(f"coupon_pct {decimal_message(coupon[wrong].flat[0])}")


def decimal_message(coupon_pct: float) -> str:
    """Return the message that refuses a coupon and says what it may be."""
    eighth = float(np.rint(coupon_pct * EIGHTHS)) / EIGHTHS
    causes = []
    if eighth and abs(eighth - coupon_pct) < ROUNDED_BY:
        causes.append(f"a rounded {eighth:g}")
    if decimal_coupons(np.array(coupon_pct)):
        causes.append(f"the decimal of {100.0 * coupon_pct:.10g}")
    told = f"{coupon_pct:.10g} is not a multiple of 1/8 percent"
    return f"{told}; it looks like {' or '.join(causes)}: give that" if causes else told


def warn_of_decimal_yields(yield_pct: Float, coupon_pct: Float) -> None:
    """Warn where a yield is far below the coupon: it may be a decimal.

    A short note of 2020 or 2021 can have such a yield too.
    """
    wrong = far_below(yield_pct, coupon_pct) & (yield_pct != 0.0)
    if wrong.any():
        warnings.warn(
            f"yield_pct {yield_pct[wrong].flat[0]:g} looks like a decimal beside a coupon of "
            f"{coupon_pct[wrong].flat[0]:g}%: give percent",
            RateWarning,
            stacklevel=3,
        )
