"""Sums over the positions of a book that several charges use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer
from crossmargin.conventions import OWN_SEGMENTS, PORTFOLIOS, SEGMENTS, UNIONS
from crossmargin.engine import Book
from crossmargin.instruments.universe import Universe
from crossmargin.margin.charges import _scalar, rule
from crossmargin.margin.portfolios import Portfolios, portfolio_sums, row_of
from crossmargin.margin.single import Buckets, BucketSums, Held, Lines, NetPositions, of_each


@dataclass(frozen=True)
class Exposures:
    """USD per lot of each instrument, in buckets with a rate each.

    Attributes
    ----------
    bucket : ndarray of int64, [I]
        -1 for an instrument without one.
    value : ndarray of float64, [I]
    rate : ndarray of float64, [B]
    """

    bucket: Integer
    value: Float
    rate: Float


def net_cost(book: Book, ccp: str, exposures: Exposures) -> Float:
    """Return the sum over buckets of |net exposure| times the bucket's rate.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    ccp : str
        The clearing house of the margin portfolios.
    exposures : Exposures

    Returns
    -------
    ndarray of float64, [G x 5]
        USD.
    """
    net = portfolio_sums(book, ccp, exposures.value, exposures.bucket, exposures.rate.size)
    return rule.net_cost(np.moveaxis(net, -1, 0), exposures.rate)


class SingleNetCost:
    """`net_cost` of one account."""

    def __init__(self, ccp: str, exposures: Exposures) -> None:
        self._sums = BucketSums(ccp, exposures.value, exposures.bucket)
        self._rate: list[float] = exposures.rate.tolist()

    def __call__(self, held: Held) -> Portfolios:
        """Return the cost of each margin portfolio, USD."""
        return of_each(self._sums(held), self._cost)

    def _cost(self, sums: Buckets) -> float:
        return _scalar.net_cost([net for _, net in sums], [self._rate[n] for n, _ in sums])


class SingleGrossCost:
    """`gross_cost` of one account."""

    def __init__(self, ccp: str, each: Float) -> None:
        self._net = NetPositions(ccp)
        self._each: list[float] = each.tolist()

    def __call__(self, held: Held) -> Portfolios:
        """Return the cost of each margin portfolio, USD."""
        return of_each(self._net(held), self._cost)

    def _cost(self, lines: Lines) -> float:
        each = self._each
        return exact.sum_of([abs(net * each[i]) for i, net in lines])


def net_cost_per_lot(book: Book, ccp: str, exposures: Exposures) -> Float:
    """Return what a lot adds to `net_cost`, by the sign of its bucket's net exposure.

    Parameters
    ----------
    book, ccp, exposures
        As for `net_cost`.

    Returns
    -------
    ndarray of float64, [G x 5 x I]
        USD.
    """
    net = portfolio_sums(book, ccp, exposures.value, exposures.bucket, exposures.rate.size)
    each = np.where(exposures.bucket >= 0, exposures.value, 0.0)
    return (np.sign(net) * exposures.rate)[:, :, np.maximum(exposures.bucket, 0)] * each


def gross_cost(book: Book, ccp: str, each: Float) -> Float:
    """Return the sum of |net quantity * each| over the positions that a ccp clears itself.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    ccp : str
        The clearing house of the positions and margin portfolios.
    each : ndarray of float64, [I]
        USD of one lot or contract of each instrument.

    Returns
    -------
    ndarray of float64, [G x 5]
        USD.
    """
    total = np.zeros((book.rows // len(SEGMENTS), len(PORTFOLIOS)))
    for portfolio, group, instrument, net in net_positions(book, ccp):
        total[:, portfolio] = np.bincount(group, np.abs(net * each[instrument]), total.shape[0])
    return total


def gross_cost_per_lot(book: Book, ccp: str, each: Float) -> Float:
    """Return what a lot adds to `gross_cost`, by the sign of the position.

    Parameters
    ----------
    book, ccp, each
        As for `gross_cost`.

    Returns
    -------
    ndarray of float64, [G x 5 x I]
        USD.
    """
    return side_of_positions(book, ccp) * np.abs(each)


def side_of_positions(book: Book, ccp: str) -> Float:
    """Return the sign of each position that a ccp clears itself, [G x 5 x I]; zero for none."""
    side = np.zeros((book.rows // len(SEGMENTS), len(PORTFOLIOS), book.columns))
    for portfolio, group, instrument, net in net_positions(book, ccp):
        side[group, portfolio, instrument] = np.sign(net)
    return side


def net_positions(book: Book, ccp: str) -> Iterator[tuple[int, Integer, Integer, Float]]:
    """Yield the positions that a ccp clears itself, netted within each margin portfolio.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    ccp : str
        The clearing house of the positions and margin portfolios.

    Yields
    ------
    tuple of (int, ndarray, ndarray, ndarray)
        Portfolio, then columns of group, instrument and net quantity.
    """
    row = row_of(book)
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    for portfolio, union in enumerate(UNIONS[ccp]):
        own = np.flatnonzero(np.isin(segment, [s for s in union if s in OWN_SEGMENTS[ccp]]))
        line, at = np.unique(group[own] * book.columns + book.column[own], return_inverse=True)
        net = np.asarray(np.bincount(at, book.quantity[own], line.size), np.float64)
        yield portfolio, line // book.columns, line % book.columns, net


def of_root(amounts: tuple[tuple[str, float], ...], universe: Universe) -> Float:
    """Return the amount of each instrument's root; zero where none is given.

    Parameters
    ----------
    amounts : tuple of (str, float)
        Root and USD.
    universe : Universe
        The roots of the contracts.

    Returns
    -------
    ndarray of float64, [I]
    """
    by_root = dict(amounts)
    return np.array([by_root.get(root, 0.0) for root in universe.root.tolist()])
