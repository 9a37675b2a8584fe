from __future__ import annotations

import csv
import datetime
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.io import results
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import check_target, read_results, write_results, write_table
from crossmargin.io.tables import read_table
from crossmargin.results.table import Table, money

EXAMPLE = pa.table(
    {
        "account": ["00123", None, "B", "C"],
        "offset_rate": [0.5, None, -0.0, 1e-300],
        "requirement": money(np.array([1, 2, -3, 4]), np.array([True, False, True, True])),
        "date": pa.array([datetime.date(2025, 3, 13)] * 3 + [None], pa.date32()),
        "xm": [True, None, False, True],
        "count": pa.array([1, None, 3, 4], pa.int32()),
        "time": pa.array([datetime.datetime(2025, 3, 13)] * 4, pa.timestamp("us")),
        "nothing": pa.nulls(4),
        "kind": pa.array(["a", "b", "a", None]).dictionary_encode(),
    }
)
MANIFEST = {"run_id": "r-1", "as_of": "2025-03-13"}


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.booleans()),
        max_size=20,
    )
)
def test_money_is_exact(pairs: list[tuple[int, bool]]) -> None:
    cents = np.array([c for c, _ in pairs], dtype=np.int64)
    amount = money(cents, np.array([v for _, v in pairs], dtype=bool))
    amount.validate(full=True)
    assert amount.type == pa.decimal128(20, 2)
    assert amount.to_pylist() == [Decimal(c).scaleb(-2) if v else None for c, v in pairs]


def test_money_without_a_mask_is_all_known() -> None:
    assert money(np.array([-5])).to_pylist() == [Decimal("-0.05")]


@given(st.lists(st.integers(0, 4), max_size=4))
def test_a_hash_does_not_depend_on_chunks(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), 4]
    split = pa.concat_tables(EXAMPLE.slice(a, b - a) for a, b in itertools.pairwise(bounds))
    assert table_hash(split) == table_hash(EXAMPLE)
    # A slice of something longer has the same values at another offset.
    assert table_hash(pa.concat_tables([EXAMPLE] * 3).slice(4, 4)) == table_hash(EXAMPLE)


def test_a_hash_sees_values_names_types_and_nulls() -> None:
    one = pa.table({"a": ["x", "yz"]})
    others = [
        pa.table({"a": ["xy", "z"]}),
        pa.table({"b": ["x", "yz"]}),
        pa.table({"a": ["x", None]}),
        pa.table({"a": ["x", ""]}),
        pa.table({"a": ["x"]}),
        pa.table({"a": [1, 2]}),
        pa.table({"a": [1.0, 2.0]}),
        pa.table({"a": [0.0, 2.0]}),
        pa.table({"a": [-0.0, 2.0]}),
        pa.table({"a": [None, 2.0]}),
    ]
    hashes = {table_hash(table) for table in [one, *others]}
    assert len(hashes) == 1 + len(others)


def test_a_hash_leaves_out_columns_metadata_and_what_stands_under_nulls() -> None:
    stamped = EXAMPLE.append_column("run_id", pa.array(["r"] * 4))
    stamped = stamped.replace_schema_metadata({"run_id": "r"})
    assert table_hash(stamped, without=("run_id",)) == table_hash(EXAMPLE)
    masked = pa.Array.from_buffers(
        pa.float64(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([7.0, 1.0]).tobytes())]
    )
    assert masked.to_pylist() == [None, 1.0]
    assert table_hash(pa.table({"a": masked})) == table_hash(pa.table({"a": [None, 1.0]}))


def test_a_nested_column_has_no_hash() -> None:
    with pytest.raises(TypeError, match="flat"):
        table_hash(pa.table({"a": [[1]]}))


def test_the_hash_of_a_source_is_that_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    expected = hashlib.sha256(b"a\n1\n").hexdigest()
    assert read_table(path, name="x").hash == expected
    assert read_table(EXAMPLE, name="x").hash == table_hash(EXAMPLE)


def test_a_table_goes_out_to_each_library() -> None:
    table = Table(EXAMPLE)
    assert len(table) == 4
    assert table.column_names == EXAMPLE.column_names
    assert table.to_arrow() is EXAMPLE
    assert table.to_pandas()["requirement"].tolist() == [
        Decimal("0.01"),
        None,
        Decimal("-0.03"),
        Decimal("0.04"),
    ]
    assert table.to_polars()["account"].to_list() == ["00123", None, "B", "C"]
    assert pa.table(table).equals(EXAMPLE)
    assert pl.DataFrame(table).height == 4


