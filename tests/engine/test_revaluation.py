"""Full revaluation and polynomials: direct computation, and bit-equality of the backends."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin import exact
from crossmargin.engine import feature_index, revalue, taylor

GRID = 2.0**-20


@dataclass(frozen=True)
class Terms:
    exponent_ptr: np.ndarray
    exponent_factor: np.ndarray
    exponent_weight: np.ndarray
    line_ptr: np.ndarray
    term_exponent: np.ndarray
    term_amount: np.ndarray
    line_offset: np.ndarray
    instrument_ptr: np.ndarray
    scale: np.ndarray
    linear_ptr: np.ndarray
    linear_factor: np.ndarray
    linear_loading: np.ndarray


def random_terms(seed, factors=5, exponents=11, instruments=9):
    """Return terms with lines of 0 to 6 terms, 1 to 3 lines an instrument, some linear factors."""
    rng = np.random.default_rng(seed)
    entries = rng.integers(0, 3, exponents)
    lines_of = rng.integers(1, 4, instruments)
    terms_of = rng.integers(0, 7, lines_of.sum())
    loads = rng.integers(0, 4, instruments)
    return Terms(
        np.cumsum([0, *entries]),
        rng.integers(0, factors, entries.sum()),
        rng.uniform(0, 30, entries.sum()),
        np.cumsum([0, *terms_of]),
        rng.integers(0, exponents, terms_of.sum()),
        rng.normal(0, 50, terms_of.sum()),
        rng.normal(0, 5, len(terms_of)),
        np.cumsum([0, *lines_of]),
        rng.uniform(0.1, 2000, instruments),
        np.cumsum([0, *loads]),
        rng.integers(0, factors, loads.sum()),
        rng.normal(0, 1000, loads.sum()),
    )


def direct(terms, shock):
    """Return the P&L by plain Python arithmetic and the C library, sums by fsum."""

    def value(i, exponential):
        return min(
            math.fsum(
                terms.term_amount[t] * exponential(terms.term_exponent[t])
                for t in range(terms.line_ptr[j], terms.line_ptr[j + 1])
            )
            + terms.line_offset[j]
            for j in range(terms.instrument_ptr[i], terms.instrument_ptr[i + 1])
        )

    def exponential(m):
        span = range(terms.exponent_ptr[m], terms.exponent_ptr[m + 1])
        return math.exp(
            -math.fsum(terms.exponent_weight[e] * row[terms.exponent_factor[e]] for e in span)
        )

    pnl = np.empty((len(terms.scale), len(shock)))
    for s, row in enumerate(shock):
        for i, scale in enumerate(terms.scale):
            pnl[i, s] = scale * (value(i, exponential) - value(i, lambda m: 1.0))
            for n in range(terms.linear_ptr[i], terms.linear_ptr[i + 1]):
                pnl[i, s] += terms.linear_loading[n] * row[terms.linear_factor[n]]
    return pnl


@pytest.fixture(scope="module")
def shock():
    return np.random.default_rng(2).normal(0, 0.01, (150, 5))


ONE_FLOW = Terms(
    *(np.array(x) for x in ([0, 1], [0], [2.0], [0, 1], [0], [100.0], [0.0], [0, 1])),
    *(np.array(x) for x in ([1.0], [0, 0], [], [])),
)


@pytest.mark.parametrize("seed", range(5))
def test_revalue_agrees_with_direct_computation(backend, seed, shock):
    terms = random_terms(seed)
    pnl = revalue(terms, shock[:20], backend=backend)
    assert pnl.flags.c_contiguous
    np.testing.assert_array_equal(pnl, np.rint(pnl * 2.0**20) * GRID)
    np.testing.assert_allclose(pnl, direct(terms, shock[:20]), rtol=0, atol=GRID / 2 + 1e-8)


def test_one_flow_by_hand(backend):
    # 100 * (exp(-2 * 0.01) - 1) = -1.98013266932447 USD
    pnl = revalue(ONE_FLOW, [[0.01], [0.0], [-0.0]], backend=backend)
    assert pnl[0, 0] == round(100 * math.expm1(-0.02) * 2**20) / 2**20
    assert pnl[0, 1:].tolist() == [0.0, 0.0]
    assert not np.signbit(pnl[0, 1:]).any()


def test_the_smallest_line_is_taken_again_in_every_scenario(backend):
    # Two lines, 100 E(s) and 100 E(2 s) + 1: the base is 100, the first; rates up, the second.
    terms = replace(
        ONE_FLOW,
        exponent_ptr=np.array([0, 1, 2]),
        exponent_factor=np.array([0, 0]),
        exponent_weight=np.array([1.0, 2.0]),
        line_ptr=np.array([0, 1, 2]),
        term_exponent=np.array([0, 1]),
        term_amount=np.array([100.0, 100.0]),
        line_offset=np.array([0.0, 1.0]),
        instrument_ptr=np.array([0, 2]),
    )
    pnl = revalue(terms, [[0.5], [-0.5]], backend=backend)[0]
    up, down = 100 * math.exp(-1.0) + 1 - 100, 100 * math.exp(0.5) - 100
    np.testing.assert_allclose(pnl, [up, down], rtol=0, atol=GRID)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scenarios", [0, 1, 2, 63, 64, 65, 127, 128, 129, 150])
def test_revalue_equals_the_reference(fast, seed, scenarios, shock):
    terms = random_terms(seed)
    expected = revalue(terms, shock[:scenarios], backend="reference")
    for threads in (1, 3):
        got = revalue(terms, shock[:scenarios], threads=threads, backend=fast)
        assert got.tobytes() == expected.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(-0.3, 0.3))
def test_revalue_equals_the_reference_on_any_terms(fast, seed, size):
    terms = random_terms(seed)
    moves = size * np.random.default_rng(seed).normal(0, 0.1, (7, 5))
    assert (
        revalue(terms, moves, backend=fast).tobytes()
        == revalue(terms, moves, backend="reference").tobytes()
    )


def test_a_scenario_does_not_depend_on_the_others(backend, shock):
    terms = random_terms(3)
    alone = [revalue(terms, shock[s : s + 1], backend=backend)[:, 0] for s in range(0, 150, 17)]
    together = revalue(terms, shock, backend=backend)[:, ::17]
    np.testing.assert_array_equal(np.array(alone).T, together)


def test_native_exp_has_the_bits_of_exact_at_every_level():
    core = pytest.importorskip("crossmargin.engine._core")
    x = exp_arguments()
    for level in core.levels():
        assert core.exp(level, x).tobytes() == exact.exp(x).tobytes()


def test_numba_exp_has_the_bits_of_exact():
    pytest.importorskip("numba")
    from crossmargin.engine import numba_kernels

    x = exp_arguments()
    assert np.array([numba_kernels._exp(v) for v in x]).tobytes() == exact.exp(x).tobytes()


def exp_arguments():
    """Return arguments all over exp's range: random, whole, near multiples of ln(2)/2, tiny."""
    rng = np.random.default_rng(11)
    halves = np.arange(-2019, 2020) * (math.log(2) / 2)
    return np.concatenate(
        [
            rng.uniform(-700, 700, 20_000),
            rng.normal(0, 0.05, 20_000),
            np.arange(-700.0, 701.0),
            halves[np.abs(halves) < 700],
            np.nextafter(halves[np.abs(halves) < 700], 0.0),
            [0.0, -0.0, 5e-324, -5e-324, 1e-300, 2.0**-54, -700.0, 700.0],
        ]
    )


