"""What does not change when the market moves, kept for reruns."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossmargin.instruments.deliverables import BasketStore
from crossmargin.market.scenarios import ScenarioStore


@dataclass(frozen=True)
class Kept:
    """The scenarios of the history, and the delivery baskets of the futures."""

    scenarios: ScenarioStore = field(default_factory=ScenarioStore)
    baskets: BasketStore = field(default_factory=BasketStore)
