"""Convert columns between Arrow and NumPy through their buffers.

Where pandas is installed, pyarrow's own conversions import it, which takes a quarter of a second.
Plain columns do not need it, so the functions here avoid it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin.arrays import Dates, Float, Integer, Mask, Text

Column: TypeAlias = pa.Array | pa.ChunkedArray

TEXT = pa.dictionary(pa.int32(), pa.string())
"""Texts as a dictionary: an index for each row, and the distinct texts."""
PIECE = 1 << 16
"""Rows in a chunk when one value is repeated."""
_ARROW_TYPE = {"b": pa.bool_(), "f": pa.float64(), "i": pa.int64(), "M": pa.date32()}


def one_array(column: Column) -> pa.Array:
    """Return a column as one array."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def plain(column: Column) -> Column:
    """Return a column with its dictionary decoded, if it has one."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def is_known(column: Column) -> Mask:
    """Return a mask of the cells that are not null, [N]."""
    return flags(column.is_valid())


def flags(column: Column, *, null: bool = False) -> Mask:
    """Return a column of flags, [N], with null as `null`."""
    array = one_array(column)
    value = _bits(array, 1)
    if not array.null_count:
        return value
    known = _bits(array, 0)
    return value | ~known if null else value & known


def numbers(column: Column) -> Float:
    """Return a column of numbers, [N], with null as NaN.

    Do not write to the result: it may share the column's memory.
    """
    array = one_array(column).cast(pa.float64(), safe=False)
    value = _words(array, np.float64)
    return np.where(is_known(array), value, np.nan) if array.null_count else value


def integers(column: Column, *, null: int = -1) -> Integer:
    """Return a column of whole numbers, [N], with null as `null`.

    Do not write to the result: it may share the column's memory.
    """
    array = one_array(column).cast(pa.int64())
    value = _words(array, np.int64)
    return np.where(is_known(array), value, null) if array.null_count else value


def dates(column: Column) -> Dates:
    """Return a column of dates as datetime64[D], [N], with null as NaT."""
    array = one_array(column).cast(pa.date32())
    value = _words(array, np.int32).astype("datetime64[D]")
    return (
        np.where(is_known(array), value, np.datetime64("NaT", "D")) if array.null_count else value
    )


def texts(column: Column) -> Text:
    """Return a column of texts as Python strings, [N], with null as None."""
    array = one_array(column).cast(pa.string())
    value = np.empty(len(array), dtype=object)
    if len(array):
        _, offset, data = array.buffers()
        at = np.frombuffer(offset, np.int32, array.offset + len(array) + 1)[array.offset :]
        begin, end = int(at[0]), int(at[-1])
        raw = bytes(memoryview(data)[begin:end] if end > begin else b"")
        ends = pairwise((at - begin).tolist())
        if raw.isascii():  # A piece of one text is made sooner than a text from a piece.
            text = raw.decode()
            value[:] = [text[first:last] for first, last in ends]
        else:
            value[:] = [raw[first:last].decode() for first, last in ends]
        value[~is_known(array)] = None
    return value


def encoded(column: Column) -> tuple[Integer, pa.Array]:
    """Return a column as indices into a list of its distinct cells, -1 for null, and the list.

    For a dictionary column the list is the dictionary itself. A dictionary from elsewhere may hold
    a text twice, or a null; those from `read_cells` do not. In Python -1 also indexes the last
    element, so index with the result only where no cell is null.
    """
    coded = one_array(column).dictionary_encode()
    return integers(coded.indices), coded.dictionary


def ranked(column: Column) -> tuple[Integer, list[str]]:
    """Return each text's rank among the distinct texts, -1 for null, and those texts ascending."""
    number, different = encoded(column)
    words = texts(different).tolist()
    name = sorted(set(words))
    place = {text: rank for rank, text in enumerate(name)}
    return np.array([*(place[text] for text in words), -1], np.int64)[number], name


