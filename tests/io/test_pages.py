from __future__ import annotations

import contextlib
import io
import itertools
import struct
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.exceptions import InputError
from crossmargin.io.pages import unpacked_size
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


def chunks(data: bytes) -> list[pq.ColumnChunkMetaData]:
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
    for chunk in chunks(data):
        # Each page counts 1,024 bytes more, and less its header of some 30.
        over = unpacked_size(data, chunk) - chunk.total_uncompressed_size
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
    (chunk,) = chunks(data)
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
    (chunk,) = chunks(data)
    with contextlib.suppress(ValueError):
        assert unpacked_size(data[: chunk.data_page_offset] + header, chunk) >= 0


def test_empty_pages_without_end_are_refused() -> None:
    data = written(TABLE.select(["number"]).slice(0, 10), use_dictionary=False)
    (chunk,) = chunks(data)
    endless = SimpleNamespace(
        data_page_offset=chunk.data_page_offset,
        has_dictionary_page=False,
        total_compressed_size=1 << 40,
    )
    empty = b"\x25\0\x15\0\0"  # both sizes zero
    with pytest.raises(ValueError, match="more than 100,000 pages"):
        unpacked_size(data[: chunk.data_page_offset] + empty * 200_000, endless)


@pytest.mark.parametrize(
    "header",
    [b"\x19\xf5\xff\xff\xff\xff\x0f", b"\x1c" * 30, b"\x15" + b"\xff" * 11, b"\x2d", b"\x15\x01"],
    ids=["long-list", "deep", "long-number", "unknown", "cut"],
)
def test_a_hostile_header_ends(header: bytes) -> None:
    data = written(TABLE.select(["number"]).slice(0, 10))
    (chunk,) = chunks(data)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    with pytest.raises(ValueError, match=r"a page's header|a number in a page's header"):
        unpacked_size(data[:start] + header, chunk)
