"""Spread credits, tier charges and offset classes: by hand, by property, and bit for bit."""

from __future__ import annotations

from dataclasses import astuple
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossmargin.engine import offset_classes, spread_credits, tier_charges
from crossmargin.engine.netting import FewPairs, FewSpreads

HALF_ULP = Fraction(1, 2**53)


def legs(*spreads):
    """Return the arrays of spreads written as (rate, (commodity, ratio, side), ...)."""
    flat = [leg for _, *members in spreads for leg in members]
    return {
        "leg_ptr": np.cumsum([0, *(len(members) for _, *members in spreads)]),
        "leg_commodity": [c for c, _, _ in flat],
        "leg_ratio": [r for _, r, _ in flat],
        "leg_side": [s for _, _, s in flat],
        "rate": [rate for rate, *_ in spreads],
    }


def random_spreads(seed, commodities=6, count=9):
    """Return spreads of two to four legs with ratios that do not divide evenly."""
    rng = np.random.default_rng(seed)
    spreads = []
    for _ in range(count):
        size = rng.integers(2, 5)
        side = rng.permutation([1, -1, *rng.choice([1, -1], size - 2)])
        ratio = rng.choice([1.0, 2.0, 3.0, 0.7, 1.3], size)
        members = zip(rng.permutation(commodities)[:size], ratio, side, strict=True)
        spreads.append((rng.choice([0.0, 1.0, rng.random()]), *members))
    return legs(*spreads)


def random_book(seed, accounts=40, commodities=6):
    """Return net deltas, a fifth of them zero, and scan risks."""
    rng = np.random.default_rng(seed)
    delta = rng.normal(0, 100, (accounts, commodities)) * (
        rng.random((accounts, commodities)) > 0.2
    )
    return delta, rng.uniform(0, 1e6, (accounts, commodities))


def assert_same_bits(a, b):
    for x, y in zip(astuple(a), astuple(b), strict=True):
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


# Inter-commodity spreads.


def test_two_legs_by_hand(backend):
    # Two of the first for one of the second: 5 spreads use 10 and 5. Half of 1000 USD, and half of
    # five eighths of 1600.
    result = spread_credits(
        [[10.0, -8.0]],
        [[1000.0, 1600.0]],
        **legs((0.5, (0, 2, 1), (1, 1, -1))),
        backend=backend,
    )
    assert result.count.tolist() == [[5.0]]
    assert result.credit.tolist() == [[500.0 + 500.0]]
    assert result.remaining.tolist() == [[0.0, -3.0]]


def test_three_legs_and_the_reverse_sides(backend):
    # A butterfly 1:2:1; the second account has it the other way round, the third has one leg wrong.
    result = spread_credits(
        [[4.0, -6.0, 5.0], [-4.0, 6.0, -5.0], [4.0, -6.0, -5.0], [4.0, 0.0, 5.0]],
        [[100.0, 60.0, 50.0]] * 4,
        **legs((1.0, (0, 1, 1), (1, 2, -1), (2, 1, 1))),
        backend=backend,
    )
    # The second leg binds at three: 3/4 of 100, all of 60, 3/5 of 50.
    assert result.count.tolist() == [[3.0], [3.0], [0.0], [0.0]]
    np.testing.assert_allclose(result.credit[:, 0], [165.0, 165.0, 0.0, 0.0], rtol=1e-15)
    assert result.remaining.tolist() == [
        [1.0, 0.0, 2.0],
        [-1.0, 0.0, -2.0],
        [4.0, -6.0, -5.0],
        [4.0, 0.0, 5.0],
    ]


def test_deltas_used_are_gone_and_the_credit_is_by_the_original_ones(backend):
    first, second = (0.5, (0, 1, 1), (1, 1, -1)), (0.25, (0, 1, 1), (2, 1, -1))
    book = [[8.0, -6.0, -4.0]], [[800.0, 600.0, 400.0]]
    # Six of the first leave two for the second; 100 USD a delta everywhere.
    result = spread_credits(*book, **legs(first, second), backend=backend)
    assert result.count.tolist() == [[6.0, 2.0]]
    assert result.credit.tolist() == [[0.5 * 1200, 0.25 * 400]]
    assert result.remaining.tolist() == [[0.0, 0.0, -2.0]]
    # The other priority: four of the second leave four for the first.
    result = spread_credits(*book, **legs(second, first), backend=backend)
    assert result.count.tolist() == [[4.0, 4.0]]
    assert result.credit.tolist() == [[0.25 * 800, 0.5 * 800]]
    assert result.remaining.tolist() == [[0.0, -2.0, 0.0]]


