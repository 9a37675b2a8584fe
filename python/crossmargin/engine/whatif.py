"""Accounts kept in memory as their P&L in every scenario, and asked what new lots would change.

Native only, and only for cubes on the grid: there kept sums are exact, so an answer has the bits of
`segment_tails` on the book with the lots in it.
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
"""Bytes of the objects around a kept account, at most."""

Unions = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class BucketSums:
    """What is summed beside the tails: over the buckets, rate * |sum of quantity * value|.

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
    """Tell whether accounts can be kept for these cubes: on the grid, with the native kernels."""
    return resolve("auto") == "native" and all(cube.on_grid for cube in cubes)


class AskedBook:
    """A book whose accounts can be kept and asked.

    Parameters
    ----------
    book : Book
        Row = account * segments + segment.
    segments : int
        Segments G of each account, at most 32.
    tails : sequence of (measure, unions)
        What is measured, over contiguous scenarios, of which unions of segments.
    sums : BucketSums
        What is summed beside.
    mark : ndarray of uint8 [I]
        Any bits that tell instruments apart.

    Attributes
    ----------
    bytes : ndarray of int64 [A]
        Memory that each account takes when it is kept.

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
            # Copies: the book is read as long as accounts of it are kept.
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
        """Return an account as it is kept, or None where a sum of its P&L might be rounded.

        Its `ask(legs)` takes (segment, instrument, lots), ascending, and returns rows with a number
        for each union: VaR by each measure, then the sums; and the marks of what each segment then
        holds, together. None where a sum might be rounded.
        """
        kept: KeptAccount | None = self._core.keep(account)
        return kept


def _bits(unions: Unions) -> list[int]:
    """Return each union as a number with a bit for every segment."""
    return [sum(1 << g for g in set(union)) for union in unions]
