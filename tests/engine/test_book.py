from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from crossmargin.engine import Book

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "old pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=0)),
}


def test_a_book_holds_copies_that_cannot_change():
    quantity = np.array([1.0, -2.0, 3.0])
    book = Book.from_arrays([0, 2, 2, 3], [0, 4, 1], quantity)
    quantity[0] = 99.0
    assert book.quantity.tolist() == [1.0, -2.0, 3.0]
    assert (book.rows, book.columns) == (3, 5)
    assert (book.row_ptr.dtype, book.column.dtype) == (np.int64, np.int32)
    for array in (book.row_ptr, book.column, book.quantity):
        assert array.base is None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        book.columns = 3


def test_arrays_already_of_the_right_kind_are_copied_too():
    arrays = (np.array([0, 1]), np.array([0], np.int32), np.array([5.0]))
    book = Book.from_arrays(*arrays)
    for given, kept in zip(arrays, (book.row_ptr, book.column, book.quantity), strict=True):
        assert not np.may_share_memory(given, kept)
        assert given.flags.writeable


def test_a_book_may_be_empty():
    assert Book.from_arrays([0], [], []).rows == 0
    assert Book.from_arrays([0, 0, 0], [], [], columns=7).columns == 7


SIGNALLING = np.array([0x7F800001], np.uint32).view(np.float32)
"""A NaN whose conversion NumPy warns of."""


@pytest.mark.parametrize(
    ("row_ptr", "column", "quantity", "columns", "error", "message"),
    [
        ([1, 2], [0, 1], [1, 1], None, ValueError, "row_ptr: must start with 0"),
        ([], [], [], None, ValueError, "row_ptr: must start with 0"),
        ([0, 1], [0, 1], [1, 1], None, ValueError, "row_ptr: must end with 2"),
        ([0, 2, 1, 2], [0, 1], [1, 1], None, ValueError, "row_ptr: row 1 ends before"),
        ([0.0, 1.0], [0], [1], None, TypeError, "row_ptr: integers expected"),
        ([0, 1], [[0]], [1], None, ValueError, "column: one dimension"),
        ([0, 1], [-1], [1], None, ValueError, "column: element 0 is -1"),
        ([0, 1], [2**40], [1], None, ValueError, "column: a value does not fit int32"),
        ([0, 2], [0, 3], [1, 1], 3, ValueError, "column: element 1 is 3, outside 0 to 2"),
        (
            [0, 1, 3],
            [5, 2, 2],
            [1, 1, 1],
            None,
            ValueError,
            "column: row 1 repeats at instrument 2",
        ),
        ([0, 1, 3], [5, 2, 1], [1, 1, 1], None, ValueError, "column: row 1 falls at instrument 1"),
        ([0, 2], [0, 1], [1], None, ValueError, "column has 2 elements and quantity 1"),
        ([0, 0, 1], [0], [0.5], None, ValueError, r"quantity: row 1 has .*0\.5.* whole lots"),
        ([0, 1], [0], [2.0**53], None, ValueError, r"quantity: row 0 .* below 2\^53"),
        ([0, 1], [0], [np.nan], None, ValueError, r"quantity: element \[0\] is nan"),
        ([0, 1], [0], SIGNALLING, None, ValueError, r"quantity: element \[0\] is nan"),
        ([0, 1], [0], ["7"], None, TypeError, "quantity: numbers expected"),
        ([0, 1], [0], [1], 2.5, TypeError, r"columns: a whole number expected, got 2\.5"),
        ([0, 1], [0], [1], "3", TypeError, "columns: a whole number expected, got '3'"),
        ([0, 0], [], [], -1, ValueError, "columns: -1 is negative"),
        ([0, 1], [0], [1], 2**40, ValueError, "columns: 1099511627776 is .* too large"),
        ([0, 1], [0], np.ma.array([1.0], mask=True), None, ValueError, "quantity: .* masked"),
        ([0, 1], np.ma.array([0], mask=True), [1], None, ValueError, "column: .* masked"),
        (np.ma.array([0, 1], mask=[0, 1]), [0], [1], None, ValueError, "row_ptr: .* masked"),
    ],
)
def test_what_is_no_book_is_refused_by_name(row_ptr, column, quantity, columns, error, message):
    with pytest.raises(error, match=message):
        Book.from_arrays(row_ptr, column, quantity, columns)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"column": np.array([10**6, 10**6 + 1])}, ValueError, "column: element 0 is 1000000"),
        ({"row_ptr": np.array([0, 2**40])}, ValueError, "row_ptr: must end with 2"),
        ({"quantity": np.array([0.5, 1.0])}, ValueError, "quantity: row 0 has"),
        ({"column": np.array([1, 0])}, ValueError, "column: row 0 falls"),
        ({"columns": 1}, ValueError, "column: element 1 is 1, outside 0 to 0"),
        ({"columns": 2.5}, TypeError, "columns: a whole number expected"),
    ],
)
def test_the_constructor_checks_as_well(changed, error, message):
    arrays = {"row_ptr": np.array([0, 2]), "column": np.array([0, 1]), "quantity": np.ones(2)}
    with pytest.raises(error, match=message):
        Book(**({"columns": 2} | arrays | changed))
    with pytest.raises(error, match=message):
        dataclasses.replace(Book(**arrays, columns=2), **changed)


def test_an_empty_mask_masks_nothing():
    assert Book.from_arrays([0, 1], [0], np.ma.array([3.0])).quantity.tolist() == [3.0]


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_books_that_cannot_change(how):
    book = Book.from_arrays([0, 2, 3], [0, 4, 1], [1, -2, 3], columns=7)
    other = COPIES[how](book)
    assert (other.rows, other.columns) == (2, 7)
    for name in ("row_ptr", "column", "quantity"):
        array = getattr(other, name)
        assert array.tolist() == getattr(book, name).tolist()
        assert array.dtype == getattr(book, name).dtype
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_row_may_start_at_or_below_the_column_before_it():
    assert Book.from_arrays([0, 2, 2, 4], [3, 9, 9, 10], [1, 1, 1, 1]).rows == 3


@pytest.mark.parametrize("dtype", [float, complex, object, "M8[D]", "U1"])
def test_arrays_without_elements_are_of_any_type(dtype):
    none = np.array([], dtype)
    book = Book.from_arrays([0], none, none)
    assert (book.rows, book.columns) == (0, 0)
    assert (book.column.dtype, book.quantity.dtype) == (np.int32, np.float64)
