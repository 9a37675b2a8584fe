from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmargin.columns import TEXT
from crossmargin.exceptions import InputError
from crossmargin.io import delimited, limits
from crossmargin.io.tables import read_table

CSV = b"account,instrument\n00123,912828E1\n,ZNM25\n"
ROWS = [
    {"account": "00123", "instrument": "912828E1"},
    {"account": "", "instrument": "ZNM25"},
]
TEXTS = {pa.string(), TEXT}
"""Types of a column of texts."""


def write(folder: Path, data: bytes, name: str = "input.dat") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    "data",
    [
        CSV,
        CSV.replace(b"\n", b"\r\n"),
        CSV.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + CSV,
        CSV.rstrip(b"\n"),
        b"\n\n" + CSV,
        b'"account","instrument"\n"00123","912828E1"\n"","ZNM25"\n',
        b" account ,instrument\n00123,912828E1\n,ZNM25\n",
        gzip.compress(CSV),
        gzip.compress(CSV[:10]) + gzip.compress(CSV[10:]),
        parquet(pa.table({"account": ["00123", ""], "instrument": ["912828E1", "ZNM25"]})),
        gzip.compress(
            parquet(pa.table({"account": ["00123", ""], "instrument": ["912828E1", "ZNM25"]}))
        ),
    ],
    ids=[
        "plain",
        "crlf",
        "cr",
        "bom",
        "no-last-newline",
        "blank-lines-first",
        "quoted",
        "spaces-in-header",
        "gzip",
        "gzip-of-two-members",
        "parquet",
        "parquet-in-gzip",
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x"])
def test_formats_are_told_by_content_and_texts_stay_texts(
    tmp_path: Path, data: bytes, name: str
) -> None:
    given = read_table(write(tmp_path, data, name), name="positions")
    table = given.table
    assert table.to_pylist() == ROWS
    assert set(table.schema.types) <= TEXTS
    assert given.hash == hashlib.sha256(data).hexdigest()


def test_a_string_is_a_path(tmp_path: Path) -> None:
    assert read_table(str(write(tmp_path, CSV)), name="x").table.to_pylist() == ROWS


def test_nothing_is_inferred_even_where_all_cells_look_like_numbers(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b"a,b,c\n007,1e5,2025-03-13\nNA,nan,true\n"), name="x").table
    assert table.to_pydict() == {
        "a": ["007", "NA"],
        "b": ["1e5", "nan"],
        "c": ["2025-03-13", "true"],
    }


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    for data in (b"a,b\n", b"a,b"):
        table = read_table(write(tmp_path, data), name="x").table
        assert (table.column_names, len(table)) == (["a", "b"], 0)


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS, index=[7, 9]),
        pd.DataFrame(ROWS, dtype="category"),
        pl.DataFrame(ROWS),
        pl.DataFrame(ROWS).with_columns(pl.all().cast(pl.Categorical)),
        pa.table({"account": ["00123", ""], "instrument": ["912828E1", "ZNM25"]}),
        pa.record_batch({"account": ["00123", ""], "instrument": ["912828E1", "ZNM25"]}),
        pa.table(
            {
                "account": pa.array(["00123", ""], pa.large_string()),
                "instrument": pa.array(["912828E1", "ZNM25"], pa.string_view()),
            }
        ),
    ],
    ids=[
        "pandas",
        "pandas-with-index",
        "pandas-category",
        "polars",
        "polars-categorical",
        "arrow-table",
        "arrow-batch",
        "large-and-view",
    ],
)
def test_tables_of_other_libraries(source: Any) -> None:
    table = read_table(source, name="positions").table
    assert table.to_pylist() == ROWS
    assert set(table.schema.types) <= TEXTS
    assert not table.schema.metadata