def test_a_spread_without_credit_uses_deltas_all_the_same(backend):
    pair = ((0, 1, 1), (1, 1, -1))
    result = spread_credits(
        [[3.0, -3.0]], [[30.0, 30.0]], **legs((0.0, *pair), (1.0, *pair)), backend=backend
    )
    assert result.count.tolist() == [[3.0, 0.0]]
    assert result.credit.tolist() == [[0.0, 0.0]]


def test_the_leg_that_binds_is_used_up_where_the_product_rounds(backend):
    # Of the numbers below 1, many divided and multiplied by 0.7 are no longer themselves.
    delta = np.arange(1, 1000) / 1000
    missed = delta / 0.7 * 0.7 != delta
    assert missed.any()
    result = spread_credits(
        np.stack([delta, np.full(999, -1e6)], axis=1),
        np.ones((999, 2)),
        **legs((1.0, (0, 0.7, 1), (1, 1.0, -1))),
        backend=backend,
    )
    assert result.remaining[:, 0].tolist() == [0.0] * 999
    assert not np.signbit(result.remaining[:, 0]).any()
    assert result.count[:, 0].tolist() == (delta / 0.7).tolist()


def test_no_leg_is_ever_passed(backend):
    # All legs bind but for one rounding: those that do not must not go beyond zero either.
    rng = np.random.default_rng(4)
    ratio = rng.uniform(0.1, 10, 3)
    n = rng.uniform(0.1, 1000, 5000)
    delta = n[:, None] * ratio * [1, -1, 1]
    result = spread_credits(
        delta,
        np.ones_like(delta),
        **legs((1.0, *zip(range(3), ratio, [1, -1, 1], strict=True))),
        backend=backend,
    )
    left = result.remaining * [1, -1, 1]
    assert (left >= 0).all()
    assert (left == 0).any(axis=1).all()
    assert (left > 0).any()


def test_results_are_plain_zeros_and_the_arguments_stay_as_they_were(backend):
    delta, risk = np.array([[-0.0, 5.0, -0.0]]), np.array([[-0.0, 1.0, 1.0]])
    spreads = legs((1.0, (0, 1, 1), (1, 1, -1)), (1.0, (1, 1, 1), (2, 1, -1)))
    result = spread_credits(delta, risk, **spreads, backend=backend)
    for array in astuple(result):
        assert not np.signbit(array).any()
    assert np.signbit(delta).tolist() == [[True, False, True]]


def test_what_is_too_small_to_divide_forms_no_spread(backend):
    result = spread_credits(
        [[5e-324, -1.0]], [[1.0, 1.0]], **legs((1.0, (0, 4.0, 1), (1, 1.0, -1))), backend=backend
    )
    assert result.count.tolist() == [[0.0]]
    assert result.remaining.tolist() == [[5e-324, -1.0]]


