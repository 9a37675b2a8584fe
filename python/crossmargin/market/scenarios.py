"""Historical scenarios: which rows of the history, and by how much the factors move.

Methodology, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.market.frozen import Frozen
from crossmargin.market.history import History

STRESS = "stress"
LOOK_BACK = 2500
"""Rows: ten years of business days."""
NEARLY_DEPENDENT = 1e-3
"""The least share of a factor's size that the factors before it must leave unexplained."""


class HistoryShortError(ValueError):
    """`HISTORY_SHORT`: the history has fewer usable rows than the policy's minimum."""


class CorrelationError(ValueError):
    """A factor follows from others in every row of the look-back: no correlation to replace."""


@dataclass(frozen=True)
class StressWindow:
    """Dates, both included, whose rows are stress scenarios."""

    first: np.datetime64
    last: np.datetime64


DEFAULT_STRESS = (StressWindow(np.datetime64("2008-07-01"), np.datetime64("2009-06-30")),)


@dataclass(frozen=True)
class VolatilityScaling:
    """Scale each shock by today's volatility over that of its own day.

    Attributes
    ----------
    decay : float
        Weight of yesterday's variance in the exponential average.
    seed_rows : int
        The first rows whose mean square starts the average.
    limit : float
        The ratio is clipped to [1 / limit, limit].
    """

    decay: float
    seed_rows: int
    limit: float

    def ratio(self, shock: Float) -> Float:
        """Return sigma_k(last row) / sigma_k(row), clipped, [T x K]; `shock` in date order.

        A row's sigma includes its own shock. Where a factor has not moved yet its ratio is 1.
        """
        square = shock * shock
        seed = square[: self.seed_rows]
        before = exact.ordered_sum(seed, axis=0) / seed.shape[0]
        variance = (1.0 - self.decay) * square
        for row in variance:
            row += self.decay * before
            before = row
        sigma = np.sqrt(variance)
        ratio = np.ones_like(sigma)
        np.divide(sigma[-1], sigma, out=ratio, where=sigma > 0.0)
        return np.clip(ratio, 1.0 / self.limit, self.limit)

    def scale(self, shock: Float, first_row: Integer) -> Float:
        """Return scaled shocks; a factor's average starts at its first row with a shock, [K]."""
        scaled = shock.copy()
        for first in np.unique(first_row):
            mine = np.flatnonzero(first_row == first)
            scaled[first:, mine] *= self.ratio(shock[first:, mine])
        return scaled


@dataclass(frozen=True)
class CorrelationScaling:
    """Give the shocks the correlation of recent days in place of the look-back's.

    Attributes
    ----------
    decay : float
        Weight of yesterday's products in the exponential average.
    weight : float
        Of the recent correlation in the target; the rest is the look-back's. Zero changes nothing.
    """

    decay: float
    weight: float

    def scale(self, shock: Float, look_back: int, factor: Sequence[str]) -> Float:
        """Return shocks of another correlation and, over the look-back, the same mean squares.

        Parameters
        ----------
        shock : ndarray of float64, [T x K]
            In date order, volatility-scaled where the model asks for it.
        look_back : int
            The last rows are those whose correlation is replaced, the very last as of the date.
        factor : sequence of str, [K]
            What an error calls them.

        Returns
        -------
        ndarray of float64, [T x K]

        Raises
        ------
        CorrelationError
            A factor follows from those before it.

        Notes
        -----
        Methodology, section 3: with z the shocks over their root mean square, C_old = mean of z z'
        and C_now = the exponential average of z z' as a correlation, z becomes L L_old^-1 z, where
        L L' = weight C_now + (1 - weight) C_old. A factor without a recent move stays as it is.
        """
        recent = np.zeros((len(factor), len(factor)))
        for row in shock[-look_back:]:
            recent = self.decay * recent + row[:, None] * row
        moved = np.flatnonzero(np.diag(recent) > 0.0)
        recent = recent[np.ix_(moved, moved)]
        now = recent / np.sqrt(np.diag(recent)[:, None] * np.diag(recent))
        square = np.square(shock[-look_back:, moved])
        size = np.sqrt(exact.ordered_sum(square, axis=0) / look_back)
        z = np.ascontiguousarray((shock[:, moved] / size).T)
        latest = z[:, -look_back:]
        old = np.array([exact.ordered_sum(one * latest) for one in latest]) / look_back
        before = cholesky(old)
        after = cholesky(self.weight * now + (1.0 - self.weight) * old)
        free = np.empty_like(z)
        for k, column in enumerate(moved.tolist()):
            if before[k, k] < NEARLY_DEPENDENT:
                raise CorrelationError(
                    f"{factor[column]} follows from the factors before it in the look-back, so "
                    "correlations cannot be scaled; set cme_correlation.weight to 0"
                )
            explained = exact.ordered_sum(before[k, :k, None] * free[:k], axis=0)
            free[k] = (z[k] - explained) / before[k, k]
        scaled = shock.copy()
        for k, column in enumerate(moved.tolist()):
            own = exact.ordered_sum(after[k, : k + 1, None] * free[: k + 1], axis=0)
            scaled[:, column] = size[k] * own
        return scaled


