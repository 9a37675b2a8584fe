"""Specific risk: what moves securities and futures apart from the curve and from each other.

Methodology, section 3. A process gives levels where there is no history of them. They are drawn by
calendar day from a fixed one on, so a day's level is the same whenever a history begins or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask, bucket_of
from crossmargin.market.draws import Draws
from crossmargin.market.frozen import Frozen, read_only

EPOCH = np.datetime64("1990-01-01", "D")
"""The first day that is drawn, a Monday; every earlier day has its level."""


@dataclass(frozen=True)
class Process:
    """Stationary autoregressive levels of first order, one for each factor.

    Attributes
    ----------
    factor : tuple of str, [F]
        Their names, `spread:7 off` or `basis:ZN`; each is a stream of draws of its own.
    volatility : tuple of float, [F]
        Standard deviation of the change from one weekday to the next, in the factor's unit.
    memory : float
        Share of a level that is left on the next weekday, below 1.
    correlation : tuple of tuple of float, [F x F]
        Of the draws; positive semi-definite.
    seed : int
    stress_multiple : float
        By how much changes that end in a stress window are multiplied.
    stress_windows : tuple of (str, str)
        First and last day of each window, YYYY-MM-DD, both included.
    """

    factor: tuple[str, ...]
    volatility: tuple[float, ...]
    memory: float
    correlation: tuple[tuple[float, ...], ...]
    seed: int
    stress_multiple: float = 1.0
    stress_windows: tuple[tuple[str, str], ...] = ()

    def level(self, date: Dates) -> Float:
        """Return the levels of some days, [D x F].

        A Saturday or Sunday has the level of the Friday before it.

        Notes
        -----
        x = sigma e on the first day and x = memory * x' + sigma sqrt(1 - memory^2) e on every later
        weekday, where x' is the level of the weekday before and sigma = volatility /
        sqrt(2 (1 - memory)). e is L n, with n a standard normal draw of each factor and L the lower
        Cholesky factor of the correlation.
        """
        if date.size == 0:
            return np.empty((0, len(self.factor)))
        weekday = np.maximum(np.busday_count(EPOCH, date + 1) - 1, 0)
        # Whole years, so that days close together share one calculation.
        days = (int(weekday.max()) // 261 + 1) * 261
        correlation = self.correlation
        unit = _unit_levels(self.factor, self.memory, correlation, self.seed, days)
        sigma = np.array(self.volatility) / np.sqrt(2.0 * (1.0 - self.memory))
        return np.asarray(unit[weekday] * sigma)

    def change(self, row_date: Dates, horizon: int) -> Float:
        """Return the change of each level over the last `horizon` rows, [T - horizon x F].

        Parameters
        ----------
        row_date : ndarray of datetime64[D], [T]
            Dates of the curve history, ascending.
        horizon : int
            Rows between the two ends.
        """
        level = self.level(row_date)
        change = level[horizon:] - level[:-horizon]
        end = row_date[horizon:]
        stressed = np.zeros(end.size, dtype=bool)
        for first, last in self.stress_windows:
            stressed |= (end >= np.datetime64(first, "D")) & (end <= np.datetime64(last, "D"))
        change[stressed] *= self.stress_multiple
        return np.asarray(change)


@lru_cache(maxsize=8)
def _unit_levels(
    factor: tuple[str, ...],
    memory: float,
    correlation: tuple[tuple[float, ...], ...],
    seed: int,
    days: int,
) -> Float:
    """Return levels with a standard deviation of 1 of the first weekdays, [days x F]."""
    drawn = np.array([Draws(seed, name).normal(days) for name in factor])
    lower = exact.cholesky(np.array(correlation))
    for k in range(len(factor) - 1, -1, -1):
        drawn[k] = exact.ordered_sum(lower[k, : k + 1, None] * drawn[: k + 1], axis=0)
    drawn[:, 1:] *= np.sqrt(1.0 - memory * memory)
    level = np.ascontiguousarray(drawn.T)
    before = level[0]
    for row in level[1:]:
        row += memory * before
        before = row
    return read_only(level)


@dataclass(frozen=True)
class SpreadHistory(Frozen):
    """Yield spreads of groups of securities over the curve, as observed.

    Attributes
    ----------
    group : tuple of str, [G]
        `7 off`, ...
    date : ndarray of datetime64[D], [D]
        Ascending.
    level : ndarray of float64, [D x G]
        Decimal; NaN where unknown.
    """

    group: tuple[str, ...]
    date: Dates
    level: Float

    def change(self, group: str, row_date: Dates, horizon: int) -> tuple[Float, Mask]:
        """Return the change of a group's spread over the last `horizon` rows, for each row.

        Parameters
        ----------
        group : str
            One of `group`.
        row_date : ndarray of datetime64[D], [T]
            Dates of the curve history, ascending.
        horizon : int
            Rows between the two ends.

        Returns
        -------
        change : ndarray of float64, [T - horizon]
            Decimal; zero where one of the ends is unknown.
        known : ndarray of bool, [T - horizon]
        """
        at = np.searchsorted(self.date, row_date) % self.date.size
        own = self.level[at, self.group.index(group)]
        level = np.where(self.date[at] == row_date, own, np.nan)
        change = level[horizon:] - level[:-horizon]
        known = ~np.isnan(change)
        return np.where(known, change, 0.0), known


def group_names(bucket: Sequence[tuple[float, str]]) -> tuple[str, ...]:
    """Return the names of the groups of some buckets: `2 on`, ..., `2 off`, ..."""
    return tuple(f"{name} {run}" for run in ("on", "off") for _, name in bucket)


@dataclass(frozen=True)
class SpreadGroups:
    """Groups of securities that share a yield spread over the curve.

    Attributes
    ----------
    bucket : tuple of (float, str)
        Upper end in remaining years, included, and name, ascending; the last one has no end.
    process : Process
        Of all groups: on the run, then off the run, both by bucket.
    """

    bucket: tuple[tuple[float, str], ...]
    process: Process

    @property
    def name(self) -> tuple[str, ...]:
        """Names of the groups, [G]."""
        return group_names(self.bucket)

    def index(self, years: Float, on_the_run: Mask) -> Integer:
        """Return the group of each security by its remaining years, [N]."""
        ends = [end for end, _ in self.bucket]
        bucket = bucket_of(years, ends)
        return np.asarray(np.where(on_the_run, 0, len(ends)) + bucket)


@dataclass(frozen=True)
class SpecificRisk:
    """The factors beside those of the curves that a policy adds to a history.

    Attributes
    ----------
    spreads : SpreadGroups, optional
        A group with an observed history moves by that, the others by the process.
    basis : Process, optional
        Of the roots that have no observed basis.
    """

    spreads: SpreadGroups | None = None
    basis: Process | None = None
