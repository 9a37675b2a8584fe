"""The SOFR curve by hand, and where its moves come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin import exact
from crossmargin.market.basis import Basis
from crossmargin.market.curve import (
    NODES,
    POINTS,
    TENORS,
    TREASURY_FACTORS,
    Curve,
    LinearShifts,
    swap_discount_factors,
)
from crossmargin.market.history import History
from crossmargin.market.market import Market
from crossmargin.market.scenarios import ScenarioStore, VolatilityScaling
from crossmargin.market.sofr import Sofr, build_sofr

AS_OF = np.datetime64("2025-03-13")
DAY = np.array([AS_OF])
YEAR = 365.25 / 360


def factors(rate):
    return swap_discount_factors(DAY, np.array([rate]))[0]


def test_swaps_by_hand():
    #        1mo   3mo   6mo   1y    2y    3y    5y
    rate = [0.06, 0.05, 0.04, 0.03, 0.04, 0.02, 0.04, 0.04, 0.04, 0.04, 0.04]
    df = factors(rate)
    # Simple interest up to a year, actual/360.
    np.testing.assert_allclose(
        df[1:5],
        [1 / (1 + r * YEAR * t) for r, t in ((0.06, 1 / 12), (0.05, 0.25), (0.04, 0.5), (0.03, 1))],
        rtol=1e-15,
    )
    one = 1 / (1 + 0.03 * YEAR)
    two = (1 - 0.04 * YEAR * one) / (1 + 0.04 * YEAR)
    three = (1 - 0.02 * YEAR * (one + two)) / (1 + 0.02 * YEAR)
    # Four years: half way from 2% to 4%.
    four = (1 - 0.03 * YEAR * (one + two + three)) / (1 + 0.03 * YEAR)
    np.testing.assert_allclose(df[[4, 6, 8, 10]], [one, two, three, four], rtol=1e-14)
    # By calculator: a two-year rate of 4% after 0.970462.
    np.testing.assert_allclose([one, two], [0.970462, 0.923151], rtol=0, atol=5e-7)
    # Between whole years log DF is linear.
    np.testing.assert_allclose(df[5], np.sqrt(one * two), rtol=1e-14)
    assert df[-1] > 0.0


@given(st.floats(-0.01, 0.2))
def test_a_flat_swap_curve_compounds_yearly(rate):
    whole = np.flatnonzero((POINTS >= 1.0) & (np.rint(POINTS) == POINTS))
    expected = (1 + rate * YEAR) ** -POINTS[whole]
    np.testing.assert_allclose(factors([rate] * 11)[whole], expected, rtol=1e-12)


def test_rates_without_a_curve_are_refused_by_date():
    with pytest.raises(ValueError, match="sofr: the rates of 2025-03-13"):
        swap_discount_factors(DAY, np.full((1, 11), 0.7) + np.linspace(0.0, 3.0, 11))


def built(dates, **columns):
    """Return the history of a table; a tenor that is not named is never there."""
    percent = [columns.get(f"t{name}", [np.nan] * len(dates)) for name in TENORS]
    rate = np.array(percent, np.float64).T / 100.0
    return build_sofr(np.array(dates, "datetime64[D]"), rate, as_of=AS_OF)


def test_a_history_has_the_nodes_it_has():
    found = built(
        ["2025-03-14", "2025-03-13", "2025-03-11", "2025-03-12"],
        t3mo=[9.0, 4.0, 4.2, 4.1],
        t1y=[9.0, 4.5, 4.6, None],
        t5y=[9.0, 3.5, 3.7, 3.6],
    )
    # In date order; 03-12 lacks a tenor, 03-14 is later.
    assert found.date.astype(str).tolist() == ["2025-03-11", "2025-03-13"]
    assert found.node == (1, 3, 6)
    assert found.factor == ("sofr:1/4", "sofr:1", "sofr:5")
    assert found.zero_rate.shape == (2, 3)
    # The three tenors' own formulas, and between them rates linear in time, outside flat.
    percent = [4.0, 4.0, 4.0 + 0.5 / 3, 4.5, 4.25, 4.0, 3.5, 3.5, 3.5, 3.5, 3.5]
    log_df = exact.log(swap_discount_factors(DAY, np.array([percent]) / 100)[0])
    np.testing.assert_allclose(found.curve.log_df, log_df, rtol=0, atol=1e-15)
    times = np.array([0.25, 1.0, 5.0])
    zero = -np.log(found.curve.discount_factor(times)) / times
    np.testing.assert_allclose(found.zero_rate[1], zero, rtol=0, atol=1e-14)
    assert zero[0] == pytest.approx(4 * np.log(1 + 0.04 * YEAR / 4), abs=1e-14)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"t1y": [4.0, 4.1, 4.2]}, "at least two tenors on or before 2025-03-13: 1mo"),
        ({"t1y": [4.0, None, 4.0], "t2y": [None, 4.0, 4.0]}, "no complete row .* 2025-03-13"),
        ({"t1y": [None, None, 4.0], "t2y": [None, None, 4.0]}, "at least two tenors"),
    ],
)
def test_what_makes_no_history_is_refused(columns, says):
    with pytest.raises(ValueError, match=says):
        built(["2025-03-12", "2025-03-13", "2025-03-14"], **columns)


def test_tenors_of_later_rows_are_no_nodes():
    days = ["2025-03-12", "2025-03-13", "2025-03-14"]
    early, late = {"t1mo": [4.0, 4.1, 4.2], "t2y": [3.9, 3.8, 3.7]}, {"t30y": [None, None, 4.0]}
    found = built(days, **early, **late)
    expected = built(days, **early)
    assert found.node == expected.node
    assert found.zero_rate.tolist() == expected.zero_rate.tolist()


FIRST = np.datetime64("2024-01-01")


def sofr(rows, level, node=(3, 4), last=10):
    curve = Curve(FIRST + np.timedelta64(last, "D"), -0.04 * POINTS)
    return Sofr(curve, node, FIRST + np.array(rows), np.array(level))


def test_where_the_history_lacks_an_end_sofr_moves_with_treasuries():
    own = sofr([2, 3, 5, 6], [[0.01, 0.02], [0.03, 0.05], [0.10, 0.20], [0.11, 0.23]])
    treasury = np.arange(7 * 11.0).reshape(7, 11) / 100
    change, known = own.change(FIRST + np.arange(8), 1, treasury[:, own.node])
    # Changes that end on rows 1 to 7: rows 3 and 6 have both ends.
    assert known.tolist() == [False, False, True, False, False, True, False]
    expected = treasury[:, [3, 4]]
    expected[2] = [0.02, 0.03]
    expected[5] = [0.01, 0.03]
    np.testing.assert_allclose(change, expected, rtol=0, atol=1e-15)
    change, known = own.change(FIRST + np.arange(8), 3, treasury[:5, own.node])
    # Over three rows: 2 to 5, and 3 to 6.
    assert known.tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(change[2:4], [[0.09, 0.18], [0.08, 0.18]], rtol=0, atol=1e-15)


def market(zero_rate, own, basis=()):
    date = FIRST + np.arange(len(zero_rate))
    return Market(
        as_of=date[-1],
        curve=Curve(date[-1], np.zeros(POINTS.size)),
        history=History(date, zero_rate, zero_rate, basis={b.root: b for b in basis}, sofr=own),
    )


def test_sofr_factors_stand_between_the_nodes_and_the_bases():
    zero = np.random.default_rng(2).normal(size=(11, 11))
    own = sofr([7, 8, 9, 10], np.random.default_rng(3).normal(size=(4, 2)))
    basis = Basis("ZN", ("ZNM24",), FIRST + np.arange(11), np.arange(11.0)[:, None])
    found = ScenarioStore().of(
        market(zero, own, [basis]).history, horizon=1, minimum=1, look_back=8
    )
    assert found.factor == (*TREASURY_FACTORS, "sofr:1", "sofr:2", "basis:ZN")
    # Of the last eight changes the first five lack a row of SOFR.
    assert (found.no_sofr, found.no_basis) == (5, {"ZN": 0})
    assert np.array_equal(found.shock[:5, 11:13], found.shock[:5, 3:5])
    assert np.array_equal(found.shock[5:, 11:13], np.diff(own.zero_rate, axis=0))
    assert not np.array_equal(found.shock[5:, 11:13], found.shock[5:, 3:5])
    assert found.shock[:, 13].tolist() == [1.0] * 8


def test_sofr_is_scaled_from_the_first_row_on():
    zero = np.random.default_rng(4).normal(size=(301, 11)).cumsum(axis=0)
    scaling = VolatilityScaling(0.97, 250, 3.0)
    how = {"horizon": 1, "minimum": 1, "scaling": scaling}
    # The same history under another name: nothing tells the factors apart.
    curve = Curve(FIRST + np.timedelta64(300, "D"), -0.04 * POINTS)
    same = Sofr(curve, (3, 4), FIRST + np.arange(301), zero[:, [3, 4]])
    found = ScenarioStore().of(market(zero, same).history, **how)
    assert found.no_sofr == 0
    assert np.array_equal(found.shock[:, 11:], found.shock[:, 3:5])
    # Half a history: the Treasury's moves before count for its volatility as they are.
    late = Sofr(same.curve, (3, 4), same.date[200:], 2.0 * zero[200:, [3, 4]])
    found = ScenarioStore().of(market(zero, late).history, **how)
    assert found.no_sofr == 200
    joined = np.vstack([np.diff(zero[:201, [3, 4]], axis=0), np.diff(late.zero_rate, axis=0)])
    assert np.array_equal(found.shock[:, 11:], scaling.scale(joined, np.zeros(2, np.int64), 2500))


def test_a_market_without_sofr_has_none():
    found = market(np.zeros((5, 11)), None)
    assert found.short_rate_curve is None
    assert ScenarioStore().of(found.history, horizon=1, minimum=1).no_sofr == 0


def test_the_factors_of_a_markets_sofr_curve_follow_the_treasurys():
    own = sofr([3, 4], np.zeros((2, 2)), node=(1, 6), last=4)
    found = market(np.zeros((5, 11)), own).short_rate_curve
    assert found is not None
    assert found.first == 11
    assert isinstance(found.shifts, LinearShifts)
    assert found.shifts.nodes.tolist() == [NODES[1], NODES[6]]
    assert found.curve is own.curve
