"""V_C from its components, stated once; `tools/scalar.py` writes `_scalar.py` from it."""

from __future__ import annotations

import numpy as np

from crossmargin.margin.portfolios import PortfolioColumns


def v_cme(hvar: PortfolioColumns) -> PortfolioColumns:
    """Return V_C from HVaR alone, USD, never negative."""
    return np.maximum(hvar, 0.0)


def v_cme_stressed(
    historical_weight: float, hvar: PortfolioColumns, svar: PortfolioColumns
) -> PortfolioColumns:
    """Return V_C from both measures: x HVaR + (1 - x) SVaR, USD, never negative."""
    stressed_weight = 1.0 - historical_weight
    mean = historical_weight * hvar + stressed_weight * svar
    return v_cme(mean)
