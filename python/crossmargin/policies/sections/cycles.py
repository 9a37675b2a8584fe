"""FICC's rules that use figures of earlier days."""

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
