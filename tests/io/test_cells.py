"""Columns of a type, as other libraries hand them over."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.schemas import ARROW_TYPE, Kind
from crossmargin.io.cells import CellTypeError, read_cells

KINDS: tuple[Kind, ...] = ("text", "number", "date", "flag", "choice")
NOTHING = [
    pa.nulls(3),
    pa.array([np.nan, None, np.nan]),
    pa.array([np.nan] * 3, pa.float32()),
    pa.array(np.full(3, np.nan, np.float16)),
    *(
        pa.array([None] * 3, kind)
        for kind in (
            pa.int64(),
            pa.bool_(),
            pa.date64(),
            pa.timestamp("ns"),
            pa.duration("s"),
            pa.binary(),
            pa.decimal128(20, 2),
        )
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("array", NOTHING, ids=lambda array: str(array.type))
def test_a_column_that_is_wholly_missing_may_be_of_any_type(kind: Kind, array: pa.Array) -> None:
    cells = read_cells(pa.chunked_array([array]), kind)
    assert cells.value.type == ARROW_TYPE[kind]
    assert cells.value.null_count == 3
    assert cells.missing.all()
    assert not cells.bad.any()


@pytest.mark.parametrize("size", [np.float16, np.float32, np.float64])
def test_identifiers_that_became_floats_are_whole_again(size: type[np.floating]) -> None:
    array = pa.array(np.array([123, -7, np.nan, 0, 2047], size))
    cells = read_cells(pa.chunked_array([array]), "text")
    assert cells.value.to_pylist() == ["123", "-7", None, "0", "2047"]
    assert cells.missing.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("size", "value"),
    [(np.float16, 2048), (np.float32, 123456789), (np.float64, 2**53), (np.float64, np.inf)],
)
def test_identifiers_that_a_float_has_rounded_are_refused(
    size: type[np.floating], value: float
) -> None:
    array = pa.array(np.array([1, value, np.nan], size))
    with pytest.raises(CellTypeError, match="which rounds identifiers as long as these"):
        read_cells(pa.chunked_array([array]), "text")


def test_identifiers_with_fractions_are_refused() -> None:
    with pytest.raises(CellTypeError, match=r"holds double, which cannot be read: .* 1\.5"):
        read_cells(pa.chunked_array([pa.array([1.5, 2.0])]), "text")


def test_a_name_that_a_formula_keeps_from_being_a_number_is_read() -> None:
    words = pa.array(['="00123"', '="A""1"', '=""', "=A1", "#SPILL!", "#GETTING_DATA", "#1"])
    cells = read_cells(words, "text")
    wanted = ["00123", '="A""1"', '=""', "=A1", None, None, "#1"]
    assert cells.value.to_pylist() == wanted
    assert cells.bad.tolist() == [word is None for word in wanted]
