from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

import crossmargin as xm


def test_each_way_is_that_of_a_run_of_its_own(
    sample_inputs: dict[str, Any], sample_run: xm.RunResult
) -> None:
    run, market = sample_run, sample_inputs["market"]
    found = xm.compare_revaluation(run, market).to_arrow()
    policy = xm.read_policy()
    full = xm.run(**sample_inputs, policy=replace(policy, ficc=replace(policy.ficc, pnl="full")))
    for result, column in ((run, "v_sensitivity"), (full, "v_full")):
        accounts = result.accounts.to_arrow()
        for segment in ("cash", "futures", "combined"):
            rows = found.filter(pc.equal(found["portfolio"], segment))
            at = pc.index_in(rows["account"], value_set=accounts["account"])
            expected = accounts[f"v_ficc_{segment}"].take(at)
            assert rows[column].to_pylist() == expected.to_pylist()
            assert len(rows) > 500
    known = found.filter(pc.is_valid(found["v_full"]))
    apart = known["v_full"].to_numpy() - known["v_sensitivity"].to_numpy()
    assert known["difference"].to_numpy().tolist() == apart.tolist()
    # Third order and beyond is small, but not nothing.
    assert 0.0 < np.abs(apart).max() < 0.05 * known["v_full"].to_numpy().max()


@pytest.mark.parametrize("policy", ["cme-ficc-2026-04-30-charges", "cme-ficc-2026-11-30-charges"])
def test_haircuts_are_in_both_ways(sample_inputs: dict[str, Any], policy: str) -> None:
    run = xm.run(**sample_inputs, policy=policy)
    found = xm.compare_revaluation(run, sample_inputs["market"]).to_arrow()
    accounts = run.accounts.to_arrow()
    rows = found.filter(pc.equal(found["portfolio"], "cash"))
    at = pc.index_in(rows["account"], value_set=accounts["account"])
    assert rows["v_sensitivity"].to_pylist() == accounts["v_ficc_cash"].take(at).to_pylist()


def test_other_market_or_no_models_are_refused(
    sample_inputs: dict[str, Any], sample_run: xm.RunResult
) -> None:
    run, market = sample_run, sample_inputs["market"]
    with pytest.raises(ValueError, match="this run has no stages"):
        xm.compare_revaluation(replace(run, stages=None), market)
    with pytest.raises(ValueError, match="the market is of 2026-06-09"):
        xm.compare_revaluation(run, replace(market, as_of=np.datetime64("2026-06-09")))
