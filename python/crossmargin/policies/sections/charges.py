"""Charges beside the models' margin: one table each, and a list of plain rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.conventions import CME, FICC
from crossmargin.market.curve import NODE_NAMES
from crossmargin.policies.sections.common import (
    MaturityGroup,
    Rules,
    by_root,
    group_rules,
    shares,
)

MOST_COST = 1e4
"""Largest cost of closing a contract, USD."""


@dataclass(frozen=True)
class RepoRateRules:
    """A charge on the repo rate of forward cash legs, by term."""

    table: ClassVar[str] = "repo_rate"
    purpose: ClassVar[str] = "FICC's charge on the repo rate of forward cash legs, by term."
    name: ClassVar[str] = "repo rate"
    ccp: ClassVar[str] = FICC
    term_months: Annotated[
        tuple[int, ...], "last month of each bucket of term; later cash is in the last bucket"
    ]
    nodes: Annotated[tuple[str, ...], "yield on which each bucket is calibrated"]
    rates: Annotated[
        tuple[float, ...], "move of the repo rate of each bucket, decimal; empty: calibrated"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        size = len(self.term_months)
        return {
            "term_months must ascend from above 0 to 1200": (
                size > 0
                and list(self.term_months) == sorted(set(self.term_months))
                and self.term_months[0] > 0
                and self.term_months[-1] <= 1200
            ),
            "nodes must name a node for each bucket": (
                len(self.nodes) == size and set(self.nodes) <= set(NODE_NAMES)
            ),
            "rates must be empty, or one for each bucket, 0 to 1": (
                len(self.rates) in (0, size) and shares(self.rates)
            ),
        }


@dataclass(frozen=True)
class LiquidityRules:
    """FICC's margin liquidity adjustment: the cost of selling by maturity group."""

    table: ClassVar[str] = "liquidity"
    purpose: ClassVar[str] = (
        "FICC's margin liquidity adjustment: the cost of selling, by maturity group."
    )
    name: ClassVar[str] = "liquidity adjustment"
    ccp: ClassVar[str] = FICC
    groups: Annotated[
        tuple[MaturityGroup, ...],
        "name, types of securities, last month of remaining term; the first group that fits a "
        "security applies",
    ]
    rates: Annotated[tuple[float, ...], "market impact of each group, share of net market value"]
    threshold: Annotated[float, "charged if the cost is more than this share of V"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            **group_rules("groups", self.groups),
            "rates must be one for each group, 0 to 1": (
                len(self.rates) == len(self.groups) and shares(self.rates)
            ),
            "threshold must not be negative": 0.0 <= self.threshold <= 1e6,
        }


@dataclass(frozen=True)
class HolidayRules:
    """FICC's holiday charge: a share of V on the last business day before a holiday."""

    table: ClassVar[str] = "holiday"
    purpose: ClassVar[str] = "FICC's charge on the last business day before a holiday."
    name: ClassVar[str] = "holiday"
    ccp: ClassVar[str] = FICC
    rate: Annotated[float, "share of V"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {"rate must lie between 0 and 10": 0.0 <= self.rate <= 10.0}


@dataclass(frozen=True)
class CmeLiquidity:
    """CME's charge for closing out across bid and ask: USD a contract, by root."""

    table: ClassVar[str] = "cme_liquidity"
    purpose: ClassVar[str] = "CME's charge for closing out across bid and ask."
    name: ClassVar[str] = "liquidity"
    ccp: ClassVar[str] = CME
    cost: Annotated[tuple[tuple[str, float], ...], "futures and USD a contract"]
    reducible: Annotated[bool, "whether the offset rate reduces it"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "cost must give known roots, once each, 0 to 10,000 USD": (
                len(self.cost) > 0 and by_root(self.cost, MOST_COST)
            )
        }


@dataclass(frozen=True)
class CmeConcentration:
    """CME's charge on contracts beyond a share of average daily volume: USD each, by root."""

    table: ClassVar[str] = "cme_concentration"
    purpose: ClassVar[str] = "CME's charge on contracts beyond a share of average daily volume."
    name: ClassVar[str] = "concentration"
    ccp: ClassVar[str] = CME
    threshold: Annotated[float, "charged above this share of a day's volume"]
    rate: Annotated[tuple[tuple[str, float], ...], "futures and USD for each contract above it"]
    reducible: Annotated[bool, "whether the offset rate reduces it"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "threshold must lie between 0 and 1000": 0.0 <= self.threshold <= 1000.0,
            "rate must give known roots, once each, 0 to 10,000 USD": (
                len(self.rate) > 0 and by_root(self.rate, MOST_COST)
            ),
        }


SECTIONS = (RepoRateRules, LiquidityRules, HolidayRules, CmeLiquidity, CmeConcentration)
"""Charges that have their own table."""

RESERVED = (RepoRateRules.name, LiquidityRules.name, HolidayRules.name)
"""Names that an entry `[[charge]]` may not use."""


@dataclass(frozen=True)
class GrossValueCharge:
    """An entry `[[charge]]`: a rate on the gross market value of a margin portfolio."""

    table: ClassVar[str] = "charge"
    purpose: ClassVar[str] = (
        "Charges beside the models' margin, as rates on the gross market value."
    )
    name: str
    ccp: str
    rate: float
    reducible: bool
    evidence: str
    source: str

    @property
    def meaning(self) -> str:
        """Return what it does, in words."""
        reduced = "reducible" if self.reducible else "not reducible"
        return f"rate on the gross market value at {self.ccp}; {reduced}"

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "ccp must be FICC or CME": self.ccp in (FICC, CME),
            f"name must not be one of {', '.join(RESERVED)}": self.name not in RESERVED,
            "rate must lie between 0 and 1": 0.0 <= self.rate <= 1.0,
        }
