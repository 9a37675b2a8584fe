"""The factors that a policy derives, and all that a run is asked for with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.calculation.policy_market import policy_market
from crossmargin.exceptions import InputError
from crossmargin.market import Market
from crossmargin.market.calendars import is_business_day
from crossmargin.market.curve import POINTS, Curve
from crossmargin.market.sofr import build_sofr
from crossmargin.policies import ShortRateTable, read_policy
from crossmargin.sample import sample_tables

FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
TABLE = ShortRateTable(("2", "3", "5", "7", "10"), 0.1, ("EFFR", "SOFR"), 21, 0.25, "2")
WITH, WITHOUT = read_policy(FIRST).with_sections(TABLE), read_policy(FIRST)
FIXED = 200
"""Calendar days of fixings."""


@cache
def fixed_market(day: int = 0) -> Market:
    """Return the sample's market, or that of the day before, with half a year of SOFR."""
    market = xm.sample_market(as_of=("2026-06-10", "2026-06-09")[day])
    days = np.datetime64("2026-06-09") - np.arange(FIXED)[::-1]
    days = days[is_business_day(days, "sofr") & (days < market.as_of)]
    rate = 0.04 + 1e-4 * np.random.default_rng(3).integers(-3, 4, FIXED).cumsum()[: days.size]
    return replace(market, fixings={"SOFR": (days, rate)})


@cache
def book() -> dict[str, pa.Table]:
    tables = sample_tables(accounts=20)
    return {name: tables[name] for name in ("positions", "accounts", "securities")}


@cache
def run(short_rates: bool = True, day: int = 0) -> xm.RunResult:
    policy = WITH if short_rates else WITHOUT
    return xm.run(**book(), market=fixed_market(day), policy=policy, threads=1)


def hashes(result: xm.RunResult) -> dict[str, str]:
    return {name: entry["hash"] for name, entry in result.manifest["results"].items()}


def test_what_is_derived_already_is_the_same_market() -> None:
    market = fixed_market()
    derived = policy_market(WITH, market)
    assert derived.history.short_rates is not None
    assert policy_market(WITH, derived) is derived
    # From the raw market again: the scenarios of its history are kept.
    assert policy_market(WITH, market).history is derived.history
    # A moved curve leaves the history as it is.
    moved = derived.with_curve(Curve(market.as_of, market.curve.log_df * 1.1))
    assert policy_market(WITH, moved) is moved


def test_without_the_table_there_are_no_short_rates() -> None:
    market = fixed_market()
    assert policy_market(WITHOUT, market) is market
    without = policy_market(WITHOUT, policy_market(WITH, market))
    assert without.history.short_rates is None
    assert without.history.factor == market.history.factor
    assert without.short_rate_curve is None


def test_another_rule_or_other_fixings_are_derived_again() -> None:
    derived = policy_market(WITH, fixed_market())
    other = policy_market(WITH.with_sections(replace(TABLE, nodes=("2", "10"))), derived)
    assert other.history.factor[11:14] == ("short:0", "short:2", "short:10")
    bare = policy_market(WITH, replace(derived, fixings={}))
    assert np.isnan(bare.history.short_rates.funds).all()
    assert not np.isnan(derived.history.short_rates.funds[-1, 1])


def test_a_curve_without_smooth_forwards_is_an_input_error() -> None:
    market = fixed_market()
    wild = market.with_curve(Curve(market.as_of, -2.0 * POINTS))
    with pytest.raises(InputError, match="par yields of 2026-06-10 do not give a curve"):
        xm.rerun(run(), wild)


def test_the_manifest_counts_scenarios_without_a_funds_rate() -> None:
    ficc = run().manifest["ccps"]["FICC"]
    # 21 fixings and a move of three days, then about four months.
    assert 2500 < ficc["scenarios_without_funds"] < ficc["cubes"]["pnl"]["scenarios"] - 80
    assert run(False).manifest["ccps"]["FICC"]["scenarios_without_funds"] is None
    short = {row["account"] for row in run().positions if row["instrument"][:3] in ("SR3", "ZQM")}
    assert short
    before = {row["account"]: row["requirement"] for row in run(False).accounts}
    assert any(row["requirement"] != before[row["account"]] for row in run().accounts)


def test_a_run_that_was_kept_answers_as_before(tmp_path: Path) -> None:
    xm.write_run(run(), tmp_path / "out")
    again = xm.read_run(tmp_path / "out", threads=1)
    market = fixed_market()
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.02))
    whole = xm.run(**book(), market=moved, policy=WITH, threads=1)
    for first in (run(), again):
        rerun = xm.rerun(first, moved, threads=1)
        assert hashes(rerun) == hashes(whole)
        assert hashes(xm.rerun(rerun, market, threads=1)) == hashes(run())


