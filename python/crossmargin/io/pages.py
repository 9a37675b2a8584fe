"""How large the pages of a Parquet file are once unpacked, by their own headers.

A reader makes room for a page by its header, whatever the file's footer says; Arrow tells the
footer alone. Headers are structures of Thrift's compact protocol, of which two fields matter.
"""

from __future__ import annotations

import pyarrow.parquet as pq

_UNPACKED, _PACKED = 2, 3
"""Fields of a page's header: its sizes."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_NUMBERS = (4, 5, 6)
_LONGEST = 10
"""Bytes of a number of 64 bits."""
_DEEPEST = 8
_MOST_PAGES = 100_000
"""Of a column chunk; writers make one of some thousand rows."""
_OVERHEAD = 1024
"""Bytes that a page takes beside its values, so that empty ones count too."""


def unpacked_size(data: bytes, chunk: pq.ColumnChunkMetaData) -> int:
    """Return how many bytes the pages of a column chunk unpack to.

    Parameters
    ----------
    data : bytes
        The file.
    chunk : pyarrow.parquet.ColumnChunkMetaData

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If a header is damaged, or there are too many.
    """
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    size = 0
    for _ in range(_MOST_PAGES):
        if at >= end:
            return size
        header = _Header(data, at)
        size += header.size[_UNPACKED] + _OVERHEAD
        at = header.at + header.size[_PACKED]
    raise ValueError(f"more than {_MOST_PAGES:,} pages in a column")


class _Header:
    """A page's header: where it ends, and its sizes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self.size = {_UNPACKED: 0, _PACKED: 0}
        self._structure(0)
        if min(self.size.values()) < 0:
            raise ValueError("a page of negative size")

    def _structure(self, depth: int) -> None:
        field = 0
        while kind := self._byte():
            step, kind = divmod(kind, 16)
            field = field + step if step else self._number()
            if depth == 0 and field in self.size and kind in _NUMBERS:
                self.size[field] = self._number()
            else:
                self._skip(kind, depth + 1)

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("a page's header is too deep")
        if kind in _NUMBERS:
            self._number()
        elif kind == _BINARY:
            length = self._unsigned()
            self.at += length
        elif kind == _STRUCT:
            self._structure(depth)
        elif kind in (_LIST, _SET):
            count, kind = divmod(self._byte(), 16)
            for _ in range(self._unsigned() if count == 15 else count):
                self._skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)
        elif kind in (_BYTE, _DOUBLE):
            self.at += 1 if kind == _BYTE else 8
        elif kind not in (_TRUE, _FALSE):
            raise ValueError("a page's header cannot be read")

    def _number(self) -> int:
        """Return a signed number: zigzag, so that small ones are short."""
        raw = self._unsigned()
        return (raw >> 1) ^ -(raw & 1)

    def _unsigned(self) -> int:
        value = 0
        for place in range(_LONGEST):
            byte = self._byte()
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value
        raise ValueError("a number in a page's header is too long")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ValueError("a page's header goes beyond the file")
        byte = self._data[self.at]
        self.at += 1
        return byte
