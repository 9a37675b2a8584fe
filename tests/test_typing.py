"""A user's script under mypy's strictest rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import crossmargin

SCRIPT = """
import decimal
from pathlib import Path

import numpy as np

import crossmargin as xm

market = xm.read_market("yields.csv", as_of="2025-03-13")
run: xm.RunResult = xm.run(
    positions=Path("positions.csv"), accounts="a.csv", securities="s.csv", market=market, threads=2
)
frame = run.accounts.to_pandas(money="float")
largest = frame.nlargest(3, "requirement")
exact = run.accounts.to_polars()
column = run.accounts["requirement"]
names: list[str] = run.accounts.column_names
rows: int = len(run.accounts.head(3)[1:2])
accounts: list[str] = [str(row["account"]) for row in run.accounts]
written: Path = run.write("out")

session = xm.Session(run)
answer = session.what_if("A1", {"ZNM25": -10, "ZTM25": decimal.Decimal(3), "ZBM25": np.int64(1)})
requirement: decimal.Decimal = answer["requirement"]
session.what_ifs((name, {"ZNM25": 1}) for name in session.accounts).to_pandas()

book = xm.Book.from_arrays([0, 2], [0, 1], [10, -5])
cube = xm.Cube([[1.0, -2.0], [0.5, 1.0]])
tails = xm.tails(book, cube, level=0.5)
total: float = float(tails.var.sum())
xm.compare(run, "yesterday").to_pandas()
"""
WRONG = """
import crossmargin as xm

table = xm.compare("a", "b")
table.to_pandas(money="double")
table[3]
xm.Session("results")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all scripts: mypy keeps there what it has read."""
    return tmp_path_factory.mktemp("typed")


def checked(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy", reason="mypy is not installed")
    path = folder / "script.py"
    path.write_text(script)
    root = Path(crossmargin.__file__).parents[1]
    here = {} if root.name == "site-packages" else {"MYPYPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", path.name],
        cwd=folder,
        env={**os.environ, **here},
        capture_output=True,
        text=True,
    )


def test_the_package_is_typed() -> None:
    assert (Path(crossmargin.__file__).parent / "py.typed").exists()


def test_a_users_script_has_types(folder: Path) -> None:
    done = checked(folder, SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_slips_are_seen_before_a_script_runs(folder: Path) -> None:
    done = checked(folder, WRONG)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line] == [
        "5",
        "6",
        "7",
    ]
