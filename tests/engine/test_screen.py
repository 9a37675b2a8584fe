"""The screens and every instruction set against the reference, bit for bit.

What: VaR, ES, scenario numbers and weights of the C++ kernel, its screen forced on, at each level
this CPU has. Why: the screen may only ever leave out scenarios that cannot matter; these cases try
to make it leave out one that does, or to break its arithmetic. Tolerance: none. Out of scope: NaN
and infinities, which a cube refuses.
"""

from __future__ import annotations

import copy
import ctypes
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.engine import Book, Cube, Measure, info, segment_tails, taylor
from crossmargin.engine import cube as cube_module
from crossmargin.engine.faults import PnlError

core = pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")

UNIONS = [[0], [1], [0, 1], [2], [0, 2], [0, 1, 2]]
ENOUGH = 192
"""Scenarios from which a short tail is screened: three for each of 64 groups."""


@pytest.fixture(autouse=True)
def _always_screen(monkeypatch):
    monkeypatch.setattr(cube_module, "TAILS_WORTH_A_SCREEN", 0)


@pytest.fixture(params=core.levels())
def level(request, monkeypatch):
    """Force each level in turn."""
    monkeypatch.setenv("XM_SIMD", request.param)
    assert info("native").instruction_set == request.param
    return request.param


def check(book, cube, *, level=0.99, scenarios=None, segments=1, unions=([0],), threads=1):
    """Compare with the reference, with and without ES and scenarios."""
    common = {"segments": segments, "unions": unions}
    measures = [Measure(cube, level, scenarios)]
    expected = segment_tails(book, measures, backend="reference", scenarios=True, **common)
    found = segment_tails(
        book, measures, backend="native", scenarios=True, threads=threads, **common
    )
    assert found.var.tobytes() == expected.var.tobytes()
    assert found.es.tobytes() == expected.es.tobytes()
    np.testing.assert_array_equal(found.scenario[0], expected.scenario[0])
    np.testing.assert_array_equal(found.weight[0], expected.weight[0])
    alone = segment_tails(book, measures, backend="native", es=False, threads=threads, **common)
    assert alone.var.tobytes() == expected.var.tobytes()
    assert alone.es is None
    assert alone.scenario is None


def test_a_screen_is_made_at_the_level_that_is_forced(level, monkeypatch, make_book, make_cube):
    made, make = [], core.Screen
    monkeypatch.setattr(
        core, "Screen", lambda **given: made.append(given["level"]) or make(**given)
    )
    check(make_book([3], 5), make_cube(5, ENOUGH))
    assert made == [level]


def test_each_screen_is_made_once_and_later_calls_start_no_threads(
    monkeypatch, make_book, make_cube
):
    cube = make_cube(3, ENOUGH)
    measures = [Measure(cube), Measure(cube, 0.9), Measure(cube, 0.9, slice(0, 100))]
    made, units = [], []
    make, module = core.Screen, import_module("crossmargin.engine.tails")
    run = module.run_blocks
    monkeypatch.setattr(
        core, "Screen", lambda **given: made.append(given["count"]) or make(**given)
    )
    monkeypatch.setattr(
        module, "run_blocks", lambda *a, **named: units.append(named["unit"]) or run(*a, **named)
    )
    for _ in range(2):
        segment_tails(make_book([3], 3), measures, segments=1, unions=[[0]], backend="native")
    assert sorted(made) == [100, ENOUGH]
    assert units == ["measures", "accounts", "accounts"]


def moving_together(rng, instruments, scenarios, factors, left):
    """Return P&L that a few factors explain, but for a share of it that is left."""
    size = 0.6 ** np.arange(factors)
    pnl = rng.normal(size=(instruments, factors)) * size @ rng.normal(size=(factors, scenarios))
    return pnl + rng.normal(size=pnl.shape) * left


@pytest.mark.parametrize("left", [0.0, 1e-12, 1e-7, 1e-5, 1e-4])
@pytest.mark.parametrize("factors", [1, 3, 20, 60])
def test_few_factors(level, factors, left):
    # Long and short of the same, more lines than few factors are used for, and nothing at all.
    rng = np.random.default_rng(factors)
    pnl = moving_together(rng, 150, 600, factors, left)
    pnl = np.concatenate([pnl, -pnl, pnl * 3.0, np.zeros((3, 600))])
    lots = np.rint(rng.normal(size=150) * 1e4)
    rows = [np.concatenate([lots, lots, lots * by, np.ones(3)]) for by in (0.0, 1.0, -1.0)]
    rows[0][7] += 1.0
    column = np.concatenate([np.flatnonzero(row) for row in rows])
    quantity = np.concatenate([row[row != 0.0] for row in rows])
    ptr = np.cumsum([0, *(np.count_nonzero(row) for row in rows), 0, 0, 0])
    for grid in (False, True):
        cube = Cube(np.rint(pnl * 1e3 * 2.0**20) * 2.0**-20 if grid else pnl)
        check(Book.from_arrays(ptr, column, quantity, len(pnl)), cube, segments=3, unions=UNIONS)


