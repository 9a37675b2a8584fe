"""Write and read values of plain data in one file: no pickle, and only types that are named.

A file is a line that says so, the size of the content, and the content in Zstandard. The content is
the length of a header, the header, and the bytes of arrays. The header is JSON: a tree of the
values, and of each array its type, shape and length. Whole numbers and dates take as few bytes as
the largest of an array needs; how many follows from its shape and length. Arrow columns are taken
apart into arrays and texts, since Arrow's own reader ends the process on damaged bytes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.limits import check_size

MAGIC = b"crossmargin values 3\n"
SIZE = 8
"""Bytes of a length, little-endian."""
CODEC = "zstd"
TEXT = "text"
"""The type of a list of texts and nulls, as JSON."""
ARRAYS = "bifuM"
"""Kinds of NumPy arrays: flags, numbers and dates."""
WHOLE = "iM"
"""Kinds of them that are whole numbers, with or without a sign."""
WIDTHS = (1, 2, 4)
"""Bytes that a whole number may take instead of its own number of bytes."""
NUMBERS: Mapping[str, tuple[str, Callable[[columns.Column], npt.NDArray[Any]]]] = {
    str(pa.float64()): ("<f8", columns.numbers),
    str(pa.int64()): ("<i8", columns.integers),
    str(pa.bool_()): ("|b1", columns.flags),
    str(pa.date32()): ("<M8[D]", columns.dates),
}
"""Of Arrow types by name: the NumPy type of their cells, and what reads these."""
PLAIN = (type(None), bool, int, float, str, tuple, list, dict, frozenset)
"""Types of values that are no dataclass of ours."""
DEEPEST = 32
"""Most levels of the tree; ours has a dozen."""


def to_bytes(value: object, types: Sequence[type]) -> bytes:
    """Return a value as the bytes of a file.

    Parameters
    ----------
    value : object
        Dataclasses and named tuples of `types`, these types themselves, tuples, lists, dicts and
        sets, NumPy arrays and dates, Arrow tables and columns of texts, numbers, flags and dates,
        texts, numbers, flags and None.
    types : sequence of type
        The dataclasses and named tuples that may occur.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        Something else occurs.
    """
    writer = _Writer({cls: _name(cls) for cls in types})
    tree = writer.node(value)
    header = json.dumps({"tree": tree, "blobs": writer.blobs}, allow_nan=False).encode()
    return packed(len(header).to_bytes(SIZE, "little"), header, *writer.data)


def packed(*content: bytes | memoryview) -> bytes:
    """Return the bytes of the file that has this content.

    Parameters
    ----------
    *content : bytes
        Its pieces, which are never in memory once more as a whole.

    Returns
    -------
    bytes
    """
    size = sum(len(piece) for piece in content)
    file = pa.BufferOutputStream()
    file.write(MAGIC + size.to_bytes(SIZE, "little"))
    # Arrow's own level of Zstandard is 1, the quickest.
    with pa.CompressedOutputStream(file, CODEC) as stream:
        for piece in content:
            stream.write(piece)
    return bytes(memoryview(file.getvalue()))


def unpacked(data: bytes, *, label: str) -> memoryview:
    """Return the content of a file.

    Parameters
    ----------
    data : bytes
        From `packed`.
    label : str
        Name of the file in error messages.

    Returns
    -------
    memoryview

    Raises
    ------
    ValueError, OSError
        The bytes are not such a file.
    InputError
        The content is too large; nothing is allocated for it.
    """
    begin = len(MAGIC) + SIZE
    if data[: len(MAGIC)] != MAGIC or len(data) < begin:
        raise ValueError("another kind of file")
    size = int.from_bytes(data[len(MAGIC) : begin], "little")
    check_size(size, len(data), label)
    return memoryview(pa.Codec(CODEC).decompress(memoryview(data)[begin:], size))


def from_bytes(data: bytes, types: Sequence[type], *, label: str) -> Any:
    """Return the value that a file holds.

    Parameters
    ----------
    data : bytes
        From `to_bytes`.
    types : sequence of type
        The dataclasses and named tuples that may occur; no other type is built.
    label : str
        Name of the file in error messages.

    Raises
    ------
    InputError
        The bytes are not such a file.
    """
    try:
        content = unpacked(data, label=label)
        end = SIZE + int.from_bytes(content[:SIZE], "little")
        header = json.loads(bytes(content[SIZE:end]))
        reader = _Reader({_name(cls): cls for cls in types}, header["blobs"], content, end)
        check_size(reader.size, len(data), label)
        return reader.value(header["tree"], DEEPEST)
    except InputError:  # It says what is wrong.
        raise
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise InputError(
            f"{label}: the file is not as a run wrote it ({type(error).__name__}: {error!s:.100}); "
            "run the book again"
        ) from None


class _Writer:
    """Turns values into nodes of a tree, and arrays into blobs."""

    def __init__(self, names: Mapping[type, str]) -> None:
        self.blobs: list[list[Any]] = []
        self.data: list[bytes | memoryview] = []
        self._names = names

    def node(self, value: Any) -> Any:
        """Return the JSON node of a value."""
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float):
            return {"float": value.hex()}
        if isinstance(value, np.datetime64):
            return {"date": [value.dtype.str, str(value)]}
        if isinstance(value, type) and value in self._names:
            return {"class": self._names[value]}
        if type(value) in self._names:
            return {"type": [self._names[type(value)], *map(self.node, _parts(value))]}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, pa.Table):
            cells = [self._column(column) for column in value.columns]
            return {"table": [value.column_names, cells]}
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return self._column(value)
        for name, kind in (("tuple", tuple), ("list", list), ("set", frozenset)):
            if type(value) is kind:
                nodes = [self.node(item) for item in value]
                # A set has no order of its own.
                return {name: sorted(nodes, key=json.dumps) if kind is frozenset else nodes}
        if isinstance(value, Mapping):
            return {"dict": [[self.node(key), self.node(item)] for key, item in value.items()]}
        raise TypeError(f"a value of type {type(value).__name__} cannot be kept")

    def _array(self, array: npt.NDArray[Any]) -> Any:
        if array.dtype.kind in ARRAYS:
            data = _narrow(np.ascontiguousarray(array).reshape(-1)).view(np.uint8).data
            return self._blob(array.dtype.str, list(array.shape), data)
        texts = array.dtype.kind == "O" and array.ndim == 1
        if texts and all(issubclass(kind, str | None) for kind in set(map(type, array))):
            return self._texts(array.tolist())
        raise TypeError(f"an array of {array.dtype} cannot be kept")

    def _column(self, column: pa.Array | pa.ChunkedArray) -> Any:
        kind = column.type
        if pa.types.is_string(kind):
            return {"column": ["string", self._blob(TEXT, [len(column)], _json(column))]}
        if kind == columns.TEXT:
            number, different = columns.encoded(column)
            words = self._texts(columns.texts(different).tolist())
            return {"column": ["dictionary", words, self._array(number.astype(np.int32))]}
        if str(kind) not in NUMBERS:
            raise TypeError(f"a column of {kind} cannot be kept")
        _, cells = NUMBERS[str(kind)]
        known = columns.is_known(column)
        return {"column": [str(kind), self._array(cells(column)), self._array(known)]}

    def _texts(self, texts: list[str | None]) -> Any:
        return self._blob(TEXT, [len(texts)], json.dumps(texts).encode())

    def _blob(self, dtype: str, shape: list[int], data: bytes | memoryview) -> dict[str, int]:
        self.blobs.append([dtype, shape, len(data)])
        self.data.append(data)
        return {"blob": len(self.blobs) - 1}


@dataclasses.dataclass(frozen=True)
class _Blob:
    """An array as it lies in a file; `kind` is None for texts, `size` its bytes once read."""

    kind: np.dtype[Any] | None
    stored: np.dtype[Any] | None
    shape: Sequence[int]
    data: memoryview
    size: int


def _blob(dtype: str, shape: list[int], data: memoryview) -> _Blob:
    """Return an array whose bytes are as many as its type and shape say."""
    if dtype == TEXT:
        return _Blob(None, None, shape, data, len(data))
    kind = _dtype(dtype, ARRAYS)
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"an array of shape {shape!r:.40}")
    count = math.prod(shape)
    stored = _stored(kind, len(data) // max(count, 1))
    if count * stored.itemsize != len(data):
        raise ValueError(f"an array of shape {shape!r:.40}")
    return _Blob(kind, stored, shape, data, count * kind.itemsize)


class _Reader:
    """Turns nodes of a tree into values.

    Attributes
    ----------
    size : int
        Bytes of the header and of all arrays once each number has its own number of bytes.
    """

    def __init__(
        self, types: Mapping[str, type], blobs: list[list[Any]], data: memoryview, begin: int
    ) -> None:
        self._types = types
        self._blobs: list[_Blob] = []
        self.size = begin
        for dtype, shape, size in blobs:
            if size < 0 or begin + size > len(data):
                raise ValueError("an array is beyond the end of the file")
            blob = _blob(dtype, shape, data[begin : begin + size])
            self._blobs.append(blob)
            self.size += blob.size
            begin += size
        if begin != len(data):
            raise ValueError("bytes are left over")
        self._left = set(range(len(self._blobs)))

    def value(self, node: Any, deep: int) -> Any:
        """Return the value of a node; `deep` is the number of levels allowed below it."""
        if node is None or isinstance(node, bool | str | int):
            return node
        if deep == 0 or not isinstance(node, dict) or len(node) != 1:
            raise ValueError("a node is malformed")
        ((kind, content),) = node.items()
        if kind in _MANY:
            return _MANY[kind]([self.value(item, deep - 1) for item in content])
        if kind == "dict":
            return {self.value(k, deep - 1): self.value(v, deep - 1) for k, v in content}
        if kind == "type":
            name, *parts = content
            cls = self._types[name]
            values = [self.value(part, deep - 1) for part in parts]
            given = dict(zip(_fields(cls), values, strict=True))
            for field, part in given.items():
                if not fits(part, _hints(cls)[field]):
                    raise TypeError(f"{cls.__name__}.{field} of another type")
            return cls(**given)
        if kind == "table":
            names, cells = content
            read = [self.value(cell, deep - 1) for cell in cells]
            return pa.Table.from_arrays(read, names=names)
        simple: dict[str, Callable[[Any], Any]] = {
            "class": self._types.__getitem__,
            "float": float.fromhex,
            "date": _date,
            "blob": self._array,
            "column": self._column,
        }
        return simple[kind](content)

    def _array(self, number: int) -> Any:
        """Return an array, or the texts of one."""
        if type(number) is not int or not 0 <= number < len(self._blobs):
            raise IndexError(f"no array {number!r:.20}")
        # Each is of one array: many of one blob would fill the memory from a small file.
        self._left.remove(number)
        blob = self._blobs[number]
        if blob.kind is None:
            texts = json.loads(bytes(blob.data))
            if not all(text is None or isinstance(text, str) for text in texts):
                raise ValueError("a text that is none")
            words = np.empty(len(texts), dtype=object)
            words[:] = texts
            return words
        cells = np.frombuffer(blob.data, blob.stored)
        if blob.stored == blob.kind:
            return cells.reshape(blob.shape).copy()
        return cells.astype(f"<i{blob.kind.itemsize}").view(blob.kind).reshape(blob.shape)

    def _column(self, content: Any) -> pa.Array:
        kind, *parts = content
        cells = [self._array(part["blob"]) for part in parts]
        if kind == "string":
            (texts,) = cells
            if texts.dtype != object:
                raise ValueError("texts of another kind")
            return columns.text_column(texts)
        if kind == "dictionary":
            words, number = cells
            if words.dtype != object or number.dtype != np.int32 or number.ndim != 1:
                raise ValueError("a list of texts of another kind")
            if number.min(initial=0) < -1 or number.max(initial=-1) >= len(words):
                raise ValueError("a text beyond the list")
            index = columns.column(number.astype(np.int64), number >= 0).cast(pa.int32())
            return pa.DictionaryArray.from_arrays(index, columns.text_column(words))
        dtype, _ = NUMBERS[kind]
        value, known = cells
        if value.dtype != dtype or known.dtype != bool or value.ndim != 1:
            raise ValueError(f"a column of {kind!r:.20}")
        if value.shape != known.shape:
            raise ValueError(f"a column of {kind!r:.20}")
        return columns.column(value, known)


_MANY: Mapping[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "list": list, "set": frozenset}


def fits(value: object, hint: Any) -> bool:
    """Tell whether a value is of a declared type, in all its parts.

    Parameters
    ----------
    value : object
    hint : type
        As `typing.get_type_hints` gives it. A type that is none of plain data fits all its own.

    Returns
    -------
    bool
    """
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if kind is typing.Literal:
        return value in inner
    if kind is np.ndarray:
        return isinstance(value, np.ndarray) and _is_of(value, typing.get_args(inner[1])[0])
    if kind is type:
        return isinstance(value, type)
    if kind is tuple and inner[-1] is not Ellipsis:
        return (
            isinstance(value, tuple) and len(value) == len(inner) and all(map(fits, value, inner))
        )
    if isinstance(value, Mapping) and isinstance(kind, type) and isinstance(value, kind):
        return all(fits(k, inner[0]) and fits(item, inner[1]) for k, item in value.items())
    if isinstance(kind, type):
        return (
            isinstance(value, kind)
            and isinstance(value, tuple | list | frozenset)
            and all(fits(item, inner[0]) for item in value)
        )
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if getattr(hint, "_is_protocol", False):
        return type(value) not in PLAIN
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def _is_of(array: npt.NDArray[Any], scalar: Any) -> bool:
    return not isinstance(scalar, type) or np.issubdtype(array.dtype, scalar)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers in as few bytes as they fit into, other arrays as they are."""
    if array.dtype.kind not in WHOLE or not array.size:
        return array
    number = array.view(f"<i{array.dtype.itemsize}")
    least, most = number.min(), number.max()
    for width in WIDTHS:
        if (
            width < array.dtype.itemsize
            and -(1 << 8 * width - 1) <= least <= most < 1 << 8 * width - 1
        ):
            return number.astype(f"<i{width}")
    return number


