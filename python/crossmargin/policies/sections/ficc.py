"""FICC's model: VaR, and the haircut method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from crossmargin.market.curve import NODE_NAMES
from crossmargin.policies.sections.common import (
    HIGHEST_LEVEL,
    MaturityGroup,
    Rules,
    group_rules,
    shares,
)


@dataclass(frozen=True)
class Ficc:
    """The FICC-like model."""

    table: ClassVar[str] = "ficc"
    purpose: ClassVar[str] = (
        "The FICC-like model: VaR of moves over its horizon, never below a floor and a minimum "
        "margin amount."
    )
    pnl: Annotated[
        str,
        "sensitivity: second order in the yields; full: revaluation; proxy: FICC's margin proxy, "
        "returns of benchmarks by maturity bucket",
    ]
    level: Annotated[float, "confidence of the VaR"]
    horizon: Annotated[int, "business days a move takes"]
    minimum_margin_rows: Annotated[
        int, "number of latest scenarios whose VaR is the minimum margin amount"
    ]
    floor_share: Annotated[
        float, "charge on net market value, as a share of the smallest volatility seen"
    ]
    floor_rows: Annotated[int, "rows over which volatility is measured"]
    floor_bucket_years: Annotated[
        tuple[float, ...], "upper ends of the floor's buckets, remaining years"
    ]
    floor_bucket_nodes: Annotated[tuple[str, ...], "yield whose volatility each bucket uses"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        years = self.floor_bucket_years
        return {
            "pnl must be 'sensitivity', 'full' or 'proxy'": (
                self.pnl in ("sensitivity", "full", "proxy")
            ),
            f"level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.level <= HIGHEST_LEVEL
            ),
            "horizon must be 1 to 60": 1 <= self.horizon <= 60,
            "minimum_margin_rows must be positive, floor_rows at least 2": (
                self.minimum_margin_rows >= 1 and self.floor_rows >= 2
            ),
            "floor_share must not be negative": 0.0 <= self.floor_share < 10.0,
            "floor_bucket_years must ascend": list(years) == sorted(set(years)),
            "floor_bucket_nodes must name a node for each bucket": (
                len(self.floor_bucket_nodes) == len(years) > 0
                and set(self.floor_bucket_nodes) <= set(NODE_NAMES)
            ),
        }


@dataclass(frozen=True)
class HaircutRules:
    """FICC's haircut method by maturity bucket, for securities that are short or have no model.

    A security in no bucket stays unpriced if no model covers it.
    """

    table: ClassVar[str] = "haircuts"
    purpose: ClassVar[str] = (
        "FICC's haircut method: by maturity bucket, for securities that are short or have no model."
    )
    short_months: Annotated[
        int,
        "the method applies to securities that mature within so many months, even with a model",
    ]
    buckets: Annotated[
        tuple[MaturityGroup, ...],
        "name, types of securities, last month of remaining term; the first bucket that fits a "
        "security applies",
    ]
    nodes: Annotated[tuple[str, ...], "yield on which each bucket is calibrated"]
    uncorrelated: Annotated[tuple[str, ...], "buckets without correlation to any other"]
    rates: Annotated[
        tuple[float, ...], "share of net market value of each bucket; empty: calibrated"
    ]
    correlations: Annotated[
        tuple[tuple[float, ...], ...], "correlation matrix of the buckets; empty: calibrated"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        size = len(self.buckets)
        return {
            "short_months must be 0 to 1200": 0 <= self.short_months <= 1200,
            **group_rules("buckets", self.buckets),
            "nodes must name a node for each bucket": (
                len(self.nodes) == size and set(self.nodes) <= set(NODE_NAMES)
            ),
            "uncorrelated must name buckets": (
                set(self.uncorrelated) <= {name for name, _, _ in self.buckets}
            ),
            "rates must be empty, or one for each bucket, 0 to 1": (
                len(self.rates) in (0, size) and shares(self.rates)
            ),
            "correlations must be empty, or a correlation matrix of the buckets": (
                not self.correlations or _is_correlation(self.correlations, size)
            ),
        }


def _is_correlation(rows: tuple[tuple[float, ...], ...], size: int) -> bool:
    """Tell whether rows are a correlation matrix: unit diagonal, symmetric, semi-definite."""
    if len(rows) != size or any(len(row) != size for row in rows):
        return False
    matrix = np.array(rows)
    return bool(
        np.all(np.diag(matrix) == 1.0)
        and np.array_equal(matrix, matrix.T)
        and np.linalg.eigvalsh(matrix)[0] >= -1e-9
    )
