"""Which rows of the history become scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from crossmargin.market.scenarios import StressWindow
from crossmargin.policies.sections.common import Rules


@dataclass(frozen=True)
class ScenarioRules:
    """Which rows of the history become scenarios."""

    table: ClassVar[str] = "scenarios"
    purpose: ClassVar[str] = "Which days of the history give the scenarios of both models."
    look_back: Annotated[int, "number of latest rows of the history that are scenarios"]
    minimum_rows: Annotated[int, "fewest rows; a shorter history is an error"]
    stress_windows: Annotated[
        tuple[tuple[str, str], ...],
        "first and last day of each stress period; its rows are scenarios too, marked as stressed",
    ]

    @property
    def stress(self) -> tuple[StressWindow, ...]:
        """The windows as dates."""
        return tuple(
            StressWindow(np.datetime64(a, "D"), np.datetime64(b, "D"))
            for a, b in self.stress_windows
        )

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "look_back and minimum_rows must be positive, and minimum_rows at most look_back": (
                1 <= self.minimum_rows <= self.look_back
            ),
            "stress_windows must be pairs of dates, the first not after the second": _windows_ok(
                self
            ),
        }


def _windows_ok(rules: ScenarioRules) -> bool:
    try:
        windows = rules.stress
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    written = tuple((str(window.first), str(window.last)) for window in windows)
    return written == rules.stress_windows and all(w.first <= w.last for w in windows)
