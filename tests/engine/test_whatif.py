"""Kept accounts answer what the tails of the book with the lots in it are, to the bit."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

from crossmargin.engine import Book, Cube, Measure, segment_tails
from crossmargin.engine.whatif import OVERHEAD, AskedBook, BucketSums, can_be_asked

_core = pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")

SEGMENTS, INSTRUMENTS = 3, 20
FIRST = [[0], [1], [0, 1], [2], [0, 2]]
SECOND = [[1], [1, 2]]
SUMS = [[0], [0, 1], [2]]
VALUE = np.random.default_rng(8).uniform(0.0, 100.0, INSTRUMENTS)
BUCKET = (np.arange(INSTRUMENTS) % 4).astype(np.int32)
RATE = np.array([0.01, 0.02, 0.5, 1.0])
MARK = (2 ** (np.arange(INSTRUMENTS) % 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def book(make_book):
    # Accounts with all segments, with some, and with none.
    return make_book([5, 3, 9, 0, 7, 0, 1, 0, 0, 0, 0, 0, 4, 4, 4], INSTRUMENTS)


@pytest.fixture(scope="module")
def cubes(make_cube):
    return make_cube(INSTRUMENTS, 640), make_cube(INSTRUMENTS, 75, seed=1)


def wanted(cubes):
    first, second = cubes
    return [
        (Measure(first), FIRST),
        (Measure(first, 0.99, slice(500, None)), FIRST),
        (Measure(first, 0.6, slice(3, 600)), FIRST),
        (Measure(second, 0.95), SECOND),
    ]


def ask_book(book, cubes, **changed):
    arguments = {
        "segments": SEGMENTS,
        "tails": wanted(cubes),
        "sums": BucketSums(VALUE, BUCKET, RATE, SUMS),
        "mark": MARK,
    }
    return AskedBook(book, **(arguments | changed))


def with_legs(book, account, legs):
    """Return a book of one account with some lots added."""
    rows = []
    for segment in range(SEGMENTS):
        row = account * SEGMENTS + segment
        own = slice(book.row_ptr[row], book.row_ptr[row + 1])
        held = dict(zip(book.column[own].tolist(), book.quantity[own].tolist(), strict=True))
        for g, instrument, lots in legs:
            if g == segment:
                held[instrument] = held.get(instrument, 0) + lots
        rows.append(sorted((i, q) for i, q in held.items() if q))
    column = [i for row in rows for i, _ in row]
    quantity = [q for row in rows for _, q in row]
    ptr = np.cumsum([0, *(len(row) for row in rows)])
    return Book.from_arrays(ptr, column, quantity, INSTRUMENTS)


def by_tails(book, cubes, backend):
    """Return the answer for a book of one account by the kernels and the sums the runs use."""
    rows = []
    for measure, unions in wanted(cubes):
        tails = segment_tails(book, [measure], segments=SEGMENTS, unions=unions, backend=backend)
        rows.append(tuple(tails.var[0, :, 0].tolist()))
    row = np.repeat(np.arange(SEGMENTS), np.diff(book.row_ptr))
    cell = row * RATE.size + BUCKET[book.column]
    by_segment = np.bincount(
        cell, book.quantity * VALUE[book.column], SEGMENTS * RATE.size
    ).reshape(SEGMENTS, -1)
    sums = []
    for union in SUMS:
        total = np.zeros(RATE.size)
        for segment in union:
            total += by_segment[segment]
        sums.append(float(np.cumsum(np.abs(total) * RATE)[-1]))
    marks = [int(np.bitwise_or.reduce(MARK[book.column[row == g]])) for g in range(SEGMENTS)]
    return (*rows, tuple(sums)), tuple(marks)


def random_legs(rng):
    """Return up to three legs, ascending."""
    place = {(int(rng.integers(SEGMENTS)), int(rng.integers(INSTRUMENTS))) for _ in range(3)}
    return [(*p, int(rng.integers(-1500, 1500))) for p in sorted(place)[: int(rng.integers(4))]]


@pytest.mark.parametrize("level", _core.levels())
def test_answers_are_the_tails_of_the_book_with_the_lots_in_it(monkeypatch, book, cubes, level):
    monkeypatch.setenv("XM_SIMD", level)
    asked = ask_book(book, cubes)
    rng = np.random.default_rng(4)
    for account in range(5):
        kept = asked.keep(account)
        for _ in range(12):
            legs = random_legs(rng)
            expected = by_tails(with_legs(book, account, legs), cubes, "reference")
            assert repr(kept.ask(legs)) == repr(expected)


def test_lots_that_close_a_position_take_its_mark_away(book, cubes):
    column, quantity = int(book.column[0]), int(book.quantity[0])
    kept = ask_book(book, cubes).keep(0)
    legs = [(0, column, -quantity)]
    assert repr(kept.ask(legs)) == repr(by_tails(with_legs(book, 0, legs), cubes, "reference"))
    only = Book.from_arrays([0, 1, 1, 1], [3], [7], INSTRUMENTS)
    kept = ask_book(only, cubes).keep(0)
    assert kept.ask([])[1] == (MARK[3], 0, 0)
    assert kept.ask([(0, 3, -7)]) == (
        tuple((0.0,) * len(unions) for unions in (FIRST, FIRST, FIRST, SECOND, SUMS)),
        (0, 0, 0),
    )


def test_memory_is_told_before_it_is_taken(book, cubes):
    asked = ask_book(book, cubes)
    # In cache lines: 20 answers, 4 gross P&L, 3 * 4 bucket sums and 3 marks, of every account.
    header = 3 + 1 + 2 + 1
    # P&L of all three segments in 80, 18 and 75 zones, and of two of them in 10 zones. The leasts
    # of a union: a cache line for blocks, and 5, 2, 5 and 1 for zones.
    pnl = 3 * (80 + 18 + 75) + 2 * 10
    leasts = 5 * (6 + 3 + 6) + 2 * 2
    assert asked.bytes[0] == OVERHEAD + 64 * (header + pnl + leasts)
    # The second segment alone, which is in two unions of each cube.
    pnl, leasts = 80 + 18 + 75 + 10, 2 * (6 + 3 + 6) + 2 * 2
    assert asked.bytes[1] == OVERHEAD + 64 * (header + pnl + leasts)
    assert asked.bytes[3] == OVERHEAD + 64 * header


def test_what_may_be_rounded_is_not_answered(cubes):
    lots = int(2.0**33 / cubes[0].largest[0])
    book = Book.from_arrays([0, 1, 1, 1], [0], [lots], INSTRUMENTS)
    kept = ask_book(book, cubes).keep(0)
    assert kept.ask([]) is not None
    # Gross: that less would be left does not help.
    assert kept.ask([(0, 0, -lots // 2)]) is None
    too_large = Book.from_arrays([0, 1, 1, 1], [0], [lots + 1], INSTRUMENTS)
    assert ask_book(too_large, cubes).keep(0) is None


def test_only_native_kernels_and_cubes_on_the_grid_can_be_asked(
    monkeypatch, book, cubes, make_cube
):
    off_grid = make_cube(INSTRUMENTS, 640, grid=False)
    assert can_be_asked(cubes)
    assert not can_be_asked([*cubes, off_grid])
    with pytest.raises(ValueError, match="tails: contiguous scenarios of a cube on the grid"):
        ask_book(book, (off_grid, cubes[1]))
    monkeypatch.setitem(sys.modules, "crossmargin.engine._core", None)
    assert not can_be_asked(cubes)


def test_arguments_that_do_not_fit_are_refused(book, cubes):
    first, _ = cubes
    with pytest.raises(ValueError, match="tails: contiguous scenarios of a cube on the grid"):
        ask_book(book, cubes, tails=[(Measure(first, 0.9, [1, 5, 9]), FIRST)])
    for changed, message in (
        ({"mark": MARK[1:]}, "book: 15 rows of 20 instruments do not fit 3 segments and 19 marks"),
        ({"segments": 4}, "book: 15 rows of 20 instruments do not fit 4 segments"),
        ({"mark": np.append(MARK, MARK[:1])}, "value, bucket: one for each instrument"),
        ({"sums": BucketSums(VALUE, BUCKET, RATE, [[3]])}, "unions: sets of segments expected"),
        ({"tails": [(Measure(Cube(first.pnl[1:])), FIRST)]}, "one row for each instrument"),
    ):
        with pytest.raises(ValueError, match=message):
            ask_book(book, cubes, **changed)
    with pytest.raises(ValueError, match=r"bucket: element 3 is 4, outside 0 to 3"):
        ask_book(book, cubes, sums=BucketSums(VALUE, BUCKET + 1, RATE, SUMS))


def test_a_set_of_scenarios_that_does_not_fit_is_refused():
    right = {
        "pnl": np.ones((2, 5)),
        "largest": np.ones(2),
        "start": 1,
        "count": 3,
        "unions": [1],
        "k": 3,
    }
    _core.ScenarioSet(**right)
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        _core.ScenarioSet(**{**right, "pnl": np.ones((2, 5), np.float32)})
    for name, value, message in (
        ("largest", np.ones(3), "largest: one for each instrument"),
        ("count", 5, "start, count: not columns"),
        ("k", 4, "k: not within 1 and count"),
        ("k", 0, "k: not within 1 and count"),
        ("unions", [0], "unions: sets of segments"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.ScenarioSet(**{**right, name: value})


@pytest.mark.parametrize(
    ("legs", "message"),
    [
        ([(3, 0, 1)], "no such segment"),
        ([(-1, 0, 1)], "no such segment"),
        ([(0, INSTRUMENTS, 1)], "no such instrument"),
        ([(0, -1, 1)], "no such instrument"),
        ([(0, 5, 1), (0, 5, 1)], "must ascend"),
        ([(1, 0, 1), (0, 5, 1)], "must ascend"),
    ],
)
def test_questions_that_do_not_fit_are_refused(book, cubes, legs, message):
    asked = ask_book(book, cubes)
    with pytest.raises(ValueError, match=message):
        asked.keep(0).ask(legs)
    with pytest.raises(ValueError, match="account: not one of the book's"):
        asked.keep(5)
    with pytest.raises(ValueError, match="account: not one of the book's"):
        asked.keep(-1)


def test_a_kept_account_outlives_its_book(make_book, make_cube):
    cubes = make_cube(INSTRUMENTS, 640), make_cube(INSTRUMENTS, 75, seed=1)
    book = make_book([5, 3, 9], INSTRUMENTS)
    expected = repr(by_tails(with_legs(book, 0, []), cubes, "reference"))
    asked = ask_book(book, cubes)
    kept, gone = asked.keep(0), weakref.ref(asked)
    del asked, book, cubes
    gc.collect()
    assert gone() is None
    assert repr(kept.ask([])) == expected


def test_threads_ask_and_keep_at_once(book, cubes):
    asked = ask_book(book, cubes)
    kept = asked.keep(0)
    questions = [[(g, i, 10 * i - 70)] for g in range(SEGMENTS) for i in range(INSTRUMENTS)]
    expected = [kept.ask(legs) for legs in questions]
    found = []

    def work():
        for _ in range(5):
            asked.keep(2)
            found.append([kept.ask(legs) for legs in questions] == expected)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20
