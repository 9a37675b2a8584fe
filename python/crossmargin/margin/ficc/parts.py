"""What V_F is the sum of: VaR or the minimum margin amount or the floor, and haircuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import FICC, FLOOR, HAIRCUT, MMA, VAR
from crossmargin.engine import Book, Measure
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ficc.haircuts import Haircuts
from crossmargin.margin.parts import Part, share_of
from crossmargin.margin.portfolios import CcpMargin, portfolio_sums
from crossmargin.market.scenarios import StressWindow


def ficc_parts(
    book: Book,
    margin: CcpMargin,
    measures: Sequence[Measure],
    universe: Universe,
    bucket: Integer,
    floor_rate: Float,
    haircuts: Haircuts | None,
    *,
    horizon: int | None,
    stress: tuple[StressWindow, ...],
) -> list[Part]:
    """Return the parts of V_F.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment, few groups.
    margin : CcpMargin
        Of that book.
    measures : sequence of Measure
        Those of VaR and of the minimum margin amount.
    universe : Universe
        Market values, [I].
    bucket : ndarray of int64, [I]
        Of the floor.
    floor_rate : ndarray of float64, [B]
    haircuts : Haircuts, optional
    horizon, stress
        As in `Part`.

    Returns
    -------
    list of Part
        On a tie VaR decides, then the minimum margin amount. `MMA` is here without the haircut
        amount, which is a part of its own.
    """
    floor, minimum = margin.component[FLOOR], margin.component[MMA]
    var = margin.component[VAR]
    haircut = margin.component.get(HAIRCUT, np.zeros(var.shape))
    measured = var if haircuts is None else np.maximum(var, 0.0) + haircut
    by_floor = floor > np.maximum(measured, minimum)
    by_minimum = ~by_floor & (minimum > measured)
    by_var = ~by_floor & ~by_minimum & (margin.v > 0.0)
    # A tail that is a gain does not take from a haircut.
    parts = [
        Part(VAR, _flag(by_var & (var > 0.0)), measures[0], horizon, stress),
        Part(MMA, _flag(by_minimum & (minimum > haircut)), measures[1], horizon, stress),
        Part(
            FLOOR,
            _flag(by_floor),
            per_lot=floor_per_lot(book, universe.market_value, bucket, floor_rate),
        ),
    ]
    if haircuts is not None:
        each = haircut_per_lot(book, universe.market_value, haircuts, haircut)
        parts.append(Part(HAIRCUT, _flag(by_var | by_minimum), per_lot=each))
    return parts


def floor_per_lot(book: Book, value: Float, bucket: Integer, rate: Float) -> Float:
    """Return what a lot adds to the floor: value * rate, by the sign of its bucket's net value.

    Parameters
    ----------
    book : Book
    value : ndarray of float64, [I]
    bucket : ndarray of int64, [I]
    rate : ndarray of float64, [B]

    Returns
    -------
    ndarray of float64, [R x 5 x I]
        Zero where the bucket's net value is zero.
    """
    net = portfolio_sums(book, FICC, value, bucket, rate.size)
    return (np.sign(net) * rate)[:, :, bucket] * value


def haircut_per_lot(book: Book, value: Float, haircuts: Haircuts, amount: Float) -> Float:
    """Return what a lot adds to the haircut amount, by the derivative of the root.

    Parameters
    ----------
    book : Book
    value : ndarray of float64, [I]
    haircuts : Haircuts
    amount : ndarray of float64, [R x 5]
        The haircut amount.

    Returns
    -------
    ndarray of float64, [R x 5 x I]
        h_i * value * (sum_j rho_ij h_j m_j) / amount.
    """
    buckets = haircuts.rate.size
    risk = portfolio_sums(book, FICC, value, haircuts.bucket, buckets) * haircuts.rate
    other = exact.ordered_sum(risk[:, :, None, :] * haircuts.correlation)
    each = share_of(other, amount[:, :, None]) * haircuts.rate
    worth = np.where(haircuts.covered, value, 0.0)
    return each[:, :, np.maximum(haircuts.bucket, 0)] * worth


def _flag(decides: Mask) -> Float:
    return decides.astype(np.float64)
