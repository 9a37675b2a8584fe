"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

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