def test_empty_books_and_no_spreads(backend):
    none = legs()
    result = spread_credits(np.empty((0, 3)), np.empty((0, 3)), **none, backend=backend)
    assert [a.shape for a in astuple(result)] == [(0, 0), (0, 0), (0, 3)]
    result = spread_credits([[1.0]], [[1.0]], **none, backend=backend)
    assert [a.shape for a in astuple(result)] == [(1, 0), (1, 0), (1, 1)]
    assert result.remaining.tolist() == [[1.0]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_spread_credits_equal_the_reference(fast, seed):
    book, spreads = random_book(seed), random_spreads(seed)
    expected = spread_credits(*book, **spreads, backend="reference")
    assert_same_bits(spread_credits(*book, **spreads, backend=fast), expected)


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
NOT_NEGATIVE = st.floats(0, allow_nan=False, allow_infinity=False)


def outcome(call):
    """Return the bits of a result, or the message of the error."""
    try:
        return [array.tobytes() for array in astuple(call())]
    except ValueError as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(
    arrays(float, (2, 3), elements=FINITE),
    arrays(float, (2, 3), elements=NOT_NEGATIVE),
    arrays(float, 5, elements=st.floats(0, exclude_min=True, allow_infinity=False)),
)
def test_any_numbers_give_the_bits_or_the_error_of_the_reference(fast, delta, risk, ratio):
    spreads = legs((1.0, (0, 1, 1), (1, 1, -1)), (0.3, (0, 1, -1), (1, 1, 1), (2, 1, 1)))
    spreads["leg_ratio"] = ratio

    def call(backend):
        return outcome(lambda: spread_credits(delta, risk, **spreads, backend=backend))

    assert call(fast) == call("reference")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_blocks_change_nothing(fast, threads):
    book, spreads = random_book(1, accounts=2500), random_spreads(1, count=3)
    expected = spread_credits(*book, **spreads, backend="reference")
    assert_same_bits(spread_credits(*book, **spreads, threads=threads, backend=fast), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_credits_and_what_remains_stay_in_their_bounds(backend, seed):
    (delta, risk), spreads = random_book(seed), random_spreads(seed)
    result = spread_credits(delta, risk, **spreads, backend=backend)
    assert (result.credit >= 0).all()
    assert (result.credit[result.count == 0] == 0).all()
    assert (np.abs(result.remaining) <= np.abs(delta)).all()
    assert ((result.remaining == 0) | (np.sign(result.remaining) == np.sign(delta))).all()
    # A spread that forms uses some commodity up.
    for p, (begin, end) in enumerate(pairwise(spreads["leg_ptr"])):
        forms = result.count[:, p] > 0
        left = result.remaining[:, spreads["leg_commodity"][begin:end]]
        assert (left[forms] == 0).any(axis=1).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_credits_of_a_commodity_never_exceed_its_scan_risk(fast, seed):
    (delta, risk), spreads = random_book(seed), random_spreads(seed, count=30)
    spreads["rate"] = np.ones(30)
    for c in range(6):
        # With no other risk every credit is this commodity's.
        only = np.zeros_like(risk)
        only[:, c] = risk[:, c]
        credit = spread_credits(delta, only, **spreads, backend=fast).credit
        named = spreads["leg_commodity"].count(c)
        for account in range(len(delta)):
            total = sum(map(Fraction, credit[account]))
            assert total <= Fraction(risk[account, c]) * (1 + (named + 3) * HALF_ULP)
            assert (credit[account] <= risk[account, c]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(-30, 30), st.integers(-30, 30))
def test_powers_of_two_scale_the_results_exactly(backend, seed, deltas, risks):
    (delta, risk), spreads = random_book(seed), random_spreads(seed)
    one = spread_credits(delta, risk, **spreads, backend=backend)
    scaled = spread_credits(delta * 2.0**deltas, risk * 2.0**risks, **spreads, backend=backend)
    np.testing.assert_array_equal(scaled.count, one.count * 2.0**deltas)
    np.testing.assert_array_equal(scaled.remaining, one.remaining * 2.0**deltas)
    np.testing.assert_array_equal(scaled.credit, one.credit * 2.0**risks)


def test_the_order_of_accounts_permutes_the_results(backend):
    (delta, risk), spreads = random_book(7), random_spreads(7)
    order = np.random.default_rng(7).permutation(len(delta))
    one = spread_credits(delta, risk, **spreads, backend=backend)
    other = spread_credits(delta[order], risk[order], **spreads, backend=backend)
    for x, y in zip(astuple(one), astuple(other), strict=True):
        assert x[order].tobytes() == y.tobytes()


def test_the_reverse_book_has_the_same_credits(backend):
    (delta, risk), spreads = random_book(8), random_spreads(8)
    one = spread_credits(delta, risk, **spreads, backend=backend)
    other = spread_credits(-delta, risk, **spreads, backend=backend)
    assert one.credit.tobytes() == other.credit.tobytes()
    np.testing.assert_array_equal(one.remaining, -other.remaining)


# Tiers.


def test_tiers_by_hand(backend):
    # Within the first tier 4; then 3 longs of it against shorts of the second, and 0 the other way;
    # then the two left short there against longs of the third.
    result = tier_charges(
        [[7.0, 0.0, 9.0]],
        [[4.0, 5.0, 1.0]],
        tier_a=[0, 0, 2],
        tier_b=[0, 1, 1],
        charge=[10.0, 100.0, 1000.0],
        backend=backend,
    )
    assert result.count.tolist() == [[4.0, 3.0, 2.0]]
    assert result.charge.tolist() == [[40.0, 300.0, 2000.0]]
    assert result.long.tolist() == [[0.0, 0.0, 7.0]]
    assert result.short.tolist() == [[0.0, 0.0, 1.0]]


def test_both_directions_across_two_tiers(backend):
    result = tier_charges(
        [[7.0, 2.5]], [[4.0, 5.0]], tier_a=[0], tier_b=[1], charge=[2.0], backend=backend
    )
    # min(7, 5) and min(4, 2.5).
    assert result.count.tolist() == [[7.5]]
    assert result.charge.tolist() == [[15.0]]
    assert result.long.tolist() == [[2.0, 0.0]]
    assert result.short.tolist() == [[1.5, 0.0]]


def test_the_priority_of_tiers_matters(backend):
    book = [[5.0, 5.0]], [[0.0, 5.0]]
    within_first = tier_charges(
        *book, tier_a=[1, 0], tier_b=[1, 1], charge=[1.0, 10.0], backend=backend
    )
    across_first = tier_charges(
        *book, tier_a=[0, 1], tier_b=[1, 1], charge=[10.0, 1.0], backend=backend
    )
    assert within_first.charge.tolist() == [[5.0, 0.0]]
    assert across_first.charge.tolist() == [[50.0, 0.0]]


def random_sides(seed, accounts=40, columns=6):
    rng = np.random.default_rng(seed)
    shape = (2, accounts, columns)
    return rng.uniform(0, 100, shape) * (rng.random(shape) > 0.3)


def random_pairs(seed, columns=6, count=12):
    rng = np.random.default_rng(seed)
    return {
        "tier_a": rng.integers(0, columns, count),
        "tier_b": rng.integers(0, columns, count),
        "charge": rng.uniform(0, 50, count),
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_tier_charges_equal_the_reference(fast, seed):
    sides, pairs = random_sides(seed), random_pairs(seed)
    expected = tier_charges(*sides, **pairs, backend="reference")
    for threads in (1, 3):
        got = tier_charges(*sides, **pairs, threads=threads, backend=fast)
        assert_same_bits(got, expected)


@settings(max_examples=100, deadline=None)
@given(
    arrays(float, (2, 2, 3), elements=NOT_NEGATIVE),
    arrays(float, 3, elements=NOT_NEGATIVE),
)
def test_any_sides_give_the_bits_or_the_error_of_the_reference(fast, sides, charge):
    def call(backend):
        pairs = {"tier_a": [0, 0, 2], "tier_b": [0, 1, 1], "charge": charge}
        return outcome(lambda: tier_charges(*sides, **pairs, backend=backend))

    assert call(fast) == call("reference")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(-30, 30))
def test_tiers_in_bounds_permuted_and_scaled(backend, seed, power):
    sides, pairs = random_sides(seed), random_pairs(seed)
    one = tier_charges(*sides, **pairs, backend=backend)
    assert (one.count >= 0).all()
    assert (one.charge >= 0).all()
    for left, held in zip((one.long, one.short), sides, strict=True):
        assert (left >= 0).all()
        assert (left <= held).all()
    order = np.random.default_rng(seed).permutation(sides.shape[1])
    permuted = tier_charges(*sides[:, order], **pairs, backend=backend)
    for x, y in zip(astuple(one), astuple(permuted), strict=True):
        assert x[order].tobytes() == y.tobytes()
    scaled = tier_charges(*(sides * 2.0**power), **pairs, backend=backend)
    for x, y in zip(astuple(one), astuple(scaled), strict=True):
        np.testing.assert_array_equal(x * 2.0**power, y)


# Offset classes.


def test_offset_classes_by_hand(backend):
    # Within: 30 at 10% disallowed. The 20 still long against 50 short of the second at 40%, and
    # what is left of those, 30, against 45 long of the third, all disallowed.
    result = offset_classes(
        [[50.0, 0.0, 45.0]],
        [[30.0, 50.0, 0.0]],
        factor=[0.1, 0.2, 0.3],
        class_i=[0, 1, 0],
        class_j=[1, 2, 2],
        disallowance=[0.4, 1.0, 0.0],
        backend=backend,
    )
    assert result.offset.tolist() == [[30.0, 0.0, 0.0, 20.0, 30.0, 0.0]]
    assert result.reduction.tolist() == [[27.0, 0.0, 0.0, 12.0, 0.0, 0.0]]
    assert result.long.tolist() == [[0.0, 0.0, 15.0]]
    assert result.short.tolist() == [[0.0, 0.0, 0.0]]


def test_an_order_of_pairs_is_an_answer_of_its_own(backend):
    book = [[10.0, 0.0, 0.0]], [[0.0, 10.0, 10.0]]
    terms = {"factor": [0.0] * 3, "class_i": [0, 0], "disallowance": [0.9, 0.2]}
    one = offset_classes(*book, **terms, class_j=[1, 2], backend=backend)
    other = offset_classes(*book, **terms, class_j=[2, 1], backend=backend)
    assert one.reduction.tolist() == other.reduction.tolist()
    assert one.reduction[0, 3] == 10 * (1.0 - 0.9)
    assert one.short.tolist() == [[0.0, 0.0, 10.0]]
    assert other.short.tolist() == [[0.0, 10.0, 0.0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_offset_classes_equal_the_reference_and_lose_no_margin(fast, seed):
    rng = np.random.default_rng(seed)
    sides = np.rint(random_sides(seed))
    i, j = np.triu_indices(6, 1)
    terms = {
        "factor": rng.random(6),
        "class_i": i,
        "class_j": j,
        "disallowance": rng.random(15),
    }
    result = offset_classes(*sides, **terms, backend=fast)
    assert_same_bits(result, offset_classes(*sides, **terms, backend="reference"))
    assert (result.reduction >= 0).all()
    assert (result.reduction <= result.offset).all()
    # Whole numbers, so these sums are exact: an offset leaves both sides.
    assert (result.long.sum(1) + result.offset.sum(1) == sides[0].sum(1)).all()
    assert (result.short.sum(1) + result.offset.sum(1) == sides[1].sum(1)).all()
    # After every class and pair one side has nothing left.
    assert (np.minimum(result.long.sum(1), result.short.sum(1)) == 0).all()


# Hostile input.

SPREAD = {
    "net_delta": [[1.0, -1.0], [2.0, 3.0]],
    "scan_risk": [[1.0, 1.0], [1.0, 1.0]],
    **legs((0.5, (0, 1, 1), (1, 1, -1))),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("net_delta", [[1.0, np.nan], [2.0, 3.0]], r"net_delta: element \[0, 1\] is nan"),
        ("net_delta", [1.0, 2.0], r"net_delta: 2 dimension\(s\) expected, got 1"),
        ("scan_risk", [[1.0, 1.0], [1.0, -2.0]], r"scan_risk: element \[1, 1\] is -2.0; zero or"),
        ("scan_risk", [[1.0, np.inf], [1.0, 2.0]], r"scan_risk: element \[0, 1\] is inf"),
        ("scan_risk", [[1.0, 1.0]], r"scan_risk: shape \(1, 2\), but net_delta has \(2, 2\)"),
        ("leg_ptr", [0, 1], "leg_ptr: must end with 2"),
        ("leg_ptr", [0, 0, 2], "lengths differ: leg_ptr has 2, rate has 1"),
        ("leg_ptr", [1, 2], "leg_ptr: must start with 0"),
        ("leg_commodity", [0, 2], "leg_commodity: element 1 is 2, outside 0 to 1"),
        ("leg_commodity", [-1, 1], "leg_commodity: element 0 is -1"),
        ("leg_commodity", [1, 1], "leg_commodity: spread 0 names a commodity twice"),
        ("leg_commodity", [0], "lengths differ: leg_commodity has 1, leg_ratio has 2"),
        ("leg_ratio", [1.0, 0.0], "leg_ratio: element 1 is 0.0; ratios are above zero"),
        ("leg_ratio", [-1.0, 1.0], "leg_ratio: element 0 is -1.0"),
        ("leg_side", [1, 1], "leg_side: spread 0 needs legs on both sides"),
        ("leg_side", [1, 0], r"leg_side: element 1 is 0; \+1 or -1 expected"),
        ("leg_side", [-128, 1], "leg_side: element 0 is -128"),
        ("leg_side", [1, 300], "leg_side: a value does not fit int8"),
        ("rate", [1.5], "rate: element 0 is 1.5; 0 to 1 expected"),
        ("rate", [-0.1], "rate: element 0 is -0.1"),
        ("threads", 0, "threads: a whole number from 1 on"),
        ("backend", "cuda", "backend: one of auto"),
    ],
)
def test_bad_spreads_are_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=message):
        spread_credits(**{**SPREAD, name: value})


@pytest.mark.parametrize("name", ["net_delta", "leg_commodity", "leg_side", "rate"])
def test_values_that_are_no_numbers_are_refused_by_name(name):
    with pytest.raises(TypeError, match=name):
        spread_credits(**{**SPREAD, name: np.array(SPREAD[name]).astype(str)})


TIERS = {"long": [[1.0, 2.0]], "short": [[1.0, 2.0]]}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("long", [[1.0, -2.0]], r"long: element \[0, 1\] is -2.0; zero or more expected"),
        ("short", [[1.0, np.nan]], r"short: element \[0, 1\] is nan"),
        ("short", [[1.0]], r"short: shape \(1, 1\), but long has \(1, 2\)"),
        ("tier_a", [2], "tier_a: element 0 is 2, outside 0 to 1"),
        ("tier_b", [0, 1], "lengths differ: tier_a has 1, tier_b has 2, charge has 1"),
        ("charge", [-1.0], "charge: element 0 is -1.0"),
    ],
)
def test_bad_tiers_are_refused_by_name(name, value, message):
    tiers = {**TIERS, "tier_a": [0], "tier_b": [1], "charge": [1.0], name: value}
    with pytest.raises(ValueError, match=message):
        tier_charges(**tiers)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("factor", [0.5], "factor: 2 elements expected, one a class, got 1"),
        ("factor", [0.5, 2.0], "factor: element 1 is 2.0; 0 to 1 expected"),
        ("class_i", [1], "class_j: element 0 is 1; a pair needs two classes"),
        ("class_j", [5], "class_j: element 0 is 5, outside 0 to 1"),
        ("disallowance", [40.0], "disallowance: element 0 is 40.0; 0 to 1 expected, not percent"),
        ("disallowance", [], "lengths differ: class_i has 1, class_j has 1, disallowance has 0"),
    ],
)
def test_bad_classes_are_refused_by_name(name, value, message):
    classes = {"factor": [0.5, 0.5], "class_i": [0], "class_j": [1], "disallowance": [0.5]}
    with pytest.raises(ValueError, match=message):
        offset_classes(**TIERS, **{**classes, name: value})


