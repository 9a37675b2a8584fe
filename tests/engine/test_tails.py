"""Hand-worked tails, properties, and bit-equality of the backends."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import signal
import threading
import time
import weakref
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.engine import (
    Book,
    Cube,
    Measure,
    PnlError,
    segment_tails,
    segment_tails_batches,
    tails,
)
from crossmargin.engine import cube as cube_module

LINE = Book.from_arrays([0, 1], [0], [1])
# Losses 9, 7, 7, 4, 2, 1, then gains; the worst are scenarios 3, 1, 8, 0, 5.
TEN = [-4.0, -7.0, 3.0, -9.0, 0.0, -2.0, 6.0, 1.0, -7.0, -1.0]


# --- by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "var", "es", "scenario", "weight"),
    [
        (0.9, 9.0, 9.0, [3], [1.0]),  # w = 1
        (0.99, 9.0, 9.0, [3], [0.1]),  # w = 0.1: still the worst scenario
        (0.8, 7.0, (9 + 7) / 2, [3, 1], [1, 1]),  # the lower of the tied scenarios first
        (0.75, 7.0, (9 + 7 + 7 / 2) / 2.5, [3, 1, 8], [1, 1, 0.5]),
        (0.6, 4.0, (9 + 7 + 7 + 4) / 4, [3, 1, 8, 0], [1, 1, 1, 1]),
        (0.1, -3.0, (9 + 7 + 7 + 4 + 2 + 1 - 1 - 3) / 9, None, [1] * 9),
    ],
)
def test_ten_scenarios(backend, level, var, es, scenario, weight):
    result = tails(LINE, Cube([TEN]), level=level, backend=backend)
    assert result.var.tolist() == [var]
    assert result.es.tolist() == pytest.approx([es], rel=1e-15)
    assert result.weight.tolist() == pytest.approx(weight)
    assert scenario is None or result.scenario.tolist() == [scenario]


@pytest.mark.parametrize(
    ("scenarios", "level", "var", "es"),
    [
        # P&L are -1, -2, .., -S in a shuffled order: losses S, S-1, ..
        (100, 0.99, 100.0, 100.0),  # w = 1
        (100, 0.975, 98.0, (100 + 99 + 98 / 2) / 2.5),
        (100, 0.95, 96.0, 98.0),
        (250, 0.99, 248.0, (250 + 249 + 248 / 2) / 2.5),
        (250, 0.996, 250.0, 250.0),
        (250, 0.9, 226.0, (250 + 226) / 2),
        (250, 0.97, 243.0, (250 + 249 + 248 + 247 + 246 + 245 + 244 + 243 / 2) / 7.5),
    ],
)
def test_a_ladder_of_losses(backend, scenarios, level, var, es):
    pnl = -1.0 - np.random.default_rng(1).permutation(scenarios)
    result = tails(LINE, Cube([pnl]), level=level, backend=backend)
    assert result.var.tolist() == [var]
    assert result.es.tolist() == pytest.approx([es], rel=1e-14)
    assert (-pnl[result.scenario[0]]).tolist() == [
        float(scenarios - n) for n in range(len(result.weight))
    ]


def test_all_equal_takes_the_first_scenarios(backend):
    result = tails(LINE, Cube([[-5.0] * 100]), level=0.95, backend=backend)
    assert result.scenario.tolist() == [[0, 1, 2, 3, 4]]
    assert (result.var.tolist(), result.es.tolist()) == ([5.0], [5.0])


def test_zeros_are_positive_and_their_signs_do_not_order(backend):
    result = tails(LINE, Cube([[0.0, -0.0, 0.0, -0.0]]), level=0.25, backend=backend)
    assert result.scenario.tolist() == [[0, 1, 2]]
    assert math.copysign(1.0, result.var[0]) == 1.0
    assert math.copysign(1.0, result.es[0]) == 1.0


def test_the_smallest_gain_gives_a_positive_zero_shortfall(backend):
    # The mean of the tail underflows: -2^-1074 / 1.5.
    tiny = 5e-324
    result = tails(LINE, Cube([[tiny, 1.0, 1.0]]), level=0.99, backend=backend)
    assert result.var.tolist() == [-tiny]
    assert result.es[0] >= result.var[0]
    assert result.es[0] != 0.0 or math.copysign(1.0, result.es[0]) == 1.0


def test_a_portfolio_that_cannot_lose_has_a_negative_var(backend):
    assert tails(LINE, Cube([[1.0, 2.0]]), level=0.5, backend=backend).var.tolist() == [-1.0]


def test_an_account_without_positions(backend):
    book = Book.from_arrays([0, 0, 1], [0], [1])
    result = tails(book, Cube([TEN]), level=0.8, backend=backend)
    assert (result.var[0], result.es[0], result.scenario[0].tolist()) == (0.0, 0.0, [0, 1])


def test_a_book_without_accounts(backend):
    result = tails(Book.from_arrays([0], [], []), Cube([TEN]), level=0.8, backend=backend)
    assert (result.var.shape, result.scenario.shape) == ((0,), (0, 2))


def test_a_union_is_netted_before_it_is_multiplied(backend):
    # Off the grid 3 * 0.1 - 2 * 0.1 is not 1 * 0.1.
    book = Book.from_arrays([0, 1, 2], [0, 0], [3, -2])
    result = segment_tails(
        book,
        [Measure(Cube([[-0.1, 1.0]]), 0.5)],
        segments=2,
        unions=[[0], [1], [0, 1], [1, 0]],
        backend=backend,
    )
    assert result.var[0, :, 0].tolist() == [3 * 0.1, 2.0, 0.1, 0.1]
    assert result.scenario is None


def test_measures_pick_their_scenarios_and_report_the_cubes_numbers(backend):
    cube = Cube([TEN])
    measures = [
        Measure(cube, 0.8),
        Measure(cube, 0.5, slice(4, 8)),  # 0, -2, 6, 1: the worst are 5 and 4
        Measure(cube, 0.5, [0, 2, 8, 9]),  # -4, 3, -7, -1: the worst are 8 and 0
    ]
    result = segment_tails(
        LINE, measures, segments=1, unions=[[0]], scenarios=True, backend=backend
    )
    assert result.var[0, 0].tolist() == [7.0, 0.0, 4.0]
    assert result.es[0, 0].tolist() == [8.0, 1.0, 5.5]
    assert [s[0, 0].tolist() for s in result.scenario] == [[3, 1], [5, 4], [8, 0]]
    assert [w.tolist() for w in result.weight] == [[1, 1], [1, 1], [1, 1]]


# --- the same bits -------------------------------------------------------------------------------

UNIONS = [[0], [1], [2], [0, 1], [2, 0], [0, 1, 2]]


def all_tails(book, cube, backend, threads=1, level=0.975):
    last = cube.scenarios
    return segment_tails(
        book,
        [
            Measure(cube, level),
            Measure(cube, level, slice(last // 3, last)),
            Measure(cube, level, np.unique(np.r_[0, np.arange(last // 2, last, 2)])),
        ],
        segments=3,
        unions=UNIONS,
        scenarios=True,
        threads=threads,
        backend=backend,
    )


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_equal_to_the_reference(fast, grid, threads, make_book, make_cube, assert_same_bits):
    lengths = np.random.default_rng(3).poisson(6, 150)
    book, cube = make_book(lengths, 40), make_cube(40, 301, grid=grid)
    assert cube.on_grid is grid
    assert_same_bits(all_tails(book, cube, fast, threads), all_tails(book, cube, "reference"))


@pytest.mark.parametrize("scenarios", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65])
@pytest.mark.parametrize("level", [0.99, 0.7, 1e-9])
def test_sizes_around_vector_widths(fast, scenarios, level, make_book, make_cube, assert_same_bits):
    book = make_book([0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 12], 12)
    cube = make_cube(12, scenarios, grid=False)
    assert_same_bits(
        all_tails(book, cube, fast, level=level), all_tails(book, cube, "reference", level=level)
    )


def test_accounts_of_none_one_and_5000_lines(fast, make_book, make_cube, assert_same_bits):
    book = make_book([0, 5000, 1, 0, 0, 0, 5000, 5000, 4999, 1, 0, 1], 5500)
    cube = make_cube(5500, 33, grid=False)
    assert_same_bits(all_tails(book, cube, fast), all_tails(book, cube, "reference"))


@pytest.mark.parametrize(
    "values",
    [
        [5e-324, -5e-324, 1e-310, -3e-308, 0.0, -0.0],  # denormals
        [1.0, 1.0 + 2.0**-52, -1.0, -1.0 - 2.0**-52],  # near ties
        [-1.0, 1.0],  # ties everywhere
        [1e16, 1.0, -1e16, 3.0],  # cancellation
        [1e200, -1e200, 1.0],
    ],
)
def test_awkward_values(fast, values, make_book, assert_same_bits):
    rng = np.random.default_rng(5)
    cube = Cube(rng.choice(values, size=(20, 97)))
    book = make_book([0, 1, 5, 20, 20, 3] * 3, 20, largest=2**53 - 1)
    assert_same_bits(all_tails(book, cube, fast), all_tails(book, cube, "reference"))


def test_largest_sums_are_used_and_not_mistaken_for_overflow(backend):
    # The gross P&L is past the kernels' quick bound, the sums are not past float64.
    book = Book.from_arrays([0, 2], [0, 1], [1, -1])
    cube = Cube([[1.5e308, -1e308, 0.0], [1.4e308, 0.5e308, 1.0]])
    result = tails(book, cube, level=0.5, backend=backend)
    assert result.var.tolist() == [1.0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equal_to_the_reference_on_any_book(fast, data, assert_same_bits):
    instruments = data.draw(st.integers(1, 6))
    scenarios = data.draw(st.integers(1, 20))
    number = st.floats(-1e12, 1e12) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1])
    pnl = data.draw(
        st.lists(
            st.lists(number, min_size=scenarios, max_size=scenarios),
            min_size=instruments,
            max_size=instruments,
        )
    )
    rows = data.draw(
        st.lists(
            st.dictionaries(st.integers(0, instruments - 1), st.integers(-(2**53) + 1, 2**53 - 1)),
            min_size=3,
            max_size=3,
        )
    )
    book = Book.from_arrays(
        np.cumsum([0, *(len(row) for row in rows)]),
        [i for row in rows for i in sorted(row)],
        [row[i] for row in rows for i in sorted(row)],
        instruments,
    )
    level = data.draw(st.floats(0.01, 0.99))
    cube = Cube(pnl)
    assert_same_bits(
        all_tails(book, cube, fast, level=level), all_tails(book, cube, "reference", level=level)
    )


# --- what must always hold -----------------------------------------------------------------------


@pytest.mark.parametrize("grid", [True, False])
def test_permuting_accounts_permutes_results(backend, grid, make_book, make_cube):
    lengths = np.random.default_rng(4).poisson(5, 60)
    book, cube = make_book(lengths, 30), make_cube(30, 120, grid=grid)
    order = np.random.default_rng(9).permutation(60)
    spans = [slice(book.row_ptr[r], book.row_ptr[r + 1]) for r in order]
    permuted = Book.from_arrays(
        np.cumsum([0, *lengths[order]]),
        np.concatenate([book.column[s] for s in spans]),
        np.concatenate([book.quantity[s] for s in spans]),
    )
    one, other = (tails(b, cube, level=0.95, backend=backend) for b in (book, permuted))
    assert one.var[order].tobytes() == other.var.tobytes()
    assert one.es[order].tobytes() == other.es.tobytes()
    np.testing.assert_array_equal(one.scenario[order], other.scenario)


@pytest.mark.parametrize("grid", [True, False])
def test_a_union_equals_a_book_netted_before(backend, grid, make_book, make_cube):
    book, cube = make_book([8] * 20, 15, largest=5), make_cube(15, 80, grid=grid)
    union = segment_tails(book, [Measure(cube)], segments=2, unions=[[0, 1]], backend=backend)
    dense = np.zeros((20, 15))
    for r in range(20):
        span = slice(book.row_ptr[r], book.row_ptr[r + 1])
        dense[r, book.column[span]] = book.quantity[span]
    netted = dense[0::2] + dense[1::2]
    held = [np.flatnonzero(row) for row in netted]
    single = Book.from_arrays(
        np.cumsum([0, *(len(h) for h in held)]),
        np.concatenate(held),
        np.concatenate([row[h] for row, h in zip(netted, held, strict=True)]),
    )
    assert union.var[:, 0, 0].tobytes() == tails(single, cube, backend=backend).var.tobytes()


def test_scaling_by_a_power_of_two_scales_exactly(backend, make_book, make_cube):
    book, cube = make_book([7] * 30, 20), make_cube(20, 90, grid=False)
    double = Book.from_arrays(book.row_ptr, book.column, book.quantity * 8.0)
    one, eight = (tails(b, cube, level=0.9, backend=backend) for b in (book, double))
    np.testing.assert_array_equal(one.var * 8.0, eight.var)
    np.testing.assert_array_equal(one.es * 8.0, eight.es)
    np.testing.assert_array_equal(one.scenario, eight.scenario)


def test_shortfall_is_beyond_var_and_subadditive(backend, make_book, make_cube):
    book, cube = make_book([5] * 80, 12), make_cube(12, 77)
    result = segment_tails(
        book,
        [Measure(cube, level) for level in (0.5, 0.9, 0.99)],
        segments=2,
        unions=[[0], [1], [0, 1]],
        backend=backend,
    )
    assert (result.es >= result.var).all()
    slack = 1e-9 * np.abs(result.es).max()
    assert (result.es[:, 2] <= result.es[:, 0] + result.es[:, 1] + slack).all()
    # A higher level is a deeper tail.
    assert (np.diff(result.var, axis=2) >= 0).all()
    assert (np.diff(result.es, axis=2) >= -slack).all()


def test_shortfall_follows_from_scenarios_and_weights(backend, make_book, make_cube):
    book, cube = make_book([6] * 25, 12), make_cube(12, 77)
    result = tails(book, cube, level=0.93, backend=backend)
    dense = np.zeros((25, 12))
    for r in range(25):
        dense[r, book.column[book.row_ptr[r] : book.row_ptr[r + 1]]] = book.quantity[
            book.row_ptr[r] : book.row_ptr[r + 1]
        ]
    loss = -np.take_along_axis(dense @ cube.pnl, result.scenario, axis=1)
    np.testing.assert_array_equal(loss[:, -1], result.var)
    shortfall = (loss * result.weight).sum(axis=1) / result.weight.sum()
    np.testing.assert_allclose(shortfall, result.es, rtol=1e-13)


# --- batches -------------------------------------------------------------------------------------


def cut(book, bounds, segments=1):
    """Yield the accounts of a book in batches."""
    for first, last in itertools.pairwise(bounds):
        ptr = book.row_ptr[first * segments : last * segments + 1]
        lines = slice(ptr[0], ptr[-1])
        yield Book.from_arrays(ptr - ptr[0], book.column[lines], book.quantity[lines], book.columns)


@pytest.mark.parametrize(
    "bounds", [[0, 60], [0, 1, 2, 3, 60], [0, 0, 17, 17, 59, 60, 60], list(range(61))]
)
@pytest.mark.parametrize("parts", [{}, {"scenarios": True}, {"es": False}])
@pytest.mark.parametrize("grid", [True, False])
def test_batches_give_the_bits_of_one_call(backend, bounds, parts, grid, make_book, make_cube):
    book = make_book(np.random.default_rng(6).poisson(4, 180), 30)
    cube = make_cube(30, 300, grid=grid)
    asked = {"segments": 3, "unions": UNIONS, "backend": backend, "threads": 2, **parts}
    measures = [Measure(cube, 0.95), Measure(cube, 0.9, slice(100, 300)), Measure(cube, 0.99)]
    whole = segment_tails(book, measures, **asked)
    pieces = list(segment_tails_batches(cut(book, bounds, 3), measures, **asked))
    assert [len(p.var) for p in pieces] == np.diff(bounds).tolist()
    assert np.concatenate([p.var for p in pieces]).tobytes() == whole.var.tobytes()
    if parts.get("es", True):
        assert np.concatenate([p.es for p in pieces]).tobytes() == whole.es.tobytes()
    for m in range(3 if parts.get("scenarios") else 0):
        found = np.concatenate([p.scenario[m] for p in pieces])
        np.testing.assert_array_equal(found, whole.scenario[m])
        np.testing.assert_array_equal(pieces[0].weight[m], whole.weight[m])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_cut_gives_the_same_bits(fast, data, make_book, make_cube):
    accounts = data.draw(st.integers(0, 200))
    cuts = sorted(data.draw(st.lists(st.integers(0, accounts), max_size=8)))
    book = make_book(np.random.default_rng(accounts).poisson(3, accounts), 20)
    asked = {"segments": 1, "unions": [[0]], "backend": fast}
    measures = [Measure(make_cube(20, 257, grid=False))]
    whole = segment_tails(book, measures, **asked)
    pieces = segment_tails_batches(cut(book, [0, *cuts, accounts]), measures, **asked)
    assert b"".join(piece.var.tobytes() for piece in pieces) == whole.var.tobytes()


def test_no_batch_no_answer():
    answers = segment_tails_batches([], [Measure(Cube([TEN]))], segments=1, unions=[[0]])
    assert list(answers) == []


def test_one_batch_is_held_at_a_time():
    held, order = [], []

    def books():
        for lots in range(4):
            # Neither the batch before this one nor its answer is left.
            assert [ref() for ref in held] == [None] * len(held)
            order.append(f"make {lots}")
            book = Book.from_arrays([0, 1], [0], [lots])
            held.append(weakref.ref(book))
            yield_me = [book]
            del book
            yield yield_me.pop()

    answers = segment_tails_batches(books(), [Measure(Cube([TEN]))], segments=1, unions=[[0]])
    assert order == []
    for lots in range(4):
        answer = next(answers)
        assert held[-1]() is None
        order.append(f"take {lots}")
        assert answer.var.tolist() == [[[9.0 * lots]]]
        held.append(weakref.ref(answer))
        del answer
    assert order == [f"{what} {lots}" for lots in range(4) for what in ("make", "take")]


@pytest.mark.parametrize(("each", "first"), [(1, 4), (3, 2), (5, 1), (9, 1)])
def test_small_batches_get_the_screen_once_their_tails_are_many(monkeypatch, each, first):
    pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    monkeypatch.setattr(cube_module, "TAILS_WORTH_A_SCREEN", 7)
    cube = Cube([np.sin(np.arange(300.0))])
    book = Book.from_arrays(np.arange(each + 1), np.zeros(each, int), np.ones(each))
    asked = {"segments": 1, "unions": [[0], [0]], "backend": "native"}
    answers = segment_tails_batches([book] * 6, [Measure(cube)], **asked)
    screened = [cube.screen(0, 300) is not None for _ in answers]
    assert screened == [batch >= first for batch in range(1, 7)]


def test_arguments_are_checked_before_the_first_batch():
    def books():
        raise AssertionError("asked for")
        yield

    common = {"segments": 1, "unions": [[0]]}
    for wrong in ({"threads": 0}, {"unions": [[1]]}, {"backend": "gpu"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            segment_tails_batches(books(), [Measure(Cube([TEN]))], **(common | wrong))


def test_an_error_names_the_batch_and_the_account_in_it_and_overall(backend):
    cube = Cube([[1.0, 1.0, 1.0], [1.0, 1e308, 1.0]])
    book = Book.from_arrays([0, 0, 1, 2, 3], [0, 1, 1], [1, 10, 10])
    answers = segment_tails_batches(
        cut(book, [0, 1, 2, 4]),
        [Measure(cube, 0.5)],
        segments=1,
        unions=[[0]],
        backend=backend,
    )
    assert [next(answers).var.shape, next(answers).var.shape] == [(1, 1, 1), (1, 1, 1)]
    message = r"batch 2, account 0 \(2 overall\), union \[0\], measure 0, scenario 1: the sum"
    with pytest.raises(PnlError, match=message) as caught:
        next(answers)
    assert caught.value.account == 2


def test_other_errors_carry_a_note_of_the_batch():
    good, bad = Book.from_arrays([0, 0, 0], [], []), Book.from_arrays([0, 0, 0, 1], [0], [1])
    asked = {"segments": 2, "unions": [[0]]}
    answers = segment_tails_batches([good, good, bad], [Measure(Cube([TEN]))], **asked)
    with pytest.raises(ValueError, match="3 rows are not a whole number") as caught:
        list(answers)
    assert caught.value.__notes__ == ["in batch 2, which begins with account 2 overall"]

    def books():
        yield good
        raise OSError("the second file is not there")

    with pytest.raises(OSError, match="not there") as caught:
        list(segment_tails_batches(books(), [Measure(Cube([TEN]))], **asked))
    assert caught.value.__notes__ == ["in batch 1, which begins with account 1 overall"]


# --- blocks --------------------------------------------------------------------------------------


@pytest.fixture
def native():
    """Return the module of the C++ kernels."""
    pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    return import_module("crossmargin.engine.native")


def blocks_of(monkeypatch, native, book, threads=1):
    """Return the spans the kernel is called with."""
    spans = []

    def kernel(first, last, *arguments):
        spans.append((first, last))
        return 0, 0, 0, 0

    monkeypatch.setattr(native, "segment_tails", kernel)
    segment_tails(
        book,
        [Measure(Cube(np.ones((book.columns, 1000))))],
        segments=1,
        unions=[[0]],
        threads=threads,
        backend="native",
    )
    return sorted(spans)


@pytest.mark.parametrize("heavy", [slice(0, 50), slice(200, 250), slice(0, 0)])
def test_blocks_are_alike_in_work_wherever_the_heavy_accounts_are(monkeypatch, native, heavy):
    lines = np.full(20_000, 3)
    lines[heavy] = 900
    column = np.concatenate([np.arange(n) for n in lines])
    book = Book.from_arrays(np.cumsum([0, *lines]), column, np.ones(len(column)), 1000)
    module = import_module("crossmargin.engine.tails")
    monkeypatch.setattr(module, "BLOCK_WORK", 20_000_000)
    spans = blocks_of(monkeypatch, native, book)
    assert spans[0][0] == 0
    assert spans[-1][1] == 20_000
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    work = [1000 * (lines[a:b].sum() + b - a) for a, b in spans]
    # One account more than the limit at most.
    assert max(work) <= 20_000_000 + 1000 * 901
    assert len(spans) <= 1 + sum(work) / 10_000_000


def test_small_books_are_cut_for_every_thread(monkeypatch, native):
    book = Book.from_arrays(np.arange(2001), np.zeros(2000, int), np.ones(2000))
    sizes = [b - a for a, b in blocks_of(monkeypatch, native, book, threads=2)]
    assert len(sizes) == 16
    few = Book.from_arrays(np.arange(101), np.zeros(100, int), np.ones(100))
    assert len(blocks_of(monkeypatch, native, few, threads=8)) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_large_book_soon(monkeypatch, native, make_cube, threads):
    started = []
    kernel = native.segment_tails

    def counting(first, last, *arguments):
        started.append(first)
        return kernel(first, last, *arguments)

    monkeypatch.setattr(native, "segment_tails", counting)
    accounts, lines = 100_000, 20
    book = Book.from_arrays(
        np.arange(accounts + 1) * lines,
        np.tile(np.arange(lines), accounts),
        np.random.default_rng(0).integers(1, 9, accounts * lines),
    )
    measures = [Measure(make_cube(lines, 2500, seed), 0.9) for seed in (1, 2)]
    ctrl_c = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    begin = time.monotonic()
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        segment_tails(book, measures, segments=1, unions=[[0]] * 20, threads=threads)
    # Measured at under 0.1 s after the signal; the whole would take a minute.
    assert time.monotonic() - begin < 2.0
    ctrl_c.join()
    heard = len(started)
    assert threading.active_count() == 1
    time.sleep(0.05)
    assert len(started) == heard


# --- errors --------------------------------------------------------------------------------------


def test_a_sum_that_overflows_names_the_account_and_the_scenario(backend):
    book = Book.from_arrays([0, 0, 1, 2], [0, 1], [1, 10])
    cube = Cube([[1.0, 1.0, 1.0], [1.0, 1e308, 1.0]])
    message = r"account 2, union \[0\], measure 0, scenario 1: the sum of its P&L is not finite"
    with pytest.raises(PnlError, match=message) as caught:
        tails(book, cube, level=0.5, backend=backend)
    error = caught.value
    assert (error.account, error.union, error.measure, error.scenario) == (2, (0,), 0, 1)
    assert error.__notes__ == ["in accounts 0 to 2"]
    # A worker of another process sends it home as it is.
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.account, copy.scenario) == (str(error), 2, 1)


def test_the_account_named_is_the_same_for_any_number_of_threads(fast, make_book):
    book = make_book([1] * 3000, 2, largest=2**40)
    cube = Cube([np.full(2750, 1e10), np.r_[np.zeros(2749), 1e308]])
    messages = set()
    for threads in (1, 2, 3):
        with pytest.raises(ValueError, match="not finite") as caught:
            tails(book, cube, threads=threads, backend=fast)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_the_first_account_is_named_whichever_measure_it_fails(backend):
    # Account 1 fails the second measure, account 2 the first.
    book = Book.from_arrays([0, 0, 1, 2], [0, 1], [10, 10])
    cube = Cube([[0.0, 1e308], [1e308, 0.0]])
    measures = [Measure(cube, 0.5, [0]), Measure(cube, 0.5, [1])]
    with pytest.raises(PnlError, match=r"account 1, union \[0\], measure 1, scenario 1"):
        segment_tails(book, measures, segments=1, unions=[[0]], backend=backend)


def test_overflow_of_nan_is_found_on_the_gaining_side(backend):
    # inf - inf in scenario 1; the tail, scenario 0, is fine.
    book = Book.from_arrays([0, 2], [0, 1], [4, -4])
    cube = Cube([[-9.0, 1e308, 0.0], [0.0, 1e308, 0.0]])
    with pytest.raises(ValueError, match="scenario 1"):
        tails(book, cube, level=0.7, backend=backend)


def test_a_shortfall_that_overflows_is_an_error(backend):
    with pytest.raises(ValueError, match="not finite"):
        tails(LINE, Cube([[-1e308, -1e308, -1e308]]), level=0.1, backend=backend)


def test_the_scenario_named_is_the_cubes(backend):
    cube = Cube([[0.0, 0.0, 1e308, 0.0, 1e308]])
    book = Book.from_arrays([0, 1], [0], [10])
    for scenarios, named in ((slice(3, 5), 4), ([0, 1, 4], 4)):
        with pytest.raises(ValueError, match=f"scenario {named}"):
            segment_tails(
                book, [Measure(cube, 0.5, scenarios)], segments=1, unions=[[0]], backend=backend
            )


@pytest.mark.parametrize(
    ("segments", "unions", "message"),
    [
        (2, [[0]], "3 rows are not a whole number of accounts of 2 segments"),
        (0, [[0]], "segments: "),
        (3, [[0], []], r"unions: \[\] is empty"),
        (3, [[0, 0]], r"unions: \[0, 0\] is empty or names a segment twice"),
        (3, [[3]], r"unions: \[3\] names a segment outside 0 to 2"),
        (3, [[-1]], r"unions: \[-1\] names a segment outside 0 to 2"),
    ],
)
def test_segments_and_unions_are_checked(segments, unions, message):
    book = Book.from_arrays([0, 1, 1, 1], [0], [1])
    with pytest.raises(ValueError, match=message):
        segment_tails(book, [Measure(Cube([TEN]))], segments=segments, unions=unions)


def test_a_cube_must_hold_every_instrument_of_the_book():
    with pytest.raises(ValueError, match="it has 3 instruments, the cube of measure 0 only 1"):
        tails(Book.from_arrays([0, 1], [2], [1]), Cube([TEN]))


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_is_a_whole_number(threads):
    with pytest.raises(ValueError, match="threads: a whole number from 1 on"):
        tails(LINE, Cube([TEN]), threads=threads)
