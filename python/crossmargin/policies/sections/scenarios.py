"""Which days of the history are scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from crossmargin.market.scenarios import StressWindow
from crossmargin.policies.sections.common import Rules


@dataclass(frozen=True)
class ScenarioRules:
    """Which rows of the history are scenarios."""

    table: ClassVar[str] = "scenarios"
    purpose: ClassVar[str] = "Which days of the history make up the scenarios of both models."
    look_back: Annotated[int, "so many latest rows of the history are scenarios"]
    minimum_rows: Annotated[int, "a shorter history is an error"]
    stress_windows: Annotated[
        tuple[tuple[str, str], ...],
        "first and last day of each period of stress; its rows are scenarios too, and stressed "
        "ones",
    ]

    @property
    def stress(self) -> tuple[StressWindow, ...]:
        """The windows as dates."""
        return tuple(
            StressWindow(np.datetime64(a, "D"), np.datetime64(b, "D"))
            for a, b in self.stress_windows
        )

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "look_back and minimum_rows must be positive, the minimum not the larger": (
                1 <= self.minimum_rows <= self.look_back
            ),
            "stress_windows must be pairs of dates, the first not later": _windows_ok(self),
        }


def _windows_ok(rules: ScenarioRules) -> bool:
    try:
        windows = rules.stress
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    written = tuple((str(window.first), str(window.last)) for window in windows)
    return written == rules.stress_windows and all(w.first <= w.last for w in windows)
