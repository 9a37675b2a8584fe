"""What stays as it is when the market moves, so that a rerun need not find it again."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossmargin.instruments.deliverables import BasketStore
from crossmargin.market.scenarios import ScenarioStore


@dataclass(frozen=True)
class Kept:
    """Scenarios of the history, and what can be delivered into the futures."""

    scenarios: ScenarioStore = field(default_factory=ScenarioStore)
    baskets: BasketStore = field(default_factory=BasketStore)