def cholesky(matrix: Float) -> Float:
    """Return the lower triangular L with L L' = `matrix`, [K x K], the same bits on every machine.

    The matrix is positive semi-definite; where a pivot is not positive its column is zero.
    """
    size = matrix.shape[0]
    lower = np.zeros((size, size))
    for k in range(size):
        rest = matrix[k:, k] - exact.ordered_sum(lower[k:, :k] * lower[k, :k])
        if rest[0] > 0.0:
            lower[k:, k] = rest / np.sqrt(rest[0])
    return lower


@dataclass(frozen=True)
class Scenarios(Frozen):
    """A set of scenarios in date order of its two parts: stress rows, then the look-back.

    Attributes
    ----------
    shock : ndarray of float64, [S x K]
        Changes of continuous zero rates (decimal) and of bases (price points).
    factor : tuple of str, [K]
        `treasury:10`, `sofr:1/4`, `basis:ZN`, ...
    date : ndarray of datetime64[D], [S]
        The end date of each change.
    tag : ndarray of str, [S]
        `stress` where the date lies in a stress window, else empty.
    no_basis : dict of str to int
        Of each root with a basis history, the scenarios to which its basis adds zero because no
        contract has both ends.
    no_sofr : int
        The scenarios in which SOFR moves with the Treasury curve, for lack of a row.
    """

    shock: Float
    factor: tuple[str, ...]
    date: Dates
    tag: npt.NDArray[np.str_]
    no_basis: dict[str, int]
    no_sofr: int = 0

    @property
    def stressed(self) -> Integer:
        """Numbers of the scenarios tagged `stress`."""
        return np.flatnonzero(self.tag == STRESS)


def build_scenarios(
    date: Dates,
    shock: Float,
    factor: tuple[str, ...],
    known: Mask,
    *,
    look_back: int,
    minimum: int,
    stress: Sequence[StressWindow],
    scaling: VolatilityScaling | None,
    correlation: CorrelationScaling | None = None,
) -> Scenarios:
    """Choose the scenarios from all rows that have a shock.

    Parameters
    ----------
    date : ndarray of datetime64[D], [T]
        Ascending; the last one is the as-of row.
    shock : ndarray of float64, [T x K]
        The change that ended on each date.
    factor : tuple of str, [K]
        Names of the factors.
    known : ndarray of bool, [T x K]
        Where a factor has a shock of its own; elsewhere a basis adds zero, and SOFR has the
        Treasury curve's.
    look_back, minimum : int
        Rows wanted, and rows without which there is no answer.
    stress : sequence of StressWindow
        Windows whose rows come first if the look-back does not hold them.
    scaling : VolatilityScaling, optional
        Scale the shocks; without it they are as they were.
    correlation : CorrelationScaling, optional
        Then replace the correlation of the look-back.

    Returns
    -------
    Scenarios

    Raises
    ------
    HistoryShortError
        Fewer than `minimum` rows.
    CorrelationError
        As in `CorrelationScaling.scale`.
    """
    _check_long_enough(date, minimum)
    look_back = min(look_back, date.size)
    if scaling is not None:
        shock = scaling.scale(shock, np.where(_is_basis(factor), known.argmax(axis=0), 0))
    if correlation is not None and correlation.weight > 0.0:
        shock = _recorrelated(shock, look_back, factor, correlation)
    chosen, in_window = _chosen_rows(date, look_back, stress)
    return _scenarios(date[chosen], shock[chosen], known[chosen], factor, in_window[chosen])


