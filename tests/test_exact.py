"""Arithmetic with one answer: its accuracy against decimal arithmetic, and its bits."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin import exact

BOUND = Decimal(2) ** -52


def relative_error(ours, x):
    with localcontext(prec=60):
        true = Decimal(x).exp()
        return abs(Decimal(float(ours)) - true) / true


def log_error(ours, x):
    with localcontext(prec=60):
        true = Decimal(x).ln()
        return abs(Decimal(float(ours)) - true) / max(Decimal(1), abs(true))


@given(st.floats(-700.0, 700.0))
@example(0.34657359027997264)  # ln(2)/2: the far end of the reduced range
@example(-0.34657359027997264)
@example(5e-324)
@example(1e-17)
@example(700.0)
@example(-700.0)
def test_exp_is_within_its_bound(x):
    assert relative_error(exact.exp(x), x) < BOUND


@given(st.floats(5e-324, 1.7976931348623157e308))
@example(0.7071067811865475)
@example(0.7071067811865476)
@example(1.414213562373095)
@example(1.0000000000000002)
@example(0.9999999999999999)
@example(5e-324)
def test_log_is_within_its_bound(x):
    assert log_error(exact.log(x), x) < BOUND


@given(st.floats(0.2, 5.0))
def test_log_is_within_its_bound_near_one(x):
    assert log_error(exact.log(x), x) < BOUND


# Recorded once; their accuracy is tested above. Other bits would be other published numbers.
EXP_BITS = {
    0.0: "0x1.0000000000000p+0",
    1.0: "0x1.5bf0a8b14576ap+1",
    -1.0: "0x1.78b56362cef38p-2",
    0.1: "0x1.1aec7b35a00d4p+0",
    -0.04: "0x1.ebec97e700b8dp-1",
    -3.7: "0x1.9511fc6871044p-6",
    23.5: "0x1.ded165e84fad6p+33",
    -700.0: "0x1.14f2b0fb9307fp-1010",
    700.0: "0x1.d945df4f8ec8ep+1009",
}
LOG_BITS = {
    1.0: "0x0.0p+0",
    2.0: "0x1.62e42fefa39efp-1",
    0.5: "-0x1.62e42fefa39efp-1",
    10.0: "0x1.26bb1bbb55516p+1",
    0.9: "-0x1.af8e8210a415cp-4",
    1.03: "0x1.e44a9a3bed66ap-6",
    1e-300: "-0x1.5963447f87fb5p+9",
}


@pytest.mark.parametrize(("x", "bits"), EXP_BITS.items())
def test_exp_keeps_its_bits(x, bits):
    assert float(exact.exp(x)).hex() == bits


@pytest.mark.parametrize(("x", "bits"), LOG_BITS.items())
def test_log_keeps_its_bits(x, bits):
    assert float(exact.log(x)).hex() == bits


def test_exp_and_log_do_not_depend_on_the_shape():
    # Vectorised loops have tails: every length must give what a single value gives.
    x = np.linspace(-5.0, 5.0, 37)
    one_by_one = [float(exact.exp(v)) for v in x]
    assert exact.exp(x).tolist() == one_by_one
    assert exact.exp(np.repeat(x, 2)[::2]).tolist() == one_by_one
    assert exact.exp(x.reshape(37, 1)).shape == (37, 1)
    positive = np.array(one_by_one)
    assert exact.log(positive).tolist() == [float(exact.log(v)) for v in positive]
    assert exact.exp([]).shape == exact.log([]).shape == (0,)


@pytest.mark.parametrize("x", [700.1, -701.0, np.nan, np.inf, -np.inf])
def test_exp_refuses_what_it_cannot_answer(x):
    with pytest.raises(ValueError, match=r"within \+-700"):
        exact.exp([0.0, x])


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, np.nan, np.inf])
def test_log_refuses_what_it_cannot_answer(x):
    with pytest.raises(ValueError, match="positive and finite"):
        exact.log([1.0, x])


@given(st.floats(0.5, 2.0), st.integers(0, 120))
def test_integer_power_against_fractions(base, n):
    true = Fraction(base) ** n
    # Squaring doubles a relative error, so n - 1 roundings at worst.
    assert abs(Fraction(float(exact.integer_power(base, n))) - true) <= true * max(n, 1) / 2**52


def test_integer_power_by_hand():
    powers = exact.integer_power([[2.0], [-3.0]], [0, 1, 2, 3, 10])
    assert powers.tolist() == [[1, 2, 4, 8, 1024], [1, -3, 9, -27, 59049]]
    # 1.03^5 by squaring: 1.03 * ((1.03^2)^2).
    assert float(exact.integer_power(1.03, 5)) == 1.03 * ((1.03 * 1.03) * (1.03 * 1.03))


def test_integer_power_overflows_only_with_cause():
    # 1e200 squared would be infinite, but its first power needs no square. A warning is an error.
    assert exact.integer_power([1e200, 2.0], [1, 100]).tolist() == [1e200, 2.0**100]


def test_integer_power_refuses_negative_exponents():
    with pytest.raises(ValueError, match="must not be negative"):
        exact.integer_power(2.0, [1, -1])


@given(st.lists(st.floats(-1e20, 1e20), max_size=70))
@example([1e16, 1.0, -1e16])  # 0 from the left, though the sum is 1
@example([-0.0])
def test_ordered_sum_adds_from_the_left(values):
    total = 0.0
    for v in values:
        total += v
    ours = float(exact.ordered_sum(values))
    assert ours.hex() == total.hex()


def test_ordered_sum_along_each_axis():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 5, 33)) * 10.0 ** rng.integers(-8, 9, size=(40, 5, 33))
    for axis in (0, 1, 2, -1):
        moved = np.moveaxis(x, axis, 0)
        total = np.zeros(moved.shape[1:])
        for part in moved:
            total = total + part
        assert np.array_equal(exact.ordered_sum(x, axis=axis), total)
    assert exact.ordered_sum(np.zeros((0, 3)), axis=0).tolist() == [0.0, 0.0, 0.0]
    assert exact.ordered_sum(np.zeros((2, 0, 3)), axis=1).shape == (2, 3)


def test_round_to_grid_by_hand():
    step = 2.0**-20
    given_steps = [0.5, 1.5, 2.5, -0.5, -1.5, 0.75, 3.0, -0.0]
    rounded = exact.round_to_grid(np.array(given_steps) * step)
    assert (rounded / step).tolist() == [0.0, 2.0, 2.0, 0.0, -2.0, 1.0, 3.0, 0.0]
    # Zeros are reported as +0.0.
    assert not np.signbit(rounded[rounded == 0.0]).any()


@given(st.floats(-(2.0**32), 2.0**32))
def test_round_to_grid_is_half_to_even(x):
    assert Fraction(float(exact.round_to_grid(x))) == Fraction(round(Fraction(x) * 2**20), 2**20)


def half_up(x):
    with localcontext(prec=400):
        return int((Decimal(x) * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@given(st.floats(0.0, 9e13, exclude_max=True))
@example(0.125)  # a true tie: up
@example(1.005)  # just below a tie in binary: down
@example(0.285)
@example(45035996273704.965)
@example(5e-324)
@example(float(np.nextafter(9e13, 0.0)))
def test_cents_equal_decimal_arithmetic(x):
    assert int(exact.cents(x)) == exact.cents_of(x) == half_up(x)


@given(st.integers(0, 2**43), st.integers(-2, 2))
def test_cents_near_a_tie_equal_decimal_arithmetic(whole, away):
    x = (whole + 0.5) / 100.0
    x = max(x + away * float(np.spacing(x)), 0.0)
    assert int(exact.cents(x)) == exact.cents_of(x) == half_up(x)


def test_cents_round_half_up_and_not_half_to_even():
    ties = [0.125, 0.375, 0.625, 2.125]
    even = [int((Decimal(x) * 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) for x in ties]
    assert exact.cents(ties).tolist() == [13, 38, 63, 213]
    assert [exact.cents_of(float(x)) for x in ties] == [13, 38, 63, 213]
    assert even == [12, 38, 62, 212]
    assert exact.cents(ties).dtype == np.int64


@pytest.mark.parametrize("x", [-0.01, 9e13, np.nan, np.inf])
def test_cents_refuse_what_is_no_amount(x):
    with pytest.raises(ValueError, match="at least 0 and below 9e13"):
        exact.cents([1.0, x])
    with pytest.raises(ValueError, match="cents: every amount"):
        exact.cents_of(x)


def test_cholesky_by_hand():
    matrix = np.array([[4.0, 2.0, -2.0], [2.0, 10.0, 8.0], [-2.0, 8.0, 14.0]])
    lower = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-1.0, 3.0, 2.0]])
    assert np.array_equal(exact.cholesky(matrix), lower)
    # Semi-definite: the second factor is the first.
    assert exact.cholesky(np.ones((2, 2))).tolist() == [[1.0, 0.0], [1.0, 0.0]]