def test_results_are_written_with_their_manifest(tmp_path: Path) -> None:
    out = write_results(tmp_path / "deep" / "out", {"accounts": EXAMPLE}, MANIFEST)
    assert sorted(p.name for p in out.iterdir()) == ["accounts.parquet", "manifest.json"]
    table = pq.read_table(out / "accounts.parquet")
    assert table.equals(EXAMPLE)
    assert table.schema.metadata[b"run_id"] == b"r-1"
    assert table.schema.metadata[b"schema_version"] == results.SCHEMA_VERSION.encode()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["as_of"] == "2025-03-13"
    assert manifest["schema_version"] == results.SCHEMA_VERSION
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_earlier_results_are_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_results(out, {"accounts": EXAMPLE, "old": EXAMPLE}, MANIFEST)
    write_results(out, {"accounts": EXAMPLE.slice(0, 1)}, {"run_id": "r-2"})
    assert sorted(p.name for p in out.iterdir()) == ["accounts.parquet", "manifest.json"]
    assert pq.read_table(out / "accounts.parquet").num_rows == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_directory_is_used_and_anything_else_left_alone(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    write_results(empty, {"accounts": EXAMPLE}, MANIFEST)

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text('{"format": "another"}')
    with pytest.raises(InputError, match="did not write"):
        write_results(mine, {"accounts": EXAMPLE}, MANIFEST)
    (empty / "notes.txt").write_text("keep me")
    with pytest.raises(InputError, match=r"notes\.txt"):
        check_target(empty)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="not a directory"):
        write_results(file, {"accounts": EXAMPLE}, MANIFEST)
    with pytest.raises(InputError, match="file: is not a directory"):
        write_results(file / "below", {"accounts": EXAMPLE}, MANIFEST)
    assert (empty / "notes.txt").read_text() == "keep me"


def test_an_error_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    nested = pa.table({"a": pa.array([datetime.timedelta(1)], pa.month_day_nano_interval())})
    with pytest.raises(pa.ArrowException):
        write_results(out, {"accounts": EXAMPLE, "bad": nested}, MANIFEST)
    assert list(tmp_path.iterdir()) == []

    write_results(out, {"accounts": EXAMPLE}, MANIFEST)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_results(out, {"accounts": EXAMPLE.slice(0, 1)}, MANIFEST)
    assert pq.read_table(out / "accounts.parquet").num_rows == 4
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_manifest_tells_each_file(tmp_path: Path) -> None:
    out = write_results(tmp_path / "out", {"b": EXAMPLE, "a": EXAMPLE.slice(0, 1)}, MANIFEST)
    files = json.loads((out / "manifest.json").read_text())["files"]
    assert list(files) == ["a.parquet", "b.parquet"]
    for name, entry in files.items():
        data = (out / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("name", ["my-analysis.parquet", "archive.parquet", "accounts.parquet"])
def test_what_no_run_wrote_is_left_alone(tmp_path: Path, name: str) -> None:
    out = write_results(tmp_path / "out", {"accounts": EXAMPLE}, MANIFEST)
    mine = out / name
    if name == "my-analysis.parquet":
        mine.write_text("mine")
    else:
        mine.unlink(missing_ok=True)  # accounts.parquet: a directory in the place of ours
        mine.mkdir()
        (mine / "2024.csv").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for call in (check_target, lambda out: write_results(out, {"accounts": EXAMPLE}, MANIFEST)):
        with pytest.raises(InputError, match=f"holds {name} that crossmargin did not write"):
            call(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_among_the_results_is_left_alone(tmp_path: Path) -> None:
    out = write_results(tmp_path / "out", {"accounts": EXAMPLE}, MANIFEST)
    moved = (out / "accounts.parquet").rename(tmp_path / "moved.parquet")
    (out / "accounts.parquet").symlink_to(moved)
    with pytest.raises(InputError, match=r"holds accounts\.parquet"):
        check_target(out)
    with pytest.raises(InputError, match=r"accounts\.parquet is missing or was changed"):
        read_results(out, "accounts")
    with pytest.raises(InputError, match=r"other\.parquet is missing or was changed"):
        read_results(out, "other")


@pytest.mark.parametrize("listed", ["null", "[]", "1", '{"../mine.txt": 1}'])
def test_a_manifest_lists_nothing_outside(tmp_path: Path, listed: str) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    out = write_results(tmp_path / "out", {}, MANIFEST)
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"files": {}', f'"files": {listed}'))
    write_results(out, {"accounts": EXAMPLE}, MANIFEST)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (out / "accounts.parquet").exists()


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": "cross', "[]", '"crossmargin results"']
)
def test_a_damaged_manifest_is_none(tmp_path: Path, text: str) -> None:
    out = write_results(tmp_path / "out", {"accounts": EXAMPLE}, MANIFEST)
    (out / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="holds no results"):
        read_results(out, "accounts")
    with pytest.raises(InputError, match="did not write"):
        check_target(out)


def test_a_pipe_in_place_of_the_manifest_is_not_waited_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / "manifest.json")
    with pytest.raises(InputError, match="holds no results"):
        read_results(out)


