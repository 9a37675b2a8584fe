"""VaR from a book's factor exposures: a challenger of the cube of instruments.

A book is first reduced to its exposures: its gradient [N x K], and its Hessian as coefficients of
products of two factors. Sums over instruments become sums over factors, so another line in the book
costs nothing per scenario. The numbers equal those of the sensitivity model up to the rounding of
its cube. A run does not publish them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.conventions import SEGMENTS, UNIONS
from crossmargin.engine import Book, Cube, Measure, feature_index, segment_tails
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ficc.var import polynomials
from crossmargin.margin.portfolios import row_of

STEP = 2.0**-8
"""USD per unit of a feature: exposures are rounded to multiples of it, an error below a cent."""
ROWS = 1024
"""Rows worked on at once, so that a dense block of the book stays in cache."""


@dataclass(frozen=True)
class FactorExposures:
    """The factor exposures of a book.

    Attributes
    ----------
    amount : ndarray of float64, [N x F]
        USD per unit of each feature.
    feature : ndarray of int64, [F]
        Factors, then their products, by `engine.feature_index`; only those that occur.
    factors : int
        Number of factors K.
    """

    amount: Float
    feature: Integer
    factors: int

    def of_portfolios(self, ccp: str) -> FactorExposures:
        """Return the exposures of a ccp's margin portfolios, [R * 5 x F]."""
        by_segment = self.amount.reshape(-1, len(SEGMENTS), self.feature.size)
        portfolios = [by_segment[:, union].sum(axis=1) for union in UNIONS[ccp]]
        amount = np.stack(portfolios, axis=1).reshape(-1, self.feature.size)
        return FactorExposures(amount, self.feature, self.factors)


def factor_exposures(
    book: Book, universe: Universe, factors: int, *, second_order: bool = True
) -> FactorExposures:
    """Return the exposures of a book, from the derivatives of its instruments.

    Parameters
    ----------
    book : Book
        Any rows, columns the universe's instruments.
    universe : Universe
        Exact gradients and Hessians.
    factors : int
        Nodes of the curve and bases, as the scenarios have them.
    second_order : bool
        Whether to use Hessians too. Gradients alone, the delta-normal view, take far less time.

    Returns
    -------
    FactorExposures
        A row for each row of the book.
    """
    ptr, feature, coefficient = polynomials(universe, factors)
    instrument = np.repeat(np.arange(ptr.size - 1), np.diff(ptr))
    used = second_order | (feature < factors)
    kept, at = np.unique(feature[used], return_inverse=True)
    derivative = np.zeros((ptr.size - 1, kept.size))
    derivative[instrument[used], at] = coefficient[used]
    amount = np.empty((book.rows, kept.size))
    row = row_of(book)
    for first in range(0, book.rows, ROWS):
        last = min(first + ROWS, book.rows)
        mine = slice(book.row_ptr[first], book.row_ptr[last])
        lots = np.zeros((last - first, derivative.shape[0]))
        lots[row[mine] - first, book.column[mine]] = book.quantity[mine]
        amount[first:last] = lots @ derivative
    return FactorExposures(amount, kept.astype(np.int64), factors)


def exposure_var(
    exposures: FactorExposures, shock: Float, level: float, *, threads: int | None = None
) -> Float:
    """Return the VaR of every row, [N], USD.

    Parameters
    ----------
    exposures : FactorExposures
        [N x F].
    shock : ndarray of float64, [S x K]
        The scenarios of the model.
    level : float
        As everywhere: the k-th largest loss, no interpolation.
    threads : int, optional
        As in `engine.segment_tails`.

    Returns
    -------
    ndarray of float64, [N]
        Within `exposure_tolerance` of that of the model's cube.
    """
    first, second = np.triu_indices(exposures.factors)
    pair = np.full((exposures.factors + first.size, 2), -1)
    pair[: exposures.factors, 0] = np.arange(exposures.factors)
    pair[feature_index(first, second, exposures.factors)] = np.column_stack([first, second])
    left, right = pair[exposures.feature].T
    move = np.where(right < 0, shock[:, left], shock[:, left] * shock[:, right]).T
    rows, features = exposures.amount.shape
    # To the engine features are instruments, of which an account holds whole steps.
    book = Book.from_arrays(
        np.arange(rows + 1) * features,
        np.tile(np.arange(features), rows),
        np.rint(exposures.amount / STEP).ravel(),
        columns=features,
    )
    measure = Measure(Cube(STEP * move), level)
    tail = segment_tails(book, [measure], segments=1, unions=[[0]], threads=threads, es=False)
    return tail.var[:, 0, 0]


def exposure_tolerance(book: Book, cube: Cube) -> Float:
    """Return how far the two methods may differ, for each row of a book, [N], USD.

    The cube rounds each P&L to the grid, half a step of 2^-20 a lot; exposures are rounded by less
    than a cent; sums of float64 add at most 1e-12 of the gross P&L. The error of a tail is at most
    that of the worst scenario.
    """
    lots = np.abs(book.quantity)
    each = lots * (2.0**-21 + 1e-12 * cube.largest[book.column])
    return np.asarray(np.bincount(row_of(book), each, book.rows) + 0.01, dtype=np.float64)