@pytest.mark.parametrize("size", [2.0**-31, 2.0**-29, 2.0**59, 2.0**61, 1e-310, 1e290])
def test_few_factors_of_any_size(level, size):
    rng = np.random.default_rng(12)
    pnl = moving_together(rng, 40, 500, 3, 1e-6) * size
    pnl[::5] *= 2.0**-40
    book = Book.from_arrays([0, 1, 1, 20, 60], [0, *range(19), *range(40)], np.full(60, -3), 40)
    for scenarios in (None, slice(3, 400)):
        check(book, Cube(pnl), scenarios=scenarios, threads=2)


@pytest.mark.parametrize("factors", [3, 200])
def test_threads_that_ask_for_the_same_screen_at_once(factors):
    rng = np.random.default_rng(13)
    cube = Cube(moving_together(rng, 80, 800, factors, 1e-7))
    book = Book.from_arrays(np.arange(0, 801, 8), np.tile(np.arange(80), 10), np.ones(800))
    common = {"segments": 1, "unions": [[0]], "scenarios": True}
    expected = segment_tails(book, [Measure(cube)], backend="reference", **common)
    together = Barrier(4)

    def ask(given):
        together.wait()
        return segment_tails(book, [Measure(given)], backend="native", threads=1, **common)

    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(ask, [cube, cube, cube, copy.deepcopy(cube)]):
            assert found.var.tobytes() == expected.var.tobytes()
            assert found.es.tobytes() == expected.es.tobytes()
            np.testing.assert_array_equal(found.scenario[0], expected.scenario[0])


@pytest.mark.parametrize("size", [1e299, 1e307])
def test_the_same_sum_is_not_finite(level, size):
    rng = np.random.default_rng(14)
    pnl = moving_together(rng, 12, 300, 3, 0.0)
    cube = Cube(pnl / np.abs(pnl).max() * size)
    lots = np.where(rng.random(720) < 0.004, 1e9, 1.0)
    book = Book.from_arrays(np.arange(0, 721, 6), np.tile(np.arange(12), 60), lots)
    places = []
    for backend in ("reference", "native"):
        with pytest.raises(PnlError) as refused:
            segment_tails(
                book,
                [Measure(cube, 0.9, slice(20, None)), Measure(cube)],
                segments=2,
                unions=[[0], [1], [0, 1]],
                backend=backend,
                threads=2,
            )
        error = refused.value
        places.append((error.account, error.union, error.measure, error.scenario, str(error)))
    assert places[0] == places[1]


def one_line(pnl, quantity=1):
    return Book.from_arrays([0, 1], [0], [quantity]), Cube(np.atleast_2d(pnl))


