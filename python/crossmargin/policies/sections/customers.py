"""What a firm collects from its customers beside what the clearing houses require."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.policies.sections.common import HIGHEST_LEVEL, Rules
from crossmargin.policies.sections.scenarios import ScenarioRules

VAR_TAIL, ES_TAIL = "var", "es"
DECIMALS = 6
"""Of a multiplier: with them its products are exact to the cent."""


@dataclass(frozen=True)
class CustomerRules:
    """What a customer's risk profile adds to the requirement."""

    table: ClassVar[str] = "customers"
    purpose: ClassVar[str] = (
        "Calls: what is collected from customers beyond what the clearing houses require."
    )
    heightened_multiplier: Annotated[
        float, "times CME's part of the requirement, where the risk profile is heightened"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            f"heightened_multiplier must be 1 to 10, with at most {DECIMALS} decimals": (
                1.0 <= self.heightened_multiplier <= 10.0
                and round(self.heightened_multiplier, DECIMALS) == self.heightened_multiplier
            ),
        }


@dataclass(frozen=True)
class HouseModelRules:
    """The firm's own margin of an account as one portfolio."""

    table: ClassVar[str] = "house_model"
    purpose: ClassVar[str] = (
        "Calls: the firm's own margin of all positions of an account together, for accounts that "
        "ask for it: the largest of zero and stress_weight * tail of the periods of stress + "
        "(1 - stress_weight) * tail of the look-back, by full revaluation."
    )
    level: Annotated[float, "confidence of both tails"]
    horizon: Annotated[int, "business days of a move"]
    tail: Annotated[str, "`var`, or `es` for the expected shortfall"]
    look_back: Annotated[int, "number of latest rows of the history in the look-back"]
    minimum_rows: Annotated[int, "fewest rows; a shorter history is an error"]
    stress_windows: Annotated[
        tuple[tuple[str, str], ...], "first and last day of each period of stress"
    ]
    stress_weight: Annotated[float, "weight of the tail of the periods of stress"]

    @property
    def scenarios(self) -> ScenarioRules:
        """Which days of the history are scenarios."""
        return ScenarioRules(self.look_back, self.minimum_rows, self.stress_windows)

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            f"level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.level <= HIGHEST_LEVEL
            ),
            "horizon must be 1 to 20": 1 <= self.horizon <= 20,
            f"tail must be {VAR_TAIL} or {ES_TAIL}": self.tail in (VAR_TAIL, ES_TAIL),
            **self.scenarios.rules(),
            "stress_weight must lie between 0 and 1": 0.0 <= self.stress_weight <= 1.0,
            "stress_windows must not be empty where stress_weight is not 0": (
                self.stress_weight == 0.0 or len(self.stress_windows) > 0
            ),
        }
