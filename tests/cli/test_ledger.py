from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.cycles.step import Step
from crossmargin.exceptions import InputError
from crossmargin.results.schemas.ledger import KEPT, LEDGER_CALLS
from crossmargin.results.table import MONEY, money


def calls(call: int | None) -> pa.Table:
    """Return the calls of three accounts, the first as given in cents."""
    cells = {}
    for column in KEPT["calls"].columns:
        if column.type == MONEY:
            cells[column.name] = pa.array([None] * 3, MONEY)
        else:
            cells[column.name] = pa.array(["text"] * 3)
    cells["account"] = pa.array(["A1", "A2", "=B1"])
    cells["customer"] = pa.array(["A", "A", None])
    cells["collected"] = cells["deposits"] = money(np.array([5, 6, 7]))
    known = np.array([call is not None, True, True])
    cells["call"] = money(np.array([call or 0, 250_000_000, 3]), known)
    return pa.table(cells)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    pytest.importorskip("duckdb", reason="the ledger needs duckdb")
    path = tmp_path / "ledger.duckdb"
    with xm.Ledger(path, write=True) as made:
        for day, cycle, call in (
            ("2026-11-27", "EOD", 100),
            ("2026-11-30", "EOD", 100),
            ("2026-11-30", "EODXM", None),
        ):
            inputs = {f"ficc-{cycle}-1.csv": "ab" * 32, "accounts": "cd" * 32}
            step = Step(
                day=day,
                cycle=cycle,
                run=1,
                step="calls",
                run_id="run",
                policy="the policy",
                policy_hash="0123456789abcdef" * 4,
                inputs=inputs,
                late=["FICC"] if cycle == "EODXM" else [],
            )
            made.record(step, {"calls": calls(call)})
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert cli.main(["ledger", *map(str, arguments)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_the_last_day_is_shown_with_its_policy_and_inputs(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, ledger)
    assert "2026-11-27" not in said
    for word in ("2026-11-30", "EODXM", "the policy", "0123456789ab", "ab" * 32, "FICC"):
        assert word in said
    # A call that is unknown is in no sum, and counted; what is collected is known all the same.
    (eodxm,) = (line for line in said.splitlines() if line.split()[-1:] == ["1"])
    assert "2,500,000.03" in eodxm
    assert "0.18" in eodxm
    # An input that records share is shown once.
    (shared,) = (line for line in said.splitlines() if "cd" * 32 in line)
    assert shared.split()[:3] == ["2026-11-30", "all", "accounts"]
    assert said.count("ab" * 32) == 2


def test_the_calls_of_an_account_are_shown_for_all_days(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, ledger, "--account", "A1")
    assert said.count("A1") == 3
    assert "2026-11-27" in said
    assert "unknown" in said
    assert "A2" not in said
    said = printed(capsys, ledger, "--customer", "A", "--cycle", "EODXM")
    assert (said.count("A1"), said.count("A2")) == (1, 1)
    assert "+0.00" in said
    assert "2026-11-27" not in said


@pytest.mark.parametrize(
    ("day", "rows"),
    [
        ("2026-11-27", 3),
        ("2026-11-27..2026-11-29", 3),
        ("2026-11-28..", 6),
        ("..2026-11-29", 3),
        ("..", 9),
        ("2027-01-01", 0),
    ],
)
def test_calls_are_written_to_a_file(
    ledger: Path, day: str, rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calls.csv"
    assert f"File: {out}" in printed(capsys, ledger, "--day", day, "--out", out)
    found = pacsv.read_csv(out)
    assert len(found) == rows
    assert found.column_names == [column.name for column in LEDGER_CALLS.columns]
    if rows:
        assert found["account"].to_pylist()[:3] == ["A1", "A2", "'=B1"]


def test_what_is_not_recorded_is_said_to_be_so(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Nothing is recorded of them." in printed(capsys, ledger, "--account", "nobody")
    new = tmp_path / "new.duckdb"
    with xm.Ledger(new, write=True) as made:
        assert "Nothing is recorded" in printed(capsys, new)
        assert "hash is none" in printed(capsys, new, "--verify")
        step = Step("2026-11-30", "CUR", 1, "positions", "run", "policy", "hash")
        made.record(step)
    assert "Nothing was called in these steps." in printed(capsys, new)


def test_the_command_verifies(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = xm.Ledger(ledger).verify()
    assert f"All is as it was recorded; the last record's hash is {head}" in printed(
        capsys, ledger, "--verify"
    )
    import duckdb

    with duckdb.connect(str(ledger)) as connection:
        connection.execute("UPDATE calls SET call = 0 WHERE record = 2")
    assert cli.main(["ledger", str(ledger), "--verify"]) == cli.UNUSABLE
    assert "calls of record 2 are not as recorded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--day", "30.11.2026"], "--day: a date such as 2026-11-30, or FIRST..LAST, expected"),
        (["--day", ""], "--day: a date"),
        (["--cycle", "NOON"], "--cycle: one of ITD, CUR, EOD, EODXM expected, got 'NOON'"),
        (["--out", "calls.txt"], "the name must end in .csv or .parquet"),
    ],
)
def test_options_without_sense_are_refused(
    ledger: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ledger", str(ledger), *options]) == cli.UNUSABLE
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_a_file_that_is_no_ledger_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb", reason="the ledger needs duckdb")
    path = tmp_path / "calls.csv"
    path.write_text("account,call\nA1,1\n")
    assert cli.main(["ledger", str(path)]) == cli.UNUSABLE
    assert capsys.readouterr().err == (
        f"crossmargin: {path}: is no ledger of crossmargin; give another file\n"
    )


def test_without_duckdb_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    path = tmp_path / "ledger.duckdb"
    assert cli.main(["ledger", str(path)]) == cli.UNUSABLE
    assert capsys.readouterr().err == (
        "crossmargin: the ledger needs duckdb; install it with pip install 'crossmargin[ledger]'\n"
    )
    with pytest.raises(InputError, match="needs duckdb"):
        xm.Ledger(path, write=True)
    assert [*tmp_path.iterdir()] == []
