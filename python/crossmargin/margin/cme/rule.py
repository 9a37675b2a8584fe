"""V_C from its components, stated once; `tools/scalar.py` writes `_scalar.py` from it."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float
from crossmargin.margin.portfolios import BucketColumns, PortfolioColumns


def v_cme(hvar: PortfolioColumns) -> PortfolioColumns:
    """Return V_C from HVaR alone, USD, never negative."""
    return np.maximum(hvar, 0.0)


def larger(one: PortfolioColumns, other: PortfolioColumns) -> PortfolioColumns:
    """Return the larger of two stressed VaRs, USD."""
    return np.maximum(one, other)


def v_cme_stressed(
    historical_weight: float, hvar: PortfolioColumns, svar: PortfolioColumns
) -> PortfolioColumns:
    """Return V_C from both measures: x HVaR + (1 - x) SVaR, USD, never negative."""
    stressed_weight = 1.0 - historical_weight
    mean = historical_weight * hvar + stressed_weight * svar
    return v_cme(mean)


def v_span(
    scan: PortfolioColumns,
    intra: PortfolioColumns,
    delivery: PortfolioColumns,
    credit: PortfolioColumns,
) -> PortfolioColumns:
    """Return V_C by scan ranges, USD, never negative; the credit is negative."""
    total = scan + intra + delivery + credit
    return np.maximum(total, 0.0)


def scan_loss(gain: Float, largest: float) -> Float:
    """Return the largest loss over moves either way, from the gain over a whole scan range."""
    return np.asarray(np.abs(gain) * largest)


def spread_delta(net: Float, gain: Float) -> Float:
    """Return the net delta that may form spreads: none unless it gains when prices rise."""
    along = net * gain
    return np.where(along > 0.0, net, 0.0)


def held_on_side(deltas: BucketColumns, side: float) -> Float:
    """Return the deltas of a tier on one side, 1 for long and -1 for short, together."""
    total = np.asarray(0.0)
    for delta in deltas:
        held = side * delta
        total = total + np.maximum(held, 0.0)
    return total
