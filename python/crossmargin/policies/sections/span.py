"""CME's model by scan ranges and spreads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.instruments.contracts import roots
from crossmargin.policies.sections.common import (
    HIGHEST_LEVEL,
    MOST_USD,
    Rules,
    by_root,
    codes_ok,
    shares,
)

SPAN = "span"
"""The value of `cme.model` that needs the table of the same name."""

MOST_RATIO = 1e6
"""Largest delta ratio of a spread."""


@dataclass(frozen=True)
class Span:
    """The CME-like model by scan ranges and spreads; a combined commodity is a root."""

    table: ClassVar[str] = SPAN
    purpose: ClassVar[str] = (
        "The CME-like model by scan ranges and spreads; a combined commodity is a root."
    )
    scan_ranges: Annotated[
        tuple[tuple[str, float], ...],
        "futures and USD a contract; calibrated for futures not named",
    ]
    extreme_multiple: Annotated[float, "extreme move, in scan ranges"]
    extreme_cover: Annotated[float, "share of the loss in the extreme move that counts"]
    tiers: Annotated[
        tuple[tuple[str, int, int], ...],
        "futures, first and last month after the as-of month, both included; a root's tiers are "
        "numbered from 1 as listed",
    ]
    intra_spreads: Annotated[
        tuple[tuple[str, int, int, float], ...],
        "futures, tier, tier, USD a spread; in the order of priority",
    ]
    delivery_charges: Annotated[
        tuple[tuple[str, float], ...],
        "futures and USD a delta, once the delivery month has begun",
    ]
    spreads: Annotated[
        tuple[tuple[tuple[str, float, str], ...], ...],
        "legs of each spread: futures, delta ratio, side A or B; in the order of priority",
    ]
    spread_rates: Annotated[
        tuple[float, ...], "credit of each spread, share of its legs' scan risk; empty: calibrated"
    ]
    calibration_rows: Annotated[int, "number of latest rows of the history for calibration"]
    calibration_level: Annotated[float, "confidence level of the calibration"]
    product_codes: Annotated[
        tuple[tuple[str, str, str], ...],
        "futures, with their exchange and product in a SPAN parameter file",
    ]

    def tiers_of(self, root: str) -> list[tuple[int, int]]:
        """Return the first and last month of each tier of a root."""
        return _of_root(self.tiers, root)

    def spreads_within(self, root: str) -> list[tuple[int, int, float]]:
        """Return the spreads between tiers of a root: two of its tiers, from 0 on, and USD."""
        return [(a - 1, b - 1, usd) for name, a, b, usd in self.intra_spreads if name == root]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        tiers = {root: self.tiers_of(root) for root, _, _ in self.tiers}
        return {
            "scan_ranges must name each root once, above 0 USD": (
                by_root(self.scan_ranges) and all(usd > 0.0 for _, usd in self.scan_ranges)
            ),
            "extreme_multiple must be at least 1": 1.0 <= self.extreme_multiple <= 100.0,
            "extreme_cover must lie between 0 and 1": 0.0 <= self.extreme_cover <= 1.0,
            "tiers must name known roots, and months that ascend without overlap": (
                _tiers_ok(self.tiers)
            ),
            "intra_spreads must name tiers of a root, and charges of 0 or more": all(
                1 <= min(a, b) <= max(a, b) <= len(tiers.get(root, [])) and 0.0 <= usd <= MOST_USD
                for root, a, b, usd in self.intra_spreads
            ),
            "delivery_charges must name each root once, 0 USD or more": by_root(
                self.delivery_charges
            ),
            "spreads need legs on sides A and B, each of a different known root, ratio above 0": (
                all(map(_legs_ok, self.spreads))
            ),
            "spread_rates must be empty, or a rate between 0 and 1 for each spread": (
                len(self.spread_rates) in (0, len(self.spreads)) and shares(self.spread_rates)
            ),
            "calibration_rows must be positive": self.calibration_rows >= 1,
            f"calibration_level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.calibration_level <= HIGHEST_LEVEL
            ),
            "product_codes must name each root and each product once": codes_ok(self.product_codes),
        }


@dataclass(frozen=True)
class SpanTiers:
    """Scan ranges by tier of a root."""

    table: ClassVar[str] = "span_tiers"
    purpose: ClassVar[str] = "Scan ranges by tier of a root, for the model by scan ranges."
    scan_tiers: Annotated[
        tuple[tuple[str, int, int], ...],
        "futures, first and last month after the as-of month, both included; a root's tiers are "
        "numbered from 1 as listed; other months are in the next tier, or in the last one",
    ]
    ranges: Annotated[
        tuple[tuple[str, int, float], ...],
        "futures, tier, USD a contract; calibrated for tiers not named",
    ]

    def tiers_of(self, root: str) -> list[tuple[int, int]]:
        """Return the first and last month of each tier of a root."""
        return _of_root(self.scan_tiers, root)

    def rules(self) -> Rules:
        """Return the rules for the values."""
        named = [(root, tier) for root, tier, _ in self.ranges]
        return {
            "scan_tiers must name known roots, and months that ascend without overlap": (
                _tiers_ok(self.scan_tiers)
            ),
            "ranges must name tiers of a root, once each, above 0 USD": (
                len(set(named)) == len(named)
                and all(1 <= tier <= len(self.tiers_of(root)) for root, tier in named)
                and all(0.0 < usd <= MOST_USD for _, _, usd in self.ranges)
            ),
        }


def _of_root(tiers: tuple[tuple[str, int, int], ...], root: str) -> list[tuple[int, int]]:
    """Return the first and last month of each tier of a root."""
    return [(first, last) for name, first, last in tiers if name == root]


def _tiers_ok(tiers: tuple[tuple[str, int, int], ...]) -> bool:
    """Tell whether tiers are of known roots, and ascend."""
    names = {root for root, _, _ in tiers}
    return names <= set(roots()) and all(_ascend(_of_root(tiers, root)) for root in names)


def _ascend(tiers: list[tuple[int, int]]) -> bool:
    """Tell whether the tiers of one root ascend."""
    months = [month for tier in tiers for month in tier]
    apart = all(after > last for (_, last), (after, _) in itertools.pairwise(tiers))
    return months == sorted(months) and apart


def _legs_ok(legs: tuple[tuple[str, float, str], ...]) -> bool:
    """Tell whether legs make an inter-commodity spread."""
    named = [root for root, _, _ in legs]
    return (
        {side for _, _, side in legs} == {"A", "B"}
        and len(set(named)) == len(named)
        and set(named) <= set(roots())
        and all(0.0 < ratio <= MOST_RATIO for _, ratio, _ in legs)
    )
