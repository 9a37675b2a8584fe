from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin import cli


@pytest.fixture(scope="module")
def run(sample_book: Callable[..., dict[str, Any]]) -> xm.RunResult:
    return xm.run(**sample_book(200), market=xm.sample_market())


@pytest.fixture(scope="module")
def results(run: xm.RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "results"
    xm.write_run(run, out)
    return out


def test_days_come_first_then_the_largest_costs(
    run: xm.RunResult, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["upcoming", "--results", str(results), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith("What changes from 2026-06-11 to 2026-06-25, on the market of 2026-")
    assert "SYNTHETIC" in lines[0]
    found = xm.upcoming(run)
    # A day's line has the sum of its known costs.
    costs = [own for own in found.costs if str(own["day"]) == "2026-06-12"]
    total = sum(own["cost"] for own in costs if own["cost"] is not None)
    line = next(text for text in lines if text.startswith("2026-06-12"))
    assert line.split()[-2:] == [f"{len(costs):,}", f"{total:+,.0f}"]
    dearest = max((own for own in found.costs if own["cost"] is not None), key=lambda o: o["cost"])
    title = next(at for at, text in enumerate(lines) if text.startswith("Largest costs, USD"))
    first = lines[title + 2].split()
    assert first[:2] == [str(dearest["day"]), dearest["account"]]
    assert first[4] == f"{dearest['cost']:+,.0f}"
    assert any(text.startswith("Events behind them") for text in lines)
    unknown = {own["account"] for own in found.costs if own["cost"] is None}
    assert any(f"not in the sums: {len(unknown)} account" in text for text in lines)
    assert any("without a settlement date" in text for text in lines)
    assert lines[-1] == f"Directory: {out}"
    assert pq.read_table(out / "costs.parquet").equals(found.costs.to_arrow())
    assert pq.read_table(out / "events.parquet").equals(found.events.to_arrow())


def test_named_accounts_are_listed_event_by_event(
    run: xm.RunResult, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(own["account"] for own in xm.upcoming(run, 3).costs)
    arguments = ["upcoming", name, "--results", str(results), "--days", "3"]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    found = xm.upcoming(run, 3, accounts=[name])
    at = next(at for at, text in enumerate(lines) if text == "Events" or text.startswith("Events "))
    listed = [text for text in lines[at + 2 :] if text.startswith("2026-")]
    assert len(listed) == len(found.events)
    assert cli.main([*arguments, "--repos-renewed"]) == 0
    printed = capsys.readouterr().out
    assert "repos that end are taken as renewed" in printed
    assert "REPO_ENDS" not in printed


def test_nothing_that_changes_is_said(
    run: xm.RunResult, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {own["account"] for own in xm.upcoming(run, 1).events}
    name = next(own["account"] for own in run.accounts if own["account"] not in changed)
    assert cli.main(["upcoming", name, "--results", str(results), "--days", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  nothing changes"


def test_what_cannot_be_done_is_said_in_a_line(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["upcoming", "NOBODY", "--results", str(results)]) == 2
    assert "account 'NOBODY' is not in" in capsys.readouterr().err
    assert cli.main(["upcoming", "--results", str(results), "--out", str(results)]) == 2
    assert "holds crossmargin results, which would be replaced" in capsys.readouterr().err
    assert cli.main(["upcoming", "--results", str(results), "--days", "0"]) == 2
    assert "--days" in capsys.readouterr().err
