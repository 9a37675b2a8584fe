"""Historical scenarios: the rows of the history chosen, and the factor moves they give.

Methodology, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.market.frozen import Frozen
from crossmargin.market.history import History
from crossmargin.market.short_rates import FUNDS, SHORT

STRESS = "stress"
LOOK_BACK = 2500
"""Rows in ten years of business days."""
NEARLY_DEPENDENT = 1e-3
"""Smallest share of a factor's size that the earlier factors must leave unexplained."""


class HistoryShortError(ValueError):
    """`HISTORY_SHORT`: the history has fewer usable rows than the policy's minimum."""


class CorrelationError(ValueError):
    """A factor is a combination of others throughout the look-back; correlations fail."""


@dataclass(frozen=True)
class StressWindow:
    """Dates, both included, whose rows are stress scenarios.

    Attributes
    ----------
    first, last : datetime64[D]
    roots : tuple of str
        Roots that move in rows of this window; empty for all.
    """

    first: np.datetime64
    last: np.datetime64
    roots: tuple[str, ...] = ()

    def holds(self, date: Dates) -> Mask:
        """Return which dates lie in the window."""
        return np.asarray((date >= self.first) & (date <= self.last))

    def names(self, root: Text) -> Mask:
        """Return which roots move in the window."""
        return np.isin(root, self.roots) if self.roots else np.ones(root.shape, bool)


DEFAULT_STRESS = (StressWindow(np.datetime64("2008-07-01"), np.datetime64("2009-06-30")),)


@dataclass(frozen=True)
class VolatilityScaling:
    """Scale each shock by today's volatility over that of its own day.

    Attributes
    ----------
    decay : float
        Weight of the previous day's variance in the exponential average.
    seed_rows : int
        Number of first rows whose mean square starts the average.
    limit : float
        The ratio is clipped to [1 / limit, limit].
    buffer : float
        Share by which today's volatility is raised, up to that of the look-back.
    """

    decay: float
    seed_rows: int
    limit: float
    buffer: float = 0.0

    def ratio(self, shock: Float, look_back: int) -> Float:
        """Return sigma_k(last row) / sigma_k(row), clipped, [T x K]; `shock` in date order.

        A row's sigma includes its own shock. The ratio is 1 until a factor has moved. With a
        buffer, sigma_k(last row) is raised to (1 + buffer) times itself, but not above the root
        mean square of the last `look_back` rows; where it is above that, it stays.
        """
        square = shock * shock
        seed = square[: self.seed_rows]
        before = exact.ordered_sum(seed, axis=0) / seed.shape[0]
        variance = (1.0 - self.decay) * square
        for row in variance:
            row += self.decay * before
            before = row
        sigma = np.sqrt(variance)
        now = sigma[-1]
        if self.buffer > 0.0:
            recent = square[-look_back:]
            usual = np.sqrt(exact.ordered_sum(recent, axis=0) / recent.shape[0])
            now = np.maximum(now, np.minimum((1.0 + self.buffer) * now, usual))
        ratio = np.ones_like(sigma)
        np.divide(now, sigma, out=ratio, where=sigma > 0.0)
        return np.clip(ratio, 1.0 / self.limit, self.limit)

    def scale(self, shock: Float, first_row: Integer, look_back: int) -> Float:
        """Return the scaled shocks; each factor's average starts at its own `first_row`, [K]."""
        scaled = shock.copy()
        for first in np.unique(first_row):
            mine = np.flatnonzero(first_row == first)
            scaled[first:, mine] *= self.ratio(shock[first:, mine], look_back)
        return scaled


