"""How short-rate futures are moved by notes and the funds rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.market.calendars import RATE_CALENDAR
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.short_rates import ShortRateRule
from crossmargin.policies.sections.common import Rules


@dataclass(frozen=True)
class ShortRateTable:
    """Short rates from notes and the funds rate, with smooth forwards."""

    table: ClassVar[str] = "short_rates"
    purpose: ClassVar[str] = (
        "Short-rate futures move with smooth forwards between notes, and with the funds rate, not "
        "with bills."
    )
    nodes: Annotated[tuple[str, ...], "maturities of the notes, from 1/2 of a year on"]
    front_years: Annotated[float, "the forward curve bends easiest in about so many first years"]
    funds_indices: Annotated[
        tuple[str, ...], "overnight rates whose fixings give the funds rate, the preferred first"
    ]
    funds_rows: Annotated[int, "number of fixings whose mean is the funds rate"]
    proxy_share: Annotated[
        float, "share of a zero rate's move by which the funds rate moves where it has no fixings"
    ]
    proxy_node: Annotated[str, "maturity of that zero rate, one of the nodes"]

    @property
    def rule(self) -> ShortRateRule:
        """The rule as the market takes it."""
        return ShortRateRule(
            self.nodes,
            self.front_years,
            self.funds_indices,
            self.funds_rows,
            self.proxy_share,
            self.proxy_node,
        )

    def rules(self) -> Rules:
        """Return the rules for the values."""
        notes = NODE_NAMES[NODE_NAMES.index("1/2") :]
        return {
            f"nodes must be some of {', '.join(notes)}, ascending": (
                len(self.nodes) > 0 and self.nodes == tuple(n for n in notes if n in self.nodes)
            ),
            "front_years must lie between 0.001 and 100": 0.001 <= self.front_years <= 100.0,
            f"funds_indices must be some of {', '.join(RATE_CALENDAR)}, each once": (
                len(self.funds_indices) > 0
                and len(set(self.funds_indices)) == len(self.funds_indices)
                and set(self.funds_indices) <= set(RATE_CALENDAR)
            ),
            "funds_rows must be 1 to 250": 1 <= self.funds_rows <= 250,
            "proxy_share must lie between 0 and 1": 0.0 <= self.proxy_share <= 1.0,
            "proxy_node must be one of the nodes": self.proxy_node in self.nodes,
        }
