"""VaR of accounts by the cube of instruments and by factor exposures, by lines an account.

The first sums a line at a time over all scenarios, the second a feature at a time. With 600
instruments, 2,750 scenarios and two cores the second order (71 features) overtakes the cube between
160 and 480 lines an account. At 480 it takes about half the time; for smaller books the cube wins.
"""

from __future__ import annotations

import numpy as np
import pytest
from universe import Desk

from crossmargin import engine
from crossmargin.analysis.exposures import exposure_tolerance, exposure_var, factor_exposures
from crossmargin.conventions import FICC
from crossmargin.margin.ficc.var import ficc_cube, ficc_scenarios

ACCOUNTS = 1000
LINES = (10, 40, 160, 480)


@pytest.fixture(scope="module")
def model():
    desk = Desk()
    universe = desk.move(0).universe
    rules, scenarios = desk.policy.ficc, desk.policy.scenarios_of(FICC)
    shock = ficc_scenarios(desk.market, rules, scenarios).shock
    return universe, ficc_cube(universe, desk.market, rules, scenarios), shock, rules.level


def make_book(instruments, lines):
    rng = np.random.default_rng(lines)
    column = [np.sort(rng.choice(instruments, lines, replace=False)) for _ in range(ACCOUNTS)]
    quantity = rng.integers(1, 10_000, ACCOUNTS * lines)
    ptr = np.arange(ACCOUNTS + 1) * lines
    return engine.Book.from_arrays(ptr, np.concatenate(column), quantity, instruments)


@pytest.mark.parametrize("way", ["cube", "linear", "second order"])
@pytest.mark.parametrize("lines", LINES)
def test_var(benchmark, model, lines, way):
    universe, cube, shock, level = model
    book = make_book(cube.instruments, lines)

    def by_cube():
        return engine.segment_tails(
            book, [engine.Measure(cube, level)], segments=1, unions=[[0]], es=False
        ).var[:, 0, 0]

    def by_exposures():
        exposures = factor_exposures(
            book, universe, shock.shape[1], second_order=way == "second order"
        )
        return exposure_var(exposures, shock, level)

    answer = benchmark.pedantic(
        by_cube if way == "cube" else by_exposures, rounds=5, warmup_rounds=1
    )
    if way == "second order":
        assert np.all(np.abs(answer - by_cube()) <= exposure_tolerance(book, cube))
    elif way == "linear":
        # Convexity is a small part of a three-day move.
        assert np.median(np.abs(answer - by_cube()) / by_cube()) < 0.1