@dataclass(frozen=True)
class CorrelationScaling:
    """Replace the correlation of the look-back by that of recent days.

    Attributes
    ----------
    decay : float
        Weight of the previous day's products in the exponential average.
    weight : float
        Weight of the recent correlation; the rest is the look-back's. Zero changes nothing.
    """

    decay: float
    weight: float

    def scale(self, shock: Float, look_back: int, factor: Sequence[str]) -> Float:
        """Return shocks with the new correlation and the same mean squares over the look-back.

        Parameters
        ----------
        shock : ndarray of float64, [T x K]
            In date order, volatility-scaled where the model asks for it.
        look_back : int
            Number of last rows whose correlation is replaced.
        factor : sequence of str, [K]
            Names of the factors, for error messages.

        Returns
        -------
        ndarray of float64, [T x K]

        Raises
        ------
        CorrelationError
            A factor that is no short rate is a combination of those before it.

        Notes
        -----
        Methodology, section 3: with z the shocks over their root mean square, C_old = mean of z z'
        and C_now = the exponential average of z z' as a correlation, z becomes L L_old^-1 z, where
        L L' = weight C_now + (1 - weight) C_old. A factor without a recent move is not changed. A
        short rate that the factors before it explain has no part of its own: it follows from notes.
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
        before = exact.cholesky(old)
        after = exact.cholesky(self.weight * now + (1.0 - self.weight) * old)
        free = np.empty_like(z)
        for k, column in enumerate(moved.tolist()):
            if before[k, k] < NEARLY_DEPENDENT:
                if factor[column].startswith(SHORT):
                    free[k] = 0.0
                    continue
                raise CorrelationError(
                    f"{factor[column]} is a combination of the factors before it in the look-back, "
                    "so correlations cannot be scaled; set cme_correlation.weight to 0"
                )
            explained = exact.ordered_sum(before[k, :k, None] * free[:k], axis=0)
            free[k] = (z[k] - explained) / before[k, k]
        scaled = shock.copy()
        for k, column in enumerate(moved.tolist()):
            own = exact.ordered_sum(after[k, : k + 1, None] * free[: k + 1], axis=0)
            scaled[:, column] = size[k] * own
        return scaled


@dataclass(frozen=True)
class Scenarios(Frozen):
    """A set of scenarios: the stress rows in date order, then the look-back in date order.

    Attributes
    ----------
    shock : ndarray of float64, [S x K]
        Changes of continuous zero rates and of spreads (decimal), and of bases (price points).
    factor : tuple of str, [K]
        `treasury:10`, `sofr:1/4`, `spread:7 off`, `basis:ZN`, ...
    date : ndarray of datetime64[D], [S]
        The end date of each change.
    tag : ndarray of str, [S]
        `stress` where the date lies in a stress window, else empty.
    no_basis : dict of str to int
        For each root with a basis history, the number of scenarios in which its basis is zero
        because no contract is known on both dates.
    no_sofr : int
        Number of scenarios in which SOFR moves with the Treasury curve because a row is missing.
    no_funds : int
        Number of scenarios in which the funds rate moves by its proxy because fixings are missing.
    look_back_from : datetime64[D], optional
        First day of the look-back. Scenarios before it are there for a stress window alone.
    no_spread : dict of str to int
        For each group of securities with a spread history, the number of scenarios in which its
        spread is zero because a row is missing.
    """

    shock: Float
    factor: tuple[str, ...]
    date: Dates
    tag: npt.NDArray[np.str_]
    no_basis: dict[str, int]
    no_sofr: int = 0
    no_funds: int = 0
    look_back_from: np.datetime64 | None = None
    no_spread: dict[str, int] = field(default_factory=dict)

    @property
    def stressed(self) -> Integer:
        """Indices of the scenarios tagged `stress`."""
        return np.flatnonzero(self.tag == STRESS)

    def still(self, stress: Sequence[StressWindow], root: Text) -> Mask:
        """Return where a root does not move, [I x S].

        That is in a row before the look-back, if no window that holds the row names the root.

        Parameters
        ----------
        stress : sequence of StressWindow
            The windows that the scenarios were chosen by.
        root : ndarray of str, [I]
            The root of each instrument.
        """
        moves = np.ones((root.size, self.date.size), dtype=bool)
        if self.look_back_from is not None:
            moves[:, self.date < self.look_back_from] = False
            for window in stress:
                moves |= window.names(root)[:, None] & window.holds(self.date)
        return ~moves


def build_scenarios(
    date: Dates,
    shock: Float,
    factor: tuple[str, ...],
    known: Mask,
    drawn: Mask | None = None,
    *,
    look_back: int,
    minimum: int,
    stress: Sequence[StressWindow],
    scaling: VolatilityScaling | None,
    correlation: CorrelationScaling | None = None,
) -> Scenarios:
    """Return the scenarios, chosen from all rows that have a shock.

    Parameters
    ----------
    date : ndarray of datetime64[D], [T]
        Ascending; the last one is the as-of row.
    shock : ndarray of float64, [T x K]
        The change that ended on each date.
    factor : tuple of str, [K]
        Names of the factors.
    known : ndarray of bool, [T x K]
        Where a factor's own history gives the shock. Elsewhere a basis and a spread have zero, and
        SOFR and the funds rate have their proxy.
    drawn : ndarray of bool, [K], optional
        Which factors a stationary process gives; these are not scaled. None if not given.
    look_back, minimum : int
        Rows wanted, and the fewest rows that are accepted.
    stress : sequence of StressWindow
        Windows whose rows are added in front, unless the look-back holds them.
    scaling : VolatilityScaling, optional
        Scales the shocks of observed factors; they are not scaled if it is not given.
    correlation : CorrelationScaling, optional
        Replaces the correlation of the look-back, after scaling.

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
        first_row = np.where(_of_curves(factor), 0, known.argmax(axis=0))
        observed = slice(None) if drawn is None else np.flatnonzero(~drawn)
        shock = shock.copy()
        shock[:, observed] = scaling.scale(shock[:, observed], first_row[observed], look_back)
    if correlation is not None and correlation.weight > 0.0:
        shock = _recorrelated(shock, look_back, factor, correlation)
    chosen, in_window = _chosen_rows(date, look_back, stress)
    own = date[chosen], shock[chosen], known[chosen], factor, in_window[chosen]
    return _scenarios(*own, date[-look_back])