def test_a_what_if_is_the_run_itself_also_on_a_moved_curve() -> None:
    market = fixed_market()
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.05))
    account = book()["accounts"]["account"].to_pylist()[2]
    trade = {"SR3Z26": -150.0, "ZQU26": 40.0}
    rows = [
        {
            "account": account,
            "kind": "future",
            "instrument": contract,
            "quantity": quantity,
            "xm": True,
        }
        for contract, quantity in trade.items()
    ]
    positions = book()["positions"]
    more = [{name: row.get(name) for name in positions.column_names} for row in rows]
    more_rows = pa.Table.from_pylist(more, positions.schema)
    traded = {**book(), "positions": pa.concat_tables([positions, more_rows])}
    for first, on in ((run(), market), (xm.rerun(run(), moved, threads=1), moved)):
        session = xm.Session(first, threads=1)
        whole = xm.run(**traded, market=on, policy=WITH, threads=1)
        [expected] = [row for row in whole.accounts if row["account"] == account]
        answer = session.what_if(account, trade)
        assert answer == {name: expected[name] for name in answer}


@pytest.mark.parametrize(("before", "after"), [(True, True), (False, True), (True, False)])
def test_every_step_between_two_policies_is_told(before: bool, after: bool) -> None:
    found = xm.attribute(run(before, 1), run(after, 0), threads=1)
    steps = {row["step"]: row["requirement"] for row in found.book}
    assert (steps["policy"] != 0) == (before is not after)
    assert steps["scenario sizes"] != 0
    for row in found.accounts:
        if row["change"] is not None:
            assert row["not_told_apart"] in (None, Decimal(0))


def test_explanations_and_reverse_stress_know_the_short_rates() -> None:
    account = next(row["account"] for row in run().positions if row["instrument"].startswith("SR3"))
    assert xm.explain(run(), account, threads=1).account == account
    found = xm.reverse_stress(run(), account, threads=1)
    assert found.reason is None
    assert run().stages.models.universe.curve_factors == 17


def test_a_sofr_history_takes_the_place_of_the_short_rates(tmp_path: Path) -> None:
    market = fixed_market()
    days = market.history.date[-150:]
    rate = np.full((150, 11), np.nan)
    walk = np.random.default_rng(4).integers(-4, 5, (150, 4)).cumsum(axis=0)
    rate[:, [1, 3, 4, 8]] = 0.04 + 1e-4 * walk
    sofr = build_sofr(days, rate, as_of=market.as_of)
    own = replace(market, history=replace(market.history, sofr=sofr))
    first = xm.run(**book(), market=own, policy=WITH, threads=1)
    ficc = first.manifest["ccps"]["FICC"]
    # Changes over three days, the first of which ends on the fourth row.
    scenarios = ficc["cubes"]["pnl"]["scenarios"]
    assert ficc["scenarios_without_sofr"] == scenarios - 147
    assert ficc["scenarios_without_funds"] is None
    assert first.stages.models.universe.curve_factors == 15
    plain = xm.run(**book(), market=own, policy=WITHOUT, threads=1)
    assert hashes(plain)["accounts"] != hashes(first)["accounts"]
    again = xm.read_run(xm.write_run(first, tmp_path / "out"), threads=1)
    assert hashes(xm.rerun(again, market=own, threads=1)) == hashes(first)


def test_real_fixings_and_notes_give_every_row_its_rates(real_data: Callable[[str], Path]) -> None:
    market = xm.read_market(
        real_data("us_treasury_par_yields.csv.gz"),
        as_of="2025-06-04",
        fixings=real_data("sofr.csv"),
    )
    derived = policy_market(read_policy(SECOND), market)
    history = derived.history
    funds = history.short_rates.funds[:, 1]
    # The first 21 fixings of SOFR, from 3 April 2018, are known on 2 May; from then on all are.
    assert history.date[np.flatnonzero(~np.isnan(funds))[0]] == np.datetime64("2018-05-02")
    assert not np.isnan(funds[history.date >= np.datetime64("2018-05-02")]).any()
    # The notes are repriced in every row.
    rates = np.column_stack([history.zero_rate[:, 0], history.node_zero_rate])
    rule = history.short_rates.rule
    df = np.exp(-rates @ rule.forwards.weights(np.arange(1, 21) / 2).T)
    for node, count in zip(rule.node, (4, 6, 10, 14, 20), strict=True):
        coupon = history.par_yield[:, node]
        price = coupon / 2.0 * df[:, :count].sum(axis=1) + df[:, count - 1]
        np.testing.assert_allclose(price, 1.0, rtol=0, atol=1e-13)
