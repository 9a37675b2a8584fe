"""Bounds on VaR while the quantities of a portfolio range over a box.

They prove that no quantities of the box do better. All sums are exact (methodology, section
1), so a bound is never off by a rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Array, Float, Int32, Integer, Mask
from crossmargin.engine.arguments import BoxArrays, Boxes, Windows
from crossmargin.engine.arrays import indices, integers, pointers, same_length
from crossmargin.engine.backends import kernels
from crossmargin.engine.book import LARGEST_QUANTITY, Book
from crossmargin.engine.cube import GRID_STEPS, Cube, Measure
from crossmargin.engine.executor import run_blocks

EXACT_GROSS = 2.0**53 / GRID_STEPS
"""USD; every sum of P&L on the grid is exact where the gross P&L is less."""
EXACT_GROSS_OF_HALVES = EXACT_GROSS / 2.0
"""The same where the quantities are multiples of a half."""
BLOCK_BOXES = 256
"""Boxes in a block of work."""


@dataclass(frozen=True, eq=False)
class BoxTails:
    """VaR in the middle of each box, and bounds on VaR in all of it, by each measure.

    For every q in a box, with g[i] = -sign * pnl[i, scenario],

        low + g . (q - m) <= VaR(q) <= high + g . (q - m),  m = (lower + upper) / 2.

    Attributes
    ----------
    middle : ndarray of float64 [N x M]
        VaR with the quantities m, USD, loss positive, negative for a gain.
    scenario : ndarray of int32 [N x M]
        The cube's scenario of which `middle` is the loss; of equal losses the lower scenario
        number ranks first.
    low, high : ndarray of float64 [N x M]
        USD. All three are equal if no quantity can vary. `high` is NaN where it is not wanted.
    exact : ndarray of bool [N]
        False where a sum might be rounded: then the numbers are NaN and `scenario` is -1.
    """

    middle: Float
    scenario: Int32
    low: Float
    high: Float
    exact: Mask


def box_tails(
    measures: Sequence[Measure],
    *,
    base: Cube | npt.ArrayLike,
    row: npt.ArrayLike,
    ptr: npt.ArrayLike,
    instrument: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    sign: npt.ArrayLike,
    want_upper: npt.ArrayLike,
    threads: int | None = None,
    backend: str = "auto",
) -> BoxTails:
    """Bound the VaR of portfolios whose quantities range over boxes.

    The portfolio of box n is row[n] of the base plus sign[n] * q[i] of instrument i for each line i
    in ptr[n]:ptr[n+1], with whole lots lower[i] <= q[i] <= upper[i].

    Parameters
    ----------
    measures : sequence of Measure
        The M measures, at least one: contiguous scenarios of one cube on the grid.
    base : Cube or array_like of float [R x S]
        P&L of fixed portfolios in every scenario of the cube, on the grid; see `book_pnl`. An array
        is copied and checked on each call, a `Cube` only once.
    row : array_like of int [N]
        The row of the base for each box.
    ptr : array_like of int [N + 1]
        Where the lines of each box begin.
    instrument : array_like of int [L]
        A line's row in the cube.
    lower, upper : array_like of int [L]
        Lots, below 2^53 in magnitude.
    sign : array_like of int [N]
        +1 or -1.
    want_upper : array_like of bool [N]
        Whether `high` is wanted; one value may stand for all.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    BoxTails

    Raises
    ------
    TypeError
        The values of an argument have the wrong type.
    ValueError
        A measure or the base is off the grid, a measure's scenarios are not contiguous or of
        another cube, or the arrays do not fit each other; the message names the argument.

    Notes
    -----
    Methodology, "Bounds over boxes of quantities". A box is exact if the largest magnitude in its
    row of the base plus the sum of (|m| + upper - lower) * the instrument's largest P&L is below
    2^32 USD, which are 2^53 halves of a grid step.

    Examples
    --------
    >>> cube = Cube([[-3.0, 1.0, -1.0, 4.0]])
    >>> box = {"row": [0], "ptr": [0, 1], "instrument": [0], "lower": [0], "upper": [2]}
    >>> bounds = box_tails(
    ...     [Measure(cube, 0.5)], base=[[0, -2, 0, 0]], **box, sign=[1], want_upper=True
    ... )
    >>> bounds.middle, bounds.scenario, bounds.low, bounds.high
    (array([[1.]]), array([[1]], dtype=int32), array([[-1.]]), array([[3.]]))
    """
    cube, windows = _windows(measures)
    fixed = _base(base, cube)
    boxes, exact = _boxes(cube, fixed, row, ptr, instrument, lower, upper, sign, want_upper)
    shape = (len(boxes.row), len(measures))
    result = BoxArrays(
        np.full(shape, np.nan),
        np.full(shape, -1, np.int32),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
    )
    kernel = kernels(backend).box_tails

    def block(first: int, last: int) -> None:
        kernel(first, last, cube.pnl, fixed.pnl, windows, boxes, result)

    bounds = [*range(0, shape[0], BLOCK_BOXES), shape[0]]
    run_blocks(block, bounds, threads=threads, unit="boxes")
    return BoxTails(*result, exact)


def book_pnl(book: Book, cube: Cube) -> Float:
    """Return the P&L of each row of a small book in every scenario, exact.

    Parameters
    ----------
    book : Book
        Quantities [A x I].
    cube : Cube
        P&L [I x S], USD, on the grid.

    Returns
    -------
    ndarray of float64 [A x S]
        USD, gain positive, on the grid.

    Raises
    ------
    TypeError
        Not a book and a cube.
    ValueError
        The cube is off the grid or lacks instruments, or a row's gross P&L is 2^33 USD or more, so
        that a sum might be rounded; the message names the row.

    Examples
    --------
    >>> book_pnl(Book.from_arrays([0, 2], [0, 1], [2, -1]), Cube([[1.0, 2.0], [0.5, 0.0]]))
    array([[1.5, 4. ]])
    """
    if not isinstance(book, Book):
        raise TypeError(f"book: a crossmargin.Book expected, got {type(book).__name__}")
    if not isinstance(cube, Cube):
        raise TypeError(f"cube: a crossmargin.Cube expected, got {type(cube).__name__}")
    if not cube.on_grid:
        raise ValueError("cube: its P&L is off the grid of 2^-20 USD; round it first")
    if book.columns > cube.instruments:
        raise ValueError(
            f"book: it has {book.columns} instruments, the cube only {cube.instruments}"
        )
    gross = _sums(np.abs(book.quantity) * cube.largest[book.column], book.row_ptr)
    large = np.flatnonzero(~(gross < EXACT_GROSS))
    if large.size:
        raise ValueError(
            f"book: row {large[0]} has a gross P&L of {gross[large[0]]:.3g} USD; sums are exact "
            "only below 2^33"
        )
    total = np.zeros((book.rows, cube.scenarios))
    for own, begin, end in zip(total, book.row_ptr[:-1], book.row_ptr[1:], strict=True):
        # No sum is rounded, so any order of the additions will do. Zeros become +0.0.
        own += book.quantity[begin:end] @ cube.pnl[book.column[begin:end]]
    return total


def _windows(measures: Sequence[Measure]) -> tuple[Cube, Windows]:
    """Return the measures' cube and their scenarios in it, checked."""
    if not measures:
        raise ValueError("measures: at least one is needed")
    for number, measure in enumerate(measures):
        if not isinstance(measure, Measure):
            raise TypeError(f"measures: Measure(cube, level) expected, got {measure!r:.60}")
        if measure.cube is not measures[0].cube:
            raise ValueError(f"measures: measure {number} has another cube than the first")
        if measure.column is not None:
            raise ValueError(f"measures: the scenarios of measure {number} are not contiguous")
    cube = measures[0].cube
    if not cube.on_grid:
        raise ValueError("measures: the cube's P&L is off the grid of 2^-20 USD; round it first")
    sizes = np.array([(m.start, m.count, m.k) for m in measures], dtype=np.int64)
    return cube, Windows(*np.ascontiguousarray(sizes.T))


