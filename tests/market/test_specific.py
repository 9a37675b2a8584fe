"""Spreads and assumed bases: levels by day, their size, and what scenarios make of them."""

from __future__ import annotations

import csv
import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.market.draws import Draws
from crossmargin.market.history import History
from crossmargin.market.scenarios import StressWindow, VolatilityScaling, build_scenarios
from crossmargin.market.specific import (
    EPOCH,
    Process,
    SpecificRisk,
    SpreadGroups,
    SpreadHistory,
)
from crossmargin.policies import BasisProcessRules, SpreadRules, read_policy

ONE = Process(("basis:ZN",), (0.02,), 0.5, ((1.0,),), 7)
TWO = Process(("spread:a on", "spread:a off"), (2e-5, 4e-5), 0.9, ((1.0, 0.6), (0.6, 1.0)), 3)
GROUPS = SpreadGroups(((2.5, "a"),), TWO)


def weekdays(first, count):
    days = np.datetime64(first, "D") + np.arange(count * 2)
    return days[np.is_busday(days)][:count]


def history(date, **fields):
    rates = np.zeros((date.size, 11))
    return History(date, rates, rates, **fields)


def test_levels_by_hand():
    # sigma = 0.02 / sqrt(2 * 0.5) = 0.02; the noise of a later day has sigma sqrt(1 - 0.25).
    e = Draws(7, "basis:ZN").normal(3)
    x = [e[0]]
    for n in e[1:]:
        x.append(n * math.sqrt(0.75) + 0.5 * x[-1])
    level = ONE.level(EPOCH + np.arange(3))
    assert level.tolist() == [[value * 0.02] for value in x]


def test_a_weekend_and_the_days_before_the_first_one_do_not_move():
    friday = np.datetime64("1990-01-05")
    level = ONE.level(np.array([friday, friday + 1, friday + 2, friday + 3]))[:, 0]
    assert level[0] == level[1] == level[2] != level[3]
    assert ONE.level(np.array([EPOCH - 9, EPOCH])).std() == 0.0


@given(
    first=st.integers(0, 9000),
    count=st.integers(1, 300),
    left_out=st.sets(st.integers(0, 299)),
)
def test_a_day_has_the_same_level_in_every_history(first, count, left_out):
    whole = EPOCH + np.arange(first, first + count)
    kept = np.array([day for n, day in enumerate(whole) if n not in left_out], "datetime64[D]")
    at = np.searchsorted(whole, kept)
    assert TWO.level(kept).tobytes() == TWO.level(whole)[at].tobytes()


def test_another_factor_leaves_those_before_it_as_they_are():
    alone = Process(TWO.factor[:1], TWO.volatility[:1], 0.9, ((1.0,),), 3)
    date = weekdays("2015-01-01", 500)
    assert alone.level(date)[:, 0].tobytes() == TWO.level(date)[:, 0].copy().tobytes()


def test_the_size_of_levels_and_changes_is_as_stated():
    date = weekdays("1990-01-01", 9000)
    level, change = TWO.level(date), TWO.change(date, 1)
    sigma = np.array(TWO.volatility) / math.sqrt(2 * (1 - 0.9))
    np.testing.assert_allclose(level.std(axis=0), sigma, rtol=0.1)
    np.testing.assert_allclose(change.std(axis=0), TWO.volatility, rtol=0.03)
    assert np.corrcoef(change.T)[0, 1] == pytest.approx(0.6, abs=0.03)
    # Over three days: 2 sigma^2 (1 - 0.9^3).
    expected = sigma * math.sqrt(2 * (1 - 0.9**3))
    np.testing.assert_allclose(TWO.change(date, 3).std(axis=0), expected, rtol=0.04)


def test_moves_that_end_in_a_stress_window_are_multiplied():
    date = weekdays("2008-06-26", 8)
    windows = (("2008-07-01", "2008-07-02"),)
    stressed = Process(("basis:ZN",), (0.02,), 0.5, ((1.0,),), 7, 3.0, windows)
    multiple = stressed.change(date, 2) / ONE.change(date, 2)
    inside = (date[2:] >= np.datetime64("2008-07-01")) & (date[2:] <= np.datetime64("2008-07-02"))
    np.testing.assert_allclose(multiple[:, 0], np.where(inside, 3.0, 1.0))
    assert inside.sum() == 2


def test_groups_by_remaining_years_and_run():
    groups = SpreadGroups(((2.5, "2"), (6.0, "5")), TWO)
    assert groups.name == ("2 on", "5 on", "2 off", "5 off")
    years, run = np.array([2.5, 2.51, 40.0, 1.0]), np.array([True, False, False, False])
    assert groups.index(years, run).tolist() == [0, 3, 3, 2]


