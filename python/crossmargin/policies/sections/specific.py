"""What moves securities and futures apart: yield spreads, and bases that are not observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from crossmargin import exact
from crossmargin.instruments.contracts import roots
from crossmargin.market.specific import Process, SpreadGroups, group_names
from crossmargin.policies.sections.common import Rules

MOST_BP = 100.0
"""Largest daily volatility of a spread, basis points."""
MOST_POINTS = 1.0
"""Largest daily volatility of a basis, price points."""
_MEMORY = Annotated[float, "share of a level that is left on the next weekday"]
_STRESS = Annotated[float, "by how much moves that end in a stress period are multiplied"]
_SEED = Annotated[int, "of the draws: another seed gives another history"]


@dataclass(frozen=True)
class SpreadRules:
    """Yield spreads over the curve, by group of securities."""

    table: ClassVar[str] = "spreads"
    purpose: ClassVar[str] = (
        "Yield spreads over the curve that move securities apart, by remaining years, on the run "
        "and off the run."
    )
    buckets: Annotated[
        tuple[tuple[float, str], ...],
        "upper end in remaining years, included, and name; the last one has no end",
    ]
    on_the_run_volatility_bp: Annotated[
        tuple[float, ...],
        "daily volatility of the spread of each bucket's latest issues, basis points",
    ]
    off_the_run_volatility_bp: Annotated[tuple[float, ...], "that of its other securities"]
    memory: _MEMORY
    correlation_scale: Annotated[
        float,
        "correlation of two buckets is exp(-d / scale), d the difference of the logarithms of "
        "their upper ends",
    ]
    run_correlation: Annotated[float, "correlation of on the run and off the run, in one bucket"]
    stress_multiple: _STRESS
    seed: _SEED

    def rules(self) -> Rules:
        """Return the rules for the values."""
        ends = [end for end, _ in self.buckets]
        names = [name for _, name in self.buckets]
        volatilities = (self.on_the_run_volatility_bp, self.off_the_run_volatility_bp)
        return {
            "buckets must ascend and have names without spaces, each once": (
                0 < len(ends) <= 100
                and ends == sorted(set(ends))
                and ends[0] > 0.0
                and ends[-1] <= 1000.0
                and len(set(names)) == len(names)
                and all(name.isascii() and name.isalnum() and len(name) < 20 for name in names)
            ),
            "on_the_run_volatility_bp and off_the_run_volatility_bp must have one volatility for "
            f"each bucket, 0 to {MOST_BP:g}": all(
                len(each) == len(ends) and all(0.0 <= bp <= MOST_BP for bp in each)
                for each in volatilities
            ),
            "correlation_scale must be 0.01 to 100": 0.01 <= self.correlation_scale <= 100.0,
            "run_correlation must lie between 0 and 1": 0.0 <= self.run_correlation <= 1.0,
            **_process_rules(self.memory, self.stress_multiple, self.seed),
        }

    def groups(self, stress_windows: tuple[tuple[str, str], ...]) -> SpreadGroups:
        """Return the groups and their process.

        Parameters
        ----------
        stress_windows : tuple of (str, str)
            First and last day of each window, for `stress_multiple`.
        """
        ends = np.array([end for end, _ in self.buckets])
        distance = np.abs(exact.log(ends)[:, None] - exact.log(ends))
        by_bucket = exact.exp(-distance / self.correlation_scale)
        run = np.array([[1.0, self.run_correlation], [self.run_correlation, 1.0]])
        size = 2 * ends.size
        correlation = (run[:, None, :, None] * by_bucket[None, :, None, :]).reshape(size, size)
        volatility = (*self.on_the_run_volatility_bp, *self.off_the_run_volatility_bp)
        process = Process(
            factor=tuple(f"spread:{name}" for name in group_names(self.buckets)),
            volatility=tuple(bp / 10_000.0 for bp in volatility),
            memory=self.memory,
            correlation=tuple(map(tuple, correlation.tolist())),
            seed=self.seed,
            stress_multiple=self.stress_multiple,
            stress_windows=stress_windows,
        )
        return SpreadGroups(self.buckets, process)


@dataclass(frozen=True)
class BasisProcessRules:
    """The basis of futures whose basis is not observed."""

    table: ClassVar[str] = "basis_process"
    purpose: ClassVar[str] = (
        "An assumed basis for the Treasury futures of which no basis history is given."
    )
    volatility: Annotated[
        tuple[tuple[str, float], ...], "daily volatility of the basis by root, price points"
    ]
    memory: _MEMORY
    stress_multiple: _STRESS
    seed: _SEED

    def rules(self) -> Rules:
        """Return the rules for the values."""
        names = [root for root, _ in self.volatility]
        return {
            f"volatility must name Treasury futures, each once, with 0 to {MOST_POINTS:g} points": (
                len(set(names)) == len(names) > 0
                and set(names) <= set(roots("treasury"))
                and all(0.0 <= points <= MOST_POINTS for _, points in self.volatility)
            ),
            **_process_rules(self.memory, self.stress_multiple, self.seed),
        }

    def process(self, stress_windows: tuple[tuple[str, str], ...]) -> Process:
        """Return the process of all roots, independent of each other.

        Parameters
        ----------
        stress_windows : tuple of (str, str)
            First and last day of each window, for `stress_multiple`.
        """
        return Process(
            factor=tuple(f"basis:{root}" for root, _ in self.volatility),
            volatility=tuple(points for _, points in self.volatility),
            memory=self.memory,
            correlation=tuple(map(tuple, np.eye(len(self.volatility)).tolist())),
            seed=self.seed,
            stress_multiple=self.stress_multiple,
            stress_windows=stress_windows,
        )


def _process_rules(memory: float, stress_multiple: float, seed: int) -> Rules:
    """Return the rules for what both processes have."""
    return {
        "memory must be 0 to 0.999": 0.0 <= memory <= 0.999,
        "stress_multiple must be 1 to 20": 1.0 <= stress_multiple <= 20.0,
        "seed must be 0 to 2^32 - 1": 0 <= seed < 2**32,
    }
