"""Periods of stress that are for some roots alone (methodology, sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin.arrays import Float, Text, bucket_of
from crossmargin.instruments.universe import FUTURE, Universe
from crossmargin.market.scenarios import Scenarios, StressWindow
from crossmargin.policies import ScenarioRules
from crossmargin.policies.sections.scenarios import HouseScenarios


def counted_roots(universe: Universe, scenarios: ScenarioRules) -> Text:
    """Return the root that each instrument counts as, [I].

    A security counts as the future of its bucket of remaining years, a forward cash leg as that of
    the shortest. Without periods by clearing house no period asks for a root.
    """
    if not isinstance(scenarios, HouseScenarios):
        return universe.root
    limits, names = zip(*scenarios.cash_roots, strict=True)
    of_cash = np.array(names, dtype=object)[bucket_of(universe.years, limits)]
    return np.where(universe.kind == FUTURE, universe.root, of_cash)


def where_it_moves(
    pnl: Float, universe: Universe, chosen: Scenarios, scenarios: ScenarioRules
) -> Float:
    """Return P&L [I x S] with zero where an instrument's root does not move.

    See `Scenarios.still`.
    """
    if not any(window.roots for window in scenarios.stress):
        return pnl
    still = chosen.still(scenarios.stress, counted_roots(universe, scenarios))
    return np.where(still, 0.0, pnl)


def in_period(
    pnl: Float, universe: Universe, windows: Sequence[StressWindow], scenarios: ScenarioRules
) -> Float:
    """Return P&L [I x S] in the rows of a period, zero for roots that it does not name."""
    if not any(window.roots for window in windows):
        return pnl
    root = counted_roots(universe, scenarios)
    moves = np.any([window.names(root) for window in windows], axis=0)
    return np.where(moves[:, None], pnl, 0.0)
