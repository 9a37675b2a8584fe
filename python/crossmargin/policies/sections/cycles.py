"""Rules of the programme's day, and those that use figures of earlier days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.policies.sections.common import Rules


@dataclass(frozen=True)
class BacktestingRules:
    """FICC's backtesting charge: when it is due, and which deficiency it equals."""

    table: ClassVar[str] = "backtesting"
    purpose: ClassVar[str] = "FICC's charge after failed backtests, from results of earlier days."
    months: Annotated[int, "months of results that are used"]
    coverage: Annotated[float, "due if a smaller share of the days had enough margin"]
    rank: Annotated[
        int, "1: the largest deficiency of those months, 2: the second largest, and so on"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "months must be 1 to 1200": 1 <= self.months <= 1200,
            "coverage must lie between 0 and 1": 0.0 <= self.coverage <= 1.0,
            "rank must be positive": self.rank >= 1,
        }


@dataclass(frozen=True)
class HigherOfRules:
    """FICC's higher-of rule: how many business days it applies to an account after an excess."""

    table: ClassVar[str] = "higher_of"
    purpose: ClassVar[str] = (
        "FICC's higher-of rule for indirect participants, from figures of earlier days."
    )
    business_days: Annotated[int, "business days for which it applies after an excess"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {"business_days must be 1 to 2500": 1 <= self.business_days <= 2500}


ZERO_BENEFIT, LAST_GOOD_FACTOR, OTHER_SIDE_FACTOR = (
    "zero_benefit",
    "last_good_factor",
    "other_side_factor",
)
FALLBACKS = (ZERO_BENEFIT, LAST_GOOD_FACTOR, OTHER_SIDE_FACTOR)
"""What the offset rate can be while a clearing house is late."""


@dataclass(frozen=True)
class FallbackRules:
    """The offset rate while a clearing house's calculation is late."""

    table: ClassVar[str] = "fallback"
    purpose: ClassVar[str] = (
        "The offset rate of a cycle in which FICC or CME is late. All rules are computed; this one "
        "is applied."
    )
    rule: Annotated[
        str,
        "zero_benefit: none; last_good_factor: the last one that both gave; other_side_factor: by "
        "the saving of the clearing house that is there",
    ]
    last_good_days: Annotated[
        int, "business days after which a last good offset rate counts as none"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            f"rule must be one of {', '.join(FALLBACKS)}": self.rule in FALLBACKS,
            "last_good_days must be 0 to 2500": 0 <= self.last_good_days <= 2500,
        }


WITHOUT_TABLE = FallbackRules(ZERO_BENEFIT, 5)
"""What holds under a policy without the table."""
