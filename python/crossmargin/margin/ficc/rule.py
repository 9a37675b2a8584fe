"""V_F from its components, stated once; `tools/scalar.py` writes `_scalar.py` from it."""

from __future__ import annotations

import numpy as np

from crossmargin.margin.portfolios import PortfolioColumns


def v_ficc(
    var: PortfolioColumns, minimum: PortfolioColumns, floor: PortfolioColumns
) -> PortfolioColumns:
    """Return V_F: the largest of VaR, the minimum margin amount and the floor, USD.

    The floor is never negative, and so neither is V.
    """
    measured = np.maximum(var, minimum)
    return np.maximum(measured, floor)