def _stored(kind: np.dtype[Any], width: int) -> np.dtype[Any]:
    """Return the type of the cells of an array in the file, which take `width` bytes each."""
    narrow = kind.kind in WHOLE and width in WIDTHS and width < kind.itemsize
    return np.dtype(f"<i{width}") if narrow else kind


def _json(column: columns.Column) -> bytes:
    """Return a column of texts as a JSON list, each different text made JSON once."""
    number, different = columns.encoded(column)
    encode = json.JSONEncoder().encode
    words = [f"{encode(text)}, " for text in columns.texts(different).tolist()]
    number = np.where(number < 0, len(words), number)
    # Offsets of 64 bits: all texts together may be longer than any input.
    listed = columns.text_column([*words, "null, "]).cast(pa.large_string())
    _, ends, data = listed.take(columns.column(number)).buffers()
    size = int(np.frombuffer(ends, np.int64)[len(number)]) if len(number) else 0
    return b"".join((b"[", memoryview(data)[: size - 2] if size else b"", b"]"))


def _date(content: Any) -> np.datetime64:
    dtype, text = content
    return cast(np.datetime64, np.array(text, _dtype(dtype, "M"))[()])


def _dtype(text: str, kinds: str) -> np.dtype[Any]:
    """Return a type of one of some kinds by its name; NumPy reads other texts as programs."""
    if not re.fullmatch(rf"[<>|][{kinds}][0-9]{{1,2}}(\[[A-Za-z]{{1,2}}\])?", text):
        raise ValueError(f"an array of {text!r:.20}")
    return np.dtype(text)


def _name(cls: type) -> str:
    """Return the full name of a type in a file; two packages may use the same short name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _fields(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or named tuple."""
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls) if field.init)
    names: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    return names


def _parts(value: Any) -> list[Any]:
    return [getattr(value, name) for name in _fields(type(value))]