def test_features_are_factors_and_then_pairs_in_order():
    pairs = [(k, n) for k in range(4) for n in range(k, 4)]
    k, n = np.array(pairs).T
    assert feature_index(k, n, 4).tolist() == list(range(4, 4 + len(pairs)))
    assert feature_index(3, 3, 4) == 13
    for bad in ((2, 1), (-1, 0), (0, 4)):
        with pytest.raises(ValueError, match="feature_index"):
            feature_index(*bad, 4)


def test_taylor_by_hand(backend):
    # 10 * 2 + 100 * 0.5 * 2 = 120; 10 * 0.25 + 100 * -1 * 0.25 = -22.5; no terms: 0.
    feature = [1, int(feature_index(0, 1, 3))]
    pnl = taylor([0, 2, 2], feature, [10, 100], [[0.5, 2, 4], [-1, 0.25, 8]], backend=backend)
    assert pnl.tolist() == [[120.0, -22.5], [0.0, 0.0]]


@pytest.mark.parametrize("scenarios", [0, 1, 63, 64, 65, 129, 150])
def test_taylor_equals_the_reference(fast, scenarios, shock):
    rng = np.random.default_rng(6)
    counts = rng.integers(0, 21, 30)
    ptr = np.cumsum([0, *counts])
    feature, coefficient = rng.integers(0, 20, ptr[-1]), rng.normal(0, 1e6, ptr[-1])
    arguments = (ptr, feature, coefficient, shock[:scenarios])
    expected = taylor(*arguments, backend="reference")
    assert taylor(*arguments, backend=fast, threads=2).tobytes() == expected.tobytes()


