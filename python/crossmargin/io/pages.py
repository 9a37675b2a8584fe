"""Find the unpacked size of the pages of a Parquet file from their own headers.

A reader allocates memory for a page by its header, whatever the file's footer says. Arrow reports
the footer only, and if the part of a column contradicts itself Arrow 26 throws an exception that
nothing catches and the process ends. So the footer is read here too. Footer and headers are
structures of Thrift's compact protocol, of which a few fields matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_UNPACKED, _PACKED = 2, 3
"""Fields of a page header: its sizes."""
_GROUPS, _COLUMNS, _ROWS, _METADATA = 4, 1, 3, 3
"""Fields of the footer: row groups; their columns and rows; metadata of a column."""
_PATH, _CHUNK_SIZE, _FIRST_PAGE, _DICTIONARY = 3, 7, 9, 11
"""Fields of a column's metadata."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_NUMBERS = (4, 5, 6)
_LONGEST = 10
"""Most bytes of a 64-bit number."""
_DEEPEST = 8
_LARGEST_FOOTER = 16 << 20
"""Bytes; the footer of 20,000 columns takes about 4 MB for each row group."""
_MOST_PAGES = 100_000
"""Most pages in a column chunk; writers put some thousand rows in a page."""
_OVERHEAD = 1024
"""Bytes that a page takes beside its values, so that empty pages count too."""


@dataclass(frozen=True)
class Chunk:
    """A column's values in a row group: its name, with dots where it is nested, and its bytes."""

    path: str
    begin: int
    end: int


def column_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the column chunks that the footer of a file names.

    Parameters
    ----------
    data : bytes
        The file.

    Yields
    ------
    Chunk

    Raises
    ------
    ValueError
        The footer is damaged or too large.
    """
    size = int.from_bytes(data[-8:-4], "little")
    if size > _LARGEST_FOOTER:
        raise ValueError(f"a footer of more than {_LARGEST_FOOTER:,} bytes")
    footer = _Structure(data, max(0, len(data) - 8 - size)).fields
    try:
        for group in footer.get(_GROUPS, ()):
            # A row group without rows has no pages.
            for column in group[_COLUMNS] if _whole(group, _ROWS) else ():
                metadata = column[_METADATA]
                first, dictionary = (_whole(metadata, n) for n in (_FIRST_PAGE, _DICTIONARY))
                first = dictionary if 0 < dictionary < first else first
                path = b".".join(metadata[_PATH]).decode()
                yield Chunk(path, first, first + _whole(metadata, _CHUNK_SIZE))
    except (LookupError, TypeError, AttributeError):
        raise ValueError("the footer lacks a part") from None


def unpacked_size(data: bytes, chunk: Chunk) -> int:
    """Return the number of bytes in the pages of a column chunk once unpacked.

    Parameters
    ----------
    data : bytes
        The file.
    chunk : Chunk

    Returns
    -------
    int

    Raises
    ------
    ValueError
        A header is damaged, or there are too many pages.
    """
    at, size = chunk.begin, 0
    for _ in range(_MOST_PAGES):
        if at >= chunk.end:
            return size
        header = _Structure(data, at)
        unpacked, packed = (_whole(header.fields, field) for field in (_UNPACKED, _PACKED))
        size += unpacked + _OVERHEAD
        at = header.at + packed
    raise ValueError(f"more than {_MOST_PAGES:,} pages in a column")


def _whole(fields: dict[int, Any], number: int) -> int:
    """Return a whole-number field, zero if it is missing."""
    value = fields.get(number, 0)
    if not isinstance(value, int) or value < 0:
        raise ValueError("a size or place is not a whole number")
    return value


class _Structure:
    """A structure that begins at some place: its fields by number, and its end."""

    def __init__(self, data: bytes, at: int) -> None:
        if at < 0:
            raise ValueError("a part begins before the file")
        self._data = data
        self.at = at
        self.fields = self._structure(0)

    def _structure(self, depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise ValueError("a part is too deep")
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            step, kind = divmod(kind, 16)
            number = number + step if step else self._number()
            fields[number] = self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        """Return a value of a kind; None for kinds that do not matter."""
        if kind in _NUMBERS:
            return self._number()
        if kind == _BINARY:
            length = self._unsigned()
            self.at += length
            return self._data[self.at - length : self.at]
        if kind == _STRUCT:
            return self._structure(depth)
        if kind in (_LIST, _SET):
            if depth > _DEEPEST:
                raise ValueError("a part is too deep")
            count, kind = divmod(self._byte(), 16)
            element = _BYTE if kind in (_TRUE, _FALSE) else kind
            size = self._unsigned() if count == 15 else count
            if size > len(self._data) - self.at:  # each element takes at least a byte
                raise ValueError("a part goes beyond the file")
            return [self._value(element, depth + 1) for _ in range(size)]
        if kind in (_BYTE, _DOUBLE):
            self.at += 1 if kind == _BYTE else 8
        elif kind not in (_TRUE, _FALSE):
            raise ValueError("a part cannot be read")
        return None

    def _number(self) -> int:
        """Return a signed number in zigzag coding."""
        raw = self._unsigned()
        return (raw >> 1) ^ -(raw & 1)

    def _unsigned(self) -> int:
        value = 0
        for place in range(_LONGEST):
            byte = self._byte()
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value
        raise ValueError("a number is too long")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ValueError("a part goes beyond the file")
        byte = self._data[self.at]
        self.at += 1
        return byte
