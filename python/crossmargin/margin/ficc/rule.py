"""V_F from its components, stated once; `tools/scalar.py` writes `_scalar.py` from it."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float
from crossmargin.margin.portfolios import BucketColumns, BucketTable, PortfolioColumns


def v_ficc(
    var: PortfolioColumns, minimum: PortfolioColumns, floor: PortfolioColumns
) -> PortfolioColumns:
    """Return V_F: the largest of VaR, the minimum margin amount and the floor, USD.

    The floor is never negative, and so neither is V.
    """
    measured = np.maximum(var, minimum)
    return np.maximum(measured, floor)


def v_ficc_haircut(
    var: PortfolioColumns,
    minimum: PortfolioColumns,
    floor: PortfolioColumns,
    haircut: PortfolioColumns,
) -> PortfolioColumns:
    """Return V_F with an amount of the haircut method; a gain in the scenarios does not pay it."""
    total = with_haircut(var, haircut)
    least = with_haircut(minimum, haircut)
    measured = np.maximum(total, least)
    return np.maximum(measured, floor)


def with_haircut(measure: PortfolioColumns, haircut: PortfolioColumns) -> PortfolioColumns:
    """Return a measure with the amount of the haircut method, USD."""
    return np.maximum(measure, 0.0) + haircut


def haircut(risk: BucketColumns, correlation: BucketTable) -> Float:
    """Return sqrt(sum_ij rho_ij x_i x_j) of the risks of the buckets, USD."""
    square = np.asarray(0.0)
    for one, row in zip(risk, correlation, strict=True):
        for other, rho in zip(risk, row, strict=True):
            square = square + rho * (one * other)
    # Rounding may take a sum of offsets below zero.
    positive = np.maximum(square, 0.0)
    return np.asarray(np.sqrt(positive))