def test_rounding_is_half_to_even_up_to_the_end_of_the_grid(backend):
    steps = [0.5, 1.5, 2.5, -0.5, -1.5, 2.0**-30, -(2.0**-30), 2.0**51 + 0.5, 2.0**53 - 1]
    rounded = [0, 2, 2, 0, -2, 0, 0, 2.0**51, 2.0**53 - 1]
    pnl = taylor([0, 1], [0], [GRID], np.array([steps]).T, backend=backend)
    assert pnl[0].tolist() == [x * GRID for x in rounded]
    assert not np.signbit(pnl[0, pnl[0] == 0]).any()


@pytest.mark.parametrize("coefficient", [2.0**33, -(2.0**33), 1e308])
def test_a_pnl_beyond_the_grid_is_named(backend, coefficient):
    with pytest.raises(ValueError, match="instrument 1, scenario 2: the P&L is not finite or"):
        taylor([0, 1, 2], [0, 0], [1.0, coefficient], [[0.0], [-0.0], [1.0]], backend=backend)


def test_revalue_names_what_leaves_its_range(backend):
    with pytest.raises(ValueError, match=r"exponent 0, scenario 1: outside \+-700"):
        revalue(ONE_FLOW, [[0.0], [351.0]], backend=backend)
    with pytest.raises(ValueError, match="instrument 0, scenario 1: the P&L is not finite"):
        revalue(ONE_FLOW, [[0.0], [-100.0]], backend=backend)


def test_a_line_that_is_not_a_number_is_never_passed_over(backend):
    # Line 0 is 1e200 (e^300 - e^300) = inf - inf, line 1 is 5: the minimum must not hide it.
    for order in ([0, 2, 2], [0, 0, 2]):
        terms = replace(
            ONE_FLOW,
            line_ptr=np.array(order),
            term_exponent=np.array([0, 0]),
            term_amount=np.array([1e200, -1e200]),
            line_offset=np.array([0.0, 5.0]),
            instrument_ptr=np.array([0, 2]),
        )
        with pytest.raises(ValueError, match="instrument 0, scenario 0"):
            revalue(terms, [[-150.0]], backend=backend)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exponent_factor": [1]}, "exponent_factor: element 0 is 1, outside 0 to 0"),
        ({"exponent_weight": [1.0, 2.0]}, "exponent_factor has 1, exponent_weight has 2"),
        ({"exponent_ptr": [0, 2]}, "exponent_ptr: must end with 1"),
        ({"term_exponent": [1]}, "term_exponent: element 0 is 1"),
        ({"term_amount": [np.inf]}, r"term_amount: element \[0\] is inf"),
        ({"line_offset": [0.0, 1.0]}, "line_ptr has 1, line_offset has 2"),
        ({"instrument_ptr": [0, 0, 1]}, "instrument_ptr: instrument 0 has no line"),
        ({"scale": [np.nan]}, r"scale: element \[0\] is nan"),
        ({"linear_factor": [1], "linear_loading": [1.0]}, "linear_factor: element 0 is 1"),
        ({"linear_loading": [1.0]}, "linear_factor has 0, linear_loading has 1"),
        ({"linear_ptr": [0, 1]}, "linear_ptr: must end with 0"),
        ({"linear_ptr": [0]}, "linear_ptr has 0"),
    ],
)
def test_terms_are_checked_by_name(change, message):
    terms = replace(ONE_FLOW, **{name: np.array(value) for name, value in change.items()})
    with pytest.raises(ValueError, match=message):
        revalue(terms, [[0.01]])


def test_polynomials_are_checked_by_name():
    with pytest.raises(ValueError, match="poly_feature: element 0 is 2, outside 0 to 1"):
        taylor([0, 1], [2], [1.0], [[0.1]])
    with pytest.raises(ValueError, match="poly_feature has 1, poly_coefficient has 2"):
        taylor([0, 1], [0], [1.0, 2.0], [[0.1]])
    with pytest.raises(ValueError, match=r"shock: 2 dimension\(s\) expected"):
        taylor([0, 1], [0], [1.0], [0.1])
