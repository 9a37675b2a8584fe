from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import crossmargin as xm
from crossmargin import cli


@pytest.fixture(scope="module")
def run(sample_book: Callable[..., dict[str, Any]]) -> xm.RunResult:
    return xm.run(**sample_book(40), market=xm.sample_market())


@pytest.fixture(scope="module")
def found(run: xm.RunResult) -> xm.Allocation:
    return xm.allocate(run, boxes=8)


@pytest.fixture(scope="module")
def results(run: xm.RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "results"
    xm.write_run(run, out)
    return out


def test_the_book_comes_first_then_the_largest_savings(
    found: xm.Allocation, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["optimise", "--results", str(results), "--boxes", "8", "--out", str(out)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert "SYNTHETIC" in lines[0]
    unused = sum(found.accounts["unused_saving"].drop_null().to_pylist())
    assert f"unused saving {unused:,.0f}" in lines[1]
    marked = found.accounts["saving_is_upper_bound"].to_pylist().count(True)
    assert marked
    assert any(line.startswith(f"  * {marked} accounts: saving likely too much") for line in lines)
    assert any(f"{len(found.transfers):,} transfers" in line for line in lines)
    # Accounts without cross-margined cash have no bound, and count as without a choice.
    gaps = found.accounts["gap"].drop_null()
    proven = found.accounts["optimal"].to_pylist().count(True)
    assert any(
        f"of {len(gaps)} accounts with a choice {proven} proven optimal; gap to the bound: median"
        in line
        for line in lines
    )
    without = sum(
        row["outcome"] == "NO_CASH" or (row["outcome"] == "moved" and row["gap"] is None)
        for row in found.accounts
    )
    assert any(
        "no choice: " in line and f"{without} without cross-margined cash: futures alone" in line
        for line in lines
    )
    assert sum("they need not add up" in line for line in lines) == 1
    best = max(
        (row for row in found.accounts if row["unused_saving"]), key=lambda r: r["unused_saving"]
    )
    title = next(i for i, line in enumerate(lines) if line.startswith("Largest unused savings"))
    first = lines[title + 2].split()
    assert first[0] == best["account"]
    marks = "*" * best["saving_is_upper_bound"] + "+" * (best["spread_risk"] is not None)
    assert first[3:5] == [
        f"{best[name]:,.0f}{marks}" for name in ("requirement_after", "unused_saving")
    ]
    assert lines[-1] == f"Directory: {out}"
    reports = ElementTree.parse(out / "transfers.xml").getroot().findall(".//{*}TrdCaptRpt")
    assert len(reports) == len(found.transfers)


def test_named_accounts_are_listed_line_by_line(
    found: xm.Allocation, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = next(row["account"] for row in found.accounts if row["transfers"])
    assert cli.main(["optimise", account, "--results", str(results), "--boxes", "8"]) == 0
    told = capsys.readouterr().out
    assert "1 account," in told.splitlines()[0]
    own = told[told.index(f"Account {account}") :]
    for line in found.lines:
        if line["account"] == account:
            assert line["instrument"] in own
            assert line["one_less"] is None or f"{line['one_less']:,.2f}" in own
    assert "binds" in own
    # One account has no sums of its own.
    assert told.count("could pay") == 1
    assert told.count("need not add up") == 1
    assert "Their transfers" not in told
    assert "Largest" not in told


def test_several_named_accounts_are_summed_first_and_their_transfers_told_once(
    found: xm.Allocation, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [row["account"] for row in found.accounts if row["transfers"]][:2]
    assert cli.main(["optimise", *names, "--results", str(results), "--boxes", "8"]) == 0
    told = capsys.readouterr().out
    assert "2 accounts with transfers" in told
    assert "Their transfers" not in told
    assert told.count("Its transfers") == 2


def test_an_account_without_a_choice_says_why(
    found: xm.Allocation, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = {
        "NOT_ELIGIBLE": "not eligible",
        "INCOMPLETE": "with rejected rows",
        "NO_FUTURES": "without futures",
        "NO_CASH": "without cross-margined cash",
    }
    names = {row["outcome"]: row["account"] for row in found.accounts}
    for outcome, words in reasons.items():
        assert cli.main(["optimise", names[outcome], "--results", str(results)]) == 0
        assert f"no choice: {words}" in capsys.readouterr().out


@pytest.mark.parametrize("account", ["nobody", "", "\x1b[31m"])
def test_an_unknown_account_gets_one_clear_line(
    account: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["optimise", account, "--results", str(results)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "is not in" in printed.err
    assert "\x1b" not in printed.err


@pytest.mark.parametrize(
    "option",
    [
        ("--transfer-cost", "nan"),
        ("--minimum-gain", "-1"),
        ("--transfer-cost", "1e30"),
        ("--most-transfers", "-1"),
        ("--boxes", "0"),
    ],
)
def test_a_bad_option_gets_one_clear_line(
    option: tuple[str, str], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["optimise", "--results", str(results), *option]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert option[0] in printed.err


def test_options_reach_the_search(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["optimise", "--results", str(results), "--boxes", "1", "--most-transfers", "0"]
    assert cli.main([*few, "--front-month", "--exclude-roll", "--threads", "1"]) == 0
    assert "0 accounts with transfers, 0 transfers" in capsys.readouterr().out
    dear = ["optimise", "--results", str(results), "--boxes", "1", "--minimum-gain", "1e9"]
    assert cli.main([*dear, "--transfer-cost", "5"]) == 0
    assert "0 accounts with transfers, 0 transfers" in capsys.readouterr().out


def test_the_run_itself_is_never_replaced(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["optimise", "--results", str(results), "--out", str(results)]) == 2
    assert "which would be replaced" in capsys.readouterr().err
    assert xm.read_run(results).stages is not None


def test_a_quick_search_says_so(
    run: xm.RunResult, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["optimise", "--results", str(results), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "a quick search: no bound was calculated" in printed
    transfers = len(xm.allocate(run, quick=True).transfers)
    assert f"{transfers:,} transfers" in printed