def test_types_of_a_table_are_kept() -> None:
    frame = pl.DataFrame({"quantity": [1, 2], "date": [pd.Timestamp("2025-03-13")] * 2})
    assert read_table(frame, name="x").table.schema.field("quantity").type == pa.int64()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n1,2\n3\n", "line 3: 1 cells, but the header has 2: '3'"),
        (b"a,b\n1,2,3\n", "line 2: 3 cells"),
        (b"a,b,a\n1,2,3\n", "`a` appears more than once"),
        (b"a, a\n1,2\n", "`a` appears more than once"),
        (b'a,b\n1,"2\n3,4\n', "quote is opened and never closed"),
        (b"a,b\n1,\x81\n", "neither UTF-8 nor cp1252 text; save it as UTF-8"),
        (b"a,b\n" + b"1,2\n" * 300_000 + b"1,\x81\n", "neither UTF-8 nor cp1252"),
        (b"\xff\xfea\0,\0b", "neither UTF-8 nor utf-16 text"),
        ("a,b\n".encode("utf-32"), "zero bytes"),
        (b"a,b\n1,\0\n", "zero bytes"),
        (b"PK\x03\x04....", "cannot be read"),
        (b"PK\x05\x06" + bytes(18), "zip archive that is empty"),
        (b"\xd0\xcf\x11\xe0....", "old Excel workbook"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"\x1f\x8b\x08nonsense", "cannot be read"),
        (gzip.compress(CSV)[:-9], "cannot be read"),
        (gzip.compress(b""), "is empty"),
        (b"PAR1 nonsense PAR1", "cannot be read"),
        (parquet(pa.table({"a": ["x"]}))[:-6], "cannot be read"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(InputError) as raised:
        read_table(path, name="positions")
    assert f"positions file {path}" in str(raised.value)
    assert message in str(raised.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "absent.csv", name="x")
    with pytest.raises(InputError, match="not a regular file"):
        read_table(tmp_path, name="x")
    with pytest.raises(InputError, match="not a regular file"):
        read_table("/dev/zero", name="x")
    with pytest.raises(InputError, match="cannot be opened"):
        read_table("a\0b", name="x")
    with pytest.raises(TypeError, match="pandas, polars or Arrow"):
        read_table({"a": [1]}, name="x")


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 40)
    with pytest.raises(InputError, match="above the limit"):
        read_table(write(tmp_path, b"a\n" + b"x" * 40), name="x")
    with pytest.raises(InputError, match="unpacks to more than"):
        read_table(write(tmp_path, gzip.compress(b"a\n" + b"x" * 100)), name="x")
    monkeypatch.setattr(limits, "MAX_BYTES", 1 << 30)
    monkeypatch.setattr(limits, "MAX_COLUMNS", 2)
    with pytest.raises(InputError, match="3 columns, above the limit"):
        read_table(write(tmp_path, b"a,b,c\n1,2,3\n"), name="x")
    monkeypatch.setattr(limits, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="3 rows, above the limit"):
        read_table(write(tmp_path, parquet(pa.table({"a": ["1", "2", "3"]}))), name="x")


def test_a_gzip_bomb_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SMALL", 1 << 20)
    bomb = gzip.compress(b"a\n" + bytes([44]) * (40 << 20))
    assert len(bomb) < 60_000
    with pytest.raises(InputError, match="unpacks to more than"):
        read_table(write(tmp_path, bomb), name="x")


def test_a_giant_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="header"):
        read_table(write(tmp_path, b"a" * (2 << 20)), name="x")
    with pytest.raises(InputError, match="header is longer"):
        read_table(write(tmp_path, b"ab," * (1 << 20)), name="x")


def test_a_short_parquet_file_of_much_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 20,000 times the same 1,000 characters: a few kB as a dictionary, 20 MB as text.
    data = parquet(pa.table({"a": ["x" * 1000] * 20_000}))
    assert len(data) < 10_000
    monkeypatch.setattr(limits, "MAX_BYTES", 1 << 20)
    with pytest.raises(InputError, match="column `a`: more than"):
        read_table(write(tmp_path, data), name="x")


def test_text_in_parquet_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    data = parquet(pa.table({"a": ["abcdefgh"]}), compression="none", write_statistics=False)
    path = write(tmp_path, data.replace(b"abcdefgh", b"\xff\xfedefgh\xff"))
    with pytest.raises(InputError, match=f"x file {path}: cannot be read"):
        read_table(path, name="x")


def test_line_breaks_within_quotes_belong_to_the_cell(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b'a,b\n1,"x\ny"\n2,"say ""so"""\n'), name="x").table
    assert table["b"].to_pylist() == ["x\ny", 'say "so"']


def test_large_files_are_read_whole(tmp_path: Path) -> None:
    # More than one block of the reader, so that several threads work on it.
    rows = np.arange(400_000)
    data = b"a,b\n" + b"\n".join(b"%d,%d-padding-padding-padding-padding" % (r, r) for r in rows)
    table = read_table(write(tmp_path, data), name="x").table
    assert len(data) > delimited._BLOCK
    assert table["a"].to_pylist() == [str(r) for r in rows]
