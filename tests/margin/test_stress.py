"""Periods of stress for some roots alone: which instruments move in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crossmargin.margin.ficc.var import ficc_cube
from crossmargin.margin.stress import counted_roots
from crossmargin.market.scenarios import StressWindow
from crossmargin.policies import read_policy
from crossmargin.policies.sections.scenarios import HouseScenarios

ROOTS = ((3.0, "ZT"), (100.0, "ZN"))


def test_a_security_counts_as_its_future(by_hand: Any, scenario_rules: Any) -> None:
    universe = by_hand(
        ("NOTE00000", [(2.0, 100.0)], 1.0),
        ("NOTE00001", [(3.0, 100.0)], 1.0),
        ("NOTE00002", [(200.0, 100.0)], 1.0),
        ("USD 2025-05-01", [(0.5, 100.0)], 1.0),
        ("UBM25", [(2.25, 100.0, 0.25)], 2000.0),
        years=[2.0, 3.0, 200.0, 0.0, 2.25],
    )
    rules = HouseScenarios(100, 100, (), (), ROOTS)
    assert counted_roots(universe, rules).tolist() == ["ZT", "ZT", "ZN", "ZT", "UB"]
    assert counted_roots(universe, scenario_rules).tolist() == ["", "", "", "", "UB"]


def test_ficc_adds_the_rows_of_its_periods_and_moves_their_roots_alone(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    universe, day = build(market), market.history.date
    windows = (StressWindow(day[20], day[29], ("ZN",)), StressWindow(day[28], day[59], ()))
    rules = HouseScenarios(100, 100, (), windows, ROOTS)
    found = ficc_cube(universe, market, read_policy().ficc, rules)
    one = replace(scenario_rules, stress_windows=((str(day[20]), str(day[59])),))
    whole = ficc_cube(universe, market, read_policy().ficc, one)
    assert found.scenario is not None
    assert found.scenario.tolist() == day[20:].astype(str).tolist()
    # Rows 20 to 27 are in the period of ZN alone.
    still = counted_roots(universe, rules) != "ZN"
    assert 0 < still.sum() < still.size
    expected = whole.pnl.copy()
    expected[still, :8] = 0.0
    assert np.array_equal(found.pnl, expected)
