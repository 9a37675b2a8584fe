"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.instruments.securities import Securities
from crossmargin.sample import ACCOUNTS, sample_tables

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
def make_securities() -> Callable[..., Securities]:
    """Return a maker of securities, one a dict; only issue_date and maturity_date must be there."""

    def make(*rows: dict[str, Any]) -> Securities:
        def column(name: str, default: Any, dtype: Any) -> Any:
            return np.array([row.get(name, default) for row in rows], dtype=dtype)

        names = [row.get("cusip", f"CUSIP{number:04d}") for number, row in enumerate(rows)]
        return Securities(
            cusip=np.array(names, dtype=object),
            type=column("type", "note", object),
            coupon=column("coupon", 0.04, np.float64),
            issue_date=column("issue_date", None, "datetime64[D]"),
            maturity_date=column("maturity_date", None, "datetime64[D]"),
            first_coupon_date=column("first_coupon_date", "NaT", "datetime64[D]"),
            price=column("price", np.nan, np.float64),
            resold_as=column("resold_as", "", object),
            outstanding=column("outstanding", np.nan, np.float64),
        )

    return make


@pytest.fixture(scope="session")
def sample_book() -> Callable[..., dict[str, Any]]:
    """Return a maker of synthetic books of so many accounts, as `crossmargin.run` takes them."""

    def make(accounts: int = ACCOUNTS) -> dict[str, Any]:
        tables = sample_tables(accounts=accounts)
        return {name: tables[name] for name in ("positions", "accounts", "securities")}

    return make


@pytest.fixture(scope="session")
def sample_inputs(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return the synthetic market and book as `crossmargin.run` takes them."""
    return {**sample_book(), "market": xm.Market.sample()}


@pytest.fixture(scope="session")
def sample_run(sample_inputs: dict[str, Any]) -> xm.Run:
    """Return the synthetic book's run under the default policy."""
    return xm.run(**sample_inputs)
