from __future__ import annotations

import contextlib
import io
import itertools
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.io.pages import Chunk, column_chunks, unpacked_size
from crossmargin.io.parquet import read_parquet

TABLE = pa.table(
    {
        "number": np.arange(50_000) % 7,
        "text": [str(k % 1000) if k % 5 else None for k in range(50_000)],
        "flag": [True] * 50_000,
    }
)


def written(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def of_arrow(data: bytes) -> list[pq.ColumnChunkMetaData]:
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    return [group.column(k) for k in range(group.num_columns)]


@pytest.mark.parametrize(
    ("compression", "version", "dictionary"),
    list(itertools.product(("none", "snappy", "zstd", "gzip"), ("1.0", "2.0"), (True, False))),
)
def test_sizes_are_those_of_the_footer_less_the_headers(
    compression: str, version: str, dictionary: bool
) -> None:
    data = written(
        TABLE,
        compression=compression,
        data_page_version=version,
        use_dictionary=dictionary,
        write_page_checksum=True,
    )
    for chunk, own in zip(column_chunks(data), of_arrow(data), strict=True):
        assert (chunk.path, chunk.end - chunk.begin) == (
            own.path_in_schema,
            own.total_compressed_size,
        )
        assert chunk.begin == (own.dictionary_page_offset or own.data_page_offset)
        # Each page counts 1,024 bytes more, and less its header of some 30.
        over = unpacked_size(data, chunk) - own.total_uncompressed_size
        assert 3 * 900 < over < 4 * 1024


def zigzag(number: int) -> bytes:
    number *= 2
    parts = []
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def test_a_page_that_is_larger_than_the_footer_says_is_refused() -> None:
    rows = 10_000_000
    data = written(
        pa.table({"a": np.zeros(rows)}),
        compression="zstd",
        use_dictionary=False,
        data_page_size=1 << 30,
        row_group_size=rows,
        store_schema=False,
        write_statistics=False,
    )
    (chunk,) = of_arrow(data)
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = data[-8 - size : -8].replace(zigzag(rows), zigzag(1000))
    footer = footer.replace(zigzag(chunk.total_uncompressed_size), zigzag(8000))
    lying = data[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"
    metadata = pq.ParquetFile(io.BytesIO(lying)).metadata
    assert (metadata.num_rows, metadata.row_group(0).total_byte_size) == (1000, 8000)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_parquet(lying, "x")


@given(st.binary(max_size=60))
def test_any_header_has_a_size_or_is_damaged(header: bytes) -> None:
    data = written(TABLE.select(["number"]).slice(0, 10))
    (chunk,) = column_chunks(data)
    with contextlib.suppress(ValueError):
        assert unpacked_size(data[: chunk.begin] + header, chunk) >= 0


def test_empty_pages_without_end_are_refused() -> None:
    data = written(TABLE.select(["number"]).slice(0, 10), use_dictionary=False)
    (chunk,) = column_chunks(data)
    endless = Chunk(chunk.path, chunk.begin, 1 << 40)
    empty = b"\x25\0\x15\0\0"  # both sizes zero
    with pytest.raises(ValueError, match="more than 100,000 pages"):
        unpacked_size(data[: chunk.begin] + empty * 200_000, endless)


@pytest.mark.parametrize(
    "header",
    [
        b"\x19\xf5\xff\xff\xff\xff\x0f",
        b"\x19\xf3\xff\xff\xff\xff\xff\xff\x0f",  # of bytes
        b"\x1c" * 30,
        b"\x15" + b"\xff" * 11,
        b"\x2d",
        b"\x15\x01",
    ],
    ids=["long-list", "endless-list", "deep", "long-number", "unknown", "cut"],
)
def test_a_hostile_header_ends(header: bytes) -> None:
    data = written(TABLE.select(["number"]).slice(0, 10))
    (chunk,) = column_chunks(data)
    with pytest.raises(ValueError, match=r"^a part|^a number"):
        unpacked_size(data[: chunk.begin] + header, chunk)


def with_footer(data: bytes, footer: bytes) -> bytes:
    size = struct.unpack("<I", data[-8:-4])[0]
    return data[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"


@given(st.binary(max_size=200))
def test_any_footer_has_columns_or_is_damaged(footer: bytes) -> None:
    data = written(TABLE.select(["number"]).slice(0, 10))
    with contextlib.suppress(ValueError):
        assert all(chunk.begin <= chunk.end for chunk in column_chunks(with_footer(data, footer)))


@pytest.mark.parametrize(
    ("footer", "why"),
    [
        (b"\x49\x1c\x36\x02\0\0", "lacks a part"),  # a row group with rows and no columns
        (b"\x49\x1c\x19\x1c\0\x26\x02\0\0", "lacks a part"),  # a column with no metadata
        (b"\x49\x1c\x38\x01a\0\0", "not a whole number"),  # rows that are a text
        (b"\x49\x15\x02\0", "lacks a part"),  # row groups that are numbers
        (b"\x49\x1c\x19\x19\x05\x26\x02\0\0", "lacks a part"),  # a column that is a list
        (b"\x1c" * 30, "too deep"),
    ],
)
def test_a_damaged_footer_is_named(footer: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        list(column_chunks(with_footer(written(TABLE.slice(0, 1)), footer)))


def test_a_footer_that_is_too_large_is_not_read() -> None:
    with pytest.raises(ValueError, match="more than 16,777,216 bytes"):
        list(column_chunks(with_footer(written(TABLE.slice(0, 1)), b"\0" * (17 << 20))))
