"""`crossmargin calls` and `crossmargin programme-off`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin import cli


@pytest.fixture(scope="module")
def results(sample_run: xm.RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "results"
    xm.write_run(sample_run, out)
    return out


@pytest.fixture(scope="module")
def deposits(sample_run: xm.RunResult, results: Path) -> Path:
    """Return a file that has a thousand dollars for most accounts, and plenty for some."""
    file = results.parent / "deposits.csv"
    lines = ["account,ccp,value"]
    for number, name in enumerate(sample_run.accounts["account"].to_pylist()):
        value = 1000 if number % 3 else 10**9
        lines += [f"{name},FICC,{value}", f"{name},CME,{value + number % 2}"]
    file.write_text("\n".join(lines) + "\n")
    return file


def test_calls_are_printed_and_written(
    sample_run: xm.RunResult,
    results: Path,
    deposits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "calls"
    options = ["--results", str(results), "--deposits", str(deposits), "--out", str(out)]
    assert cli.main(["calls", *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    called = xm.calls(sample_run, deposits)
    assert pq.read_table(out / "accounts.parquet").equals(called.accounts.to_arrow())
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["format"] == "crossmargin calls"
    assert manifest["inputs"]["deposits"]["path"] == str(deposits)
    due = [row for row in called.accounts if row["call"]]
    largest = max(due, key=lambda row: row["call"])
    for text in (
        "Calls as of 2026-06-10, cycle EOD: 3,001 accounts",
        "SYNTHETIC",
        f"{len(due):,} calls, {sum(row['call'] for row in due):,.0f} in all",
        "Largest calls, USD",
        f"{largest['call']:,.2f}",
        "Customers with the largest calls",
        "Most withdrawable, USD",
        "with rejected positions: at least so much is collected",
        "called by other clearing firms, and in no sum",
        f"Directory: {out}",
    ):
        assert text in printed.out


def test_without_deposits_what_is_collected_is_shown(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["calls", "--results", str(results)]) == 0
    printed = capsys.readouterr().out
    assert "no deposits are given: calls and excess are not known" in printed
    assert "Most collected, USD" in printed
    assert "Largest calls" not in printed


def test_rejected_rows_of_deposits_end_in_3(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deposits.csv"
    file.write_text("account,ccp,value\nH00001,FICC,5\nH00002,FICC,x\n\x1b[31m,CME,1\n")
    for command in ("calls", "programme-off"):
        assert cli.main([command, "--results", str(results), "--deposits", str(file)]) == 3
        printed = capsys.readouterr().out
        assert "deposits, row 2" in printed
        assert "\x1b" not in printed
    assert cli.main(["calls", "--results", str(results), "--deposits", str(file)]) == 3
    assert "no call: 1 account with a rejected row of deposits" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["calls", "programme-off"])
def test_unusable_deposits_end_in_2_and_write_nothing(
    command: str, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deposits.csv"
    file.write_text("account,ccp,value\n")
    out = tmp_path / "out.csv"
    options = ["--results", str(results), "--deposits", str(file), "--out", str(out)]
    assert cli.main([command, *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no row that can be used" in printed.err
    assert printed.err.count("\n") == 1
    assert not out.exists()


def test_a_directory_of_results_is_not_replaced(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["calls", "--results", str(results), "--out", str(results)]) == 2
    assert "holds crossmargin results" in capsys.readouterr().err


def test_the_gap_is_printed_and_written(
    sample_run: xm.RunResult,
    results: Path,
    deposits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "off.csv"
    options = ["--results", str(results), "--deposits", str(deposits), "--out", str(out)]
    assert cli.main(["programme-off", *options]) == 0
    printed = capsys.readouterr().out
    (total,) = xm.programme_off(sample_run, deposits).total
    assert f"at an offset rate of zero {total['gap']:,.0f} USD more would be due" in printed
    assert f"with all positions in ordinary accounts {total['gap_ordinary']:,.0f} more" in printed
    assert f"leaves {total['left']:,.0f} of the first" in printed
    assert f"not in these sums: {total['accounts_unknown']} accounts" in printed
    assert f"{total['accounts_incomplete']} accounts with rejected positions" in printed
    assert "Largest gaps, USD" in printed
    table = pacsv.read_csv(out)
    assert len(table) == len(sample_run.accounts)
    assert cli.main(["programme-off", "--results", str(results)]) == 0
    assert "deposit" not in capsys.readouterr().out
