"""Hand-worked tails, properties, and bit-equality of the backends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.engine import Book, Cube, Measure, segment_tails, tails

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


# --- errors --------------------------------------------------------------------------------------


def test_a_sum_that_overflows_names_the_account_and_the_scenario(backend):
    book = Book.from_arrays([0, 0, 1, 2], [0, 1], [1, 10])
    cube = Cube([[1.0, 1.0, 1.0], [1.0, 1e308, 1.0]])
    message = r"account 2, union \[0\], measure 0, scenario 1: the sum of its P&L is not finite"
    with pytest.raises(ValueError, match=message) as caught:
        tails(book, cube, level=0.5, backend=backend)
    assert caught.value.__notes__ == ["in accounts 0 to 2"]


def test_the_account_named_is_the_same_for_any_number_of_threads(fast, make_book):
    book = make_book([1] * 3000, 2, largest=2**40)
    cube = Cube([np.full(2750, 1e10), np.r_[np.zeros(2749), 1e308]])
    messages = set()
    for threads in (1, 2, 3):
        with pytest.raises(ValueError, match="not finite") as caught:
            tails(book, cube, threads=threads, backend=fast)
        messages.add(str(caught.value))
    assert len(messages) == 1


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