def _check_long_enough(date: Dates, minimum: int) -> None:
    if date.size < minimum:
        since = f" from {date[0]}" if date.size else ""
        raise HistoryShortError(
            f"HISTORY_SHORT: {date.size} usable rows{since}, {minimum} needed; give a longer "
            "history of par yields, without a gap, or set a lower minimum in the policy"
        )


def _is_basis(factor: Sequence[str]) -> Mask:
    return np.array([name.startswith("basis:") for name in factor])


def _recorrelated(
    shock: Float, look_back: int, factor: Sequence[str], correlation: CorrelationScaling
) -> Float:
    """Replace the correlation of the curves' factors.

    A basis history has holes, whose zeros would pass for a lack of correlation.
    """
    curve = np.flatnonzero(~_is_basis(factor))
    names = [factor[k] for k in curve.tolist()]
    shock = shock.copy()
    shock[:, curve] = correlation.scale(shock[:, curve], look_back, names)
    return shock


def _chosen_rows(
    date: Dates, look_back: int, stress: Sequence[StressWindow]
) -> tuple[Integer, Mask]:
    """Return the rows chosen, those of a stress window first, and which of all rows are in one."""
    in_window = np.zeros(date.size, dtype=bool)
    for window in stress:
        in_window |= (date >= window.first) & (date <= window.last)
    recent = np.arange(date.size) >= date.size - look_back
    return np.concatenate([np.flatnonzero(in_window & ~recent), np.flatnonzero(recent)]), in_window


def _scenarios(
    date: Dates, shock: Float, known: Mask, factor: tuple[str, ...], in_window: Mask
) -> Scenarios:
    """Return the chosen rows as scenarios, with the count of those a factor has no change in."""
    lacking = dict(zip(factor, np.count_nonzero(~known, axis=0).tolist(), strict=True))
    shock = np.ascontiguousarray(shock)
    shock.setflags(write=False)
    return Scenarios(
        shock=shock,
        factor=factor,
        date=date,
        tag=np.where(in_window, STRESS, ""),
        no_basis={
            name.removeprefix("basis:"): count
            for name, count in lacking.items()
            if name.startswith("basis:")
        },
        no_sofr=max(
            (count for name, count in lacking.items() if name.startswith("sofr:")), default=0
        ),
    )


class ScenarioStore:
    """Scenarios chosen from a history, each once.

    For whoever asks the same of one history again and again: the models of a run, and what-ifs of
    market moves, which leave the history as it is. It keeps those of the latest history. Several
    threads may ask.
    """

    def __init__(self) -> None:
        # One pair: a thread with another history puts another pair in its place.
        self._kept: tuple[History | None, dict[tuple[Any, ...], Scenarios]] = (None, {})

    def of(
        self,
        history: History,
        *,
        horizon: int,
        look_back: int = LOOK_BACK,
        minimum: int = LOOK_BACK,
        stress: Sequence[StressWindow] = DEFAULT_STRESS,
        scaling: VolatilityScaling | None = None,
        correlation: CorrelationScaling | None = None,
    ) -> Scenarios:
        """Return historical scenarios of all factors (methodology, section 3).

        Parameters
        ----------
        history : History
            Its last row is that of the as-of date. A copy counts as another history.
        horizon : int
            Rows of the history between the two ends of a change.
        look_back, minimum, stress, scaling, correlation
            As in `build_scenarios`.

        Returns
        -------
        Scenarios
            Those of the last time if the same were asked of this history before.

        Raises
        ------
        HistoryShortError, CorrelationError
            As in `build_scenarios`.
        """
        of, chosen = self._kept
        if of is not history:
            chosen = {}
            self._kept = history, chosen
        key = (horizon, look_back, minimum, tuple(stress), scaling, correlation)
        if key not in chosen:
            change, known = history.factor_change(horizon)
            chosen[key] = build_scenarios(
                history.date[horizon:],
                change,
                history.factor,
                known,
                look_back=look_back,
                minimum=minimum,
                stress=stress,
                scaling=scaling,
                correlation=correlation,
            )
        return chosen[key]
