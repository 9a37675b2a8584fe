"""Write and read values of plain data in one file: no pickle, and only types that are named.

A file is an Arrow IPC stream with a row for each array or table. Its metadata holds a JSON tree of
the values, which refers to the rows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError

SHAPE, DATA = pa.list_(pa.int64()), pa.large_binary()
SCHEMA = pa.schema([("dtype", pa.string()), ("shape", SHAPE), ("data", DATA)])
ARRAYS = "bifuM"
"""Kinds of NumPy arrays that are written unchanged: flags, numbers and dates."""
TABLE, COLUMN, TEXT = "table", "column", "text"
DEEPEST = 32
"""Most levels of the tree; ours has a dozen."""


def to_bytes(value: object, types: Sequence[type]) -> bytes:
    """Return a value as the bytes of a file.

    Parameters
    ----------
    value : object
        Dataclasses and named tuples of `types`, these types themselves, tuples, lists, dicts and
        sets, NumPy arrays and dates, Arrow tables and arrays, texts, numbers, flags and None.
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
    tree = json.dumps(writer.node(value), allow_nan=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA.with_metadata({"tree": tree})) as stream:
        for dtype, shape, data in writer.rows:
            cells = [pa.array([dtype]), pa.array([shape], SHAPE), pa.array([data], DATA)]
            stream.write_batch(pa.record_batch(cells, schema=SCHEMA))
    return bytes(sink.getvalue())


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
        with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
            if not stream.schema.remove_metadata().equals(SCHEMA):
                raise ValueError("other columns")
            tree = json.loads((stream.schema.metadata or {})[b"tree"])
            rows = stream.read_all()
        reader = _Reader({_name(cls): cls for cls in types}, rows)
        return reader.value(tree, DEEPEST)
    except (
        OSError,
        pa.ArrowException,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError(
            f"{label}: the file is not as a run wrote it ({type(error).__name__}: {error!s:.100}); "
            "run the book again"
        ) from None


class _Writer:
    """Turns values into nodes of a tree, and arrays into rows."""

    def __init__(self, names: Mapping[type, str]) -> None:
        self.rows: list[tuple[str, list[int], bytes]] = []
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
            return self._row(TABLE, (), _ipc(value))
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return self._row(COLUMN, (), _ipc(pa.table({"": value})))
        for name, kind in (("tuple", tuple), ("list", list), ("set", frozenset)):
            if type(value) is kind:
                return {name: [self.node(item) for item in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self.node(key), self.node(item)] for key, item in value.items()]}
        raise TypeError(f"a value of type {type(value).__name__} cannot be kept")

    def _array(self, array: npt.NDArray[Any]) -> Any:
        if array.dtype.kind in ARRAYS:
            return self._row(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
        if array.dtype.kind == "O" and array.ndim == 1:
            return self._row(TEXT, (), _ipc(pa.table({"": columns.text_column(array)})))
        raise TypeError(f"an array of {array.dtype} cannot be kept")

    def _row(self, dtype: str, shape: tuple[int, ...], data: bytes) -> dict[str, int]:
        self.rows.append((dtype, list(shape), data))
        return {"row": len(self.rows) - 1}


class _Reader:
    """Turns nodes of a tree into values."""

    def __init__(self, types: Mapping[str, type], rows: pa.Table) -> None:
        self._types = types
        self._rows = rows

    def value(self, node: Any, deep: int) -> Any:
        """Return the value of a node; `deep` is the number of levels allowed below it."""
        if node is None or isinstance(node, bool | str | int):
            return node
        if deep == 0 or not isinstance(node, dict) or len(node) != 1:
            raise ValueError("a node is malformed")
        ((kind, content),) = node.items()
        inner = [self.value(item, deep - 1) for item in content] if kind in _MANY else []
        if kind in _MANY:
            return _MANY[kind](inner)
        if kind == "dict":
            return {self.value(k, deep - 1): self.value(v, deep - 1) for k, v in content}
        if kind == "type":
            name, *parts = content
            cls = self._types[name]
            return cls(**dict(zip(_fields(cls), map(self._below(deep), parts), strict=True)))
        if kind == "class":
            return self._types[content]
        if kind == "float":
            return float.fromhex(content)
        if kind == "date":
            dtype, text = content
            return np.array(text, _date_type(dtype))[()]
        if kind == "row":
            return self._row(content)
        raise ValueError(f"a node of kind {kind!r:.20}")

    def _below(self, deep: int) -> Callable[[Any], Any]:
        return lambda node: self.value(node, deep - 1)

    def _row(self, number: int) -> Any:
        if not 0 <= number < len(self._rows):
            raise IndexError(f"no row {number}")
        row = self._rows.slice(number, 1)
        dtype, data = row["dtype"][0].as_py(), row["data"][0].as_buffer()
        if dtype in (TABLE, COLUMN, TEXT):
            with pa.ipc.open_stream(data) as stream:
                table = stream.read_all()
            table.validate(full=True)
            if dtype == TABLE:
                return table
            column = columns.one_array(table.column(0))
            return column if dtype == COLUMN else columns.texts(column)
        kind = np.dtype(dtype)
        if kind.kind not in ARRAYS or kind.hasobject:
            raise ValueError(f"an array of {dtype!r:.20}")
        return np.frombuffer(data, kind).reshape(row["shape"][0].as_py()).copy()


_MANY: Mapping[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "list": list, "set": frozenset}


def _date_type(text: str) -> np.dtype[np.datetime64]:
    kind = np.dtype(text)
    if kind.kind != "M":
        raise ValueError(f"a date of type {text!r:.20}")
    return kind


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


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())
