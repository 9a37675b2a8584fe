"""Cached accounts: their P&L in every scenario is kept in memory to price new lots quickly.

This needs the native kernels and cubes on the grid. There the kept sums are exact, so an answer has
the same bits as `segment_tails` on the book with the new lots added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine.arrays import floats, indices
from crossmargin.engine.backends import kernels, resolve
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Cube, Measure

if TYPE_CHECKING:
    from crossmargin.engine._core import KeptAccount

OVERHEAD = 4096
"""Most bytes that the objects around a cached account take."""

Unions = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class BucketSums:
    """Sums beside the tails: over the buckets, rate * |sum of quantity * value|.

    A sum runs over the lines of a segment in the order of the book, then over the segments.

    Attributes
    ----------
    value : ndarray of float64 [I]
    bucket : ndarray of int32 [I]
        0 to B - 1.
    rate : ndarray of float64 [B]
    unions : sequence of sequence of int
        The segments of each sum, ascending.
    """

    value: Float
    bucket: Int32
    rate: Float
    unions: Unions


def can_be_asked(cubes: Sequence[Cube]) -> bool:
    """Tell whether accounts can be cached for these cubes: on the grid, with native kernels."""
    return resolve("auto") == "native" and all(cube.on_grid for cube in cubes)


class AskedBook:
    """A book whose accounts can be cached and asked.

    Parameters
    ----------
    book : Book
        Row = account * segments + segment.
    segments : int
        Segments G of each account, at most 32.
    tails : sequence of (measure, unions)
        The measures, over contiguous scenarios, and the unions of segments of each.
    sums : BucketSums
        The sums beside the tails.
    mark : ndarray of uint8 [I]
        Bits that classify instruments.

    Attributes
    ----------
    bytes : ndarray of int64 [A]
        Memory that each account takes when it is cached.

    Raises
    ------
    ValueError
        A cube is off the grid or the arrays do not fit each other.
    """

    def __init__(
        self,
        book: Book,
        *,
        segments: int,
        tails: Sequence[tuple[Measure, Unions]],
        sums: BucketSums,
        mark: npt.NDArray[np.uint8],
    ) -> None:
        if book.rows % segments or book.columns > mark.size:
            raise ValueError(
                f"book: {book.rows} rows of {book.columns} instruments do not fit {segments} "
                f"segments and {mark.size} marks"
            )
        core = import_module("crossmargin.engine._core")
        sets = []
        for measure, unions in tails:
            if measure.column is not None or not measure.cube.on_grid:
                raise ValueError("tails: contiguous scenarios of a cube on the grid expected")
            sets.append(
                core.ScenarioSet(
                    pnl=measure.pnl,
                    largest=measure.cube.largest,
                    start=measure.start,
                    count=measure.count,
                    unions=_bits(unions),
                    k=measure.k,
                )
            )
        self._core = core.AskedBook(
            level=kernels("native").level(),
            book=(book.row_ptr, book.column, book.quantity),
            segments=segments,
            # Copies, because the book is read as long as its accounts are cached.
            mark=mark.copy(),
            sets=sets,
            sums=(
                floats("value", sums.value, copy=True),
                indices("bucket", sums.bucket, len(sums.rate), copy=True),
                floats("rate", sums.rate, copy=True),
            ),
            sum_unions=_bits(sums.unions),
        )
        self.bytes: Integer = self._core.bytes() + OVERHEAD

    def keep(self, account: int) -> KeptAccount | None:
        """Return a cached account, or None if a sum of its P&L might be rounded.

        Its `ask(legs)` takes (segment, instrument, lots), ascending. It returns rows with a number
        for each union, VaR by each measure and then the sums; and for each segment the marks of all
        instruments it then holds, combined. It returns None if a sum might be rounded.
        """
        kept: KeptAccount | None = self._core.keep(account)
        return kept


def _bits(unions: Unions) -> list[int]:
    """Return each union as a number with a bit for every segment."""
    return [sum(1 << g for g in set(union)) for union in unions]
