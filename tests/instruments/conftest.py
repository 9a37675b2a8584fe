"""Small markets and securities made by hand, and the real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.exceptions import ExceptionLog, counts
from crossmargin.instruments.securities import Securities
from crossmargin.io.market_tables import market_from_tables
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.parse import parse
from crossmargin.io.tables import read_table
from crossmargin.market.curve import POINTS, Curve
from crossmargin.market.history import History
from crossmargin.market.market import Market


@pytest.fixture(scope="session")
def flat_market() -> Callable[..., Market]:
    """Return a maker of markets with one continuous rate, and nothing but the curve."""

    def make(as_of: str, rate: float = 0.04, *, basis: Any = None, fixings: Any = None) -> Market:
        day = np.datetime64(as_of)
        return Market(
            as_of=day,
            curve=Curve(day, -rate * POINTS),
            history=History(np.array([day]), *[np.full((1, 11), rate)] * 2, basis=basis or {}),
            fixings=fixings or {},
        )

    return make


@pytest.fixture(scope="session")
def real_yields(real_data) -> pa.Table:
    return read_par_yields(
        read_table(real_data("us_treasury_par_yields.csv.gz"), name="par yields")
    ).table


@pytest.fixture(scope="session")
def real_market(real_yields) -> Market:
    return market_from_tables(real_yields, as_of="2025-03-13")


@pytest.fixture(scope="session")
def real_securities(real_data, real_market) -> Securities:
    source = read_table(real_data("fixed_coupon_master.csv"), name="securities").table
    log = ExceptionLog()
    table = parse(source, SECURITIES, file="securities", log=log).table
    found = read_securities(table, curve=real_market.curve, file="securities", log=log)
    assert counts(log.table()) == {"TYPE_ASSUMED": 1}
    return found


@pytest.fixture
def note(make_securities: Callable[..., Securities]) -> Securities:
    return make_securities({"issue_date": "2022-02-15", "maturity_date": "2032-02-15"})
