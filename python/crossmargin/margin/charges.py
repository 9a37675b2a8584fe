"""Charges of the policy beside V: rates on the gross market value of a pot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.book.netting import CME_OTHER, CME_XM, SEGMENTS
from crossmargin.engine import Book
from crossmargin.instruments.universe import Universe
from crossmargin.margin.pots import CME, FICC, pot_sums, row_of
from crossmargin.policies import Charge

Float = npt.NDArray[np.float64]


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
    gross = np.abs(book.quantity * universe.market_value[book.column])
    at_cme = np.isin(row_of(book) % len(SEGMENTS), (CME_XM, CME_OTHER))
    one = np.zeros(gross.size, dtype=np.int64)
    of_house = {FICC: np.where(at_cme, 0.0, gross), CME: np.where(at_cme, gross, 0.0)}
    return [
        Charged(c, c.rate * pot_sums(book, c.house, of_house[c.house], one, 1)[:, :, 0])
        for c in charges
    ]
