"""What a margin is the sum of, so that it can be shared out over the positions.

V of a margin portfolio is the sum of its parts, each times a weight, and never below zero. The
weight of a part is V's derivative by it: zero where another part decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float
from crossmargin.engine import Measure
from crossmargin.market.scenarios import StressWindow


@dataclass(frozen=True)
class Part:
    """A part of V, for each group and margin portfolio of a book.

    Attributes
    ----------
    component : str
        The component of `CcpMargin` that it stands for.
    weight : ndarray of float64, [R x P]
        Its share in V.
    measure : Measure, optional
        For a part that is a VaR: level, scenarios and P&L of each instrument.
    horizon : int, optional
        The length of the moves behind it, business days; None if there are none, or it is not
        known.
    stress : tuple of StressWindow
        The periods of stress of a VaR's scenarios.
    per_lot : ndarray of float64, [R x P x I], optional
        For any other part: USD that a lot or contract of each instrument adds. Quantities times
        these sum to the part. None, as `measure`, for a part that is not decomposed.
    """

    component: str
    weight: Float
    measure: Measure | None = None
    horizon: int | None = None
    stress: tuple[StressWindow, ...] = ()
    per_lot: Float | None = None


def share_of(amount: Float, total: Float) -> Float:
    """Return amount / total, zero where the total is zero; the arguments broadcast."""
    amount, total = np.broadcast_arrays(amount, total)
    share = np.zeros(amount.shape)
    np.divide(amount, total, out=share, where=total != 0.0)
    return share
