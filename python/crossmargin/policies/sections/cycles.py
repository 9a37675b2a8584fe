"""FICC's rules that look back on earlier days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.policies.sections.common import Rules


@dataclass(frozen=True)
class BacktestingRules:
    """FICC's backtesting charge: when it is due, and which deficiency it is."""

    table: ClassVar[str] = "backtesting"
    purpose: ClassVar[str] = (
        "FICC's charge after backtests that failed; from results of earlier days."
    )
    months: Annotated[int, "months of results looked back on"]
    coverage: Annotated[float, "due where a smaller share of the days had enough margin"]
    rank: Annotated[
        int, "1: the largest deficiency of those months, 2: the second largest, and so on"
    ]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "months must be 1 to 1200": 1 <= self.months <= 1200,
            "coverage must lie between 0 and 1": 0.0 <= self.coverage <= 1.0,
            "rank must be positive": self.rank >= 1,
        }


@dataclass(frozen=True)
class HigherOfRules:
    """FICC's higher-of rule: for how many business days after an excess an account is subject."""

    table: ClassVar[str] = "higher_of"
    purpose: ClassVar[str] = (
        "FICC's higher-of rule for indirect participants; from figures of earlier days."
    )
    business_days: Annotated[int, "for so many days an account is subject after an excess"]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {"business_days must be 1 to 2500": 1 <= self.business_days <= 2500}