def test_an_observed_spread_wins_and_missing_rows_do_not_move():
    date = weekdays("2020-01-01", 5)
    level = np.array([[0.001], [0.002], [np.nan], [0.004]])
    observed = SpreadHistory(("a off",), date[[0, 1, 2, 3]], level)
    found = history(date, spreads=observed, specific=SpecificRisk(GROUPS, ONE))
    assert found.factor[-3:] == ("spread:a on", "spread:a off", "basis:ZN")
    assert found.curve_factors == 11
    assert found.drawn.tolist() == [False] * 11 + [True, False, True]
    change, known = found.factor_change(1)
    assert change[:, -2].tolist() == [0.001, 0.0, 0.0, 0.0]
    assert known[:, -2].tolist() == [True, False, False, False]
    assert known[:, -1].all()
    assert known[:, -3].all()
    assert change[:, -3].tobytes() == TWO.change(date, 1)[:, 0].copy().tobytes()


def test_what_is_drawn_is_not_scaled_and_what_lacks_a_row_is_counted():
    date = weekdays("2020-01-01", 40)
    level = np.linspace(0.0, 0.001, 40)[:, None] ** 2
    level[10] = np.nan
    found = history(
        date,
        spreads=SpreadHistory(("a off",), date, level),
        specific=SpecificRisk(GROUPS, ONE),
    )
    change, known = found.factor_change(1)
    scenarios = build_scenarios(
        date[1:],
        change,
        found.factor,
        known,
        found.drawn,
        look_back=39,
        minimum=1,
        stress=[StressWindow(date[0], date[0])],
        scaling=VolatilityScaling(0.9, 5, 3.0),
    )
    drawn = found.drawn
    assert scenarios.shock[:, drawn].tobytes() == change[:, drawn].tobytes()
    assert not np.array_equal(scenarios.shock[:, -2], change[:, -2])
    assert scenarios.no_spread == {"a off": 2}
    assert scenarios.no_basis == {"ZN": 0}


def test_the_shipped_processes():
    policy = read_policy("cme-ficc-2026-11-30")
    spreads, basis = policy.get(SpreadRules), policy.get(BasisProcessRules)
    assert spreads is not None
    assert basis is not None
    groups = spreads.groups(policy.scenarios.stress_windows)
    assert groups.name[:2] == ("2 on", "3 on")
    correlation = np.array(groups.process.correlation)
    assert np.linalg.eigvalsh(correlation)[0] > 0.0
    # 7 and 10 years end at 8.5 and 15; on and off the run share a half.
    by_bucket = math.exp(-math.log(15 / 8.5) / 0.5)
    assert correlation[3, 4] == pytest.approx(by_bucket)
    assert correlation[3, 7 + 3] == 0.5
    assert correlation[3, 7 + 4] == pytest.approx(0.5 * by_bucket)
    levels = np.array(groups.process.volatility) / math.sqrt(2 * (1 - groups.process.memory))
    assert levels[:7].min() * 1e4 == pytest.approx(1.9, abs=0.05)
    assert levels[:7].max() * 1e4 == pytest.approx(2.2, abs=0.05)
    assert levels[7:].min() * 1e4 == pytest.approx(2.5, abs=0.05)
    assert levels[7:].max() * 1e4 == pytest.approx(3.2, abs=0.05)


def test_auction_yields_lie_as_far_from_the_par_curve_as_levels_say(real_data):
    """The day of the auction is not in the file, only that of the issue, two to eight days later.

    The yield lies at most as far from the curve of its own day as the median at a fixed lag says,
    and at least as far as at the best lag of each sale.
    """
    with gzip.open(real_data("us_treasury_par_yields.csv.gz"), "rt") as text:
        curves = {row["date"]: row for row in csv.DictReader(text)}
    days = np.array(sorted(curves), "datetime64[D]")
    tenor = {"1y": 1, "2y": 2, "3y": 3, "5y": 5, "7y": 7, "10y": 10, "20y": 20, "30y": 30}
    away = []
    with real_data("auction_prices.csv").open() as text:
        for sale in csv.DictReader(text):
            issue = np.datetime64(sale["issue_date"])
            years = float((np.datetime64(sale["maturity_date"]) - issue).astype(int)) / 365.25
            at = np.searchsorted(days, issue)
            par = [curves[str(days[at - lag])] for lag in range(2, 9)]
            rates = [[float(row[name]) for name in tenor] for row in par]
            curve = [np.interp(years, list(tenor.values()), rate) for rate in rates]
            away.append(100.0 * (float(sale["high_yield_pct"]) - np.array(curve)))
    away = np.abs(np.array(away))
    assert away.shape == (78, 7)
    least, most = np.median(away.min(axis=1)), np.median(away, axis=0).min()
    assert 0.5 < least < 1.0
    assert 2.5 < most < 3.0
    # Half of a normal level lies within 0.6745 standard deviations.
    spreads = read_policy("cme-ficc-2026-11-30").get(SpreadRules)
    assert spreads is not None
    level = np.array(spreads.on_the_run_volatility_bp) / math.sqrt(2 * (1 - spreads.memory))
    assert (least < 0.6745 * level).all()
    assert (0.6745 * level < most).all()