def _check_long_enough(date: Dates, minimum: int) -> None:
    if date.size < minimum:
        since = f" from {date[0]}" if date.size else ""
        raise HistoryShortError(
            f"HISTORY_SHORT: {date.size} usable rows{since}, {minimum} needed; give a longer "
            "history of par yields, without a gap, or set a lower minimum in the policy"
        )


def _of_curves(factor: Sequence[str]) -> Mask:
    return np.array([not name.startswith(("spread:", "basis:")) for name in factor])


def _recorrelated(
    shock: Float, look_back: int, factor: Sequence[str], correlation: CorrelationScaling
) -> Float:
    """Replace the correlation of the curves' factors, not of spreads and bases.

    Their histories have gaps; the zeros there would look like a lack of correlation. What is drawn
    has the correlation that its process states.
    """
    curve = np.flatnonzero(_of_curves(factor))
    names = [factor[k] for k in curve.tolist()]
    shock = shock.copy()
    shock[:, curve] = correlation.scale(shock[:, curve], look_back, names)
    return shock


def _chosen_rows(
    date: Dates, look_back: int, stress: Sequence[StressWindow]
) -> tuple[Integer, Mask]:
    """Return the chosen rows, stress rows first, and a mask of all rows in a stress window."""
    in_window = np.zeros(date.size, dtype=bool)
    for window in stress:
        in_window |= window.holds(date)
    recent = np.arange(date.size) >= date.size - look_back
    return np.concatenate([np.flatnonzero(in_window & ~recent), np.flatnonzero(recent)]), in_window


def _scenarios(
    date: Dates,
    shock: Float,
    known: Mask,
    factor: tuple[str, ...],
    in_window: Mask,
    look_back_from: np.datetime64,
) -> Scenarios:
    """Return the chosen rows as scenarios, and count those in which a factor has no change."""
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
        no_funds=lacking.get(FUNDS, 0),
        look_back_from=look_back_from,
        no_spread={
            name.removeprefix("spread:"): count
            for name, count in lacking.items()
            if name.startswith("spread:") and count > 0
        },
    )


class ScenarioStore:
    """A cache of the scenarios chosen from a history.

    The models of a run and what-ifs of market moves need the same scenarios of one history again
    and again. The cache keeps those of the latest history. Several threads may ask.
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
            Its last row is the as-of row. Compared by identity: a copy counts as another history.
        horizon : int
            Rows of the history between the start and the end of a change.
        look_back, minimum, stress, scaling, correlation
            As in `build_scenarios`.

        Returns
        -------
        Scenarios
            The same object as before if the arguments are the same.

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
                history.drawn,
                look_back=look_back,
                minimum=minimum,
                stress=stress,
                scaling=scaling,
                correlation=correlation,
            )
        return chosen[key]
