"""Columns there and back: every type, nulls, slices and chunks."""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin import columns

DAY = np.datetime64("2025-03-13", "D")
CUTS = st.lists(st.integers(0, 12), max_size=3)


def pieces(array: pa.Array, cuts: list[int]) -> pa.ChunkedArray:
    """Return an array in chunks, each a slice of something longer."""
    bounds = [0, *sorted(min(cut, len(array)) for cut in cuts), len(array)]
    longer = pa.concat_arrays([array.slice(0, 1), array]).slice(min(1, len(array)))
    chunks = [longer.slice(a, b - a) for a, b in pairwise(bounds)]
    return pa.chunked_array(chunks, array.type)


@given(st.lists(st.none() | st.booleans(), max_size=12), CUTS)
def test_flags(cells: list[bool | None], cuts: list[int]) -> None:
    column = pieces(pa.array(cells, pa.bool_()), cuts)
    assert columns.flags(column).tolist() == [bool(cell) for cell in cells]
    assert columns.flags(column, null=True).tolist() == [cell is not False for cell in cells]
    assert columns.is_known(column).tolist() == [cell is not None for cell in cells]


@given(st.lists(st.none() | st.floats(), max_size=12), CUTS)
def test_numbers(cells: list[float | None], cuts: list[int]) -> None:
    read = columns.numbers(pieces(pa.array(cells, pa.float64()), cuts))
    expected = np.array([np.nan if cell is None else cell for cell in cells], np.float64)
    np.testing.assert_array_equal(read, expected)


@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=12), CUTS)
def test_integers_and_dates(cells: list[int | None], cuts: list[int]) -> None:
    column = pieces(pa.array(cells, pa.int32()), cuts)
    expected = [-7 if cell is None else cell for cell in cells]
    assert columns.integers(column, null=-7).tolist() == expected
    days = [
        np.datetime64("NaT", "D") if cell is None else np.datetime64(cell, "D") for cell in cells
    ]
    np.testing.assert_array_equal(
        columns.dates(column.cast(pa.date32())), np.array(days, "datetime64[D]")
    )


@given(st.lists(st.none() | st.text(max_size=3), max_size=12), CUTS)
def test_texts_as_strings_and_as_dictionaries(cells: list[str | None], cuts: list[int]) -> None:
    array = columns.text_column(cells)
    array.validate(full=True)
    assert array.to_pylist() == cells
    column = pieces(array, cuts)
    there = sorted({cell for cell in cells if cell is not None})
    for one in (column, column.dictionary_encode(), pieces(array.dictionary_encode(), cuts)):
        assert columns.texts(one).tolist() == cells
        assert columns.plain(one).to_pylist() == cells
        number, different = columns.encoded(one)
        assert len(set(different.to_pylist())) == len(different)
        assert [None if n < 0 else different[n].as_py() for n in number.tolist()] == cells
        rank, names = columns.ranked(one)
        assert names == there
        assert [None if n < 0 else names[n] for n in rank.tolist()] == cells


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.array([True, False, True]), pa.bool_()),
        (np.array([0.5, -0.0, np.inf]), pa.float64()),
        (np.array([1, -2, 2**62]), pa.int64()),
        (np.array([1, -2, 3], np.int32), pa.int64()),
        (np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2], pa.float64()),
        (DAY + np.array([0, 1, -30_000]), pa.date32()),
    ],
)
def test_arrays_become_columns(value: np.ndarray[Any, Any], kind: pa.DataType) -> None:
    whole = columns.column(value)
    whole.validate(full=True)
    assert whole.type == kind
    assert whole.to_pylist() == value.tolist()
    part = columns.column(value, np.array([True, False, True]))
    part.validate(full=True)
    assert part.to_pylist() == [value[0].item(), None, value[2].item()]


def test_a_day_that_is_not_there_is_null_and_a_number_that_is_none_is_not() -> None:
    assert columns.column(np.array([DAY, "NaT"], "datetime64[D]")).null_count == 1
    assert columns.column(np.array([np.nan])).null_count == 0


def test_single_values() -> None:
    assert columns.scalar("x") == pa.scalar("x")
    assert columns.scalar(True) == pa.scalar(True)
    assert columns.scalar(2) == pa.scalar(2)
    assert columns.scalar(0.5) == pa.scalar(0.5)
    assert columns.nothing(pa.date32()) == pa.scalar(None, pa.date32())


@pytest.mark.parametrize("size", [0, 1, columns.PIECE, 2 * columns.PIECE + 3])
def test_a_repeated_value_takes_no_memory_a_row(size: int) -> None:
    column = columns.repeated(columns.scalar("run"), size)
    assert column.to_pylist() == ["run"] * size
    assert len({chunk.buffers()[2].address for chunk in column.chunks if len(chunk)}) <= 1


def test_texts_are_chosen_by_number() -> None:
    assert columns.chosen(("a", "b"), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]


def test_texts_too_long_together_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(str):
        def encode(self, *_: Any) -> bytes:
            return giant

    giant = bytes(2**30)
    with pytest.raises(pa.ArrowInvalid, match="too large"):
        columns.text_column([Long("x"), Long("y")])


def test_cells_of_python_become_a_column() -> None:
    day = datetime.date(2026, 6, 10)
    for kind, cells in (
        (pa.string(), ["a", None, ""]),
        (pa.int64(), [1, None, -(2**60)]),
        (pa.float64(), [0.5, None, -1.0]),
        (pa.bool_(), [True, None, False]),
        (pa.date32(), [day, None, day]),
    ):
        column = columns.cells(cells, kind)
        assert column.type == kind
        assert column.to_pylist() == cells
        assert columns.cells([], kind).to_pylist() == []
