from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.analysis.compare import Margined, differences, inputs_that_differ
from crossmargin.exceptions import InputError
from crossmargin.io.hashes import table_hash
from crossmargin.policies.policy import DEFAULT
from crossmargin.results.table import MONEY
from crossmargin.sample import sample_tables

Runs = tuple[xm.RunResult, xm.RunResult]
EXAMPLE = Path(__file__).resolve().parents[2] / "docs/policies/example-class-disallowance.toml"

Account = tuple[str, float, str | None, str | None, str | None]


def result(*accounts: Account, **inputs: str) -> Margined:
    """Return accounts as (name, p, requirement, saving, reason); inputs by name and hash."""
    name, p, requirement, saving, reason = zip(*accounts, strict=True)
    amounts = {
        column: pa.array([None if text is None else Decimal(text) for text in texts], MONEY)
        for column, texts in (("requirement", requirement), ("saving", saving))
    }
    table = pa.table(
        {
            "account": pa.array(name, pa.string()),
            "offset_rate": pa.array(p, pa.float64()),
            **amounts,
            "reason": pa.array(reason, pa.string()),
            "saving_is_upper_bound": pa.array([number == "X" for number in name]),
            "spread_risk": pa.array([None] * len(name), pa.string()),
        }
    )
    return Margined(table, {"inputs": {key: {"hash": text} for key, text in inputs.items()}})


def test_differences_are_b_minus_a_and_accounts_of_one_run_are_marked() -> None:
    a = result(
        ("X", 0.5, "100.00", "40.00", None),
        ("GONE", 0.0, "7.25", "0.00", "ONE_SIDED"),
        ("Y", 0.0, None, None, "INCOMPLETE"),
    )
    b = result(
        ("NEW2", 0.25, "1.00", "2.00", None),
        ("Y", 0.5, "9.00", "3.00", None),
        ("X", 0.25, "100.75", "39.25", "NO_SAVING"),
        ("NEW1", 0.0, None, None, "INCOMPLETE"),
    )
    table = differences(a, b)
    assert table["requirement_difference"].type == MONEY
    rows = {row["account"]: row for row in table.to_pylist()}
    assert list(rows) == ["X", "GONE", "Y", "NEW2", "NEW1"]
    assert rows["X"] == {
        "account": "X",
        "only_in": None,
        "offset_rate_a": 0.5,
        "offset_rate_b": 0.25,
        "offset_rate_difference": -0.25,
        "requirement_a": Decimal("100.00"),
        "requirement_b": Decimal("100.75"),
        "requirement_difference": Decimal("0.75"),
        "saving_a": Decimal("40.00"),
        "saving_b": Decimal("39.25"),
        "saving_difference": Decimal("-0.75"),
        "reason_a": None,
        "reason_b": "NO_SAVING",
        "saving_is_upper_bound_a": True,
        "saving_is_upper_bound_b": True,
        "spread_risk_a": None,
        "spread_risk_b": None,
    }
    assert [rows[name]["only_in"] for name in rows] == [None, "a", None, "b", "b"]
    # Known in one run alone: no difference, never that to zero.
    for name in ("GONE", "Y", "NEW2"):
        assert rows[name]["requirement_difference"] is None
    assert (rows["GONE"]["requirement_a"], rows["GONE"]["offset_rate_b"]) == (Decimal("7.25"), None)
    assert (rows["Y"]["offset_rate_difference"], rows["Y"]["reason_a"]) == (0.5, "INCOMPLETE")


def test_inputs_differ_by_content_or_by_being_there() -> None:
    row = ("X", 0.5, "1.00", "1.00", None)
    a = result(row, positions="1", accounts="2", basis="3")
    b = result(row, positions="9", accounts="2", firms="4")
    assert inputs_that_differ(a, b) == ["basis", "firms", "positions"]
    assert inputs_that_differ(a, a) == []


@pytest.fixture(scope="module")
def runs(sample_book: Callable[..., dict[str, Any]]) -> tuple[xm.RunResult, xm.RunResult]:
    """Return a small sample book under the default policy and under the example's."""
    book, market = sample_book(30), xm.sample_market()
    one, other = (
        xm.run(**book, market=market, policy=policy, threads=1) for policy in (None, EXAMPLE)
    )
    return one, other


def test_runs_and_their_directories_compare_alike(runs: Runs, tmp_path: Path) -> None:
    dirs = [run.write(tmp_path / name) for run, name in zip(runs, "ab", strict=True)]
    table = xm.compare(*runs).to_arrow()
    assert table.equals(xm.compare(runs[0], dirs[1]).to_arrow())
    assert table.equals(xm.compare(str(dirs[0]), dirs[1]).to_arrow())
    assert len(table) == len(runs[0].accounts)
    assert table["only_in"].null_count == len(table)
    a, b = (run.accounts.to_arrow() for run in runs)
    for row, one, other in zip(table.to_pylist(), a.to_pylist(), b.to_pylist(), strict=True):
        assert row["account"] == one["account"]
        assert (row["offset_rate_a"], row["offset_rate_b"]) == (
            one["offset_rate"],
            other["offset_rate"],
        )
        if one["requirement"] is not None:
            assert row["requirement_difference"] == other["requirement"] - one["requirement"]
    same = xm.compare(runs[0], runs[0]).to_arrow()
    assert set(same["offset_rate_difference"].to_pylist()) == {0.0}


