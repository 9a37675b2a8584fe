from __future__ import annotations

from pathlib import Path

import pytest

import crossmargin as xm
from crossmargin import cli


@pytest.fixture(scope="module")
def results(sample_run: xm.RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "results"
    xm.write_run(sample_run, out)
    return out


def test_sentences_come_first_and_are_those_of_python(
    sample_run: xm.RunResult, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = sample_run.accounts["account"][1].as_py()
    assert cli.main(["explain", account, "--results", str(results)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    words = printed.out.split()
    told = xm.explain(sample_run, account)
    assert words[: len(told.text.split())] == told.text.split()
    for title in ("What positions add", "By tenor", "What decides", "In named episodes"):
        assert title in printed.out


@pytest.mark.parametrize("account", ["nobody", "", "\x1b[31m"])
def test_an_unknown_account_gets_one_clear_line(
    account: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", account, "--results", str(results)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "is not in" in printed.err
    assert "accounts.parquet" in printed.err
    assert "\x1b" not in printed.err


def test_results_without_stages_are_explained_from_their_inputs(
    sample_run: xm.RunResult, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = sample_run.accounts["account"][1].as_py()
    assert cli.main(["explain", account, "--results", str(results)]) == 0
    expected = capsys.readouterr().out
    sample_run.write(tmp_path / "tables")
    assert cli.main(["explain", account, "--results", str(tmp_path / "tables")]) == 0
    assert capsys.readouterr().out == expected


def test_an_account_without_a_price_is_explained(
    sample_run: xm.RunResult, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = next(r["account"] for r in sample_run.accounts if r["requirement"] is None)
    assert cli.main(["explain", account, "--results", str(results)]) == 0
    assert "unknown" in capsys.readouterr().out
