"""The C++ kernels, at this CPU's instruction set or the one that `XM_SIMD` names."""

from __future__ import annotations

import os

from crossmargin.arrays import Float
from crossmargin.engine import _core
from crossmargin.engine.arguments import (
    BoxArrays,
    Boxes,
    Polynomials,
    TailArrays,
    TermArrays,
    Unions,
    Windows,
)
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Measure
from crossmargin.engine.faults import Fault

VARIABLE = "XM_SIMD"
SCREENED_ACCOUNTS = _core.SCREENED_ACCOUNTS
"""Accounts of the smallest block: with fewer, a screen that reads all instruments would not pay."""


def level() -> str:
    """Return the instruction set that a call would use.

    Returns
    -------
    str
        `baseline`, `avx2`, `avx512` or `neon`: the best that this CPU has, or the value of the
        environment variable `XM_SIMD`. All give the same bits.

    Raises
    ------
    ValueError
        `XM_SIMD` names a level that is unknown or that this build or CPU does not support.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return _core.best_level()
    if wanted not in _core.levels():
        raise ValueError(
            f"{VARIABLE}: {wanted!r} is not supported here; set one of "
            f"{', '.join(_core.levels())}, or unset it"
        )
    return wanted


def segment_tails(
    first: int, last: int, book: Book, unions: Unions, measure: Measure, result: TailArrays
) -> Fault:
    """Measure tails; see the reference."""
    arrays = (book.row_ptr, book.column, book.quantity)
    m = measure
    tail = (m.pnl, m.cube.largest, m.start, m.count, m.k, m.w)
    return _core.segment_tails(level(), first, last, arrays, unions, tail, m.screen, result)


def revalue(first: int, last: int, terms: TermArrays, shock: Float, pnl: Float) -> Fault:
    """Revalue instruments; see the reference."""
    return _core.revalue(level(), first, last, terms, shock, pnl)


def taylor(first: int, last: int, polynomials: Polynomials, shock: Float, pnl: Float) -> Fault:
    """Evaluate polynomials; see the reference."""
    return _core.taylor(level(), first, last, polynomials, shock, pnl)


def box_tails(
    first: int,
    last: int,
    pnl: Float,
    base: Float,
    windows: Windows,
    boxes: Boxes,
    result: BoxArrays,
) -> None:
    """Bound VaR over boxes of quantities; see the reference."""
    _core.box_tails(level(), first, last, pnl, base, windows, boxes, result)


# These kernels are the same at every instruction set.
spread_credits = _core.spread_credits
net_pairs = _core.net_pairs
