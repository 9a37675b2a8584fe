"""What does not change when the market moves, kept for reruns."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossmargin.instruments.deliverables import BasketStore
from crossmargin.market.scenarios import ScenarioStore

SCENARIOS = ScenarioStore()
"""Those of the latest market of this process: the next run on it does not choose them again."""


@dataclass(frozen=True)
class Kept:
    """The scenarios of the history, and the delivery baskets of the futures."""

    scenarios: ScenarioStore = SCENARIOS
    baskets: BasketStore = field(default_factory=BasketStore)
