"""The curve against hand-worked points, par bonds and QuantLib's log-linear interpolation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  (its usual name)
from hypothesis import assume, given
from hypothesis import strategies as st

from crossmargin.market.curve import (
    NODE_NAMES,
    NODES,
    POINTS,
    TREASURY_FACTORS,
    Curve,
    bootstrap,
    discount_factors,
    node_weights,
    years_between,
    zero_rates,
)

AS_OF = np.datetime64("2025-03-13")
DAY = np.array([AS_OF])

curves = st.lists(st.floats(0.0, 0.12), min_size=11, max_size=11)


def factors(par_yield):
    """Discount factors at `POINTS` of one row of par yields."""
    return np.exp(bootstrap(DAY, np.array([par_yield]))[0])


def test_the_nodes_and_the_points():
    assert len(NODES) == len(NODE_NAMES) == len(TREASURY_FACTORS) == 11
    assert [float(Fraction(name)) for name in NODE_NAMES] == NODES.tolist()
    assert TREASURY_FACTORS[0] == "treasury:1/12"
    assert TREASURY_FACTORS[-1] == "treasury:30"
    # 0, 1/12, 1/4, then 60 half-years.
    assert POINTS.size == 63
    assert POINTS[[0, 1, 2, 3, 4, -1]].tolist() == [0.0, 1 / 12, 1 / 4, 0.5, 1.0, 30.0]


def test_years_count_days_over_365_and_a_quarter():
    dates = np.array(["2025-03-13", "2025-03-14", "2029-03-13", "2025-03-12"], "datetime64[D]")
    # 2025-03-13 to 2029-03-13 is four years with one 29 February: 1461 days.
    assert years_between(AS_OF, dates).tolist() == [0.0, 1 / 365.25, 4.0, -1 / 365.25]


def test_bootstrap_by_hand():
    #       1mo   3mo   6mo   1y    2y    3y
    par = [0.06, 0.04, 0.05, 0.06, 0.08, 0.07, 0.07, 0.07, 0.07, 0.07, 0.07]
    df = factors(par)
    half = 1 / 1.025
    one = (1 - 0.03 * half) / 1.03
    # At 1.5 the par yield is half way from 6% to 8%.
    one_and_half = (1 - 0.035 * (half + one)) / 1.035
    two = (1 - 0.04 * (half + one + one_and_half)) / 1.04
    two_and_half = (1 - 0.0375 * (half + one + one_and_half + two)) / 1.0375
    worked = [1.0, 1 / 1.005, 1 / 1.01, half, one, one_and_half, two, two_and_half]
    np.testing.assert_allclose(df[:8], worked, rtol=0, atol=1e-15)
    # By calculator: 1.5 years at par 7% after 0.975610 and 0.942458.
    np.testing.assert_allclose(df[3:6], [0.975610, 0.942458, 0.901321], rtol=0, atol=5e-7)


def test_zero_rates_by_hand():
    par = np.full((1, 11), 0.05)
    z = zero_rates(discount_factors(DAY, par))[0]
    assert z[0] == pytest.approx(12 * np.log(1 + 0.05 / 12), abs=1e-15)
    assert z[1] == pytest.approx(4 * np.log(1 + 0.05 / 4), abs=1e-15)
    # A flat par curve compounds semi-annually at its yield.
    np.testing.assert_allclose(z[2:], 2 * np.log(1.025), rtol=0, atol=1e-15)


@given(st.floats(-0.01, 0.2))
def test_a_flat_curve_discounts_at_its_yield(y):
    np.testing.assert_allclose(
        factors([y] * 11)[3:], (1 + y / 2) ** -np.arange(1.0, 61.0), rtol=0, atol=2e-14
    )


@given(curves)
def test_par_bonds_reprice_to_par(par):
    assume(admissible(par))
    df = factors(par)
    grid = np.arange(1, 61) / 2
    coupon = np.interp(grid, NODES, par)
    for n in range(2, 61):
        price = 100 * (coupon[n - 1] / 2 * sum(df[3 : 3 + n]) + df[2 + n])
        assert price == pytest.approx(100.0, abs=1e-12)


def admissible(par):
    """Return whether steep yields still leave every discount factor positive."""
    try:
        bootstrap(DAY, np.array([par]))
    except ValueError:
        return False
    return True


def test_rows_do_not_touch_each_other():
    rng = np.random.default_rng(3)
    par = 0.04 + 0.01 * rng.random((5, 11))
    together = bootstrap(np.repeat(DAY, 5), par)
    assert together.shape == (5, 63)
    assert together[:, 0].tolist() == [0.0] * 5
    for row in range(5):
        assert np.array_equal(bootstrap(DAY, par[row : row + 1])[0], together[row])


def test_yields_without_a_curve_name_their_date():
    date = np.array(["2025-03-12", "2025-03-13"], "datetime64[D]")
    steep = [0.05] * 9 + [0.0, 0.3]
    with pytest.raises(ValueError, match="2025-03-13 do not give positive"):
        bootstrap(date, np.array([[0.05] * 11, steep]))
    with pytest.raises(ValueError, match="2025-03-12 do not give positive"):
        bootstrap(date, np.array([[0.05] * 10 + [np.nan], [0.05] * 11]))


def test_discount_factors_at_the_points_and_between():
    log_df = bootstrap(DAY, np.array([[0.03 + 0.002 * n for n in range(11)]]))[0]
    curve = Curve(AS_OF, log_df)
    np.testing.assert_allclose(curve.discount_factor(POINTS), np.exp(log_df), rtol=4e-16)
    # Half way between two points the factor is their geometric mean.
    left, right = np.exp(log_df[5]), np.exp(log_df[6])
    assert float(curve.discount_factor(1.75)) == pytest.approx(np.sqrt(left * right), abs=1e-15)
    assert float(curve.discount_factor(0.0)) == 1.0
    assert curve.discount_factor([[0.5, 1.0, 2.0]]).shape == (1, 3)


def test_beyond_thirty_years_the_last_forward_goes_on():
    log_df = bootstrap(DAY, np.array([[0.03] * 9 + [0.04, 0.05]]))[0]
    curve = Curve(AS_OF, log_df)
    forward = (log_df[-2] - log_df[-1]) / 0.5
    expected = np.exp(log_df[-1] - forward * np.array([0.25, 1.0, 10.0]))
    np.testing.assert_allclose(curve.discount_factor([30.25, 31.0, 40.0]), expected, rtol=1e-14)


@given(curves, st.lists(st.floats(0.0, 40.0), min_size=1, max_size=20))
def test_discount_factors_equal_quantlib(par, times):
    assume(admissible(par))
    log_df = bootstrap(DAY, np.array([par]))[0]
    theirs = ql.LogLinearInterpolation(POINTS.tolist(), np.exp(log_df).tolist())
    ours = Curve(AS_OF, log_df).discount_factor(times)
    np.testing.assert_allclose(ours, [theirs(t, True) for t in times], rtol=1e-12)


@pytest.mark.parametrize("time", [-1e-9, np.nan])
def test_no_discount_factor_before_the_as_of_date(time):
    with pytest.raises(ValueError, match="on or after the as-of date"):
        Curve(AS_OF, np.zeros(63)).discount_factor([1.0, time])


def test_node_weights_by_hand():
    time = np.array([0.0, 1 / 24, 1 / 12, 1 / 6, 1.5, 2.0, 15.0, 29.0, 30.0, 45.0])
    left, weight = node_weights(time)
    assert left.tolist() == [0, 0, 0, 0, 3, 4, 8, 9, 9, 9]
    expected = [0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.5, 0.9, 1.0, 1.0]
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-15)


@given(st.lists(st.floats(-0.05, 0.05), min_size=11, max_size=11), st.floats(0.0, 50.0))
def test_a_shift_is_linear_between_the_nodes_and_flat_outside(shift, t):
    left, weight = node_weights(np.array([t]))
    x = np.array(shift)
    ours = x[left] * (1 - weight) + x[left + 1] * weight
    assert ours[0] == pytest.approx(np.interp(t, NODES, x), abs=1e-15)


@pytest.mark.parametrize(
    ("points", "value"), [(POINTS.size - 1, 0.0), (POINTS.size, np.nan), (POINTS.size, -101.0)]
)
def test_what_is_no_curve_is_refused(points: int, value: float) -> None:
    with pytest.raises(ValueError, match="log_df: 63 numbers within 100 of zero expected"):
        Curve(np.datetime64("2025-03-13"), np.full(points, value))
