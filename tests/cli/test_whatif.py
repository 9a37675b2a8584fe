"""`crossmargin whatif` on the synthetic book and on real yields and securities."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.cli import main

ACCOUNT = "000003"


@pytest.fixture(scope="module")
def run(sample_book: Callable[[int], dict[str, Any]]) -> xm.RunResult:
    return xm.run(**sample_book(20), market=xm.sample_market())


@pytest.fixture(scope="module")
def results(run: xm.RunResult, tmp_path_factory: Any) -> Path:
    return xm.write_run(run, tmp_path_factory.mktemp("finished") / "results")


def ask(results: Path, *options: str) -> int:
    return main(["whatif", *options, "--results", str(results)])


def test_before_after_and_the_parts_are_shown(
    run: xm.RunResult, results: Path, capsys: Any, tmp_path: Path
) -> None:
    out = tmp_path / "answer.parquet"
    trades = ("--trade", "ZNU26 -10", "--trade", "ZTM26 1k")
    assert ask(results, ACCOUNT, *trades, "--out", str(out)) == 0
    shown = capsys.readouterr().out
    impact = xm.Session(run).impact(ACCOUNT, {"ZNU26": -10, "ZTM26": 1000})
    title = f"Account {ACCOUNT}: ZNU26 -10, ZTM26 1,000 booked in the cross-margin account\n"
    assert title in shown
    assert f"{100.0 * impact.difference['offset_rate']:+.2f} pp" in shown
    for state in (impact.before, impact.after, impact.difference):
        assert f"{state['requirement']:,.2f}" in shown
    for part in impact.parts:
        assert f"{part['requirement']:,.2f}" in shown
    assert "ZNU26 -10 with ZTM26 1,000" in shown
    assert pq.read_table(out).equals(impact.table.to_arrow())


def test_the_same_instrument_twice_is_added(results: Path, capsys: Any) -> None:
    assert ask(results, ACCOUNT, "--trade", "ZNU26 -4", "--trade", "ZNU26 -6") == 0
    twice = capsys.readouterr().out
    assert ask(results, ACCOUNT, "--trade", "ZNU26 -10") == 0
    assert capsys.readouterr().out == twice


def test_a_move_is_asked_with_a_trade(run: xm.RunResult, results: Path, capsys: Any) -> None:
    session = xm.Session(run)
    scope = session.scope()
    line = next(
        line
        for line in run.positions.to_arrow().to_pylist()
        if line["assignment_reason"] == "CROSS_MARGINED" and line["kind"] == "future"
    )
    account, name, lots = line["account"], line["instrument"], line["quantity"]
    future = scope.instruments[name]
    assert scope.held(scope.accounts[account], scope.crossed[future], future) == lots
    options = ("--trade", "ZFU26 5", "--move", f"{name} {-lots}", "--ordinary")
    assert ask(results, account, *options) == 0
    after = session.what_if(account, {"ZFU26": 5}, moves={name: -lots}, xm=False)
    shown = capsys.readouterr().out
    assert "ZFU26 5 booked in the ordinary account; move " in shown
    assert f"move {name} {-lots:,} between" in shown
    assert f"{after['requirement']:,.2f}" in shown


def test_an_account_that_is_not_in_the_book_is_asked_with_new(results: Path, capsys: Any) -> None:
    assert ask(results, "PROSPECT", "--trade", "ZNU26 -500") == cli.UNUSABLE
    error = capsys.readouterr().err
    assert error == (
        "crossmargin: account 'PROSPECT' is not in the book; "
        "add --new if it is a hypothetical one\n"
    )
    assert ask(results, "PROSPECT", "--new", "--trade", "ZNU26 -500") == 0
    assert "ONE_SIDED" in capsys.readouterr().out
    assert ask(results, ACCOUNT, "--new", "--trade", "ZNU26 -500") == cli.UNUSABLE
    assert "is in the book: leave out --new" in capsys.readouterr().err


def test_the_table_of_tenors_is_shown_and_written(
    run: xm.RunResult, results: Path, capsys: Any, tmp_path: Path
) -> None:
    out = tmp_path / "table.csv"
    assert ask(results, ACCOUNT, "--table", "--out", str(out)) == 0
    shown = capsys.readouterr().out
    assert "pp: percentage points" in shown
    assert "booked in the cross-margin account" in " ".join(shown.split())
    rows = list(xm.Session(run).impact_table(ACCOUNT))
    assert all(f"{row['requirement_difference']:,.2f}" in shown for row in rows)
    assert len(list(csv.DictReader(out.read_text().splitlines()))) == len(rows)


def test_contracts_to_the_cap_are_told(run: xm.RunResult, results: Path, capsys: Any) -> None:
    assert ask(results, ACCOUNT, "--to-cap", "ZNU26") == 0
    found = xm.Session(run).to_cap(ACCOUNT, "ZNU26")
    told = found.reason or f"{found.contracts:,} ZNU26 booked in the cross-margin account bring"
    assert told in capsys.readouterr().out


def test_contracts_to_move_to_the_cap_are_told(
    sample_book: Callable[..., dict[str, Any]], capsys: Any, tmp_path: Path
) -> None:
    book = sample_book(20)
    xms = book["positions"]["xm"].to_pylist()
    future = [name == "ZNU26" for name in book["positions"]["instrument"].to_pylist()]
    place = book["positions"].column_names.index("xm")
    outside = [x and not f for x, f in zip(xms, future, strict=True)]
    book["positions"] = book["positions"].set_column(place, "xm", [outside])
    run = xm.run(**book, market=xm.sample_market())
    session = xm.Session(run)
    path = xm.write_run(run, tmp_path / "results")
    found = [session.to_cap(account, "ZNU26", move=True) for account in session.accounts]
    able = next(one for one in found if one.contracts)
    assert ask(path, able.account, "--to-cap", "ZNU26", "--moving") == 0
    told = f"{able.contracts:,} ZNU26 moved in bring the offset rate to its cap"
    assert told in capsys.readouterr().out
    unable = next(one for one in found if one.contracts is None)
    assert ask(path, unable.account, "--to-cap", "ZNU26", "--moving") == 0
    assert unable.reason is not None
    assert unable.reason in capsys.readouterr().out


def test_a_file_is_answered_and_its_bad_rows_end_in_3(
    run: xm.RunResult, results: Path, capsys: Any, tmp_path: Path
) -> None:
    file, out = tmp_path / "questions.csv", tmp_path / "answers.csv"
    file.write_text(f"account,instrument,quantity\n{ACCOUNT},ZNU26,-10\n{ACCOUNT},ZNU26,ten\n")
    assert ask(results, "--file", str(file), "--out", str(out)) == cli.REJECTED
    shown = capsys.readouterr().out
    assert "questions, row 2: `quantity` is" in shown
    after = xm.Session(run).what_if(ACCOUNT, {"ZNU26": -10})
    assert f"{after['requirement']:,.2f}" in shown
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert row["requirement_after"] == str(after["requirement"])
    file.write_text(f"account,instrument,quantity\n{ACCOUNT},ZNU26,-10\n")
    assert ask(results, "--file", str(file)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("NOBODY", "--trade", "ZNU26 5"), "account 'NOBODY' is not in the book"),
        ((ACCOUNT, "--trade", "XXU26 5"), "instrument 'XXU26' is not in the run's securities"),
        ((ACCOUNT, "--trade", "ZNM24 5"), "ZNM24 expired on 2024-06-28"),
        ((ACCOUNT, "--trade", "912828XX9 5k"), "instrument '912828XX9' is not a valid CUSIP"),
        ((ACCOUNT, "--trade", "ZNU26"), "'ZNU26': an instrument and a quantity expected"),
        ((ACCOUNT, "--trade", "ZNU26 5m"), "quantity '5m' is not a number"),
        ((ACCOUNT, "--trade", "ZNU26 0.5"), "quantity '0.5' is not a whole number"),
        ((ACCOUNT, "--trade", "ZNU26 1b"), "is not a number within 1e+07"),
        ((ACCOUNT, "--move", "ZNU26 1mm"), "move of 1,000,000 ZNU26: the ordinary account holds"),
        ((ACCOUNT, "--to-cap", "SYN360510"), "SYN360510 is not a future"),
        ((ACCOUNT,), "give one of --trade or --move, --table, --to-cap, --file"),
        ((ACCOUNT, "--table", "--to-cap", "ZNU26"), ", not --table and --to-cap"),
        (("--trade", "ZNU26 5"), "give the ACCOUNT of the question, or --file"),
        ((ACCOUNT, "--file", "x.csv"), "leave out ACCOUNT"),
        (("--file", "x.csv", "--new"), "--new goes with ACCOUNT"),
        (("--file", "nowhere.csv"), "questions file nowhere.csv: no such file"),
        ((ACCOUNT, "--to-cap", "ZNU26", "--out", "x.csv"), "--out goes with"),
        ((ACCOUNT, "--trade", "ZNU26 5", "--moving"), "--moving goes with --to-cap"),
        ((ACCOUNT, "--table", "--ordinary"), "--ordinary goes with --trade"),
        ((ACCOUNT, "--move", "ZNU26 5", "--ordinary"), "--ordinary goes with --trade"),
        (("--file", "x.csv", "--ordinary"), "--ordinary goes with --trade"),
        (("", "--new", "--table"), "a name without blanks around it expected"),
        ((f"{ACCOUNT} ", "--new", "--table"), "a name without blanks around it expected"),
        ((f"{ACCOUNT} ", "--table"), f"account '{ACCOUNT} ' is not in the book"),
        ((ACCOUNT, "--trade", "ZNU26 5", "--out", "x.txt"), "must end in .csv or .parquet"),
    ],
)
def test_bad_input_is_one_clear_line(
    results: Path, capsys: Any, options: tuple[str, ...], message: str
) -> None:
    assert ask(results, *options) == cli.UNUSABLE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert message in said.err


def test_results_that_are_not_there_are_named(tmp_path: Path, capsys: Any) -> None:
    assert ask(tmp_path / "nowhere", ACCOUNT, "--table") == cli.UNUSABLE
    assert "holds no results" in capsys.readouterr().err


def test_real_securities_that_nobody_holds_are_priced(
    real_data: Callable[[str], Path], tmp_path: Path, capsys: Any
) -> None:
    yields = real_data("us_treasury_par_yields.csv.gz")
    master = real_data("fixed_coupon_master.csv")
    (tmp_path / "accounts.csv").write_text(
        "account,origin,ficc_role,opted_in,clearing_firm\nACC1,customer,sponsored_member,true,FCM\n"
    )
    head = "account,kind,instrument,quantity,xm\n"
    lines = ["ACC1,cash,91282CMM0,100000000,true\n", "ACC1,future,ZNM25,-900,false\n"]
    more = ["ACC1,cash,91282CMB4,100000000,true\n", "ACC1,future,ZTM25,-500,true\n"]
    moved = ["ACC1,future,ZNM25,-300,true\n", "ACC1,future,ZNM25,300,false\n"]
    requirement = {}
    for name, rows in {"before": lines, "after": lines + more + moved}.items():
        (tmp_path / f"{name}.csv").write_text(head + "".join(rows))
        given = ("--accounts", str(tmp_path / "accounts.csv"), "--securities", str(master))
        market = ("--par-yields", str(yields), "--as-of", "2025-03-13")
        book = ("--positions", str(tmp_path / f"{name}.csv"), "--out", str(tmp_path / name))
        assert main(["run", *given, *market, *book]) == 0
        table = pq.read_table(tmp_path / name / "accounts.parquet")
        requirement[name] = table["requirement"][0].as_py()
    capsys.readouterr()
    trades = ("--trade", "91282CMB4 100mm", "--trade", "ZTM25 -500", "--move", "ZNM25 -300")
    assert ask(tmp_path / "before", "ACC1", *trades) == 0
    shown = capsys.readouterr().out
    assert f"{requirement['before']:,.2f}" in shown
    assert f"{requirement['after']:,.2f}" in shown
    assert ask(tmp_path / "before", "ACC1", "--table") == 0
    shown = capsys.readouterr().out
    assert all(tenor in shown for tenor in ("2-Year", "7-Year", "30-Year", "ZNM25", "SR3H25"))
