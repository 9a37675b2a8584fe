"""Folders of small synthetic days, played and not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossmargin.cycles.day.play import play_day
from crossmargin.cycles.ledger import Ledger
from crossmargin.sample import write_sample_day

ACCOUNTS = 12
OF_A_MOMENT = ("recorded_at", "hash", "hash_before")
"""What differs between two ledgers of the same day."""


@pytest.fixture(scope="session")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a day for which everything has arrived; not to be played."""
    pytest.importorskip("duckdb")
    folder = tmp_path_factory.mktemp("arrived")
    write_sample_day(folder, accounts=ACCOUNTS)
    return folder


@pytest.fixture(scope="session")
def undisturbed(arrived: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of that day, played in one go; not to be changed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "day"
    shutil.copytree(arrived, folder)
    play_day(folder, threads=2)
    return folder


@pytest.fixture
def folder(arrived: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder of the day, to be played."""
    return Path(shutil.copytree(arrived, tmp_path / "day"))


@pytest.fixture
def resumed(undisturbed: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder of the played day."""
    return Path(shutil.copytree(undisturbed, tmp_path / "played"))


@pytest.fixture(scope="session")
def written() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that gives every file that steps wrote, by its path."""

    def files(folder: Path) -> dict[str, bytes]:
        found = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted((folder / "steps").rglob("*"))
            if path.is_file()
        }
        if (folder / "exceptions.csv").exists():
            found["exceptions.csv"] = (folder / "exceptions.csv").read_bytes()
        return found

    return files


@pytest.fixture(scope="session")
def recorded() -> Callable[[Path], dict[str, list[dict[str, Any]]]]:
    """Return a function that gives all rows of a ledger, without when they were recorded."""

    def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
        with Ledger(path) as ledger:
            tables = {
                name: getattr(ledger, name)().to_arrow()
                for name in ("steps", "calls", "savings", "transfers", "bookings")
            }
        return {
            name: table.drop_columns(
                [column for column in OF_A_MOMENT if column in table.column_names]
            ).to_pylist()
            for name, table in tables.items()
        }

    return rows
