"""Offset methods by tables of the policy for one account in plain numbers."""

from __future__ import annotations

import numpy as np

from crossmargin.agreement._scalar import share_left
from crossmargin.agreement.offset_methods import NONE, Scheme, as_pairs
from crossmargin.engine.netting import FewPairs
from crossmargin.exact import sum_of
from crossmargin.margin.single import Lines


class SingleScheme:
    """`Scheme.reduction` for one account.

    Parameters
    ----------
    scheme : Scheme

    Attributes
    ----------
    buckets : int
        Number of buckets of cash or of futures, whichever is larger.
    bucket : list of int
        The bucket of each instrument; -1 for none.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.buckets = scheme.buckets
        self.bucket: list[int] = scheme.bucket.tolist()
        self._dv01: list[float] = scheme.dv01.tolist()
        self._pairs = FewPairs(**as_pairs(scheme.offsets, scheme.buckets), tiers=2 * scheme.buckets)

    def cut(self, lines: Lines) -> list[Lines]:
        """Return the positions of a segment, bucket by bucket."""
        parts: list[Lines] = [[] for _ in range(self.buckets)]
        for line in lines:
            number = self.bucket[line[0]]
            if number != NONE:
                parts[number].append(line)
        return parts

    def reduction(
        self,
        cash: list[Lines],
        futures: list[Lines],
        apart_cash: list[float],
        apart_futures: list[float],
        whole_cash: float,
        whole_futures: float,
    ) -> float | None:
        """Return the reduction at each clearing house, USD; None if it overflows.

        Parameters
        ----------
        cash, futures : list of Lines
            The cross-margined positions of each bucket, from `cut`.
        apart_cash, apart_futures : list of float
            V of each bucket by itself: of cash at FICC, of futures at CME.
        whole_cash, whole_futures : float
            V of the whole account's.
        """
        margin = [
            *self._signed(cash, apart_cash, whole_cash),
            *self._signed(futures, apart_futures, whole_futures),
        ]
        long = np.array([[m if m > 0.0 else 0.0 for m in margin]])
        short = np.array([[-m if m < 0.0 else 0.0 for m in margin]])
        credit = self._pairs(long, short)
        return None if credit is None else sum_of(credit[0].tolist())

    def _signed(self, parts: list[Lines], apart: list[float], whole: float) -> list[float]:
        """Return the margin of each bucket, shared out, with the sign of its direction."""
        share = share_left(sum_of(apart), whole)
        signed = []
        for lines, v in zip(parts, apart, strict=True):
            dv01 = sum_of([quantity * self._dv01[i] for i, quantity in lines])
            left = v * share
            signed.append(left if dv01 > 0.0 else -left if dv01 < 0.0 else 0.0)
        return signed