def column(value: npt.NDArray[Any], known: Mask | None = None) -> pa.Array:
    """Return flags, numbers or dates as an Arrow array.

    Parameters
    ----------
    value : ndarray of bool, int, float64 or datetime64[D], [N]
        NaT is null, NaN is not.
    known : ndarray of bool, [N], optional
        False where the cell is null.
    """
    kind = _ARROW_TYPE[value.dtype.kind]
    words = np.ascontiguousarray(value)
    if kind == pa.bool_():
        words = np.packbits(value, bitorder="little")
    elif kind == pa.date32():
        there = ~np.isnat(value)
        known = there if known is None else known & there
        words = np.where(known, value, np.datetime64(0, "D")).astype(np.int64).astype(np.int32)
    elif kind == pa.int64():
        words = words.astype(np.int64, copy=False)
    return from_buffer(kind, len(value), words, known)


def from_buffer(
    kind: pa.DataType, size: int, words: npt.NDArray[Any], known: Mask | None = None
) -> pa.Array:
    """Return an Arrow array over the bytes of a NumPy one, null where it is not known, [N]."""
    return pa.Array.from_buffers(kind, size, [_validity(known), pa.py_buffer(words)])


def text_column(value: Sequence[str | None] | Text) -> pa.StringArray:
    """Return texts as an Arrow array, None as null."""
    raw = [b"" if text is None else text.encode() for text in value]
    offset = np.zeros(len(raw) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, raw), np.int64, len(raw)), out=offset[1:])
    known = np.array([text is not None for text in value], dtype=bool) if None in value else None
    buffers = [_validity(known), pa.py_buffer(offset), pa.py_buffer(b"".join(raw))]
    # Offsets of 64 bits, so that it is an error if the texts are too long together.
    return pa.Array.from_buffers(pa.large_string(), len(raw), buffers).cast(pa.string())


def cells(value: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return texts, flags, numbers or dates of Python as an Arrow array, None as null."""
    if pa.types.is_string(kind):
        return text_column(value)
    if pa.types.is_date(kind):
        return column(np.array(value, "datetime64[D]"))
    known = np.array([cell is not None for cell in value], dtype=bool)
    numbers = np.array([0 if cell is None else cell for cell in value], kind.to_pandas_dtype())
    return column(numbers, known)


def scalar(value: str | bool | float) -> pa.Scalar:
    """Return one value as an Arrow scalar."""
    return text_column([value])[0] if isinstance(value, str) else column(np.array([value]))[0]


def nothing(kind: pa.DataType) -> pa.Scalar:
    """Return the null of a type."""
    return pa.nulls(1, kind)[0]


def repeated(value: pa.Scalar, size: int) -> pa.ChunkedArray:
    """Return one value as a column, [N]; all its chunks share one array."""
    piece = pa.repeat(value, min(size, PIECE))
    whole, rest = divmod(size, PIECE)
    return pa.chunked_array([*[piece] * whole, piece.slice(0, rest)], value.type)


def chosen(value: Sequence[str] | Text, index: npt.NDArray[Any]) -> pa.StringArray:
    """Return the texts at these indices, [N], null for -1, without a Python object for each."""
    return text_column(value).take(column(index, index >= 0))


def _bits(array: pa.Array, buffer: int) -> Mask:
    """Return the bits of one of an array's buffers."""
    if not len(array):
        return np.zeros(0, dtype=bool)
    raw = np.frombuffer(array.buffers()[buffer], np.uint8)
    end = array.offset + len(array)
    return np.unpackbits(raw, count=end, bitorder="little")[array.offset :].view(bool)


def _words(array: pa.Array, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Return the values of a fixed-width array; values at null cells have no meaning."""
    if not len(array):
        return np.zeros(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, array.offset + len(array))[array.offset :]


def _validity(known: Mask | None) -> pa.Buffer | None:
    if known is None or bool(known.all()):
        return None
    return pa.py_buffer(np.packbits(known, bitorder="little"))
