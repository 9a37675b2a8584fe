"""Files that are short and stand for very much: each is read in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmargin.book.schemas import ACCOUNTS, POSITIONS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io import limits
from crossmargin.io.parse import parse
from crossmargin.io.tables import read_table

READ = """
import sys
from crossmargin.exceptions import InputError
from crossmargin.io.tables import read_table

def peak():
    return int(next(line for line in open("/proc/self/status") if "VmHWM" in line).split()[1])

before = peak()
try:
    read_table(sys.argv[1], name="x")
except InputError as error:
    print(peak() - before, error)
"""


def same(rows: int, columns: int = 1) -> pa.Table:
    return pa.table({f"c{k}": np.zeros(rows) for k in range(columns)})


def texts(rows: int, size: int) -> pa.Table:
    index = pa.array(np.zeros(rows, np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(index, pa.array(["x" * size]))})


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (same(20_000_000), {"row_group_size": 20_000_000}, "unpacks to more than"),
        (same(20_000_000), {"use_dictionary": False}, "unpacks to more than"),
        (same(10_000, 2_000), {}, "unpacks to more than"),
        (same(150_000, 2_000), {}, "300,000,000 cells, above the limit"),
        (texts(20_000, 100_000), {}, "bytes of text; shorten it"),
        (
            texts(100_000, 1_000).cast(pa.schema([("a", "string")])),
            {"use_dictionary": False},
            "unp",
        ),
    ],
    ids=["one-group", "plain", "wide", "cells", "texts", "plain-texts"],
)
def test_a_short_file_of_very_much_is_refused_in_little_memory(
    tmp_path: Path, table: pa.Table, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd", **options)
    assert path.stat().st_size < 1 << 21
    command = [sys.executable, "-c", READ, str(path)]
    peak, said = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60
    ).stdout.split(" ", 1)
    assert message in said
    assert int(peak) < 100_000  # kB


def test_sizes_are_watched_while_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(same(100_000), path, row_group_size=50_000)
    monkeypatch.setattr(limits, "SMALL", 900_000)
    monkeypatch.setattr(limits, "MAX_RATIO", 1)
    read_table(path, name="x")
    monkeypatch.setattr(limits, "SMALL", 700_000)
    with pytest.raises(InputError, match="unpacks to more than 700,000 bytes"):
        read_table(path, name="x")


NESTED = {
    "list": pa.array([[1.0, 2.0]]),
    "struct": pa.array([{"a": 1.0}]),
    "bytes": pa.array([b"1"]),
}


@pytest.mark.parametrize("kind", NESTED)
def test_nested_columns_and_bytes_are_refused_where_asked_for(tmp_path: Path, kind: str) -> None:
    row = {"account": ["A"], "kind": ["cash"], "instrument": ["X"], "quantity": [1.0], "xm": [True]}
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({**row, "note": NESTED[kind]}), path)
    table = read_table(path, name="positions").table
    parsed = parse(table, POSITIONS, file="positions", log=ExceptionLog())
    assert (len(parsed.table), parsed.extra_columns) == (1, ("note",))
    pq.write_table(pa.table({**row, "repo_rate": NESTED[kind]}), path)
    table = read_table(path, name="positions").table
    with pytest.raises(InputError, match=r"column `repo_rate` holds .* give it as number"):
        parse(table, POSITIONS, file="positions", log=ExceptionLog())


def test_a_file_of_nested_columns_alone_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"account": [[1], [2], [3]]}), path)
    table = read_table(path, name="accounts").table
    assert len(table) == 3
    with pytest.raises(InputError, match="are missing"):
        parse(table, ACCOUNTS, file="accounts", log=ExceptionLog())


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([["x"], ["y"]], names=["a", "a"]), path)
    with pytest.raises(InputError, match="column `a` appears more than once"):
        read_table(path, name="x")


def test_row_groups_and_an_empty_file_are_read_whole(tmp_path: Path) -> None:
    table = pa.table({"a": ["x", "y", "x", None, "z"], "b": [1, 2, 3, 4, 5]})
    for size in (2, 5):
        pq.write_table(table, tmp_path / "x", row_group_size=size)
        assert read_table(tmp_path / "x", name="x").table.to_pydict() == table.to_pydict()
    pq.write_table(table.slice(0, 0), tmp_path / "x")
    assert read_table(tmp_path / "x", name="x").table.to_pydict() == {"a": [], "b": []}
