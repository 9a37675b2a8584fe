from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.cli.main import main
from crossmargin.sample import write_sample_day

pytest.importorskip("duckdb")


def test_a_sample_day_from_start_to_finish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "day"
    assert main(["sample", "--out", str(out), "--accounts", "12", "--day"]) == 0
    said = capsys.readouterr().out
    assert "SYNTHETIC: day.toml, accounts.csv" in said
    assert f"crossmargin day {out}" in said
    # The sample has rows that cannot be read.
    assert main(["day", str(out), "--steps", "4", "--threads", "1"]) == 3
    said = capsys.readouterr().out
    assert "Day 2026-06-10   SYNTHETIC" in said
    assert "waits for CUR-1: stopped before allocation, as asked" in said
    ledger = tmp_path / "other.duckdb"
    (out / "arrivals" / "more.csv").write_text("a,b\n1,2\n")
    code = main(["day", str(out), "--ledger", str(ledger), "--steps", "0", "--late", "CME"])
    said = capsys.readouterr().out
    assert code == 3
    assert "No step is done." in said
    assert "set aside: more.csv: has no column `kind`" in said


def test_a_folder_that_cannot_be_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["day", str(tmp_path / "none")]) == 2
    assert "is no directory; give the folder of a day" in capsys.readouterr().err
    assert main(["day", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "day.toml: no such file; write one with a line such as date = 2026-06-10" in said
    assert "`crossmargin sample --out DIR --day`" in said
    (tmp_path / "day.toml").write_text("date = 2026-06-10\nlat = 3")
    assert main(["day", str(tmp_path), "--late", "LCH"]) == 2
    assert "'LCH' is neither FICC nor CME" in capsys.readouterr().err
    assert main(["day", str(tmp_path)]) == 2
    assert "`lat` is unknown; do you mean `late`?" in capsys.readouterr().err


def test_a_sample_day_does_not_replace_other_files(tmp_path: Path) -> None:
    write_sample_day(tmp_path, accounts=12)
    write_sample_day(tmp_path, accounts=12)  # the same
    with pytest.raises(FileExistsError, match=r"ficc-CUR-1\.csv"):
        write_sample_day(tmp_path, accounts=13)
