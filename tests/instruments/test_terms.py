"""Terms against values on shifted curves; derivatives against hand work and exact differences."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.engine import revalue
from crossmargin.instruments.terms import Line, resolve, sensitivities
from crossmargin.market.curve import NODES, POINTS, Curve

AS_OF = np.datetime64("2025-03-13")
FLAT = Curve(AS_OF, -0.04 * POINTS)
STEEP = Curve(AS_OF, -(0.03 + 0.001 * POINTS) * POINTS)
K = NODES.size
NODE = {years: k for k, years in enumerate(NODES.tolist())}


def line(flow, time, horizon=0.0, spread=0.0, offset=0.0):
    time = np.array(time, dtype=np.float64)
    return Line(np.array(flow, np.float64), time, np.full(time.size, horizon), spread, offset)


def terms_of(*instruments, curve=FLAT, scale=None):
    """Resolve instruments given as lists of lines, without a basis."""
    count = len(instruments)
    return resolve(
        [one for lines in instruments for one in lines],
        [len(lines) for lines in instruments],
        curve,
        np.ones(count) if scale is None else np.array(scale),
    )


def exponents(terms):
    """The vectors u, dense, [M x K]."""
    u = np.zeros((terms.exponent_ptr.size - 1, K))
    for m in range(u.shape[0]):
        own = slice(terms.exponent_ptr[m], terms.exponent_ptr[m + 1])
        assert np.all(np.diff(terms.exponent_factor[own]) > 0)
        u[m, terms.exponent_factor[own]] = terms.exponent_weight[own]
    return u


def test_a_zero_coupon_by_hand():
    # 15 years lie half way between the nodes 10 and 20: u = 7.5 at each.
    terms = terms_of([line([100.0], [15.0])], scale=[1.0])
    value = 100.0 * np.exp(-0.6)
    assert terms.line_value[0] == pytest.approx(value, rel=1e-15)
    u = exponents(terms)
    assert u[0, [NODE[10.0], NODE[20.0]]].tolist() == [7.5, 7.5]
    assert np.count_nonzero(u) == 2
    found = sensitivities(terms, K)
    gradient, hessian = np.zeros(K), np.zeros((K, K))
    gradient[[8, 9]] = -7.5 * value
    hessian[8:10, 8:10] = 56.25 * value
    np.testing.assert_allclose(found.gradient[0], gradient, rtol=1e-15)
    np.testing.assert_allclose(found.hessian[0], hessian, rtol=1e-15)
    # A basis point on all nodes: 15 years * 0.01% of the value.
    assert found.dv01[0] == pytest.approx(value * 15.0 * 1e-4, rel=1e-15)


def test_a_flow_on_a_node_before_the_first_and_beyond_the_last():
    u = exponents(terms_of([line([1.0] * 4, [0.0, 1 / 24, 7.0, 40.0])]))
    assert not u[0].any()
    assert u[1, 0] == 1 / 24
    assert u[2, NODE[7.0]] == 7.0
    assert u[3, NODE[30.0]] == 40.0
    assert [np.count_nonzero(row) for row in u] == [0, 1, 1, 1]


def test_a_forward_flow_by_hand():
    # 100 paid at 15 years, valued at half a year, for 2000 USD a point.
    terms = terms_of([line([100.0], [15.0], horizon=0.5, offset=-3.0)], scale=[2000.0])
    forward = 100.0 * np.exp(-0.04 * 14.5)
    assert terms.line_amount[0] == pytest.approx(forward, rel=1e-15)
    assert terms.line_value[0] == pytest.approx(forward - 3.0, rel=1e-15)
    u = exponents(terms)[0]
    assert u[[NODE[0.5], NODE[10.0], NODE[20.0]]].tolist() == [-0.5, 7.5, 7.5]
    found = sensitivities(terms, K)
    assert found.gradient[0, NODE[0.5]] == pytest.approx(2000.0 * 0.5 * forward, rel=1e-15)
    assert found.hessian[0, 2, 8] == pytest.approx(-2000.0 * 0.5 * 7.5 * forward, rel=1e-15)
    assert found.dv01[0] == pytest.approx(2000.0 * 14.5 * forward * 1e-4, rel=1e-14)


def test_a_flow_valued_when_it_is_paid_does_not_move():
    terms = terms_of([line([5.0], [0.3], horizon=0.3)])
    assert terms.line_value.tolist() == [5.0]
    assert terms.exponent_ptr.tolist() == [0, 0]
    assert not sensitivities(terms, K).gradient.any()


def test_a_spread_discounts_to_today_and_forwards_are_funded_without_it():
    spread, time, horizon = 0.01, 5.0, 0.25
    terms = terms_of([line([100.0], [time], horizon, spread)])
    expected = 100.0 * np.exp(-0.04 * (time - horizon)) * np.exp(-spread * time)
    assert terms.line_value[0] == pytest.approx(expected, rel=1e-15)


flows = st.lists(st.tuples(st.floats(-200.0, 200.0), st.floats(0.0, 45.0)), min_size=1, max_size=8)


def shifted_value(terms, shift):
    """The value of one line under a shift in decimal arithmetic, from the stored terms."""
    total = Decimal(float(terms.line_offset[0]))
    for amount, m in zip(terms.term_amount, terms.term_exponent, strict=True):
        own = range(terms.exponent_ptr[m], terms.exponent_ptr[m + 1])
        u = sum(
            Decimal(float(terms.exponent_weight[n])) * shift[terms.exponent_factor[n]] for n in own
        )
        total += Decimal(float(amount)) * (-Decimal(u)).exp()
    return total * Decimal(float(terms.scale[0]))


@pytest.mark.parametrize("horizon", [0.0, 0.37])
def test_derivatives_against_differences_in_decimal_arithmetic(horizon):
    time = [0.4, 0.9, 1.4, 1.9, 6.3, 28.0, 33.0]
    terms = terms_of(
        [line([2.0, 2.5, 2.0, 2.0, -7.0, 2.0, 102.0], time, horizon, 0.002, -1.0)],
        curve=STEEP,
        scale=[1000.0],
    )
    found = sensitivities(terms, K)
    step = Decimal("1e-12")
    with localcontext(prec=60):

        def value(*moves):
            shift = [Decimal(0)] * K
            for k, sign in moves:
                shift[k] += sign * step
            return shifted_value(terms, shift)

        for k in range(K):
            slope = (value((k, 1)) - value((k, -1))) / (2 * step)
            assert found.gradient[0, k] == pytest.approx(float(slope), rel=1e-13, abs=1e-9)
            for n in range(k, K):
                ends = [value((k, a), (n, b)) * a * b for a in (1, -1) for b in (1, -1)]
                curvature = sum(ends) / (4 * step * step)
                assert found.hessian[0, k, n] == pytest.approx(
                    float(curvature), rel=1e-13, abs=1e-9
                )
                assert found.hessian[0, n, k] == found.hessian[0, k, n]


@given(flows, st.sampled_from([0.0, 0.05, 0.6]), st.integers(0, 2**31))
def test_terms_are_the_value_on_the_shifted_curve(flow, horizon, seed):
    """Methodology 3: DF_s(t) = DF_0(t) exp(-t shift(t)), the shift linear between the nodes."""
    amount, time = np.array(flow).T
    shock = np.random.default_rng(seed).uniform(-0.03, 0.03, size=(4, K))
    terms = terms_of([Line(amount, time, np.full(time.size, horizon))], curve=STEEP)
    pnl = revalue(terms, shock, backend="reference")[0]

    def discount(t, x):
        return STEEP.discount_factor(t) * np.exp(-t * np.interp(t, NODES, x))

    def value(x):
        return float(np.sum(amount * discount(time, x) / discount(horizon, x)))

    expected = [value(x) - value(np.zeros(K)) for x in shock]
    np.testing.assert_allclose(pnl, expected, rtol=0, atol=2.0**-21 + 1e-9)


def test_equal_pairs_of_times_share_an_exponent():
    first = [line([1.0, 2.0], [0.5, 1.0])]
    second = [line([3.0, 4.0], [1.0, 0.5]), line([5.0], [1.0], horizon=0.5)]
    terms = terms_of(first, second)
    assert terms.exponent_ptr.size - 1 == 3
    assert terms.line_ptr.tolist() == [0, 2, 4, 5]
    assert terms.instrument_ptr.tolist() == [0, 1, 3]
    assert terms.term_exponent.tolist() == [0, 1, 1, 0, 2]
    discount = np.exp(-0.04 * np.array([0.5, 1.0, 1.0, 0.5, 0.5]))
    np.testing.assert_allclose(terms.term_amount, np.array([1, 2, 3, 4, 5]) * discount, rtol=1e-15)


def test_the_base_line_is_the_lowest_and_the_first_of_equals():
    def constant(value):
        return line([], [], offset=value)

    terms = terms_of(
        [constant(2.0)],
        [constant(5.0), constant(3.0), constant(4.0)],
        [constant(3.0), constant(1.0), constant(1.0)],
        [constant(-1.0), constant(0.0)],
    )
    assert terms.base_line.tolist() == [0, 2, 5, 7]


def test_only_lines_keeps_the_chosen_line_of_each_instrument():
    terms = terms_of(
        [line([1.0, 2.0], [0.5, 1.0])],
        [line([9.0], [3.0]), line([3.0, 1.0, 1.0], [1.0, 2.0, 3.0], offset=0.5)],
        [line([], []), line([4.0], [7.0])],
        scale=[1.0, 10.0, 100.0],
    )
    kept = terms.only_lines(np.array([0, 2, 3]))
    assert kept.line_ptr.tolist() == [0, 2, 5, 5]
    assert kept.instrument_ptr.tolist() == [0, 1, 2, 3]
    assert kept.line_value.tolist() == terms.line_value[[0, 2, 3]].tolist()
    assert kept.base_line.tolist() == [0, 1, 2]
    assert kept.scale.tolist() == [1.0, 10.0, 100.0]
    shock = np.full((1, K), 0.01)
    pnl = revalue(kept, shock, backend="reference")
    assert pnl[2].tolist() == [0.0]
    alone = terms_of([line([3.0, 1.0, 1.0], [1.0, 2.0, 3.0], offset=0.5)], scale=[10.0])
    assert pnl[1].tolist() == revalue(alone, shock, backend="reference")[0].tolist()


def test_instruments_without_terms_have_no_sensitivity():
    found = sensitivities(terms_of([line([], [])], [line([], [], offset=95.0)]), K)
    assert not found.gradient.any()
    assert found.hessian.shape == (2, K, K)
    assert not np.signbit(found.gradient).any()
