"""The smoothest forward curve through given zero rates (methodology, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Float
from crossmargin.market.frozen import Frozen


@dataclass(frozen=True, eq=False)
class SmoothForwards(Frozen):
    """Forward curves that bend as little as their nodes allow, linear in the rates at the nodes.

    Between two nodes f(t) = f_a + alpha ln((t + front) / (a + front)) + beta (t - a), with a the
    left node. Beyond the last node the forward is flat.

    Attributes
    ----------
    front_years : float
        The curve bends easiest in about so many first years.
    start : ndarray of float64, [N + 1]
        Zero, then the nodes: where each interval begins, years. The last one has no end.
    integral, forward, alpha, beta : ndarray of float64, [N + 1 x K]
        Of each interval the integral of f up to its beginning, f there, alpha and beta, as weights
        of the rates: f(0) first where it is given, then the zero rates at the nodes.
    """

    front_years: float
    start: Float
    integral: Float
    forward: Float
    alpha: Float
    beta: Float

    def weights(self, time: Float) -> Float:
        """Return the integral of f from 0 to each time, as weights of the rates.

        Parameters
        ----------
        time : ndarray of float64, [M]
            Years, zero or more.

        Returns
        -------
        ndarray of float64, [M x K]
        """
        j = np.searchsorted(self.start, time, side="right") - 1
        past = (time - self.start[j])[:, None]
        shifted = time + self.front_years
        log = exact.log(shifted / (self.start[j] + self.front_years))
        curved = (shifted * log)[:, None] - past
        return np.asarray(
            (self.integral[j] + self.forward[j] * past)
            + (self.alpha[j] * curved + self.beta[j] * (past * past / 2.0))
        )


@cache
def smooth_forwards(
    nodes: tuple[float, ...], front_years: float, *, anchored: bool
) -> SmoothForwards:
    """Return the smoothest forward curves with given zero rates.

    Parameters
    ----------
    nodes : tuple of float
        Years, ascending, above zero, at least one.
    front_years : float
        Above zero.
    anchored : bool
        Whether f(0) is given too, as the first rate. Otherwise the curve is flat there.

    Returns
    -------
    SmoothForwards

    Notes
    -----
    Methodology, section 2: the least integral of (t + front) f'(t)^2. Its solutions have
    g = (t + front) f'(t) continuous and linear between the nodes, and zero at the last one. Unknown
    are f(0) and g at zero and at all nodes but the last; the equations are the integrals up to the
    nodes, and f(0) as given or g(0) = 0.
    """
    count = len(nodes)
    start = [0.0, *nodes]
    unit = [[float(k == n) for k in range(count + 1)] for n in range(count + 1)]
    bend = [*unit[1:], [0.0] * (count + 1)]
    forward, integral = [unit[0]], [[0.0] * (count + 1)]
    alpha, beta = [], []
    for k, (a, b) in enumerate(pairwise(start)):
        width = b - a
        log = float(exact.log((b + front_years) / (a + front_years)))
        slope = _combined((1.0 / width, bend[k + 1]), (-1.0 / width, bend[k]))
        rest = _combined((1.0, bend[k]), (-(a + front_years), slope))
        curved = (b + front_years) * log - width
        integral.append(
            _combined(
                (1.0, integral[k]),
                (width, forward[k]),
                (curved, rest),
                (width * width / 2.0, slope),
            )
        )
        forward.append(_combined((1.0, forward[k]), (log, rest), (width, slope)))
        alpha.append(rest)
        beta.append(slope)
    given = [[t * rate for rate in unit[k]] for k, t in enumerate(start)]
    given[0] = unit[0] if anchored else [0.0] * (count + 1)
    unknown = solve([unit[0] if anchored else unit[1], *integral[1:]], given)

    def of_rates(rows: Sequence[Sequence[float]]) -> Float:
        """Return weights of the rates from weights of the unknowns."""
        weights = [_combined(*zip(row, unknown, strict=True)) for row in rows]
        return np.array(weights)[:, 0 if anchored else 1 :]

    flat = [[0.0] * (count + 1)]
    return SmoothForwards(
        front_years,
        np.array(start),
        # The integral up to a node is known: its time times its zero rate.
        np.array([flat[0], *given[1:]])[:, 0 if anchored else 1 :],
        of_rates(forward),
        of_rates(alpha + flat),
        of_rates(beta + flat),
    )


def _combined(*terms: tuple[float, Sequence[float]]) -> list[float]:
    """Return the sum of factor times vector, added in the order given."""
    return [
        exact.sum_of(factor * vector[k] for factor, vector in terms)
        for k in range(len(terms[0][1]))
    ]


def solve(matrix: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return X with matrix X = right, the same bits on every machine.

    Parameters
    ----------
    matrix : sequence of sequence of float, [K x K]
        Not singular.
    right : sequence of sequence of float, [K x M]

    Notes
    -----
    Elimination with the largest pivot of each column, of equal ones the first.
    """
    size = len(matrix)
    rows = [[*left, *own] for left, own in zip(matrix, right, strict=True)]
    for k in range(size):
        pivot = max(range(k, size), key=lambda row: abs(rows[row][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for row in range(k + 1, size):
            factor = rows[row][k] / rows[k][k]
            rows[row] = [x - factor * y for x, y in zip(rows[row], rows[k], strict=True)]
    solved: list[list[float]] = [[]] * size
    for k in reversed(range(size)):
        known = [(-rows[k][j], solved[j]) for j in range(k + 1, size)]
        rest = _combined((1.0, rows[k][size:]), *known)
        solved[k] = [x / rows[k][k] for x in rest]
    return solved


@dataclass(frozen=True, eq=False)
class SmoothCurve(Frozen):
    """A discount curve with smooth forwards.

    Attributes
    ----------
    forwards : SmoothForwards
    rate : ndarray of float64, [K]
        Continuous, decimal: f(0) where it is given, then the zero rates at the nodes.
    """

    forwards: SmoothForwards
    rate: Float

    def discount_factor(self, time: npt.ArrayLike) -> Float:
        """Return DF at times in years, any shape; beyond the last node the forward is flat.

        Raises
        ------
        ValueError
            A time is negative.
        """
        t = np.asarray(time, dtype=np.float64)
        if not bool(np.all(t >= 0.0)):
            raise ValueError("discount factors exist for dates on or after the as-of date only")
        weights = self.forwards.weights(t.reshape(-1))
        return exact.exp(-exact.ordered_sum(weights * self.rate)).reshape(t.shape)