def _base(base: Cube | npt.ArrayLike, cube: Cube) -> Cube:
    """Return the fixed portfolios' P&L as a cube of as many scenarios, checked."""
    fixed = base if isinstance(base, Cube) else Cube(base)
    if fixed.scenarios != cube.scenarios:
        raise ValueError(
            f"base: it has {fixed.scenarios} scenarios, the measures' cube {cube.scenarios}"
        )
    if not fixed.on_grid:
        raise ValueError("base: its P&L is off the grid of 2^-20 USD; use exact sums of such P&L")
    return fixed


def _boxes(
    cube: Cube,
    base: Cube,
    row: npt.ArrayLike,
    ptr: npt.ArrayLike,
    instrument: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    sign: npt.ArrayLike,
    want_upper: npt.ArrayLike,
) -> tuple[Boxes, Mask]:
    """Return the boxes as the kernels take them, and which of them are exact."""
    rows, signs = indices("row", row, base.instruments), integers("sign", sign, np.int8)
    count = same_length(row=rows, sign=signs)
    _refuse("sign", signs, np.abs(signs) != 1, "+1 or -1 expected")
    instruments = indices("instrument", instrument, cube.instruments)
    low, high = _lots("lower", lower), _lots("upper", upper)
    lines = same_length(instrument=instruments, lower=low, upper=high)
    _refuse("upper", high, high < low, "below its lower bound")
    starts = pointers("ptr", ptr, lines, "instrument")
    if len(starts) != count + 1:
        raise ValueError(
            f"ptr: {count + 1} elements expected, one more than boxes, got {len(starts)}"
        )

    # Exact in whole numbers; below the limit in float64 too.
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    gross = _sums((np.abs(middle) + 2.0 * half) * cube.largest[instruments], starts)
    exact = base.largest[rows] + gross < EXACT_GROSS_OF_HALVES
    bounds = np.where(exact, 1 + _wanted(want_upper, count), 0).astype(np.int8)
    middle *= np.repeat(signs, np.diff(starts))
    return Boxes(rows, starts, instruments, middle, half, bounds), exact


