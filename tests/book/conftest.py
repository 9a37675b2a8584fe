"""A few securities and accounts, and rows of a positions table read against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.positions import read_trades
from crossmargin.book.schemas import ACCOUNTS, POSITIONS
from crossmargin.book.trades import Trades
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.securities import Securities
from crossmargin.io.parse import parse

CUSIPS = {"00123AAA7": "2030-05-15", "912828E1A": "2025-03-13", "91282CMM0": "2035-02-15"}
"""CUSIP and maturity, ascending; the second one matures on the margin date."""
FIRMS = {"00123": "F1", "123": "F2"}

Read = Callable[..., tuple[Trades, list[dict[str, Any]]]]


@pytest.fixture
def read(make_securities: Callable[..., Securities]) -> Read:
    """Return a function from rows to the trades accepted and the exceptions of the others."""
    securities = make_securities(
        *(
            {"cusip": cusip, "issue_date": "2020-05-15", "maturity_date": maturity}
            for cusip, maturity in CUSIPS.items()
        )
    )

    def read(
        *rows: dict[str, Any], cycle: str = "EOD", as_of: str = "2025-03-13"
    ) -> tuple[Trades, list[dict[str, Any]]]:
        log = ExceptionLog()
        full = [{"account": "00123", "xm": "true"} | row for row in rows]
        positions = pa.table(
            {c.name: [str(row.get(c.name, "")) for row in full] for c in POSITIONS.columns}
        )
        accounts = pa.table(
            {
                "account": list(FIRMS),
                "origin": ["customer"] * len(FIRMS),
                "ficc_role": ["sponsored_member"] * len(FIRMS),
                "opted_in": ["yes"] * len(FIRMS),
                "clearing_firm": list(FIRMS.values()),
            }
        )
        trades = read_trades(
            parse(positions, POSITIONS, file="positions", log=log).table,
            accounts=parse(accounts, ACCOUNTS, file="accounts", log=log).table,
            securities=securities,
            as_of=np.datetime64(as_of),
            short_rate_pct=4.3,
            cycle=cycle,
            file="positions",
            log=log,
        )
        return trades, log.table().to_pylist()

    return read
