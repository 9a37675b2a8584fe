"""Accounts kept in memory as their P&L in every scenario, and asked what new lots would change.

Native only, and only for cubes on the grid: there kept sums are exact, so an answer has the bits of
`segment_tails` on the book with the lots in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossmargin.engine.arrays import Float, Float32, Int32, Int64, floats, indices
from crossmargin.engine.backends import kernels, resolve
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Cube, Measure

if TYPE_CHECKING:
    from crossmargin.engine._core import KeptAccount

ZONE = 8
"""Scenarios of a zone; `kZone` of the C++ header."""
OVERHEAD = 4096
"""Bytes of a kept account beside its P&L: its answers, and the objects around it."""

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
    tails : sequence of (measures, unions)
        What is measured: measures of one cube, over contiguous scenarios, and the unions of
        segments they are wanted of.
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
        tails: Sequence[tuple[Sequence[Measure], Unions]],
        sums: BucketSums,
        mark: npt.NDArray[np.uint8],
    ) -> None:
        if book.rows % segments or book.columns > mark.size:
            raise ValueError(
                f"book: {book.rows} rows of {book.columns} instruments do not fit {segments} "
                f"segments and {mark.size} marks"
            )
        held = (np.diff(book.row_ptr) > 0).reshape(-1, segments)
        sets = []
        self.bytes: Int64 = np.full(len(held), OVERHEAD, dtype=np.int64)
        for measures, unions in tails:
            cube = measures[0].cube
            for measure in measures:
                if measure.cube is not cube or measure.column is not None:
                    raise ValueError("tails: contiguous scenarios of one cube expected")
            if not cube.on_grid:
                raise ValueError("tails: a cube is off the grid")
            lowest, highest = _extremes(cube)
            sets.append(
                (
                    cube.pnl,
                    cube.largest,
                    lowest,
                    highest,
                    _bits(unions),
                    [(m.start, m.count, m.k) for m in measures],
                )
            )
            zones = lowest.shape[1]
            measured = sorted({g for union in unions for g in union})
            self.bytes += held[:, measured].sum(axis=1) * (8 * ZONE * zones)
            for union in unions:
                self.bytes += held[:, list(union)].any(axis=1) * (-(-zones // 16) * 64)
        self._core = kernels("native").asked_book(
            book.row_ptr,
            book.column,
            book.quantity,
            segments,
            mark,
            sets,
            floats("value", sums.value),
            indices("bucket", sums.bucket, len(sums.rate)),
            floats("rate", sums.rate),
            _bits(sums.unions),
        )

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


def _extremes(cube: Cube) -> tuple[Float32, Float32]:
    """Return the smallest and the largest P&L of each instrument in each zone, [I x zones]."""
    begin = np.arange(0, cube.scenarios, ZONE)
    lowest = np.minimum.reduceat(cube.pnl, begin, axis=1)
    highest = np.maximum.reduceat(cube.pnl, begin, axis=1)
    return lowest.astype(np.float32), highest.astype(np.float32)
