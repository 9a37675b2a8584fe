"""Which rows of the history become scenarios, and the periods of stress by clearing house."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from crossmargin.conventions import CME, FICC
from crossmargin.instruments.contracts import roots
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
        return tuple(_window(a, b) for a, b in self.stress_windows)

    @property
    def named(self) -> str:
        """The parameter that gives the windows."""
        return "scenarios.stress_windows"

    @property
    def apart(self) -> tuple[tuple[StressWindow, ...], ...]:
        """The windows whose rows make up each stressed VaR: here all of them make up one."""
        return (self.stress,)

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "look_back and minimum_rows must be positive, and minimum_rows at most look_back": (
                1 <= self.minimum_rows <= self.look_back
            ),
            "stress_windows must be pairs of dates, the first not after the second": _dates_ok(
                self.stress_windows
            ),
        }


@dataclass(frozen=True)
class HouseScenarios(ScenarioRules):
    """The rules of a clearing house that has periods of stress of its own.

    Attributes
    ----------
    periods : tuple of StressWindow
        They stand in place of `stress_windows`.
    cash_roots : tuple of (float, str)
        Upper end in remaining years, and the root that a security counts as up to it.
    """

    periods: tuple[StressWindow, ...]
    cash_roots: tuple[tuple[float, str], ...]

    @property
    def stress(self) -> tuple[StressWindow, ...]:
        """The periods."""
        return self.periods

    @property
    def named(self) -> str:
        """The parameter that gives the periods."""
        return "stress.periods"

    @property
    def apart(self) -> tuple[tuple[StressWindow, ...], ...]:
        """Each period by itself: the largest stressed VaR counts."""
        return tuple((period,) for period in self.periods)


@dataclass(frozen=True)
class Stress:
    """Periods of stress by clearing house and root."""

    table: ClassVar[str] = "stress"
    purpose: ClassVar[str] = (
        "Periods of stress by clearing house, in place of scenarios.stress_windows: FICC adds "
        "their days to its scenarios, at CME the period that hurts a portfolio most counts."
    )
    periods: Annotated[
        tuple[tuple[str, str, str, str, tuple[str, ...]], ...],
        "clearing house, name, first and last day, and the futures that move in it, with the "
        "securities they stand for; none given means all",
    ]

    def of(self, ccp: str) -> tuple[StressWindow, ...]:
        """Return the periods of a clearing house."""
        return tuple(
            _window(first, last, names)
            for house, _, first, last, names in self.periods
            if house == ccp
        )

    def rules(self) -> Rules:
        """Return the rules for the values."""
        keys = [(ccp, name) for ccp, name, *_ in self.periods]
        windows = tuple((first, last) for _, _, first, last, _ in self.periods)
        return {
            "periods must name FICC or CME": {ccp for ccp, _ in keys} <= {FICC, CME},
            "periods must have names, which differ at a clearing house": (
                len(set(keys)) == len(keys) and all(name.strip() for _, name in keys)
            ),
            "periods must have a first day that is not after the last": _dates_ok(windows),
            "periods must name roots of futures": (
                {root for *_, names in self.periods for root in names} <= set(roots())
            ),
        }


def _window(first: str, last: str, names: tuple[str, ...] = ()) -> StressWindow:
    return StressWindow(np.datetime64(first, "D"), np.datetime64(last, "D"), names)


def _dates_ok(written: tuple[tuple[str, str], ...]) -> bool:
    try:
        windows = [_window(first, last) for first, last in written]
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    same = tuple((str(window.first), str(window.last)) for window in windows) == written
    return same and all(window.first <= window.last for window in windows)
