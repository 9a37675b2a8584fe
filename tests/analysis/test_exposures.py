from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.analysis.exposures import (
    FactorExposures,
    exposure_tolerance,
    exposure_var,
    factor_exposures,
)
from crossmargin.conventions import FICC, UNIONS
from crossmargin.engine import Book, Cube, Measure, segment_tails
from crossmargin.margin.ficc.var import ficc_cube, ficc_scenarios
from crossmargin.policies import read_policy

RULES = read_policy().ficc


def test_contraction_by_hand(by_hand: Any, book_of: Any) -> None:
    # 100 paid in two years at a discount factor of 1: gradient -200, Hessian 400, half of it 200.
    universe = by_hand(("NOTE00000", [(2.0, 100.0)], 1.0), *[("NOTE10000", [(7.0, 1.0)], 1.0)] * 9)
    book = book_of([{0: 3}, {1: 10}, {}, {0: -1, 1: 10}])
    found = factor_exposures(book, universe, 11)
    # The factors at 2 and 7 years are 4 and 7; the pairs follow the eleven factors.
    pairs = [11 + 4 * 11 - 6, 11 + 7 * 11 - 21]
    assert found.feature.tolist() == [4, 7, *pairs]
    assert found.amount.tolist() == [
        [-600.0, 0.0, 600.0, 0.0],
        [0.0, -70.0, 0.0, 245.0],
        [0.0] * 4,
        [200.0, -70.0, -200.0, 245.0],
    ]
    shock = np.zeros((4, 11))
    shock[:, 4] = [0.01, -0.02, 0.0, 0.03]
    # -6 + 0.06, 12 + 0.24, 0, -18 + 0.54: the second worst loss is 5.94.
    assert exposure_var(found, shock, 0.5)[0] == pytest.approx(5.94, rel=1e-12)
    linear = factor_exposures(book, universe, 11, second_order=False)
    assert linear.feature.tolist() == [4, 7]
    assert exposure_var(linear, shock, 0.5)[0] == pytest.approx(6.0, rel=1e-12)
    portfolios = found.of_portfolios(FICC)
    assert portfolios.amount.shape == (5, 4)
    # Cash and futures together.
    assert portfolios.amount[2].tolist() == [-600.0, -70.0, 600.0, 245.0]


@pytest.fixture(scope="module")
def model(market: Any, build: Any, scenario_rules: Any) -> tuple[Any, Cube, Any]:
    universe = build(market)
    shock = ficc_scenarios(market, RULES, scenario_rules).shock
    return universe, ficc_cube(universe, market, RULES, scenario_rules), shock


@given(st.lists(st.lists(st.integers(-(10**6), 10**6), min_size=7, max_size=7), max_size=12))
@settings(deadline=None, derandomize=True, database=None, max_examples=50)
def test_challenger_is_within_its_tolerance_of_the_cube(model: Any, lots: list[list[int]]) -> None:
    universe, cube, shock = model
    table = np.array(lots, dtype=np.int64).reshape(-1, 7)
    table = np.concatenate([table, np.zeros((-len(table) % 4, 7), np.int64)])
    row, column = np.nonzero(table)
    ptr = np.concatenate([[0], np.cumsum(np.count_nonzero(table, axis=1))])
    book = Book.from_arrays(ptr, column, table[row, column], columns=7)
    exposures = factor_exposures(book, universe, shock.shape[1]).of_portfolios(FICC)
    assert isinstance(exposures, FactorExposures)
    ours = segment_tails(
        book, [Measure(cube, RULES.level)], segments=4, unions=UNIONS[FICC], es=False
    )
    challenger = exposure_var(exposures, shock, RULES.level).reshape(-1, 5)
    by_segment = exposure_tolerance(book, cube).reshape(-1, 4)
    tolerance = np.column_stack([by_segment[:, union].sum(axis=1) for union in UNIONS[FICC]])
    assert np.all(np.abs(challenger - ours.var[:, :, 0]) <= tolerance)


def test_basis_is_a_factor(model: Any) -> None:
    universe, _, shock = model
    zn = universe.name.tolist().index("ZNM25")
    book = Book.from_arrays(np.array([0, 1]), np.array([zn]), np.array([2]), columns=7)
    found = factor_exposures(book, universe, shock.shape[1])
    assert found.amount[0, found.feature.tolist().index(11)] == 2000.0