LARGEST = np.finfo(float).max


def test_spreads_beyond_float64_name_account_and_spread(backend):
    spreads = legs((1.0, (0, 1, 1), (1, 1, -1)), (1.0, (2, 1e-300, 1), (3, 1e-300, -1)))
    problem = "account 1, spread 1: its number or credit overflows float64"
    delta = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, 1e300, -1e300]])
    with pytest.raises(ValueError, match=problem):
        spread_credits(delta, np.ones((2, 4)), **spreads, backend=backend)
    risk = np.array([[LARGEST, 0.0, LARGEST, 0.0], [1.0, 1.0, LARGEST, LARGEST]])
    with pytest.raises(ValueError, match=problem):
        spread_credits(np.sign(delta), risk, **spreads, backend=backend)


def test_charges_beyond_float64_name_account_and_spread(backend):
    held = [[1.0, 1.0], [LARGEST, LARGEST]]
    terms = {"tier_a": [0], "tier_b": [1]}
    for charge in (0.0, 1.0):
        # Each direction is a number, their sum is none.
        with pytest.raises(ValueError, match="account 1, spread 0: its number or charge"):
            tier_charges(held, held, **terms, charge=[charge], backend=backend)
    with pytest.raises(ValueError, match="account 0, spread 0: its number or charge"):
        tier_charges([[2.0, 0.0]], [[0.0, 2.0]], **terms, charge=[LARGEST], backend=backend)


