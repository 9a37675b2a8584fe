"""Principal components of historical moves, and how unusual a move is.

Sums, products, quotients and square roots in a fixed order, so the bits are equal everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float
from crossmargin.market.frozen import Frozen
from crossmargin.market.scenarios import NEARLY_DEPENDENT

SWEEPS = 16
"""Of Jacobi's rotations. They converge quadratically: six suffice for thirty factors."""
NEGLIGIBLE = 2.0**-100
"""An element smaller than this share of the largest one counts as zero."""


@dataclass(frozen=True)
class Components(Frozen):
    """Principal components of moves, the largest first.

    Attributes
    ----------
    move : ndarray of float64, [C x K]
        One standard deviation of each component. The largest entry of each is positive.
    share : ndarray of float64, [C]
        Of the factors' summed mean squares.
    """

    move: Float
    share: Float


def principal_components(shock: Float, count: int) -> Components:
    """Return the first principal components of moves about zero.

    Parameters
    ----------
    shock : ndarray of float64, [S x K]
    count : int
        At most K. Components that have no variance are left out.

    Returns
    -------
    Components

    Notes
    -----
    Eigenvectors of the mean of x x', by cyclic Jacobi rotations in a fixed number of sweeps.
    """
    variance, vector = jacobi(mean_products(shock))
    order = np.argsort(-variance, kind="stable")[:count]
    order = order[variance[order] > 0.0]
    chosen = vector[:, order].T
    largest = np.abs(chosen).argmax(axis=1)
    sign = np.where(np.take_along_axis(chosen, largest[:, None], axis=1) < 0.0, -1.0, 1.0)
    total = exact.ordered_sum(variance)
    return Components(
        move=chosen * sign * np.sqrt(variance[order])[:, None], share=variance[order] / total
    )


def mean_products(shock: Float) -> Float:
    """Return the mean of x x' over moves x, [K x K]."""
    column = np.ascontiguousarray(shock.T)
    sums = np.array([exact.ordered_sum(one * column) for one in column], np.float64)
    return np.asarray(sums / shock.shape[0])


def jacobi(matrix: Float) -> tuple[Float, Float]:
    """Return eigenvalues [K] and eigenvectors [K x K], in columns, of a symmetric matrix.

    In no particular order. Each sweep rotates every pair of rows and columns once, so that their
    common element becomes zero.
    """
    a = matrix.copy()
    size = a.shape[0]
    vector = np.eye(size)
    negligible = NEGLIGIBLE * np.abs(a).max(initial=0.0)
    for _ in range(SWEEPS):
        for p in range(size - 1):
            for q in range(p + 1, size):
                if abs(a[p, q]) <= negligible:
                    continue
                tau = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                root = np.sqrt(1.0 + tau * tau)
                t = 1.0 / (tau + root) if tau >= 0.0 else -1.0 / (root - tau)
                c = 1.0 / np.sqrt(1.0 + t * t)
                s = t * c
                _rotate(a, p, q, c, s)
                _rotate(a.T, p, q, c, s)
                a[p, q] = a[q, p] = 0.0
                _rotate(vector.T, p, q, c, s)
    return np.diag(a).copy(), vector


def _rotate(rows: Float, p: int, q: int, c: float, s: float) -> None:
    """Rotate two rows in place."""
    first, second = rows[p].copy(), rows[q].copy()
    rows[p] = c * first - s * second
    rows[q] = s * first + c * second


def whitened(shock: Float) -> Float:
    """Return moves in coordinates in which the moves given have no correlation, [K' x S].

    The length of a column is the Mahalanobis length of the move, about zero. A factor that never
    moves, or is a combination of those before it, adds nothing.

    Parameters
    ----------
    shock : ndarray of float64, [S x K]
    """
    products = mean_products(shock)
    moving = np.flatnonzero(np.diag(products) > 0.0)
    z = np.ascontiguousarray((shock[:, moving] / np.sqrt(np.diag(products)[moving])).T)
    lower = exact.cholesky(mean_products(z.T))
    free: list[Float] = []
    kept: list[int] = []
    for k in range(moving.size):
        rest = z[k]
        if kept:
            rest = rest - exact.ordered_sum(lower[k, kept, None] * np.array(free), axis=0)
        if lower[k, k] >= NEARLY_DEPENDENT:
            free.append(rest / lower[k, k])
            kept.append(k)
    return np.array(free).reshape(len(free), shock.shape[0])
