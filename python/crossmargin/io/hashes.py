"""Hashes of tables that do not depend on how a table is split into chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from crossmargin import columns


def table_hash(table: pa.Table, *, without: tuple[str, ...] = ()) -> str:
    """Return a hash of a table's names, types and values; chunks and metadata do not matter.

    Parameters
    ----------
    table : pyarrow.Table
        Flat columns: texts, numbers, flags, dates, times, decimals.
    without : tuple of str, optional
        Columns left out, such as `run_id`.

    Returns
    -------
    str
        SHA-256, hexadecimal.

    Raises
    ------
    TypeError
        If a column is nested.
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in without:
            continue
        values = _canonical(column)
        digest.update(f"\0{len(name)}:{name}\0{values.type}\0".encode())
        for part in _bytes(values):
            digest.update(part)
    return digest.hexdigest()


def _canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that has one layout and survives a round trip by Parquet."""
    column = columns.plain(column)
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_date64(kind):
        return column.cast(pa.date32(), safe=False)
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return column.cast(pa.timestamp("ms", kind.tz), safe=False)
    return column


def _bytes(column: pa.ChunkedArray) -> Iterator[memoryview]:
    """Yield the mask of cells that are not null, then the values, with nulls as zero or empty."""
    kind = column.type
    yield np.packbits(columns.is_known(column)).data
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    if pa.types.is_null(kind):
        return
    if pa.types.is_string(kind):
        chunks = [chunk.fill_null(columns.scalar("")) for chunk in chunks]
        offsets = [
            np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk) + 1]
            for chunk in chunks
        ]
        yield from (np.diff(offset).data for offset in offsets)
        for chunk, offset in zip(chunks, offsets, strict=True):
            if offset[-1] > offset[0]:
                yield memoryview(chunk.buffers()[2])[offset[0] : offset[-1]]
    elif pa.types.is_boolean(kind):
        yield from (columns.flags(chunk).data for chunk in chunks)
    elif pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        width = kind.bit_width // 8
        for chunk in chunks:
            words = np.frombuffer(chunk.buffers()[1], np.uint8)
            words = words[chunk.offset * width :][: len(chunk) * width]
            if chunk.null_count:
                words = np.where(np.repeat(columns.is_known(chunk), width), words, np.uint8(0))
            yield words.data
    else:
        raise TypeError(f"a column of {kind} has no hash; give flat columns")