def test_what_is_no_result_is_refused(tmp_path: Path, runs: Runs) -> None:
    with pytest.raises(InputError, match="holds no results"):
        xm.compare(runs[0], tmp_path)
    out = runs[0].write(tmp_path / "a")
    text = (out / "manifest.json").read_text("utf-8")
    (out / "manifest.json").write_text(text.replace('"schema_version": "', '"schema_version": "0'))
    with pytest.raises(InputError, match=r"results have version 0\d+, not"):
        xm.compare(runs[0], out)
    (out / "manifest.json").write_text(text)
    (out / "accounts.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="results cannot be read"):
        xm.compare(runs[0], out)


def rewritten(out: Path, accounts: pa.Table) -> None:
    pq.write_table(accounts, out / "accounts.parquet")


def test_a_table_that_the_run_did_not_write_is_refused(
    tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    out = runs[0].write(tmp_path / "a")
    accounts = pq.read_table(out / "accounts.parquet")
    for changed in (pa.concat_tables([accounts, accounts]), accounts.slice(1)):
        rewritten(out, changed)
        with pytest.raises(InputError, match=r"accounts.parquet: was changed after the run"):
            xm.compare(runs[0], out)
        assert cli.main(["compare", str(out), str(out)]) == cli.UNUSABLE
        assert "run the book again" in capsys.readouterr().err
    # The same values in another file are the same results.
    pq.write_table(accounts, out / "accounts.parquet", compression="gzip", row_group_size=7)
    assert len(xm.compare(runs[0], out)) == len(accounts)


def test_an_account_twice_is_refused(tmp_path: Path, runs: Runs) -> None:
    out = runs[0].write(tmp_path / "a")
    accounts = pq.read_table(out / "accounts.parquet")
    doubled = pa.concat_tables([accounts, accounts.slice(3, 1)])
    rewritten(out, doubled)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    manifest["results"]["accounts"]["hash"] = table_hash(doubled, without=("run_id",))
    (out / "manifest.json").write_text(json.dumps(manifest))
    name = accounts["account"][3].as_py()
    with pytest.raises(InputError, match=f"account {name} more than once"):
        xm.compare(out, runs[0])


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("results", "has no hash of accounts"),
        ("as_of", "lacks the as-of date"),
        ("cycle", "lacks the as-of date"),
        ("policy", "lacks the as-of date"),
        ("inputs", "lacks the as-of date"),
    ],
)
@pytest.mark.parametrize("instead", [None, 1, ["x"], {"accounts": 1}, {"positions": {}}])
def test_a_manifest_that_lacks_something_is_refused(
    tmp_path: Path, runs: Runs, part: str, says: str, instead: object
) -> None:
    out = runs[0].write(tmp_path / "a")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    manifest[part] = instead
    if instead is None:
        del manifest[part]
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=says):
        xm.compare(out, runs[0])


@pytest.mark.parametrize("market", [7, {"curve_date": 7}])
def test_a_manifest_with_another_market_is_refused(
    tmp_path: Path, runs: Runs, market: object
) -> None:
    out = runs[0].write(tmp_path / "a")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    (out / "manifest.json").write_text(json.dumps(manifest | {"market": market}))
    with pytest.raises(InputError, match="lacks the as-of date"):
        xm.compare(out, runs[0])


def forged(out: Path, accounts: pa.Table) -> None:
    """Change results and what the manifest says of them."""
    rewritten(out, accounts)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    manifest["results"]["accounts"]["hash"] = table_hash(accounts, without=("run_id",))
    (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("offset_rate", pa.string()),
        ("requirement", pa.decimal128(30, 4)),
        ("requirement", pa.float64()),
        ("reason", pa.null()),
        ("account", pa.null()),
        ("saving", None),
    ],
)
def test_accounts_of_other_columns_are_refused_whatever_their_hash(
    tmp_path: Path, runs: Runs, name: str, kind: pa.DataType | None
) -> None:
    out = runs[0].write(tmp_path / "a")
    accounts = pq.read_table(out / "accounts.parquet")
    at = accounts.column_names.index(name)
    if kind is None:
        accounts = accounts.remove_column(at)
    else:
        cells = pa.nulls(len(accounts)) if kind == pa.null() else accounts[name].cast(kind)
        accounts = accounts.set_column(at, name, cells)
    forged(out, accounts)
    with pytest.raises(InputError, match=f"accounts.parquet has no usable column {name}; run the"):
        xm.compare(out, runs[0])


def test_an_account_without_a_name_is_refused(tmp_path: Path, runs: Runs) -> None:
    out = runs[0].write(tmp_path / "a")
    accounts = pq.read_table(out / "accounts.parquet")
    names = [None, *accounts["account"].to_pylist()[1:]]
    forged(out, accounts.set_column(0, "account", pa.array(names)))
    with pytest.raises(InputError, match="has no usable column account"):
        xm.compare(out, runs[0])


