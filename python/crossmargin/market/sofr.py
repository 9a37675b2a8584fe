"""The SOFR curve and its history; with them short-rate futures move separately from Treasuries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Mask
from crossmargin.market.curve import (
    NODE_NAMES,
    NODES,
    TENORS,
    Curve,
    swap_discount_factors,
    zero_rates,
)
from crossmargin.market.forwards import SmoothCurve, smooth_forwards
from crossmargin.market.frozen import Frozen


@dataclass(frozen=True)
class Sofr(Frozen):
    """The SOFR curve of the as-of date, and the history of its moves.

    Attributes
    ----------
    curve : Curve
        Bootstrapped from the last row on or before the as-of date.
    node : tuple of int, [N]
        Indices into `NODES` of those the history has, ascending, at least two. Their zero rates
        are factors.
    date : ndarray of datetime64[D], [D]
        Days of the history, ascending.
    zero_rate : ndarray of float64, [D x N]
        Continuous zero rates at the nodes, decimal.
    """

    curve: Curve
    node: tuple[int, ...]
    date: Dates
    zero_rate: Float

    @property
    def factor(self) -> tuple[str, ...]:
        """Names of the factors, [N]: `sofr:1/4`, ..."""
        return tuple(f"sofr:{NODE_NAMES[k]}" for k in self.node)

    def smooth_curve(self, front_years: float) -> SmoothCurve:
        """Return the curve with smooth forwards that has the same zero rates at the nodes.

        Parameters
        ----------
        front_years : float
            As in `SmoothForwards`.
        """
        years = NODES[list(self.node)]
        forwards = smooth_forwards(tuple(years.tolist()), front_years, anchored=False)
        return SmoothCurve(forwards, -exact.log(self.curve.discount_factor(years)) / years)

    def change(self, row_date: Dates, horizon: int, proxy: Float) -> tuple[Float, Mask]:
        """Return the changes of the zero rates over the last `horizon` rows, for each row.

        Parameters
        ----------
        row_date : ndarray of datetime64[D], [T]
            Dates of the Treasury history, ascending.
        horizon : int
            Rows between the two ends.
        proxy : ndarray of float64, [T - horizon x N]
            Changes that are used where the SOFR history lacks one of the two dates.

        Returns
        -------
        change : ndarray of float64, [T - horizon x N]
            Decimal.
        own : ndarray of bool, [T - horizon]
            Whether the SOFR history has both dates.
        """
        at = np.searchsorted(self.date, row_date)
        at[at == self.date.size] = 0
        there = self.date[at] == row_date
        own = there[horizon:] & there[:-horizon]
        level = self.zero_rate[at]
        moved = level[horizon:] - level[:-horizon]
        return np.where(own[:, None], moved, proxy), own


def build_sofr(date: Dates, rate: Float, *, as_of: np.datetime64) -> Sofr:
    """Return the SOFR curve and its history from swap rates.

    Parameters
    ----------
    date : ndarray of datetime64[D], [N]
        In any order.
    rate : ndarray of float64, [N x 11]
        By tenor, decimal, NaN where missing. A tenor without any rate is not a node; a row that
        lacks one of the other tenors is left out.
    as_of : datetime64[D]
        Later rows are ignored.

    Returns
    -------
    Sofr

    Raises
    ------
    ValueError
        Fewer than two tenors, no row, or rates that give no curve.
    """
    past = date <= as_of
    date, rate = date[past], rate[past]
    given = ~np.isnan(rate)
    node = np.flatnonzero(given.any(axis=0))
    if node.size < 2:
        raise ValueError(
            f"sofr: give rates of at least two tenors on or before {as_of}: " + ", ".join(TENORS)
        )
    usable = np.flatnonzero(given[:, node].all(axis=1))
    usable = usable[np.argsort(date[usable], kind="stable")]
    if usable.size == 0:
        raise ValueError(f"sofr: no complete row on or before {as_of}")
    date, rate = date[usable], rate[usable]
    for k in np.setdiff1d(np.arange(NODES.size), node):
        # Linear between the given tenors, flat outside.
        right = int(np.searchsorted(node, k))
        low, high = int(node[max(right - 1, 0)]), int(node[min(right, node.size - 1)])
        weight = 0.0 if low == high else (NODES[k] - NODES[low]) / (NODES[high] - NODES[low])
        rate[:, k] = rate[:, low] + weight * (rate[:, high] - rate[:, low])
    df = swap_discount_factors(date, rate)
    return Sofr(
        curve=Curve(as_of, exact.log(df[-1])),
        node=tuple(node.tolist()),
        date=date,
        zero_rate=zero_rates(df)[:, node],
    )
