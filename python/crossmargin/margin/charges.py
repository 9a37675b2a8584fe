"""Charges of the policy beside V: rates on the gross market value of a pot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.book.netting import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.engine import Book
from crossmargin.instruments.universe import Universe
from crossmargin.margin.pots import CME, FICC, POTS, UNIONS, row_of
from crossmargin.policies import Charge

Float = npt.NDArray[np.float64]

HOUSE_SEGMENTS = {FICC: (FICC_XM, FICC_OTHER), CME: (CME_XM, CME_OTHER)}


@dataclass(frozen=True)
class Charged:
    """A charge and its amount for every pot of its house, [R x 5], USD."""

    charge: Charge
    amount: Float


def charge(book: Book, universe: Universe, charges: tuple[Charge, ...]) -> list[Charged]:
    """Return the amount of each charge.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    universe : Universe
        Market values per lot or contract.
    charges : tuple of Charge
        From the policy.

    Returns
    -------
    list of Charged
        Each house charges its own positions only.
    """
    gross = {house: _gross(book, house, universe) for house in {c.house for c in charges}}
    return [Charged(c, c.rate * gross[c.house]) for c in charges]


def _gross(book: Book, house: str, universe: Universe) -> Float:
    """Return the gross market value of the house's own positions in each pot, netted, [R x 5]."""
    row = row_of(book)
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    groups = book.rows // len(SEGMENTS)
    total = np.zeros((groups, len(POTS)))
    for pot, union in enumerate(UNIONS[house]):
        own = np.flatnonzero(np.isin(segment, [s for s in union if s in HOUSE_SEGMENTS[house]]))
        key = group[own] * universe.name.size + book.column[own]
        line, at = np.unique(key, return_inverse=True)
        net = np.bincount(at, book.quantity[own], line.size)
        value = np.abs(net * universe.market_value[line % universe.name.size])
        total[:, pot] = np.bincount(line // universe.name.size, value, groups)
    return total