def test_results_that_would_fill_the_memory_are_refused(tmp_path: Path, runs: Runs) -> None:
    out = runs[0].write(tmp_path / "a")
    index = pa.array(np.zeros(20_000_000, np.int32))
    text = pa.DictionaryArray.from_arrays(index, pa.array(["x" * 50]))
    pq.write_table(pa.table({"account": text}), out / "accounts.parquet")
    with pytest.raises(InputError, match=r"accounts.parquet: unpacks to more than"):
        xm.compare(out, runs[0])


def test_columns_of_the_users_own_keep_the_hash(tmp_path: Path) -> None:
    """Parquet has no whole seconds and no dates in milliseconds."""
    tables = sample_tables(accounts=12)
    day = datetime.datetime(2025, 3, 13, 1, 2, 3)
    accounts = tables["accounts"]
    for name, kind, value in (
        ("seconds", pa.timestamp("s", "UTC"), day),
        ("date", pa.date64(), day.date()),
        ("word", pa.large_string(), "a"),
    ):
        accounts = accounts.append_column(name, pa.array([value] * len(accounts), kind))
    run = xm.run(
        positions=tables["positions"],
        accounts=accounts,
        securities=tables["securities"],
        market=xm.sample_market(),
    )
    assert len(xm.compare(run, run.write(tmp_path / "a"))) == len(run.accounts)


def damaged(out: Path, how: str) -> None:
    """Change results as accidents and editors do."""
    file, manifest = out / "accounts.parquet", out / "manifest.json"
    table, content = pq.read_table(file), json.loads(manifest.read_text())
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    elif how == "a directory":
        file.unlink()
        file.mkdir()
    elif how.startswith("without "):
        pq.write_table(table.drop_columns([how.removeprefix("without ")]), file)
    elif how == "p as text":
        at = table.column_names.index("offset_rate")
        pq.write_table(
            table.set_column(at, "offset_rate", table["offset_rate"].cast(pa.string())), file
        )
    elif how == "no account":
        at = table.column_names.index("account")
        pq.write_table(table.set_column(at, "account", pa.nulls(len(table), pa.string())), file)
    elif how == "no JSON":
        manifest.write_text("{")
    elif how == "deep JSON":
        manifest.write_text("[" * 200_000)
    else:
        change = {"policy": "own", "inputs": {"positions": None}}.get(how)
        content |= {how: change}
        if change is None:
            del content[how]
        manifest.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "how",
    [
        *("truncated", "a directory", "without account", "without reason", "p as text"),
        *("no account", "no JSON", "deep JSON", "policy", "inputs", "as_of", "cycle", "files"),
        "format",
    ],
)
def test_damaged_results_are_refused(
    runs: Runs,
    tmp_path: Path,
    how: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = runs[0].write(tmp_path / "a")
    damaged(out, how)
    assert cli.main(["compare", str(out), str(out)]) == 2
    error = capsys.readouterr().err
    assert str(out) in error
    assert "Traceback" not in error


def test_command_prints_the_largest_differences_and_writes_all(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dirs = [str(run.write(tmp_path / name)) for run, name in zip(runs, "ab", strict=True)]
    table = xm.compare(*runs).to_arrow()
    for name, read in (("all.csv", pacsv.read_csv), ("all.parquet", pq.read_table)):
        file = tmp_path / name
        assert cli.main(["compare", *dirs, "--out", str(file)]) == 0
        out = capsys.readouterr().out
        assert len(read(file)) == len(table)
        assert f"File: {file}" in out
    lines = out.splitlines()
    assert lines[0] == f"A  {dirs[0]}: as of 2026-06-10, cycle EOD, {DEFAULT}"
    assert lines[1].endswith("cycle EOD, example-class-disallowance")
    assert lines[2] == "  inputs that differ: none"
    assert f"{len(table)} accounts in both" in lines[3]
    known = [r for r in table.to_pylist() if r["requirement_difference"] is not None]
    total = sum(row["requirement_difference"] for row in known)
    assert lines[4].endswith(f"difference {total:,.0f}")
    largest = max(known, key=lambda row: abs(row["requirement_difference"]))
    at = next(i for i, line in enumerate(lines) if "Largest differences" in line)
    assert lines[at + 2].split()[0] == largest["account"]
    assert f"{largest['requirement_difference']:,.0f}" in lines[at + 2]


def test_command_without_differences_says_so(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(runs[0].write(tmp_path / "a"))
    assert cli.main(["compare", out, out]) == 0
    assert "No requirement differs." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "holds no results"),
        (["--out", "table.txt"], "must end in .csv or .parquet"),
        (["--out", "/nowhere/table.csv"], "/nowhere/table.csv: cannot be written"),
    ],
)
def test_command_refuses_in_2(
    runs: Runs,
    tmp_path: Path,
    options: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = str(runs[0].write(tmp_path / "a"))
    other = out if options else str(tmp_path / "nowhere")
    assert cli.main(["compare", out, other, *options]) == cli.UNUSABLE
    assert says in capsys.readouterr().err
