"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crossmargin as xm
from crossmargin.sample import sample_tables

DATA = Path(
    os.environ.get("CROSSMARGIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the path of a file of real figures; tests are skipped, by name, without it."""

    def path(name: str) -> Path:
        file = DATA / name
        if not file.exists():
            pytest.skip(f"real data not here: {name}")
        return file

    return path


@pytest.fixture(scope="session")
def sample_inputs() -> dict[str, Any]:
    """Return the synthetic market and book as `crossmargin.run` takes them."""
    tables = sample_tables()
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    return {**book, "market": xm.Market.sample()}


@pytest.fixture(scope="session")
def sample_run(sample_inputs: dict[str, Any]) -> xm.Run:
    """Return the synthetic book's run under the default policy."""
    return xm.run(**sample_inputs)
