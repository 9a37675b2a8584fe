"""Short rates from notes and the funds rate: the bootstrap, the funds rate, and their shocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin import exact
from crossmargin.market.basis import Basis
from crossmargin.market.curve import (
    NODES,
    POINTS,
    TREASURY_FACTORS,
    Curve,
    LinearShifts,
    discount_factors,
    zero_rates,
)
from crossmargin.market.forwards import SmoothForwards, smooth_forwards
from crossmargin.market.history import History
from crossmargin.market.market import Market
from crossmargin.market.scenarios import CorrelationScaling, ScenarioStore
from crossmargin.market.short_rates import (
    ShortRateRule,
    ShortRates,
    funds_rates,
    node_zero_rates,
)
from crossmargin.market.sofr import Sofr

RULE = ShortRateRule(("2", "3", "5", "7", "10"), 0.1, ("EFFR", "SOFR"), 21, 0.25, "2")
DAY = np.datetime64("2025-03-13")
LEVEL = np.array([4.3, 4.3, 4.2, 4.1, 4.0, 4.0, 4.1, 4.2, 4.3, 4.7, 4.6]) / 100


def market(rows=6, *, rule=RULE, funds=None, sofr=None, basis=(), size=1e-3):
    """Return a market of random moves with short rates."""
    date = DAY + np.arange(1 - rows, 1)
    par = LEVEL + size * np.random.default_rng(5).normal(size=(rows, 11)).cumsum(axis=0)
    df = discount_factors(date, par)
    if funds is None:
        funds = np.full((rows, len(rule.funds_indices)), np.nan)
    history = History(
        date,
        par,
        zero_rates(df),
        basis={one.root: one for one in basis},
        sofr=sofr,
        short_rates=ShortRates(rule, np.asarray(funds)),
    )
    return Market(DAY, Curve(DAY, exact.log(df[-1])), history)


def test_a_note_of_a_year_by_hand():
    """A par yield of 4% at a year and f(0) = 5%: one coupon before the last.

    With one node the zero rate solves DF(1) = (1 - 0.02 DF(1/2)) / 1.02, with DF(1/2) from the
    curve by hand of `test_forwards`: f = f(0) + g0 (2 ln(1 + t) - t).
    """
    forwards = smooth_forwards((1.0,), 1.0, anchored=True)
    date = np.array([DAY])
    found = node_zero_rates(
        forwards, date, np.array([[0.04]]), np.array([0.05]), np.array([[0.0]])
    )[0, 0]
    g0 = (found - 0.05) / (4.0 * np.log(2.0) - 2.5)
    half = 0.025 + g0 * (2.0 * (1.5 * np.log(1.5) - 0.5) - 0.125)
    assert np.exp(-found) == pytest.approx((1.0 - 0.02 * np.exp(-half)) / 1.02, abs=1e-15)
    # The forwards fall from 5%, so that the first half year discounts more than a flat 4%.
    assert np.exp(-half) < 1.0 / 1.02


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.01, 0.15), st.lists(st.floats(-0.02, 0.02), min_size=6, max_size=6))
def test_notes_are_repriced(level, away):
    rates = level + np.array(away)
    par = rates[None, 1:]
    guess = 2.0 * np.log1p(par / 2.0)
    zero = node_zero_rates(RULE.forwards, np.array([DAY]), par, rates[:1], guess)
    weights = RULE.forwards.weights(np.arange(1, 21) / 2)
    df = np.exp(-weights @ np.concatenate([rates[:1], zero[0]]))
    for coupon, count in zip(par[0], (4, 6, 10, 14, 20), strict=True):
        price = coupon / 2.0 * df[:count].sum() + df[count - 1]
        assert price == pytest.approx(1.0, abs=1e-13)


def test_a_row_does_not_depend_on_the_others():
    whole = market(300).history
    for row in (0, 17, 299):
        alone = History(
            whole.date[row : row + 1],
            whole.par_yield[row : row + 1],
            whole.zero_rate[row : row + 1],
            short_rates=ShortRates(RULE, np.empty((1, 2))),
        )
        assert alone.node_zero_rate.tobytes() == whole.node_zero_rate[row].tobytes()
    assert whole.node_zero_rate is whole.node_zero_rate
    assert not whole.node_zero_rate.flags.writeable


def test_a_flat_curve_stays_flat():
    flat = Curve(DAY, -0.04 * POINTS)
    found = RULE.curve(flat)
    time = np.array([0.0, 1 / 12, 0.5, 1.0, 4.0, 10.0, 10.25])
    np.testing.assert_allclose(found.discount_factor(time), np.exp(-0.04 * time), rtol=1e-14)


def test_yields_without_such_a_curve_are_refused_with_their_date():
    par = np.full((3, 5), 0.04)
    par[1] = 3.0
    date = DAY + np.arange(3)
    with pytest.raises(ValueError, match="par yields of 2025-03-14 do not give a curve"):
        node_zero_rates(RULE.forwards, date, par, np.full(3, 0.04), par)
    with pytest.raises(ValueError, match="par yields of 2025-03-13 do not give a curve"):
        RULE.curve(Curve(DAY, -3.0 * POINTS))


def test_the_base_curve_is_that_of_the_last_row_and_moves_with_the_markets():
    found = market(30)
    own = found.short_rate_curve
    assert own is not None
    assert found.short_rate_curve is own
    assert isinstance(own.shifts, SmoothForwards)
    assert own.first == 11
    # The same notes, so the same zero rates, but for rounding in the par yields.
    np.testing.assert_allclose(
        own.curve.rate,
        [found.history.zero_rate[-1, 0], *found.history.node_zero_rate[-1]],
        rtol=0,
        atol=1e-14,
    )
    moved = found.with_curve(Curve(DAY, found.curve.log_df - 0.01 * POINTS)).short_rate_curve
    np.testing.assert_allclose(
        moved.curve.rate - own.curve.rate, np.full(6, 0.01), rtol=0, atol=2e-4
    )
    assert moved.curve.rate[0] - own.curve.rate[0] == pytest.approx(0.01, abs=1e-14)


# Fixings from Monday 3 March to Friday 14 March 2025.
WEEKS = np.array(["2025-03-03", "2025-03-10"], "datetime64[D]")[:, None] + np.arange(5)
THREE = replace(RULE, funds_rows=3)


def test_the_funds_rate_is_the_mean_of_fixings_before_the_day():
    date = WEEKS.ravel()
    rate = np.arange(1.0, 11.0)
    found = funds_rates(THREE, date, {"SOFR": (date, rate)})
    assert np.isnan(found[:, 0]).all()
    # Three fixings are known on the fourth day.
    expected = [np.nan] * 3 + [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    np.testing.assert_array_equal(found[:, 1], expected)


def test_fixings_of_weekends_do_not_count_and_a_hole_is_no_fixing():
    date = np.arange(np.datetime64("2025-03-03"), np.datetime64("2025-03-15"))
    rate = np.where(np.isin(date, WEEKS), 1.0, 99.0)
    found = funds_rates(THREE, WEEKS.ravel(), {"EFFR": (date, rate)})
    np.testing.assert_array_equal(found[:, 0], [np.nan] * 3 + [1.0] * 7)
    # Without Wednesday the 5th the next three days after it lack one.
    kept = date != np.datetime64("2025-03-05")
    found = funds_rates(THREE, WEEKS.ravel(), {"EFFR": (date[kept], rate[kept])})
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [True] * 6 + [False] * 4)


def test_a_holiday_is_not_a_hole():
    # SOFR has none on Good Friday, 18 April 2025; EFFR has one.
    date = np.array(["2025-04-15", "2025-04-16", "2025-04-17", "2025-04-21"], "datetime64[D]")
    row = np.array(["2025-04-21", "2025-04-22"], "datetime64[D]")
    rate = np.array([1.0, 2.0, 3.0, 5.0])
    found = funds_rates(THREE, row, {"SOFR": (date, rate), "EFFR": (date, rate)})
    np.testing.assert_array_equal(found[:, 1], [2.0, 10.0 / 3.0])
    assert np.isnan(found[:, 0]).all()


def test_fixings_older_than_the_calendars_are_no_matter():
    date = np.concatenate([np.array(["1954-07-01"], "datetime64[D]"), WEEKS.ravel()])
    found = funds_rates(THREE, WEEKS.ravel(), {"EFFR": (date, np.ones(11))})
    assert np.isnan(found[:, 0]).sum() == 3


def test_changes_by_hand():
    nan = np.nan
    zero = np.array([[2.0, 3.0], [3.0, 5.0], [5.0, 6.0], [4.0, 8.0], [8.0, 8.0]])
    rule = replace(RULE, nodes=("2", "5"), proxy_node="5")
    #                        EFFR at both ends, then SOFR alone, then neither
    own = ShortRates(rule, np.array([[1.0, 7.0], [1.5, 8.0], [nan, 10.0], [nan, nan], [2.0, 1.0]]))
    change, known = own.change(zero, 1)
    assert known.tolist() == [True, True, False, False]
    assert change.tolist() == [[0.5, 1.0, 2.0], [2.0, 2.0, 1.0], [0.5, -1.0, 2.0], [0.0, 4.0, 0.0]]
    change, known = own.change(zero, 4)
    assert known.tolist() == [True]
    assert change.tolist() == [[1.0, 6.0, 5.0]]


def test_factors_stand_between_the_treasurys_and_the_bases():
    basis = Basis("ZN", ("ZNM25",), DAY + np.arange(-5, 1), np.arange(6.0)[:, None])
    funds = np.full((6, 2), np.nan)
    funds[3:, 1] = [0.040, 0.041, 0.043]
    found = market(funds=funds, basis=[basis])
    names = ("short:0", "short:2", "short:3", "short:5", "short:7", "short:10")
    assert found.history.factor == (*TREASURY_FACTORS, *names, "basis:ZN")
    chosen = ScenarioStore().of(found.history, horizon=1, minimum=1, look_back=5)
    assert (chosen.no_funds, chosen.no_sofr, chosen.no_basis) == (3, 0, {"ZN": 0})
    moved = np.diff(found.history.node_zero_rate, axis=0)
    assert np.array_equal(chosen.shock[:, 12:17], moved)
    expected = [*(0.25 * moved[:3, 0]), 0.001, 0.002]
    np.testing.assert_allclose(chosen.shock[:, 11], expected, rtol=0, atol=1e-16)
    assert np.array_equal(chosen.shock[:, :11], found.history.zero_rate_change(1))


def sofr(rows, node=(1, 4, 8)):
    zero = 0.04 + 1e-3 * np.random.default_rng(6).normal(size=(rows, len(node))).cumsum(axis=0)
    return Sofr(Curve(DAY, -0.04 * POINTS), node, DAY + np.arange(1 - rows, 1), zero)


def test_rows_without_sofr_take_the_zero_rates_of_notes_and_funds():
    own = sofr(3)
    found = market(sofr=own).history
    assert found.factor == (*TREASURY_FACTORS, "sofr:1/4", "sofr:2", "sofr:10")
    change, known = found.factor_change(1)
    assert known[:, 11].tolist() == [False] * 3 + [True] * 2
    np.testing.assert_array_equal(change[3:, 11:], np.diff(own.zero_rate, axis=0))
    short, _ = found.short_rates.change(found.node_zero_rate, 1)
    # At a node of the notes it is the node's rate; at 1/4 mostly the funds rate and the two years.
    np.testing.assert_allclose(change[:3, 12], short[:3, 1], rtol=0, atol=1e-17)
    np.testing.assert_allclose(change[:3, 13], short[:3, 5], rtol=0, atol=1e-17)
    quarter = RULE.forwards.weights(np.array([0.25]))[0] / 0.25
    np.testing.assert_allclose(change[:3, 11], short[:3] @ quarter, rtol=0, atol=1e-17)
    assert ScenarioStore().of(found, horizon=1, minimum=1).no_sofr == 3


def test_the_sofr_curve_has_smooth_forwards_between_its_own_nodes():
    smooth = market(sofr=sofr(3)).short_rate_curve
    stepped = replace(market(sofr=sofr(3)).history, short_rates=None)
    plain = replace(market(), history=stepped).short_rate_curve
    assert isinstance(plain.shifts, LinearShifts)
    assert isinstance(smooth.shifts, SmoothForwards)
    years = NODES[[1, 4, 8]]
    np.testing.assert_allclose(
        smooth.curve.discount_factor(years), plain.curve.discount_factor(years), rtol=1e-15
    )
    assert smooth.shifts.weights(np.array([1.0])).shape == (1, 3)


def test_correlations_are_scaled_although_notes_explain_the_short_rates():
    history = market(300, size=3e-4).history
    change, _ = history.factor_change(1)
    scaled = CorrelationScaling(0.97, 1.0).scale(change, 250, history.factor)
    # The funds rate has its proxy throughout: it follows the two years.
    np.testing.assert_allclose(scaled[:, 11], 0.25 * scaled[:, 12], rtol=1e-2, atol=1e-6)
    before, after = (np.square(each[-250:]).mean(axis=0) for each in (change, scaled))
    np.testing.assert_allclose(after, before, rtol=1e-2)
