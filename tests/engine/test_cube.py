from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.engine import Book, Cube, Measure, tail_size, tails

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


def test_a_cube_is_copied_once_and_frozen():
    pnl = np.array([[1.0, -3.0], [0.0, 2.0]])
    cube = Cube(pnl, scenario=["a", "b"])
    pnl[0, 0] = 9.0
    assert cube.pnl.tolist() == [[1.0, -3.0], [0.0, 2.0]]
    assert cube.pnl.flags.c_contiguous
    assert (cube.instruments, cube.scenarios) == (2, 2)
    assert cube.largest.tolist() == [3.0, 2.0]
    assert cube.scenario.tolist() == ["a", "b"]
    for array in (cube.pnl, cube.largest, cube.scenario):
        assert array.base is None
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = array.flat[-1]
    assert Cube(np.asfortranarray(pnl)).pnl.flags.c_contiguous


@pytest.mark.parametrize("name", ["pnl", "largest", "scenario", "hash", "on_grid"])
def test_nothing_of_a_cube_can_be_put_in_its_place(name):
    cube = Cube([[1.0, 2.0]])
    assert cube.hash
    with pytest.raises(AttributeError):
        setattr(cube, name, np.zeros((1, 2)))


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_cubes_that_cannot_change(how):
    cube = Cube([[1.0, 2.0]], scenario=["a", "b"])
    assert cube.hash
    other = COPIES[how](cube)
    assert other.pnl.tolist() == [[1.0, 2.0]]
    assert other.scenario.tolist() == ["a", "b"]
    assert other.hash == cube.hash
    for array in (other.pnl, other.largest, other.scenario):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = array.flat[-1]


def test_a_cube_of_other_pnl_has_a_hash_and_screens_of_its_own():
    pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    cube = Cube([[4.0, -2.0, 3.0, -1.0]])
    assert cube.hash
    assert cube.screen(0, 4) is None
    cube.make_screen(0, 4, level="baseline")
    made = cube.screen(0, 4)
    assert made is not None
    cube.make_screen(0, 4, level="baseline")
    assert cube.screen(0, 4) is made
    other = dataclasses.replace(cube, pnl=[[1.0, -9.0, 3.0, -1.0]])
    assert other.hash == Cube([[1.0, -9.0, 3.0, -1.0]]).hash
    assert other.screen(0, 4) is None
    assert other.largest.tolist() == [9.0]
    book = Book.from_arrays([0, 1], [0], [1])
    assert tails(book, other, level=0.75).var.tolist() == [9.0]


@pytest.mark.parametrize(
    ("value", "on_grid"),
    [
        (0.0, True),
        (2.0**-20, True),
        (-3 * 2.0**-20, True),
        (2.0**-21, False),
        (0.1, False),
        (5e-324, False),
        (2.0**32 + 2.0**-20, True),
        (2.0**32 + 2.0**-20 + 2.0**-20, True),
        (1e300, True),
    ],
)
def test_the_grid_is_multiples_of_two_to_the_minus_twenty(value, on_grid):
    assert Cube([[1.0, value]]).on_grid is on_grid


def test_the_hash_is_of_shape_and_values():
    cube = Cube([[1.0, 2.0]])
    shape, values = np.array([1, 2], "<i8"), np.array([1.0, 2.0], "<f8")
    assert cube.hash == hashlib.sha256(shape.tobytes() + values.tobytes()).hexdigest()
    assert cube.hash != Cube([[1.0], [2.0]]).hash


@pytest.mark.parametrize(
    ("pnl", "error", "message"),
    [
        ([[1.0, np.nan]], ValueError, r"pnl: element \[0, 1\] is nan"),
        ([[1.0], [-np.inf]], ValueError, r"pnl: element \[1, 0\] is -inf"),
        ([1.0], ValueError, r"pnl: 2 dimension\(s\) expected, got 1"),
        (np.empty((3, 0)), ValueError, "at least one scenario"),
        ([["1"]], TypeError, "pnl: numbers expected"),
        ([[1j]], TypeError, "pnl: numbers expected"),
        (np.ma.array([[1.0]], mask=True), ValueError, "pnl: some values are masked"),
        ([np.ma.array([1.0], mask=True)], ValueError, "pnl: some values are masked"),
    ],
)
def test_what_is_no_cube_is_refused_by_name(pnl, error, message):
    with pytest.raises(error, match=message):
        Cube(pnl)


