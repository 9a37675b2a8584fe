"""The amounts of charges, stated once; `tools/scalar.py` writes `_scalar.py` from it."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float
from crossmargin.margin.portfolios import BucketColumns, PortfolioColumns


def net_cost(net: BucketColumns, rate: BucketColumns) -> Float:
    """Return the sum over buckets of |net exposure| times the bucket's rate, USD."""
    total = np.asarray(0.0)
    for exposure, each in zip(net, rate, strict=True):
        total = total + np.abs(exposure) * each
    return total


def beyond_volume(
    contracts: BucketColumns, volume: BucketColumns, rate: BucketColumns, threshold: float
) -> Float:
    """Return the sum of the rate of each contract beyond a share of its volume, USD."""
    total = np.asarray(0.0)
    for held, traded, each in zip(contracts, volume, rate, strict=True):
        beyond = held - threshold * traded
        total = total + each * np.maximum(beyond, 0.0)
    return total


def above_share(cost: PortfolioColumns, v: PortfolioColumns, threshold: float) -> PortfolioColumns:
    """Return a cost where it is more than a share of V, else zero, USD."""
    return np.where(cost > threshold * v, cost, 0.0)


def rate_of(amount: PortfolioColumns, rate: float) -> PortfolioColumns:
    """Return a rate of an amount, USD."""
    return rate * amount