def test_the_extension_never_converts_silently():
    core = pytest.importorskip("crossmargin.engine._core")
    book = {"net_delta": np.array([[2.0, -2.0]]), "scan_risk": np.ones((1, 2))}
    spreads = {
        "leg_ptr": np.array([0, 2]),
        "leg_commodity": np.array([0, 1], np.int32),
        "leg_ratio": np.ones(2),
        "leg_side": np.array([1, -1], np.int8),
        "rate": np.ones(1),
    }
    written = {"count": np.zeros((1, 1)), "credit": np.zeros((1, 1)), "remaining": np.ones((1, 2))}

    def form(**changed):
        given = {"first": 0, "last": 1, **spreads, **book, **written, **changed}
        groups = {
            "spreads": tuple(given.pop(name) for name in spreads),
            "result": tuple(given.pop(name) for name in written),
        }
        return core.spread_credits(**given, **groups)

    assert form() == (0, 0, 0, 0)
    assert written["credit"].tolist() == [[2.0]]
    for name, value in (spreads | book | written).items():
        with pytest.raises(TypeError, match="incompatible function arguments"):
            form(**{name: np.asfortranarray(value.astype(np.float32))})
    misfits = {
        "last": 2,
        "first": -1,
        "leg_ptr": np.array([0, 1, 2]),
        "leg_side": np.array([1], np.int8),
        "scan_risk": np.ones((2, 2)),
        "remaining": np.ones((1, 1)),
        "credit": np.ones((1, 2)),
        "count": np.ones(1),
    }
    for name, value in misfits.items():
        with pytest.raises(ValueError, match=r"range|spreads|remaining|credit|dimensions"):
            form(**{name: value})

    pairs = {"a": np.array([0], np.int32), "b": np.array([1], np.int32), "weight": np.ones(1)}
    sides = {name: np.ones((1, 2)) for name in ("long_held", "short_held")}
    netted = {name: np.zeros((1, 1)) for name in ("count", "amount")}
    netted |= {name: np.ones((1, 2)) for name in ("long_left", "short_left")}

    def offset(**changed):
        given = {"first": 0, "last": 1, **pairs, **sides, **netted, **changed}
        groups = {
            "pairs": tuple(given.pop(name) for name in pairs),
            "result": tuple(given.pop(name) for name in netted),
        }
        return core.net_pairs(**given, **groups)

    assert offset() == (0, 0, 0, 0)
    assert netted["amount"].tolist() == [[2.0]]
    for name, value in (pairs | sides | netted).items():
        with pytest.raises(TypeError, match="incompatible function arguments"):
            offset(**{name: value.astype(np.float32)})
    for name, value in {
        "last": 2,
        "weight": np.ones(2),
        "short_held": np.ones((1, 3)),
        "long_left": np.ones((2, 2)),
        "amount": np.ones((1, 2)),
    }.items():
        with pytest.raises(ValueError, match=r"range|pairs|held|amount"):
            offset(**{name: value})


