"""Conversion factors of Treasury futures: the price of a security at 6%, per 1 of face."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float
from crossmargin.exact import exp, integer_power, log
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.schedule import as_dates
from crossmargin.market.rates import check_coupons

HALF_YIELD = 0.03
"""Half of the notional 6%, which applies since the March 2000 contracts."""


def conversion_factors(
    contract: Contract, coupon: npt.ArrayLike, maturity_date: npt.ArrayLike
) -> Float:
    """Return a contract's conversion factors as published.

    Parameters
    ----------
    contract : Contract
        A Treasury future.
    coupon : array_like of float
        Annual coupon, decimal; rounded to the nearest 1/8 of a percent, ties up.
    maturity_date : array_like of datetime64[D]
        Broadcast against `coupon`.

    Returns
    -------
    ndarray of float64
        Rounded to four decimals, half up.

    Raises
    ------
    ValueError
        The contract is not a Treasury future, a coupon is negative or not a number, or a security
        matures before the delivery month.

    Notes
    -----
    CBOT's formula: n whole years and z whole months lie between the first day of the delivery month
    and maturity. The factor is the price at 6% of the remaining flows, v months before the next
    coupon, less accrued interest. z is rounded down to quarters where the contract says so.
    """
    if contract.rule.kind != "treasury":
        raise ValueError(
            f"{contract.symbol} is not a Treasury future: it has no conversion factors"
        )
    rate, maturity = np.broadcast_arrays(
        np.asarray(coupon, np.float64), as_dates(maturity_date, "maturity_date")
    )
    bad = ~((rate >= 0.0) & (rate < np.inf))
    if np.any(bad):
        raise ValueError(
            f"conversion_factors: coupon {100.0 * rate[bad].flat[0]:g}% must be a number, 0 or more"
        )
    # Whole months counted from the first of a month: the day of maturity does not matter.
    months = (maturity.astype("datetime64[M]") - contract.month).astype(np.int64)
    if np.any(months < 0):
        value = maturity[months < 0].flat[0]
        raise ValueError(f"conversion_factors: maturity {value} lies before {contract.symbol}")
    # The small number restores a tie that is lost when percent is converted to decimals.
    c = np.floor(rate * 800.0 + 0.5 + 1e-9) / 800.0
    n, z = months // 12, months % 12
    if contract.rule.factor_rounding == "quarters":
        z = z - z % 3
        v = np.where(z >= 7, 3, z)
    else:
        v = np.where(z >= 7, z - 6, z)
    a = exp(-(v / 6.0) * log(1.0 + HALF_YIELD))
    k = 1.0 / integer_power(1.0 + HALF_YIELD, 2 * n + (z >= 7))
    d = c / (2.0 * HALF_YIELD) * (1.0 - k)
    factor = a * (c / 2.0 + k + d) - c / 2.0 * (6 - v) / 6.0
    return np.asarray(np.floor(factor * 1e4 + 0.5) / 1e4)


def conversion_factor(
    *,
    root: npt.ArrayLike,
    delivery_month: npt.ArrayLike,
    coupon_pct: npt.ArrayLike,
    maturity: npt.ArrayLike,
) -> float | Float:
    """Return the conversion factor of a security in a Treasury future.

    It does not check whether the security is deliverable; see `deliverable_basket`.

    Parameters
    ----------
    root : str or array_like of str
        ZT, Z3N, ZF, ZN, TN, TWE, ZB or UB.
    delivery_month : date_like or array_like
        Such as "2025-06".
    coupon_pct : float or array_like of float
        Annual coupon, percent.
    maturity : date_like or array_like
        Maturity date.

    Returns
    -------
    float or ndarray of float64
        Four decimals, as the exchange publishes them; a float if every argument is a scalar.

    Raises
    ------
    ValueError
        The contract was never listed or is not a Treasury future, a coupon looks like a decimal,
        or as in `conversion_factors`.

    Examples
    --------
    >>> conversion_factor(
    ...     root="ZN", delivery_month="2025-06", coupon_pct=4.5, maturity="2031-12-31"
    ... )
    0.9202
    """
    check_coupons(coupon_pct)
    months = as_dates(delivery_month, "delivery_month").astype("datetime64[M]")
    roots, months, coupon, maturity = np.broadcast_arrays(
        np.asarray(root, np.str_),
        months,
        np.asarray(coupon_pct, np.float64) / 100.0,
        as_dates(maturity, "maturity"),
    )
    factors = np.empty(roots.shape)
    for name in np.unique(roots):
        for month in np.unique(months[roots == name]):
            own = (roots == name) & (months == month)
            contract = Contract(str(name), month)
            factors[own] = conversion_factors(contract, coupon[own], maturity[own])
    return float(factors) if factors.ndim == 0 else factors
