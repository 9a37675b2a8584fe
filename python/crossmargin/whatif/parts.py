"""The cross-margined positions of cached accounts, bucket by bucket, for an offset method.

Each bucket of an account is cached as an account of its own. A trade changes the margin of the
buckets that it falls into; the others keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from crossmargin.agreement.offset_methods import NONE, Scheme
from crossmargin.agreement.offset_single import SingleScheme
from crossmargin.arrays import Integer
from crossmargin.conventions import (
    CASH,
    CME,
    CME_XM,
    FICC,
    FICC_XM,
    FUTURES,
    PORTFOLIOS,
    SEGMENTS,
    UNIONS,
)
from crossmargin.engine import Book
from crossmargin.engine.whatif import AskedBook
from crossmargin.margin.model import LARGEST_MARGIN
from crossmargin.margin.portfolios import Portfolios
from crossmargin.margin.single import Held, Lines

if TYPE_CHECKING:
    from crossmargin.engine._core import Answer, KeptAccount

Leg = tuple[int, int, int]
"""Segment, number of the instrument, and lots."""
OF_BUCKET = {FICC: [UNIONS[FICC][CASH]], CME: [UNIONS[CME][FUTURES]]}
"""The only portfolio of a bucket that each clearing house is asked about, as segments."""
Margins = Callable[["Answer", Held], tuple[Portfolios, Portfolios]]
"""Returns V at FICC and at CME from an answer and the positions it is of."""


class Parts(NamedTuple):
    """The buckets of one account: cached, and V of the cash and of the futures in each."""

    kept: list[KeptAccount]
    cash: list[float]
    futures: list[float]


class CachedParts:
    """The buckets of a book's accounts.

    Parameters
    ----------
    scheme : Scheme
        The offset method.
    book : Book
        Rows are group * 4 + segment; the first groups are the accounts.
    accounts : int
        A.
    asked : callable
        Returns a book that can be asked, with everything that both models measure on the
        portfolios of some segments.
    margins : callable
        Returns V in both models.

    Attributes
    ----------
    bytes : ndarray of int64, [A]
        Memory that the buckets of each account take.
    """

    def __init__(
        self,
        scheme: Scheme,
        book: Book,
        accounts: int,
        asked: Callable[[Book, Mapping[str, list[list[int]]]], AskedBook],
        margins: Margins,
    ) -> None:
        self._single = SingleScheme(scheme)
        self._asked = asked(scheme.cut(book, accounts), OF_BUCKET)
        self._margins = margins
        self.bytes: Integer = self._asked.bytes.reshape(accounts, scheme.buckets).sum(axis=1)

    def keep(self, account: int, held: Held) -> Parts | None:
        """Return the buckets of an account, or None if a sum of P&L might be rounded."""
        parts = Parts([], [], [])
        cash, futures = self._cut(held)
        for number in range(self._single.buckets):
            kept = self._asked.keep(account * self._single.buckets + number)
            v = None if kept is None else self._of_bucket(kept, [], cash[number], futures[number])
            if kept is None or v is None:
                return None
            parts.kept.append(kept)
            parts.cash.append(v[0])
            parts.futures.append(v[1])
        return parts

    def reduction(
        self,
        parts: Parts,
        held: Held,
        legs: Sequence[Leg],
        ficc: Portfolios,
        cme: Portfolios,
    ) -> float | None:
        """Return the reduction at each clearing house after some legs, or None if it is not sure.

        Parameters
        ----------
        parts : Parts
            Of the account.
        held : Held
            What it holds after the legs.
        legs : sequence of Leg
            Ascending.
        ficc, cme : Portfolios
            V of the whole account.
        """
        cash, futures = self._cut(held)
        v_cash, v_futures = parts.cash, parts.futures
        changed: dict[int, list[Leg]] = {}
        for leg in legs:
            number = self._single.bucket[leg[1]]
            if leg[0] in (FICC_XM, CME_XM) and number != NONE:
                changed.setdefault(number, []).append(leg)
        if changed:
            v_cash, v_futures = v_cash.copy(), v_futures.copy()
        for number, own in changed.items():
            v = self._of_bucket(parts.kept[number], own, cash[number], futures[number])
            if v is None:
                return None
            v_cash[number], v_futures[number] = v
        return self._single.reduction(cash, futures, v_cash, v_futures, ficc[CASH], cme[FUTURES])

    def _cut(self, held: Held) -> tuple[list[Lines], list[Lines]]:
        return self._single.cut(held[FICC_XM]), self._single.cut(held[CME_XM])

    def _of_bucket(
        self, kept: KeptAccount, legs: list[Leg], cash: Lines, futures: Lines
    ) -> tuple[float, float] | None:
        """Return V of a bucket's cash at FICC and of its futures at CME."""
        answer = kept.ask(legs)
        if answer is None:
            return None
        held: list[Lines] = [[] for _ in SEGMENTS]
        held[FICC_XM], held[CME_XM] = cash, futures
        # V of a portfolio depends on its own numbers alone: those of the others do not matter.
        measured, mark = answer
        ficc, cme = self._margins((tuple(row * len(PORTFOLIOS) for row in measured), mark), held)
        if not (max(ficc) <= LARGEST_MARGIN and max(cme) <= LARGEST_MARGIN):
            return None
        return ficc[CASH], cme[FUTURES]