def shuffled(values, seed=3):
    return np.random.default_rng(seed).permutation(np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("scenarios", [ENOUGH, ENOUGH + 1, 250, 500, 2750])
def test_random_books(level, make_book, make_cube, scenarios, grid):
    lengths = [0, 1, 2, 5, 17, 40, 0, 0, 3, 30, 4, 1, 0, 12, 9]
    cube = make_cube(60, scenarios, seed=scenarios, grid=grid)
    check(make_book(lengths, 60), cube, segments=3, unions=UNIONS)


@pytest.mark.parametrize("scenarios", [*range(ENOUGH - 2, ENOUGH + 35), 255, 256, 257, 1023, 1025])
def test_sizes_around_every_width(level, make_book, make_cube, scenarios):
    check(make_book([7, 3], 20), make_cube(20, scenarios, seed=1), level=0.98)


@pytest.mark.parametrize("confidence", [0.9999, 0.995, 0.975, 0.95, 0.9, 0.8, 0.5, 0.01])
def test_tails_of_every_length(level, make_book, make_cube, confidence):
    check(make_book([7, 0, 30], 40), make_cube(40, 1000, seed=4), level=confidence)


def test_some_scenarios_of_a_cube(level, make_book, make_cube):
    cube = make_cube(40, 2750, seed=5)
    for chosen in (slice(2250, None), slice(7, 300), np.arange(0, 2750, 3)):
        check(make_book([20, 5], 40), cube, scenarios=chosen)


def test_one_scenario_and_all_of_them(level, make_book):
    check(make_book([3], 5), Cube(np.full((5, 1), -2.0)))
    check(make_book([3], 5), Cube(shuffled(np.arange(1000)).reshape(5, 200)), level=0.001)


def test_near_ties_that_the_screen_cannot_tell_apart(level):
    # Steps of 2^-20 around 4096: the screen moves in steps of an eighth there.
    pnl = -4096.0 - shuffled(np.arange(2000)) * 2.0**-20
    check(*one_line(pnl))
    check(*one_line(pnl, 10**9))


def test_ties(level):
    for values in ([-5.0] * 1000, [-5.0] * 500 + [-7.0] * 12 + [1.0] * 488, [0.0, -0.0] * 400):
        check(*one_line(shuffled(values)))


def legs_that_sum_to(target, size, seed=6, legs=6):
    """Return a book of legs of about `size` USD whose exact sum is `target`, on the grid."""
    rng = np.random.default_rng(seed)
    pnl = np.rint(rng.normal(size=(legs - 1, len(target))) * size * 2.0**20) * 2.0**-20
    last = target - np.cumsum(pnl, axis=0)[-1]
    return Book.from_arrays([0, legs], np.arange(legs), np.ones(legs)), Cube([*pnl, last])


@pytest.mark.parametrize("step", [2.0**-20, 2.0**-16, 2.0**-12, 2.0**-8])
@pytest.mark.parametrize("size", [1.0, 100.0, 10_000.0])
def test_sums_that_rounding_puts_in_another_order(level, size, step):
    # Rounding errors of the legs are larger than what tells the scenarios of the tail apart.
    target = -1000.0 - shuffled(np.arange(2000)) * step
    check(*legs_that_sum_to(target, size))


def test_huge_legs_that_cancel(level):
    # The screen sees nothing of what is left.
    check(*legs_that_sum_to(shuffled(np.arange(-1000.0, 1000.0)), 1e9))


def test_off_the_grid_sums_keep_their_order(level):
    # The sum depends on the order of its terms, in every scenario.
    rng = np.random.default_rng(7)
    pnl = rng.normal(size=(30, 1200)) * 10.0 ** rng.integers(-8, 8, (30, 1))
    book = Book.from_arrays([0, 15, 30], np.arange(30), rng.integers(-(2**40), 2**40, 30))
    check(book, Cube(pnl), segments=2, unions=[[0], [1], [0, 1]])


def test_segments_with_the_same_instruments_are_netted_first(level, make_book, make_cube):
    book = make_book([20, 20, 20], 24, seed=8)
    check(book, make_cube(24, 900, seed=8, grid=False), segments=3, unions=UNIONS)


@pytest.mark.parametrize("size", [1e30, 1e38, 1e200, 1e300])
def test_huge_sums(level, size):
    check(*one_line(shuffled(np.linspace(-1.0, 1.0, 700)) * size))
    check(*one_line(shuffled(np.linspace(-1.0, 1.0, 700)) * size, 0))


def test_huge_quantities(level):
    check(*one_line(shuffled(np.linspace(-1.0, 1.0, 700)) * 2.0**99, 2**52))


@pytest.mark.parametrize("unit", [5e-324, 1e-310, 1e-45, 1e-40, 2.0**-126])
def test_denormals(level, unit):
    check(*one_line(shuffled(np.arange(-300.0, 400.0)) * unit))
    check(*one_line(shuffled(np.arange(-300.0, 400.0)) * unit, 2**30))


def test_accounts_of_no_one_and_thousands_of_lines(level, make_book, make_cube):
    check(make_book([0, 1, 5000, 0, 2, 300], 5000, seed=9), make_cube(5000, 400, seed=9))


def test_more_accounts_than_a_block_in_any_order_and_on_any_threads(level, make_book, make_cube):
    rng = np.random.default_rng(10)
    lengths = rng.integers(0, 12, 300)
    cube = make_cube(30, 500, seed=10)
    book = make_book(lengths, 30, seed=10)
    order = rng.permutation(300)
    rows = [slice(book.row_ptr[a], book.row_ptr[a + 1]) for a in order]
    permuted = Book.from_arrays(
        np.cumsum([0, *lengths[order]]),
        np.concatenate([book.column[r] for r in rows]),
        np.concatenate([book.quantity[r] for r in rows]),
        30,
    )
    common = {"segments": 1, "unions": [[0]], "backend": "native", "scenarios": True}
    one = segment_tails(book, [Measure(cube)], threads=1, **common)
    for threads in (1, 2, 3):
        other = segment_tails(permuted, [Measure(cube)], threads=threads, **common)
        assert other.var.tobytes() == one.var[order].tobytes()
        assert other.es.tobytes() == one.es[order].tobytes()
        np.testing.assert_array_equal(other.scenario[0], one.scenario[0][order])
    check(book, cube, threads=2)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-20, -(2.0**-20), 1e-300, -1e300]),
            st.floats(-1e6, 1e6, width=32),
            st.floats(-1e-3, 1e-3),
        ),
        min_size=3,
        max_size=12,
    ),
    lines=st.integers(1, 4),
    confidence=st.sampled_from([0.99, 0.975, 0.9]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_values(level, values, lines, confidence, seed):
    rng = np.random.default_rng(seed)
    pnl = rng.choice(np.array(values), (lines, ENOUGH + 40))
    quantity = rng.integers(-1000, 1000, lines)
    check(Book.from_arrays([0, lines], np.arange(lines), quantity), Cube(pnl), level=confidence)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the MXCSR register")
def test_flush_to_zero_of_another_library_changes_nothing(level):
    libc = ctypes.CDLL(None)
    before, flushing = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    book, cube = one_line(shuffled(np.arange(-300.0, 400.0)) * 5e-324)
    expected = segment_tails(book, [Measure(cube)], segments=1, unions=[[0]], backend="reference")
    cube.make_screen(0, 700, level=core.best_level())
    libc.fegetenv(before)
    flushing[:] = before[:]
    # The last four bytes of glibc's fenv_t are MXCSR: flush-to-zero and denormals-are-zero.
    flushing[28:30] = (int.from_bytes(before[28:30], "little") | 0x8040).to_bytes(2, "little")
    libc.fesetenv(flushing)
    try:
        assert np.float64(5e-324) * 1.0 == 0.0
        found = segment_tails(book, [Measure(cube)], segments=1, unions=[[0]], threads=1)
        assert np.float64(5e-324) * 1.0 == 0.0
    finally:
        libc.fesetenv(before)
    assert found.var.tobytes() == expected.var.tobytes()
    assert found.es.tobytes() == expected.es.tobytes()


def test_revaluation_at_every_level(level):
    rng = np.random.default_rng(11)
    shock = rng.normal(size=(333, 5)) * 0.01
    ptr = np.arange(0, 61, 3)
    feature, coefficient = rng.integers(0, 20, 60).astype(np.int32), rng.normal(size=60)
    found = taylor(ptr, feature, coefficient, shock, backend="native")
    reference = taylor(ptr, feature, coefficient, shock, backend="reference")
    assert found.tobytes() == reference.tobytes()


def test_a_screen_that_does_not_fit_is_refused():
    right = {
        "level": "baseline",
        "pnl": np.ones((2, 5)),
        "largest": np.ones(2),
        "start": 1,
        "count": 3,
    }
    screen = core.Screen(**right)
    for name, value in (("pnl", np.ones((2, 5), np.float32)), ("largest", [1.0, 1.0])):
        with pytest.raises(TypeError, match="incompatible constructor arguments"):
            core.Screen(**{**right, name: value})
    for name, value, message in (
        ("level", "sse9", "level: not one"),
        ("pnl", np.ones(5), "two dimensions"),
        ("largest", np.ones(3), "largest: one for each instrument"),
        ("start", -1, "start, count: not columns"),
        ("count", 0, "start, count: not columns"),
        ("count", 5, "start, count: not columns"),
    ):
        with pytest.raises(ValueError, match=message):
            core.Screen(**{**right, name: value})
    var = np.zeros((1, 1))
    arguments = {
        "level": "baseline",
        "first": 0,
        "last": 1,
        "book": (np.array([0, 1]), np.array([0], np.int32), np.ones(1)),
        "unions": (1, np.array([0, 1]), np.array([0], np.int32)),
        "measure": (right["pnl"], right["largest"], 1, 3, 1, 1.0),
        "result": (var, np.zeros((1, 0)), np.zeros((1, 1, 0), np.int32)),
    }
    for fits in (screen, None):
        assert core.segment_tails(**arguments, screen=fits) == (0, 0, 0, 0)
        assert var.tolist() == [[-1.0]]
    for start, count in ((0, 2), (0, 4)):
        other = core.Screen(**{**right, "start": start, "count": count})
        with pytest.raises(ValueError, match="screen: not made of as many"):
            core.segment_tails(**arguments, screen=other)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        core.segment_tails(**arguments, screen=np.zeros(3))


@pytest.mark.parametrize("wanted", ["sse9", "AVX2", "native", "neon,avx2"])
def test_unknown_or_unsupported_level_is_an_error(monkeypatch, wanted):
    monkeypatch.setenv("XM_SIMD", wanted)
    with pytest.raises(ValueError, match=f"XM_SIMD: '{wanted}' is not supported here; set one of"):
        info("native")


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("XM_SIMD", "")
    assert info("native").instruction_set == core.best_level()
