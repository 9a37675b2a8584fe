"""The positions of one account in plain numbers, and sums over them.

`portfolios` works on columns, which is slow for columns of length one. The sums here have the same
order of additions, and so the same bits. What adds nothing to a sum is left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

from crossmargin.arrays import Float, Integer
from crossmargin.conventions import OWN_SEGMENTS, UNIONS
from crossmargin.margin.portfolios import Portfolios

T = TypeVar("T")

Lines = list[tuple[int, float]]
"""Instrument and quantity of each position of a segment, ascending by instrument."""
Held = Sequence[Lines]
"""The positions of one account, by segment."""
Buckets = list[tuple[int, float]]
"""Numbers of the buckets that are not empty, ascending, and the sum in each."""


class BucketSums:
    """`portfolio_sums` for one account.

    Parameters
    ----------
    ccp : str
        The clearing house of the portfolios.
    value : ndarray of float64, [I]
        The value of one lot or contract of each instrument.
    bucket : ndarray of int64, [I]
        -1 for an instrument to leave out.
    """

    def __init__(self, ccp: str, value: Float, bucket: Integer) -> None:
        # Plain lists: an element of an array takes many times as long to read.
        self._value: list[float] = value.tolist()
        self._bucket: list[int] = bucket.tolist()
        self._unions = UNIONS[ccp]

    def __call__(self, held: Held) -> list[Buckets]:
        """Return the sums of each portfolio."""
        value, bucket = self._value, self._bucket
        by_segment: list[dict[int, float]] = []
        for lines in held:
            sums: dict[int, float] = {}
            for instrument, quantity in lines:
                number = bucket[instrument]
                if number >= 0:
                    sums[number] = sums.get(number, 0.0) + quantity * value[instrument]
            by_segment.append(sums)
        found = []
        # A portfolio without positions in its other segment is that of the first.
        ascending: dict[int, Buckets] = {}
        totals = []
        for union in self._unions:
            first, *others = union
            total = by_segment[first]
            for segment in others:
                more = by_segment[segment]
                if total and more:
                    total = total.copy()
                    for number, amount in more.items():
                        total[number] = total.get(number, 0.0) + amount
                else:
                    total = total or more
            totals.append(total)  # An object that lives has its number for itself.
            if id(total) not in ascending:
                ascending[id(total)] = sorted(total.items())
            found.append(ascending[id(total)])
        return found


class NetPositions:
    """`net_positions` of one account: what a clearing house clears itself, by portfolio.

    Parameters
    ----------
    ccp : str
        The clearing house of the positions and margin portfolios.
    """

    def __init__(self, ccp: str) -> None:
        self._unions = [
            [segment for segment in union if segment in OWN_SEGMENTS[ccp]] for union in UNIONS[ccp]
        ]

    def __call__(self, held: Held) -> list[Lines]:
        """Return the positions of each portfolio, netted."""
        found = []
        for union in self._unions:
            parts = [held[segment] for segment in union if held[segment]]
            found.append(netted(*parts) if len(parts) > 1 else parts[0] if parts else [])
        return found


def of_each(parts: Sequence[T], amount: Callable[[T], float]) -> Portfolios:
    """Return an amount of each portfolio's part; an object that is there twice is asked once."""
    found: dict[int, float] = {}
    for part in parts:
        if id(part) not in found:
            found[id(part)] = amount(part)
    cash, futures, both, other, whole = [found[id(part)] for part in parts]
    return cash, futures, both, other, whole


def traded(lines: Lines, trades: Lines) -> Lines:
    """Return the positions of a segment after some trades."""
    after = lines.copy()
    for instrument, quantity in trades:
        at = bisect_left(after, (instrument,))
        if at < len(after) and after[at][0] == instrument:
            after[at] = instrument, after[at][1] + quantity
        else:
            after.insert(at, (instrument, quantity))
    return after


def netted(*parts: Lines) -> Lines:
    """Return positions that are in several segments as one list."""
    total: dict[int, float] = {}
    for lines in parts:
        for instrument, quantity in lines:
            total[instrument] = total.get(instrument, 0.0) + quantity
    return sorted(total.items())
