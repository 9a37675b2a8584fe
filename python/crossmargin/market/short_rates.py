"""Short rates from notes and the funds rate, not from bills (methodology, sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Mask
from crossmargin.market.calendars import (
    FIRST_DATE,
    RATE_CALENDAR,
    add_business_days,
    business_days_between,
    is_business_day,
)
from crossmargin.market.curve import NODE_NAMES, NODES, Curve
from crossmargin.market.forwards import SmoothCurve, SmoothForwards, smooth_forwards
from crossmargin.market.frozen import Frozen

SHORT = "short:"
"""How names of the factors begin."""
FUNDS = f"{SHORT}0"
"""Name of the factor of the funds rate."""
STEPS = 200
"""Most steps of the bootstrap; ten are usual."""
SETTLED = 1e-14
"""A row whose zero rates move by no more in a step is done."""


@dataclass(frozen=True)
class ShortRateRule:
    """How short rates are built.

    Attributes
    ----------
    nodes : tuple of str
        Maturities of notes, names of nodes from `1/2` on, ascending.
    front_years : float
        As in `SmoothForwards`.
    funds_indices : tuple of str
        Overnight rates, the preferred one first.
    funds_rows : int
        Number of fixings whose mean is the funds rate.
    proxy_share : float
        Where the funds rate is unknown it moves by this share of a zero rate ...
    proxy_node : str
        ... at this node.
    """

    nodes: tuple[str, ...]
    front_years: float
    funds_indices: tuple[str, ...]
    funds_rows: int
    proxy_share: float
    proxy_node: str

    @property
    def node(self) -> list[int]:
        """Indices of the nodes among `NODES`."""
        return [NODE_NAMES.index(name) for name in self.nodes]

    @property
    def factor(self) -> tuple[str, ...]:
        """Names of the factors, [1 + N]: `short:0`, `short:2`, ..."""
        return (FUNDS, *(f"{SHORT}{name}" for name in self.nodes))

    @property
    def forwards(self) -> SmoothForwards:
        """The curve by the funds rate and the zero rates at the nodes."""
        years = tuple(NODES[self.node].tolist())
        return smooth_forwards(years, self.front_years, anchored=True)

    def zero_rates(self, rate: Float, time: Float) -> Float:
        """Return the zero rates that the curve has at given times.

        Parameters
        ----------
        rate : ndarray of float64, [T x 1 + N]
            f(0) and the zero rates at the nodes, or changes of them.
        time : ndarray of float64, [M]
            Years, above zero.

        Returns
        -------
        ndarray of float64, [T x M]
        """
        weights = self.forwards.weights(time) / time[:, None]
        return exact.ordered_sum(rate[:, None, :] * weights)

    def curve(self, treasury: Curve) -> SmoothCurve:
        """Return the curve that reprices the notes of a Treasury curve.

        Parameters
        ----------
        treasury : Curve
            Its zero rate at 1/12 is f(0).

        Raises
        ------
        ValueError
            As `node_zero_rates`.
        """
        coupon = treasury.discount_factor(np.arange(1, int(2 * NODES[self.node[-1]]) + 1) / 2)
        count = [int(2 * t) for t in NODES[self.node]]
        annuity = np.cumsum(coupon)
        par = np.array([2.0 * (1.0 - coupon[n - 1]) / annuity[n - 1] for n in count])
        times = np.concatenate([NODES[:1], NODES[self.node]])
        zero = -exact.log(treasury.discount_factor(times)) / times
        day = np.array([treasury.as_of])
        node = node_zero_rates(self.forwards, day, par[None], zero[:1], zero[None, 1:])
        return SmoothCurve(self.forwards, np.concatenate([zero[:1], node[0]]))


def node_zero_rates(
    forwards: SmoothForwards, date: Dates, par_yield: Float, front: Float, guess: Float
) -> Float:
    """Return the zero rates at the nodes with which the smooth curve gives the par yields.

    Parameters
    ----------
    forwards : SmoothForwards
        Anchored at zero.
    date : ndarray of datetime64[D], [T]
        Dates of the rows, for error messages.
    par_yield : ndarray of float64, [T x N]
        Semi-annual par yields at the nodes, decimal.
    front : ndarray of float64, [T]
        f(0), continuous, decimal.
    guess : ndarray of float64, [T x N]
        Zero rates to begin with.

    Returns
    -------
    ndarray of float64, [T x N]
        Continuous, decimal.

    Raises
    ------
    ValueError
        A row has no such curve; its date is in the message.

    Notes
    -----
    Methodology, section 2: z_k = -ln((1 - c/2 * sum of the earlier DF) / (1 + c/2)) / t_k, the DF
    from the curve of the step before. A row does not depend on the others: it ends with the step in
    which none of its rates moves by more than 1e-14.
    """
    years = forwards.start[1:]
    earlier = (2.0 * years).astype(np.int64) - 1
    weights = forwards.weights(np.arange(1, earlier[-1] + 1) / 2)
    half = np.ascontiguousarray(par_yield.T) / 2.0
    zero = np.ascontiguousarray(guess.T)
    moving = np.arange(date.size)
    for _ in range(STEPS):
        own, rate = half[:, moving], zero[:, moving]
        level = weights[:, :1] * front[moving]
        for k, each in enumerate(rate):
            level += weights[:, k + 1, None] * each
        in_range = (np.abs(level) <= exact.EXP_LIMIT).all(axis=0)
        if not in_range.all():
            raise _no_curve(date[moving[~in_range]])
        annuity = np.zeros((weights.shape[0] + 1, moving.size))
        np.cumsum(exact.exp(-level), axis=0, out=annuity[1:])
        discount = (1.0 - own * annuity[earlier]) / (1.0 + own)
        usable = ((discount > 0.0) & (discount < np.inf)).all(axis=0)
        if not usable.all():
            raise _no_curve(date[moving[~usable]])
        new = -exact.log(discount) / years[:, None]
        zero[:, moving] = new
        moving = moving[(np.abs(new - rate) > SETTLED).any(axis=0)]
        if moving.size == 0:
            return np.ascontiguousarray(zero.T)
    raise _no_curve(date[moving])


def _no_curve(date: Dates) -> ValueError:
    return ValueError(
        f"par yields of {date[0]} do not give a curve with smooth forwards; check the row, or take "
        "nodes that lie closer together"
    )


@dataclass(frozen=True, eq=False)
class ShortRates(Frozen):
    """The rule of the short rates, and the funds rate of each row of a history.

    Attributes
    ----------
    rule : ShortRateRule
    funds : ndarray of float64, [T x J]
        From `funds_rates`.
    """

    rule: ShortRateRule
    funds: Float

    def change(self, zero_rate: Float, horizon: int) -> tuple[Float, Mask]:
        """Return the `horizon`-row changes of the factors.

        Parameters
        ----------
        zero_rate : ndarray of float64, [T x N]
            At the nodes, from `node_zero_rates`.
        horizon : int
            Rows between the two ends of a change.

        Returns
        -------
        change : ndarray of float64, [T - horizon x 1 + N]
            Decimal.
        known : ndarray of bool, [T - horizon]
            Whether fixings give the change of the funds rate.
        """
        moved = zero_rate[horizon:] - zero_rate[:-horizon]
        funds = self.rule.proxy_share * moved[:, self.rule.nodes.index(self.rule.proxy_node)]
        known = np.zeros(moved.shape[0], dtype=np.bool_)
        for change in (self.funds[horizon:] - self.funds[:-horizon]).T:
            first = ~known & ~np.isnan(change)
            funds[first] = change[first]
            known |= first
        return np.column_stack([funds, moved]), known


def funds_rates(
    rule: ShortRateRule, row_date: Dates, fixings: Mapping[str, tuple[Dates, Float]]
) -> Float:
    """Return the mean of the latest fixings of each index before each date.

    Parameters
    ----------
    rule : ShortRateRule
        Its indices [J], and how many fixings count.
    row_date : ndarray of datetime64[D], [T]
        Ascending.
    fixings : mapping of str to (dates, rates)
        As in `Market`.

    Returns
    -------
    ndarray of float64, [T x J]
        Decimal; NaN where one of those days has no fixing.

    Notes
    -----
    Methodology, section 3: the days are those of the index's calendar, the last of them before the
    date. A fixing of another day, such as a Sunday, does not count.
    """
    mean = np.full((row_date.size, len(rule.funds_indices)), np.nan)
    size = rule.funds_rows
    for number, index in enumerate(rule.funds_indices):
        calendar = RATE_CALENDAR[index]
        date, rate = fixings.get(index, (row_date[:0], np.empty(0)))
        inside = np.flatnonzero((date >= FIRST_DATE) & (date < row_date[-1]))
        own = inside[is_business_day(date[inside], calendar)]
        date, rate = date[own], rate[own]
        end = np.searchsorted(date, row_date)
        row = np.flatnonzero(end >= size)
        if row.size == 0:
            continue
        first, last = date[end[row] - size], date[end[row] - 1]
        whole = last == add_business_days(row_date[row], -1, calendar)
        whole &= business_days_between(first, last, calendar) == size - 1
        row = row[whole]
        window = rate[end[row, None] - np.arange(size, 0, -1)]
        mean[row, number] = exact.ordered_sum(window, axis=1) / size
    return mean
