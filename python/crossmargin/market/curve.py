"""Discount curves from par yields and swap rates (methodology, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer
from crossmargin.market.frozen import Frozen

NODES = np.array([1 / 12, 1 / 4, 1 / 2, 1, 2, 3, 5, 7, 10, 20, 30])
"""Maturities of the par yields, years."""
TENORS = ("1mo", "3mo", "6mo", "1y", "2y", "3y", "5y", "7y", "10y", "20y", "30y")
"""Names of these maturities as columns of a table."""
NODE_NAMES = ("1/12", "1/4", "1/2", "1", "2", "3", "5", "7", "10", "20", "30")
TREASURY_FACTORS = tuple(f"treasury:{name}" for name in NODE_NAMES)
POINTS = np.concatenate([[0.0, 1 / 12, 1 / 4], np.arange(1, 61) / 2])
"""Times in years; log discount factors are linear between them."""
_NODE_POINTS = np.searchsorted(POINTS, NODES)
DAYS_PER_YEAR = 365.25
MONEY_MARKET_YEAR = 360.0


def years_between(as_of: np.datetime64 | Dates, date: Dates) -> Float:
    """Return (date - as_of) / 365.25 in years; dates are not adjusted."""
    return np.asarray((date - as_of).astype(np.int64) / DAYS_PER_YEAR)


def bootstrap(date: Dates, par_yield: Float) -> Float:
    """Return log discount factors at `POINTS`, [T x 63]; see `discount_factors`."""
    return exact.log(discount_factors(date, par_yield))


def discount_factors(date: Dates, par_yield: Float) -> Float:
    """Return discount factors at `POINTS` from par yields at `NODES`.

    Parameters
    ----------
    date : ndarray of datetime64[D], [T]
        Dates of the rows, for error messages.
    par_yield : ndarray of float64, [T x 11]
        Semi-annual bond-equivalent par yields, decimal.

    Returns
    -------
    ndarray of float64, [T x 63]
        DF at `POINTS`; the first column is one.

    Raises
    ------
    ValueError
        A row leads to a discount factor that is not positive; its date is in the message.

    Notes
    -----
    Methodology, section 2. Simple interest at 1/12 and 1/4, 1/(1 + y/2) at 1/2, then
    DF_n = (1 - c/2 * sum of the earlier DF on the semi-annual grid) / (1 + c/2), the par yield c
    linear in time between the nodes.
    """
    rows = par_yield.shape[0]
    df = np.ones((rows, POINTS.size))
    df[:, 1] = 1.0 / (1.0 + par_yield[:, 0] * NODES[0])
    df[:, 2] = 1.0 / (1.0 + par_yield[:, 1] * NODES[1])
    df[:, 3] = 1.0 / (1.0 + par_yield[:, 2] / 2.0)
    annuity = df[:, 3].copy()
    for n in range(4, POINTS.size):
        right = int(np.searchsorted(NODES, POINTS[n]))
        weight = (POINTS[n] - NODES[right - 1]) / (NODES[right] - NODES[right - 1])
        low, high = par_yield[:, right - 1], par_yield[:, right]
        half = (low + weight * (high - low)) / 2.0
        df[:, n] = (1.0 - half * annuity) / (1.0 + half)
        annuity += df[:, n]
    bad = ~np.all((df > 0.0) & (df < np.inf), axis=1)
    if bad.any():
        raise ValueError(
            f"par yields of {date[bad][0]} do not give positive discount factors; check the row"
        )
    return df


def swap_discount_factors(date: Dates, rate: Float) -> Float:
    """Return discount factors at `POINTS` from overnight swap rates at `NODES`.

    Parameters
    ----------
    date : ndarray of datetime64[D], [T]
        Dates of the rows, for error messages.
    rate : ndarray of float64, [T x 11]
        Fixed rates against compounded overnight rates, decimal, actual/360. Swaps of up to a year
        pay at the end, longer ones yearly.

    Returns
    -------
    ndarray of float64, [T x 63]
        DF at `POINTS`; the first column is one.

    Raises
    ------
    ValueError
        A row leads to a discount factor that is not positive; its date is in the message.

    Notes
    -----
    Methodology, section 2. With r' = r * 365.25 / 360: DF = 1 / (1 + r' t) up to a year, then
    DF_n = (1 - r' * sum of the earlier yearly DF) / (1 + r') in whole years, the rate linear in
    time between the nodes, and log DF linear between the years.
    """
    yearly = rate * (DAYS_PER_YEAR / MONEY_MARKET_YEAR)
    df = np.ones((rate.shape[0], POINTS.size))
    one_year = int(np.searchsorted(POINTS, 1.0))
    for k in range(one_year):
        df[:, k + 1] = 1.0 / (1.0 + yearly[:, k] * NODES[k])
    annuity = df[:, one_year].copy()
    for n in range(one_year + 2, POINTS.size, 2):
        right = int(np.searchsorted(NODES, POINTS[n]))
        weight = (POINTS[n] - NODES[right - 1]) / (NODES[right] - NODES[right - 1])
        low, high = yearly[:, right - 1], yearly[:, right]
        par = low + weight * (high - low)
        df[:, n] = (1.0 - par * annuity) / (1.0 + par)
        annuity += df[:, n]
    bad = ~np.all((df > 0.0) & (df < np.inf), axis=1)
    if bad.any():
        raise ValueError(
            f"sofr: the rates of {date[bad][0]} do not give positive discount factors; check the "
            "row"
        )
    df[:, one_year + 1 :: 2] = np.sqrt(df[:, one_year:-1:2] * df[:, one_year + 2 :: 2])
    return df


def zero_rates(df: Float) -> Float:
    """Return zero rates at the nodes, z = -ln DF / t, [T x 11], from `discount_factors`."""
    return np.asarray(-exact.log(df[:, _NODE_POINTS]) / NODES)


def node_weights(time: Float, nodes: Float = NODES) -> tuple[Integer, Float]:
    """Return the nodes that a shift at `time` is interpolated from, linear between, flat outside.

    Parameters
    ----------
    time : ndarray of float64, [N]
        Years.
    nodes : ndarray of float64
        Years, ascending, at least two.

    Returns
    -------
    left : ndarray of int64, [N]
        Index of the left node; the right node is `left + 1`.
    weight : ndarray of float64, [N]
        Weight of the right node, 0 to 1; the left node has 1 - weight.
    """
    left = np.clip(np.searchsorted(nodes, time, side="right") - 1, 0, nodes.size - 2)
    weight = (time - nodes[left]) / (nodes[left + 1] - nodes[left])
    return left.astype(np.int64), np.clip(weight, 0.0, 1.0)


def curves_discount_factor(log_df: Float, time: Float) -> Float:
    """Return discount factors of several curves, each at its own times.

    Parameters
    ----------
    log_df : ndarray of float64, [T x 63]
        ln DF at `POINTS`.
    time : ndarray of float64, [T x N]
        Years; beyond 30 the last forward rate continues.

    Returns
    -------
    ndarray of float64, [T x N]

    Raises
    ------
    ValueError
        A time is negative.
    """
    if not bool(np.all(time >= 0.0)):
        raise ValueError("discount factors exist for dates on or after the as-of date only")
    j = np.clip(np.searchsorted(POINTS, time, side="right") - 1, 0, POINTS.size - 2)
    left = np.take_along_axis(log_df, j, axis=1)
    right = np.take_along_axis(log_df, j + 1, axis=1)
    slope = (right - left) / (POINTS[j + 1] - POINTS[j])
    return exact.exp(left + (time - POINTS[j]) * slope)


LARGEST_LOG = 100.0
"""No ln DF is further from zero: thirty years at 333% are not."""


@dataclass(frozen=True)
class Curve(Frozen):
    """One day's discount curve.

    Attributes
    ----------
    as_of : datetime64[D]
        The day on which time is zero.
    log_df : ndarray of float64, [63]
        ln DF at `POINTS`.

    Raises
    ------
    ValueError
        `log_df` is not one number for each of `POINTS`, each within 100 of zero.
    """

    as_of: np.datetime64
    log_df: Float

    def __post_init__(self) -> None:
        """Refuse what is not a curve."""
        super().__post_init__()
        if self.log_df.shape != POINTS.shape or not (np.abs(self.log_df) <= LARGEST_LOG).all():
            raise ValueError(
                f"log_df: {POINTS.size} numbers within {LARGEST_LOG:g} of zero expected, ln DF at "
                "the points of a curve"
            )

    def discount_factor(self, time: npt.ArrayLike) -> Float:
        """Return DF at times in years, any shape; beyond 30 years the last forward continues.

        Raises
        ------
        ValueError
            A time is negative.
        """
        t = np.asarray(time, dtype=np.float64)
        return curves_discount_factor(self.log_df[None], t.reshape(1, -1)).reshape(t.shape)


class Discounting(Protocol):
    """Anything that gives discount factors."""

    def discount_factor(self, time: npt.ArrayLike) -> Float:
        """Return DF at times in years, any shape."""
        ...


class Shifts(Protocol):
    """How factors shift a curve."""

    def weights(self, time: Float) -> Float:
        """Return time * shift(time) as weights of the factors, [N x K]."""
        ...


@dataclass(frozen=True)
class LinearShifts:
    """Shifts of the zero rate that are linear between nodes, flat outside.

    Attributes
    ----------
    nodes : ndarray of float64, [K]
        Years, ascending, at least two.
    """

    nodes: Float

    def weights(self, time: Float) -> Float:
        """Return time * shift(time) as weights of the zero rates at the nodes, [N x K]."""
        left, weight = node_weights(time, self.nodes)
        rows = np.arange(time.size)
        found = np.zeros((time.size, self.nodes.size))
        found[rows, left] = time * (1.0 - weight)
        found[rows, left + 1] = time * weight
        return found


@dataclass(frozen=True)
class FactorCurve:
    """A curve, and the factors of the scenarios that move it.

    Attributes
    ----------
    curve : Discounting
    shifts : Shifts
        How the factors shift it.
    first : int
        Index of its first factor; the others follow.
    """

    curve: Discounting
    shifts: Shifts
    first: int
