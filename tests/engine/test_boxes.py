"""Bounds on VaR over boxes of quantities: by hand, by property, and bit for bit."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.engine import Book, Cube, Measure, book_pnl, box_tails, segment_tails
from crossmargin.engine.boxes import BLOCK_BOXES

INSTRUMENTS, SCENARIOS, ROWS = 9, 700, 5


@pytest.fixture(scope="module")
def cube(make_cube):
    return make_cube(INSTRUMENTS, SCENARIOS)


@pytest.fixture(scope="module")
def measures(cube):
    """Return the whole cube, windows of it that begin and end anywhere, and extreme ranks."""
    return [
        Measure(cube),
        Measure(cube, 0.99, slice(200, None)),
        Measure(cube, 0.9, slice(3, 70)),
        Measure(cube, 0.5),
        Measure(cube, 0.001, slice(17, 600)),
        Measure(cube, 0.9, slice(5, 6)),
    ]


def random_boxes(seed, cube, boxes=40, most=12, wide=50):
    """Return fixed portfolios and boxes: some empty, some of no width, instruments repeated."""
    rng = np.random.default_rng(seed)
    base = rng.integers(-(2**30), 2**30, (ROWS, cube.scenarios)) * 2.0**-20
    lines = rng.integers(0, most, boxes)
    lower = rng.integers(-200, 200, lines.sum())
    width = rng.integers(0, wide, lines.sum()) * rng.integers(0, 2, lines.sum())
    return {
        "base": base,
        "row": rng.integers(0, ROWS, boxes),
        "ptr": np.cumsum([0, *lines]),
        "instrument": rng.integers(0, cube.instruments, lines.sum()),
        "lower": lower,
        "upper": lower + width,
        "sign": rng.choice([-1, 1], boxes),
        "want_upper": rng.integers(0, 2, boxes).astype(bool),
    }


def assert_same_bits(a, b):
    for x, y in zip(astuple(a), astuple(b), strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


def box(instrument, lower, upper, **changed):
    """Return the arguments of one box."""
    return {
        "row": [0],
        "ptr": [0, len(instrument)],
        "instrument": instrument,
        "lower": lower,
        "upper": upper,
        "sign": [1],
        "want_upper": True,
    } | changed


def test_a_box_by_hand(backend):
    # In the middle, one lot of each: P&L -2, -2, 1, 5; the second loss is scenario 1's. There the
    # instruments make 1 and -1, so the box changes the others by up to 4, 0, 4.5 and 4.5.
    cube = Cube([[-3.0, 1.0, -1.0, 4.0], [1.0, -1.0, 1.5, 0.5]])
    bounds = box_tails(
        [Measure(cube, 0.5), Measure(cube, 0.5, slice(2, 4))],
        base=[[0.0, -2.0, 0.5, 0.5]],
        **box([0, 1], [0, 1], [2, 1]),
        backend=backend,
    )
    assert bounds.middle.tolist() == [[2.0, -1.0]]
    assert bounds.scenario.tolist() == [[1, 2]]
    # Losses 2, 2, -1, -5 less 4, 0, 2, 3; and more. In the window -1, -5 and 0, 5.
    assert bounds.low.tolist() == [[-2.0, -1.0]]
    assert bounds.high.tolist() == [[2.0, 0.0]]
    assert bounds.exact.tolist() == [True]


def test_the_short_side_of_a_box_is_the_long_side_of_its_negative(backend, cube, measures):
    boxes = random_boxes(3, cube)
    bounds = box_tails(measures, **boxes, backend=backend)
    turned = {
        "sign": -boxes["sign"],
        "lower": -boxes["upper"],
        "upper": -boxes["lower"],
    }
    assert_same_bits(box_tails(measures, **boxes | turned, backend=backend), bounds)


def test_backends_give_the_bits_of_the_reference(fast, cube, measures):
    for seed in range(3):
        boxes = random_boxes(seed, cube)
        expected = box_tails(measures, **boxes, backend="reference")
        assert_same_bits(box_tails(measures, **boxes, backend=fast), expected)
        assert np.isnan(expected.high).all(axis=1).tolist() == (~boxes["want_upper"]).tolist()


def test_levels_give_the_bits_of_the_reference(monkeypatch, make_cube):
    core = pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    for scenarios in (1, 7, 8, 33, 250, 1100, 2750):
        cube = make_cube(INSTRUMENTS, scenarios, seed=scenarios)
        measures = [Measure(cube), Measure(cube, 0.97, slice(scenarios // 3, None))]
        for wide in (2, 20, 1000):
            boxes = random_boxes(scenarios + wide, cube, wide=wide)
            expected = box_tails(measures, **boxes, backend="reference")
            for level in core.levels():
                monkeypatch.setenv("XM_SIMD", level)
                assert_same_bits(box_tails(measures, **boxes, backend="native"), expected)


def test_ties_rank_the_lower_scenario_first(backend):
    rng = np.random.default_rng(5)
    cube = Cube(rng.integers(-2, 3, (3, 1500)).astype(float))
    measures = [Measure(cube, level) for level in (0.99, 0.9, 0.5)]
    boxes = random_boxes(6, cube, wide=3)
    boxes["base"] = rng.integers(-2, 3, (ROWS, 1500)).astype(float)
    assert_same_bits(
        box_tails(measures, **boxes, backend=backend),
        box_tails(measures, **boxes, backend="reference"),
    )
    flat = box_tails(measures, base=np.zeros((1, 1500)), **box([], [], []), backend=backend)
    assert flat.scenario.tolist() == [[14, 149, 749]]
    assert np.array([flat.low, flat.middle, flat.high]).tobytes() == bytes(9 * 8)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), scenarios=st.integers(1, 60))
def test_var_of_every_portfolio_in_a_box_lies_within_its_bounds(data, seed, scenarios):
    rng = np.random.default_rng(seed)
    coarse = data.draw(st.sampled_from([1, 2**18, 2**20]))
    cube = Cube(
        rng.integers(-(2**22) // coarse, 2**22 // coarse, (4, scenarios)) * coarse / 2.0**20
    )
    measures = [
        Measure(cube, data.draw(st.floats(0.01, 0.99))),
        Measure(cube, 0.9, slice(scenarios // 2, None)),
    ]
    lots = st.lists(st.integers(-30, 30), min_size=4, max_size=4)
    ends = np.sort([data.draw(lots), data.draw(lots)], axis=0)
    sign = data.draw(st.sampled_from([1, -1]))
    base = rng.integers(-(2**22) // coarse, 2**22 // coarse, (1, scenarios)) * coarse / 2.0**20
    bounds = box_tails(
        measures,
        base=base,
        **box([0, 1, 2, 3], *ends, sign=[sign]),
        backend=data.draw(st.sampled_from(["auto", "reference"])),
    )
    inside = np.array([[data.draw(st.integers(*map(int, e))) for e in ends.T] for _ in range(3)])
    whole = Cube(np.vstack([cube.pnl, base]))
    for lots_of in (*inside, *ends):
        book = Book.from_arrays([0, 5], range(5), [*(sign * lots_of), 1])
        for m, measure in enumerate(measures):
            same = Measure(whole, measure.level, measure.scenarios)
            var = segment_tails(book, [same], segments=1, unions=[[0]]).var[0, 0, 0]
            change = -sign * cube.pnl[:, bounds.scenario[0, m]] @ (lots_of - ends.sum(axis=0) / 2)
            assert bounds.low[0, m] + change <= var <= bounds.high[0, m] + change


def test_a_box_of_no_width_is_the_var_of_its_portfolio(backend, cube, measures):
    boxes = random_boxes(8, cube)
    boxes["upper"], boxes["want_upper"] = boxes["lower"], True
    boxes["base"][:] = 0.0
    bounds = box_tails(measures, **boxes, backend=backend)
    assert bounds.low.tobytes() == bounds.middle.tobytes() == bounds.high.tobytes()
    lots = np.zeros((40, INSTRUMENTS))
    at = np.repeat(np.arange(40), np.diff(boxes["ptr"]))
    np.add.at(lots, (at, boxes["instrument"]), boxes["sign"][at] * boxes["lower"])
    held = [np.flatnonzero(row) for row in lots]
    book = Book.from_arrays(
        np.cumsum([0, *map(len, held)]), np.concatenate(held), lots[lots != 0], INSTRUMENTS
    )
    tails = segment_tails(book, measures, segments=1, unions=[[0]], scenarios=True)
    assert bounds.middle.tobytes() == np.ascontiguousarray(tails.var[:, 0]).tobytes()
    last = [scenario[:, 0, -1] for scenario in tails.scenario]
    np.testing.assert_array_equal(bounds.scenario, np.transpose(last))


def test_threads_and_blocks_change_nothing(cube, measures):
    boxes = random_boxes(9, cube, boxes=2 * BLOCK_BOXES + 7)
    one = box_tails(measures, **boxes, threads=1)
    assert_same_bits(box_tails(measures, **boxes, threads=3), one)
    alone = box_tails(
        measures,
        base=Cube(boxes["base"]),
        **box(
            *(boxes[name][boxes["ptr"][-2] :] for name in ("instrument", "lower", "upper")),
            row=boxes["row"][-1:],
            sign=boxes["sign"][-1:],
            want_upper=boxes["want_upper"][-1:],
        ),
    )
    assert alone.low.tobytes() == one.low[-1:].tobytes()


def test_a_box_whose_sums_may_be_rounded_is_marked(backend):
    step = 2.0**-20
    cube = Cube([[step, -step, 0.0], [2.0**40, 0.0, -1.0]])
    most = 2**52 - 1
    bounds = box_tails(
        [Measure(cube, 0.5)],
        base=[[0.0, 0.0, 0.0], [-step, 0.0, 0.0], [2.0**32, 0.0, 0.0]],
        row=[0, 0, 0, 1, 1, 2, 0, 0],
        ptr=[0, 1, 2, 3, 4, 5, 5, 6, 7],
        instrument=[0, 0, 0, 0, 0, 1, 1],
        lower=[most, most + 1, 0, most - 1, most, 0, 1],
        upper=[most, most + 1, most - 1, most - 1, most, 0, 1],
        sign=[1] * 8,
        want_upper=True,
        backend=backend,
    )
    # The third box: half of its width in the middle, and twice that for its reach.
    assert bounds.exact.tolist() == [True, False, False, True, False, False, True, False]
    assert bounds.middle[0, 0] == 0.0
    for numbers in (bounds.middle, bounds.low, bounds.high):
        assert np.isnan(numbers[:, 0]).tolist() == (~bounds.exact).tolist()
    assert ((bounds.scenario[:, 0] == -1) == ~bounds.exact).all()


def test_no_boxes_have_no_bounds(backend, cube, measures):
    bounds = box_tails(
        measures,
        base=np.zeros((0, SCENARIOS)),
        **box([], [], [], row=[], ptr=[0], sign=[]),
        backend=backend,
    )
    assert bounds.low.shape == bounds.scenario.shape == (0, len(measures))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"row": [1]}, ValueError, "row: element 0 is 1, outside 0 to 0"),
        ({"ptr": [0, 1, 2]}, ValueError, "ptr: 2 elements expected, one more than boxes, got 3"),
        ({"ptr": [0, 1]}, ValueError, "ptr: must end with 2"),
        ({"instrument": [0, 9]}, ValueError, "instrument: element 1 is 9, outside 0 to 8"),
        ({"lower": [0]}, ValueError, "lengths differ: instrument has 2, lower has 1"),
        ({"lower": [0.0, 1.0]}, TypeError, "lower: integers expected"),
        ({"upper": [2, -1]}, ValueError, "upper: element 1 is -1; below its lower bound"),
        (
            {"upper": [2, 2**53]},
            ValueError,
            r"upper: element 1 is 9007199254740992; lots are below",
        ),
        ({"lower": [0, -(2**63)]}, ValueError, "lower: element 1 is -9223372036854775808; lots"),
        ({"sign": [0]}, ValueError, r"sign: element 0 is 0; \+1 or -1 expected"),
        ({"sign": [1, 1]}, ValueError, "lengths differ: row has 1, sign has 2"),
        ({"want_upper": [1]}, TypeError, "want_upper: booleans expected, got dtype int64"),
        ({"want_upper": [True, True]}, ValueError, "want_upper: one value or 1 expected"),
        (
            {"base": np.zeros((1, 3))},
            ValueError,
            "base: it has 3 scenarios, the measures' cube 700",
        ),
        ({"base": np.full((1, 700), 0.1)}, ValueError, "base: its P&L is off the grid"),
        ({"base": np.full((1, 700), np.nan)}, ValueError, "every value must be finite"),
        ({"threads": 0}, ValueError, "threads"),
        ({"backend": "x"}, ValueError, "backend"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(cube, changed, error, message):
    arguments = {"base": np.zeros((1, SCENARIOS))} | box([0, 1], [0, 0], [2, 2]) | changed
    with pytest.raises(error, match=message):
        box_tails([Measure(cube)], **arguments)


def test_measures_that_do_not_fit_are_refused(cube, make_cube):
    arguments = {"base": np.zeros((1, SCENARIOS))} | box([], [], [])
    off_grid = make_cube(INSTRUMENTS, SCENARIOS, grid=False)
    for measures, error, message in (
        ([], ValueError, "measures: at least one is needed"),
        ([cube], TypeError, r"measures: Measure\(cube, level\) expected"),
        ([Measure(cube), Measure(Cube(cube.pnl))], ValueError, "measure 1 has another cube"),
        ([Measure(cube, 0.9, [1, 3, 9])], ValueError, "measure 0 are not contiguous"),
        ([Measure(off_grid)], ValueError, "measures: the cube's P&L is off the grid"),
    ):
        with pytest.raises(error, match=message):
            box_tails(measures, **arguments)


def test_arrays_that_do_not_fit_each_other_do_not_reach_the_kernel(cube):
    core = pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")

    def call(first=0, last=1, base=None, windows=(0, 5, 1), line=1, columns=1):
        core.box_tails(
            "baseline",
            first,
            last,
            cube.pnl,
            np.zeros((1, SCENARIOS)) if base is None else base,
            tuple(np.array([n]) for n in windows),
            (
                np.zeros(1, np.int32),
                np.array([0, 1]),
                np.zeros(line, np.int32),
                np.zeros(1),
                np.zeros(1),
                np.ones(1, np.int8),
            ),
            (
                np.zeros((1, columns)),
                np.zeros((1, columns), np.int32),
                np.zeros((1, columns)),
                np.zeros((1, columns)),
            ),
        )

    call()
    for wrong, message in (
        ({"last": 2}, "first, last: not a range"),
        ({"base": np.zeros((1, 3))}, "base: as many columns as pnl"),
        ({"windows": (1, SCENARIOS, 1)}, "start, count: not columns"),
        ({"windows": (0, 5, 6)}, "k: not within 1 and count"),
        ({"line": 2}, "boxes: their arrays do not fit"),
        ({"columns": 2}, "result: one row for each box"),
    ):
        with pytest.raises(ValueError, match=message):
            call(**wrong)


# Books.


def test_the_pnl_of_a_book_is_the_sum_of_its_lines(cube, make_book):
    book = make_book([3, 0, 9, 1], INSTRUMENTS)
    total = book_pnl(book, cube)
    for row in range(4):
        lines = slice(book.row_ptr[row], book.row_ptr[row + 1])
        each = book.quantity[lines, None] * cube.pnl[book.column[lines]]
        np.testing.assert_array_equal(total[row], each.sum(axis=0))
    assert not np.signbit(book_pnl(Book.from_arrays([0, 1], [0], [-1]), Cube([[0.0]])))[0, 0]


def test_the_pnl_of_a_book_is_refused_where_it_may_be_rounded(cube, make_cube):
    large = Cube([[2.0**32, 1.0], [1.0, -1.0]])
    right = Book.from_arrays([0, 1, 3], [0, 0, 1], [1, 1, 2**32 - 1])
    assert book_pnl(right, large).tolist() == [[2.0**32, 1.0], [2.0**33 - 1, 2.0 - 2.0**32]]
    wrong = Book.from_arrays([0, 1, 3], [0, 0, 1], [1, 1, -(2**32)])
    for book, of, error, message in (
        (wrong, large, ValueError, "book: row 1 has a gross P&L of 8.59e"),
        (right, Cube([[1.0]]), ValueError, "book: it has 2 instruments, the cube only 1"),
        (right, make_cube(2, 5, grid=False), ValueError, "cube: its P&L is off the grid"),
        (None, large, TypeError, "book: a crossmargin.Book expected"),
        (right, None, TypeError, "cube: a crossmargin.Cube expected"),
    ):
        with pytest.raises(error, match=message):
            book_pnl(book, of)
