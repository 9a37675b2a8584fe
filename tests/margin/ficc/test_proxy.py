from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.calculation.prepared import prepare_models
from crossmargin.conventions import CASH, FICC
from crossmargin.engine import Book
from crossmargin.margin.ficc.var import ficc_cube, ficc_margin, floor_rates
from crossmargin.market.curve import NODES
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import read_policy

FIRST = "cme-ficc-2026-04-30"
"""Without periods of stress, whose days the small market does not reach."""
PROXY = replace(read_policy().ficc, pnl="proxy")


def test_an_instrument_moves_with_its_bucket_s_benchmark(
    by_hand: Any, market: Any, scenario_rules: Any
) -> None:
    universe = by_hand(
        ("NOTE00000", [(2.0, 100.0)], 1.0),
        ("NOTE10000", [(9.0, 100.0)], 1.0),
        ("USD 2025-06-02", [(0.2, 100.0)], 1.0),
        market_value=[99.5, 104.0, 0.0],
        years=[2.0, 9.0, 0.0],
    )
    cube = ficc_cube(universe, market, PROXY, scenario_rules)
    shock = (
        ScenarioStore()
        .of(market.history, horizon=3, look_back=100, minimum=1, stress=scenario_rules.stress)
        .shock
    )
    # Two years and ten years are nodes 4 and 8.
    np.testing.assert_allclose(cube.pnl[0], 99.5 * -2.0 * shock[:, 4], rtol=0, atol=2.0**-20)
    np.testing.assert_allclose(cube.pnl[1], 104.0 * -10.0 * shock[:, 8], rtol=0, atol=2.0**-20)
    assert not cube.pnl[2].any()
    assert cube.on_grid


def test_proxy_var_is_that_of_the_net_value_of_each_bucket(
    market: Any, build: Any, scenario_rules: Any
) -> None:
    universe = build(market)
    cube = ficc_cube(universe, market, PROXY, scenario_rules)
    lots = np.array([1000, -500, 300, 2000, 0, -3, 4])
    held = np.flatnonzero(lots)
    book = Book.from_arrays(
        np.array([0, held.size, held.size, held.size, held.size]), held, lots[held], columns=7
    )
    priced = np.ones(7, dtype=bool)
    v = ficc_margin(book, cube, universe, priced, floor_rates(market, PROXY), PROXY)
    bucket = np.searchsorted(PROXY.floor_bucket_years, universe.years)
    net = np.bincount(bucket, lots * universe.market_value, 8)
    node = [2, 4, 5, 6, 7, 8, 9, 10]
    shock = (
        ScenarioStore()
        .of(market.history, horizon=3, look_back=100, minimum=1, stress=scenario_rules.stress)
        .shock
    )
    loss = -((-NODES[node] * shock[:, node]) @ net)
    # 140 scenarios: 1% of them are 1.4, so the second largest.
    assert v.component["VaR"][0, CASH] == pytest.approx(np.sort(loss)[-2], abs=0.01)


def test_proxy_takes_the_history_there_is(market: Any, build: Any, scenario_rules: Any) -> None:
    long = replace(scenario_rules, look_back=2500, minimum_rows=2500)
    cube = ficc_cube(build(market), market, PROXY, long)
    assert cube.scenarios == market.history.date.size - 3


def test_proxy_moves_no_basis_and_covers_no_short_rate_future(
    market: Any, build: Any, scenario_rules: Any, make_securities: Any
) -> None:
    universe = build(market)
    policy = replace(
        read_policy(FIRST),
        ficc=PROXY,
        scenarios=scenario_rules,
        cme=replace(
            read_policy(FIRST).cme,
            volatility_seed_rows=20,
            equivalent_roots=((2.5, "ZT"), (100.0, "ZN")),
        ),
    )

    def prepared(universe: Any) -> Any:
        held = make_securities({"issue_date": "2020-01-01", "maturity_date": "2030-01-01"})
        return prepare_models(policy, market, universe, held).ccps[FICC]

    ficc = prepared(universe)
    assert ficc.no_basis["ZN"] == ficc.cube.scenarios
    assert not ficc.unpriced.any()
    worthless = replace(universe, market_value=np.where(universe.name == "ZNM25", 0.0, 1.0))
    assert prepared(worthless).unpriced.tolist()[-1] == "NO_MODEL"


def test_run_says_that_it_is_the_proxy(sample_inputs: dict[str, Any]) -> None:
    run = xm.run(**sample_inputs, policy=replace(read_policy(), ficc=PROXY))
    assert run.manifest["exceptions"]["MARGIN_PROXY"] == 1
    notes = [r for r in run.exceptions.to_arrow().to_pylist() if r["code"] == "MARGIN_PROXY"]
    assert (
        f"over {run.manifest['ccps']['FICC']['cubes']['pnl']['scenarios']} scenarios"
        in notes[0]["message"]
    )
    rows = run.accounts.to_arrow()
    assert np.nanmax(rows["v_ficc_cash"].to_numpy()) > 0.0
    # Every Treasury future is without a basis, so that its saving is a bound.
    capped = rows.filter(rows["capped"])
    assert len(capped) > 0
    assert all(capped["saving_is_upper_bound"].to_pylist())