def test_a_few_accounts_have_the_credits_and_charges_of_many():
    rng = np.random.default_rng(11)
    delta = rng.integers(-20, 20, (5, 6)).astype(float)
    risk = np.abs(delta) * rng.uniform(100.0, 900.0, 6)
    spreads = random_spreads(3)
    few = FewSpreads(**spreads, commodities=6)(delta, risk)
    assert few.tobytes() == spread_credits(delta, risk, **spreads).credit.tobytes()
    long, short = rng.uniform(0.0, 9.0, (2, 5, 4))
    pairs = {"tier_a": [0, 1, 2], "tier_b": [0, 3, 1], "charge": [1.5, 2.5, 0.1]}
    few = FewPairs(**pairs, tiers=4)(long, short)
    assert few.tobytes() == tier_charges(long, short, **pairs).charge.tobytes()


def test_a_few_accounts_whose_amounts_overflow_have_none():
    spreads = legs((1.0, (0, 1e-300, 1), (1, 1e-300, -1)))
    huge = np.array([[1e300, -1e300]])
    assert FewSpreads(**spreads, commodities=2)(huge, np.abs(huge)) is None
    long = np.array([[1e300, 0.0]])
    pairs = FewPairs(tier_a=[0], tier_b=[1], charge=[1e300], tiers=2)
    assert pairs(long, long[:, ::-1].copy()) is None


def test_what_is_fixed_for_a_few_accounts_is_checked():
    with pytest.raises(ValueError, match="leg_commodity"):
        FewSpreads(**legs((1.0, (0, 1.0, 1), (5, 1.0, -1))), commodities=2)
    with pytest.raises(ValueError, match="tier_b"):
        FewPairs(tier_a=[0], tier_b=[2], charge=[1.0], tiers=2)
