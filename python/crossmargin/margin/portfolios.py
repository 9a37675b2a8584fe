"""The margin portfolios of each clearing house, and the margin that its model finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import PORTFOLIOS, SEGMENTS, UNIONS
from crossmargin.engine import Book

PortfolioColumns = Float
"""USD for each portfolio of each account."""
FlagColumns = Mask
"""A flag for each portfolio of each account."""
BucketColumns = Float
"""A number for each bucket, the first axis, of each portfolio or account."""
BucketTable = Float
"""A number for each pair of buckets."""
Portfolios = tuple[float, float, float, float, float]
"""USD for each portfolio of one account."""
Flags = tuple[bool, bool, bool, bool, bool]
"""A flag for each portfolio of one account."""
WHOLE = ("all",)
"""The margin portfolio of a clearing house outside the programme."""


@dataclass(frozen=True)
class Items:
    """The nonzero parts of a component, as columns of length N.

    Attributes
    ----------
    component : str
    name : tuple of str
        Names that parts can have.
    group, item : ndarray of int64
        The group of each part, and the number of its name.
    amount : ndarray of float64
        USD; the component is their sum.
    portfolio : ndarray of int64, optional
        The margin portfolio; None if the parts belong to both clearing houses together.
    quantity : ndarray of float64, optional
        How much of the item there is, in its own unit.
    scenario : ndarray of int64, optional
        The deciding scenario, counted from 1.
    """

    component: str
    name: tuple[str, ...]
    group: Integer
    item: Integer
    amount: Float
    portfolio: Integer | None = None
    quantity: Float | None = None
    scenario: Integer | None = None


def joined(parts: Sequence[Items]) -> Items:
    """Return one component's parts as one, from those of each block of groups."""
    first = parts[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("group", "item", "amount", "portfolio", "quantity", "scenario")
        if getattr(first, name) is not None
    }
    return replace(first, **columns)


@dataclass(frozen=True)
class CcpMargin:
    """One model's margin of every portfolio of every group.

    Attributes
    ----------
    ccp : str
        The clearing house.
    v : ndarray of float64, [R x 5]
        USD, zero or more; meaningless where `unknown`.
    unknown : ndarray of bool, [R x 5]
        The portfolio holds an instrument that the model does not cover.
    component : dict of str to ndarray of float64, [R x 5]
        The measures V is made of, as the model gives them; a negative one is a gain.
    items : sequence of Items
        The parts of the components, from a model that has them.
    portfolios : tuple of str
        Names of the margin portfolios, the second axis: five at the clearing houses of the
        programme, one at any other.
    """

    ccp: str
    v: Float
    unknown: Mask
    component: dict[str, Float]
    items: Sequence[Items] = ()
    portfolios: tuple[str, ...] = PORTFOLIOS


def holds(book: Book, ccp: str, mark: Mask | None = None) -> Mask:
    """Return which portfolios hold a marked instrument.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    ccp : str
        The clearing house of the portfolios.
    mark : ndarray of bool, [I], optional
        The instruments to look for; all if not given.

    Returns
    -------
    ndarray of bool, [R x 5]
    """
    if mark is None:
        held = np.diff(book.row_ptr) > 0
    else:
        held = np.zeros(book.rows, dtype=bool)
        held[row_of(book)[mark[book.column]]] = True
    by_segment = held.reshape(-1, len(SEGMENTS))
    return np.column_stack([by_segment[:, union].any(axis=1) for union in UNIONS[ccp]])


def row_of(book: Book) -> Integer:
    """Return the row of each element of a book."""
    return np.repeat(np.arange(book.rows), np.diff(book.row_ptr))


def rows_of(book: Book, row: Integer) -> Book:
    """Return the given rows of a book, [N], in their order; a row may be repeated."""
    count = book.row_ptr[row + 1] - book.row_ptr[row]
    end = np.cumsum(count)
    at = np.repeat(book.row_ptr[row] - end + count, count) + np.arange(count.sum())
    ptr = np.concatenate([np.zeros(1, np.int64), end])
    return Book.from_arrays(ptr, book.column[at], book.quantity[at], book.columns)


def portfolio_sums(book: Book, ccp: str, value: Float, bucket: Integer, buckets: int) -> Float:
    """Return the sum of quantity * value of each portfolio and bucket.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    ccp : str
        The clearing house of the portfolios.
    value : ndarray of float64, [I]
        The value of one lot or contract of each instrument.
    bucket : ndarray of int64, [I]
        0 to `buckets` - 1; -1 for an instrument to leave out.

    Returns
    -------
    ndarray of float64, [R x 5 x buckets]
        Summed in book order within a segment, then over the segments of a portfolio.
    """
    # An instrument that is left out counts as zero in the first bucket.
    each = np.where(bucket >= 0, value, 0.0)
    cell = row_of(book) * buckets + np.maximum(bucket, 0)[book.column]
    by_row = np.bincount(cell, book.quantity * each[book.column], book.rows * buckets)
    by_segment = by_row.reshape(-1, len(SEGMENTS), buckets)
    total = np.zeros((by_segment.shape[0], len(PORTFOLIOS), buckets))
    for portfolio, union in enumerate(UNIONS[ccp]):
        for segment in union:
            total[:, portfolio] += by_segment[:, segment]
    return total