def test_a_replaced_directory_keeps_its_rights(tmp_path: Path) -> None:
    out = write_results(tmp_path / "out", {"accounts": EXAMPLE}, MANIFEST)
    out.chmod(0o750)
    write_results(out, {"accounts": EXAMPLE}, MANIFEST)
    assert out.stat().st_mode & 0o777 == 0o750


def test_a_link_to_a_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "out"
    link.symlink_to(tmp_path / "disk" / "results")
    hashes = {"accounts": {"hash": table_hash(EXAMPLE, without=("run_id",))}}
    for _ in range(2):
        write_results(link, {"accounts": EXAMPLE}, {**MANIFEST, "results": hashes})
    assert link.is_symlink()
    assert read_results(link, "accounts")[0]["accounts"].equals(EXAMPLE)


def test_places_for_no_results_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    long = "x" * 240  # the hidden names beside it are longer
    for place, says in {
        ".": "is the current directory",
        "": "is the current directory",
        "/": "is a mount point",
        "/proc": "is a mount point",
        "/proc/out": "cannot be written there",
        "loop": "symbolic links",
        "~nobody-of-this-name/out": "home directory",
        "a\0b": "null byte",
        long: "name too long",
        os.devnull: "is not a directory",
    }.items():
        with pytest.raises(InputError, match=says):
            check_target(place)
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="is the current directory"):
        check_target("~")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="the current directory is gone"):
        check_target("out")
    check_target(tmp_path / "out")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not here")
def test_a_directory_bound_from_elsewhere_is_a_mount_point(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    script = (
        "import sys; from crossmargin.io.results import check_target\n"
        "try: check_target(sys.argv[1])\n"
        "except ValueError as error: print(error)"
    )
    bind = 'mount --bind "$2" "$2" && exec "$0" -c "$1" "$2"'
    shell = ["unshare", "--mount", "--map-root-user", "sh", "-c", bind]
    done = subprocess.run(
        [*shell, sys.executable, script, str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip("this process may not mount")
    assert "is a mount point" in done.stdout


def test_texts_that_a_spreadsheet_would_compute_are_quoted(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "A=1", "'=1", "", None, "001"]
    number = [-1.5, *range(len(texts) - 1)]
    table = pa.table({"account": texts, "offset_rate": pa.array(number, pa.float64())})
    write_table(table, tmp_path / "a.csv")
    write_table(table, tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").equals(table)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    quoted = [f"'{text}" for text in texts[:6] if text is not None]
    assert [row[0] for row in rows] == [*quoted, "A=1", "'=1", "", "", "001"]
    assert rows[0][1] == "-1.5"


def test_a_table_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("mine")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            write_table(EXAMPLE.select(["account"]), file)
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    file.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(file)
    write_table(EXAMPLE.select(["account"]), tmp_path / "link.csv")
    assert file.read_text().startswith('"account"')
    assert file.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.csv").is_symlink()
    (tmp_path / "b.csv").mkdir()
    os.mkfifo(tmp_path / "c.csv")
    for name in ("b.csv", "c.csv"):
        with pytest.raises(InputError, match="not a file that can be written"):
            write_table(EXAMPLE.select(["account"]), tmp_path / name)


def test_a_killed_process_leaves_the_place_as_it_was(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        import pyarrow as pa, pyarrow.parquet as pq
        from crossmargin.io import results
        real, count = pq.write_table, 0
        def slow(*args, **options):
            global count
            real(*args, **options)
            count += 1
            if count == 2:
                print("half", flush=True)
                time.sleep(60)
        pq.write_table = slow
        tables = {name: pa.table({"a": ["x"]}) for name in "abc"}
        results.write_results(sys.argv[1], tables, {"run_id": "r"})
        """
    )
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    # What it leaves is hidden, and goes with the next run.
    assert all(p.name.startswith(".out.") for p in tmp_path.iterdir())
    write_results(out, {"accounts": EXAMPLE}, MANIFEST)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["../other", "a/b", "manifest.json", "t.parquet", "", ".."])
def test_another_file_has_a_name_of_its_own(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no name of a file beside the tables"):
        write_results(tmp_path / "out", {"t": pa.table({"a": [1]})}, {}, {name: b"x"})
    assert not list(tmp_path.iterdir())