def _lots(name: str, value: npt.ArrayLike) -> Integer:
    """Return whole lots that float64 can hold."""
    lots = integers(name, value, np.int64)
    large = (lots <= -LARGEST_QUANTITY) | (lots >= LARGEST_QUANTITY)
    _refuse(name, lots, large, "lots are below 2^53 in magnitude")
    return lots


def _wanted(want_upper: npt.ArrayLike, count: int) -> Mask:
    """Return for each box whether its upper bound is wanted."""
    wanted = np.asanyarray(want_upper)
    if wanted.dtype != np.bool_:
        raise TypeError(f"want_upper: booleans expected, got dtype {wanted.dtype}")
    if wanted.shape not in ((), (count,)):
        raise ValueError(f"want_upper: one value or {count} expected, got shape {wanted.shape}")
    return np.broadcast_to(np.asarray(wanted), (count,))


def _sums(values: Float, ptr: Integer) -> Float:
    """Return the sum of each row's values; too large a sum is infinite.

    A sum of values that are not below zero is below a power of two only if the exact sum is,
    because rounding never passes a number that float64 holds.
    """
    with np.errstate(over="ignore"):
        total = np.zeros(len(ptr) - 1)
        np.add.at(total, np.repeat(np.arange(len(total)), np.diff(ptr)), values)
        return total


def _refuse(name: str, array: Array, bad: Mask, expected: str) -> None:
    """Raise if an element is bad; the message names the first."""
    if bool(bad.any()):
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{name}: element {i} is {array[i]}; {expected}")
