"""From when on the delivery basket of a future is worth a note."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.policies.sections.common import Rules, shares


@dataclass(frozen=True)
class BasketRules:
    """Thresholds of the notes on delivery baskets. They change no amount."""

    table: ClassVar[str] = "baskets"
    purpose: ClassVar[str] = "Which delivery baskets of Treasury futures get a note."
    missing_share: Annotated[
        float, "noted if a larger share of the expected issues is not in the securities table"
    ]
    spread_bp: Annotated[
        float, "noted if a z-spread is further from its basket's median than this, basis points"
    ]
    gap_points: Annotated[
        float, "noted if the cheapest and the next are not further apart than this, price points"
    ]
    later_share: Annotated[
        float, "noted if a larger share of the issues that will be deliverable is to come"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "missing_share and later_share must lie between 0 and 1": shares(
                (self.missing_share, self.later_share)
            ),
            "spread_bp must be positive, at most 10000": 0.0 < self.spread_bp <= 10_000.0,
            "gap_points must lie between 0 and 100": 0.0 <= self.gap_points <= 100.0,
        }