def test_scenario_names_must_fit():
    with pytest.raises(ValueError, match="scenario: 2 names expected"):
        Cube([[1.0, 2.0]], scenario=["a"])


@pytest.mark.parametrize(
    ("level", "scenarios", "w", "k"),
    [
        (0.99, 100, 1.0, 1),  # (1 - 0.99) * 100 = 1.0000000000000009 is snapped
        (0.9, 10, 1.0, 1),  # 0.9999999999999998 is snapped
        (0.8, 10, 2.0, 2),
        (0.75, 10, 2.5, 3),
        (0.99, 250, 2.5, 3),
        (0.996, 250, 1.0, 1),
        (0.99, 2750, 27.5, 28),
        (0.99, 10, 0.1, 1),  # less than one scenario: still the worst one
        (0.5, 1, 0.5, 1),
        (1e-12, 5, 5.0, 5),  # almost nothing is left out: k = S
    ],
)
def test_the_size_of_a_tail(level, scenarios, w, k):
    got_w, got_k = tail_size(level, scenarios)
    assert got_w == pytest.approx(w, abs=1e-12)
    assert got_k == k
    if w == int(w):
        assert got_w == w


@given(st.floats(1e-6, 1 - 1e-6), st.integers(1, 5000))
def test_the_order_statistic_holds_the_tail(level, scenarios):
    w, k = tail_size(level, scenarios)
    assert k - 1 < w <= k <= scenarios


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 99.0, float("nan")])
def test_a_level_is_between_zero_and_one(level):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        tail_size(level, 100)


def test_a_level_must_leave_a_tail():
    with pytest.raises(ValueError, match="leaves an empty tail"):
        tail_size(1.0 - 1e-15, 100)


def test_a_contiguous_measure_is_a_view_and_another_a_copy():
    cube = Cube(np.arange(20.0).reshape(2, 10))
    for scenarios in (None, slice(3, 8), np.arange(3, 8), slice(-4, None)):
        assert Measure(cube, 0.5, scenarios).pnl is cube.pnl
    part = Measure(cube, 0.5, [1, 4, 9])
    assert part.pnl.tolist() == [[1.0, 4.0, 9.0], [11.0, 14.0, 19.0]]
    assert part.cube_scenario(np.array([2, 0], np.int32)).tolist() == [9, 1]
    view = Measure(cube, 0.5, slice(3, 8))
    assert (view.start, view.count) == (3, 5)
    assert view.cube_scenario(np.array([0, 4], np.int32)).tolist() == [3, 7]


def test_weights_add_up_to_the_size_of_the_tail():
    cube = Cube(np.zeros((1, 250)))
    assert Measure(cube, 0.97).weight.tolist() == pytest.approx([1] * 7 + [0.5])
    assert Measure(cube, 0.996).weight.tolist() == [1.0]


@pytest.mark.parametrize(
    "scenarios", [[], [3, 3], [4, 2], [-1, 2], [0, 10], slice(5, 5), slice(0, 9, 2), slice(20, 30)]
)
def test_a_bad_selection_is_refused(scenarios):
    with pytest.raises(ValueError, match="scenarios: "):
        Measure(Cube(np.zeros((1, 10))), 0.5, scenarios)


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_a_measure_read_the_cube_they_are_of(how):
    chosen = np.array([1, 4, 9])
    measure = Measure(Cube(np.arange(20.0).reshape(2, 10)), 0.5, chosen)
    chosen[0] = 0
    other = COPIES[how](measure)
    assert other.column.tolist() == [1, 4, 9]
    assert other.pnl.tolist() == [[1.0, 4.0, 9.0], [11.0, 14.0, 19.0]]
    for array in (other.pnl, other.column, other.weight):
        assert not array.flags.writeable
    whole = COPIES[how](Measure(Cube(np.ones((2, 10))), 0.5))
    assert whole.pnl is whole.cube.pnl


def test_a_measure_needs_a_cube():
    with pytest.raises(TypeError, match=r"cube: a .* expected, got ndarray"):
        Measure(np.ones((2, 10)), 0.5)
