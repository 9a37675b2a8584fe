"""Historical scenarios: which rows of the history, and by how much the factors move.

Methodology, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.market.frozen import Frozen

STRESS = "stress"
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
    rows = date.size
    if rows < minimum:
        since = f" from {date[0]}" if rows else ""
        raise HistoryShortError(
            f"HISTORY_SHORT: {rows} usable rows{since}, {minimum} needed; give a longer history of "
            "par yields, without a gap, or set a lower minimum in the policy"
        )
    if scaling is not None:
        basis = np.array([name.startswith("basis:") for name in factor])
        shock = scaling.scale(shock, np.where(basis, known.argmax(axis=0), 0))
    look_back = min(look_back, rows)
    if correlation is not None and correlation.weight > 0.0:
        # A basis history has holes, whose zeros would pass for a lack of correlation.
        curve = [k for k, name in enumerate(factor) if not name.startswith("basis:")]
        names = [factor[k] for k in curve]
        shock = shock.copy()
        shock[:, curve] = correlation.scale(shock[:, curve], look_back, names)
    in_window = np.zeros(rows, dtype=bool)
    for window in stress:
        in_window |= (date >= window.first) & (date <= window.last)
    recent = np.arange(rows) >= rows - look_back
    chosen = np.concatenate([np.flatnonzero(in_window & ~recent), np.flatnonzero(recent)])
    taken = np.ascontiguousarray(shock[chosen])
    taken.setflags(write=False)
    return Scenarios(
        shock=taken,
        factor=factor,
        date=date[chosen],
        tag=np.where(in_window[chosen], STRESS, ""),
        no_basis={
            name.removeprefix("basis:"): int(np.count_nonzero(~known[chosen, k]))
            for k, name in enumerate(factor)
            if name.startswith("basis:")
        },
        no_sofr=max(
            int(np.count_nonzero(~known[chosen, k])) if name.startswith("sofr:") else 0
            for k, name in enumerate(factor)
        ),
    )
