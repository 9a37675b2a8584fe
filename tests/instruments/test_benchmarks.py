from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import crossmargin as xm
from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.benchmarks import benchmarks, front_contracts
from crossmargin.io.parse import parse
from crossmargin.io.sources import read_source

AS_OF = np.datetime64("2025-03-13")


def one(cusip: str, issued: str, matures: str, **more: Any) -> dict[str, Any]:
    return {"cusip": cusip, "issue_date": issued, "maturity_date": matures, "coupon": 0.04} | more


def test_the_latest_issue_of_each_tenor_counts(make_securities: Callable[..., Any]) -> None:
    securities = make_securities(
        one("OLDER2", "2025-01-31", "2027-01-31"),
        one("NEWER2", "2025-02-28", "2027-02-28"),
        one("FUTURE2", "2025-03-31", "2027-03-31"),
        one("TIPS10", "2025-03-01", "2035-03-01", type="tips"),
        # Issue moves to the next business day, maturity does not.
        one("TEN", "2025-02-18", "2035-02-15"),
        one("THIRTY", "2025-02-18", "2055-02-15", type="bond"),
        one("FOUR", "2025-03-03", "2029-03-03"),
        one("BILL", "2025-03-03", "2025-09-03", type="bill"),
    )
    found = benchmarks(securities, AS_OF)
    named = {tenor: str(securities.cusip[at]) for tenor, at in found.items()}
    assert named == {2: "NEWER2", 10: "TEN", 30: "THIRTY"}


def test_a_later_sale_as_a_new_issue_counts(make_securities: Callable[..., Any]) -> None:
    securities = make_securities(
        one("FIVE", "2025-01-31", "2030-01-31"),
        one("SEVEN", "2023-02-28", "2030-02-28", resold_as="2025-02-28:5-Year"),
    )
    found = benchmarks(securities, AS_OF)
    assert {tenor: str(securities.cusip[at]) for tenor, at in found.items()} == {
        5: "SEVEN",
        7: "SEVEN",
    }


def test_the_front_contract_has_not_begun() -> None:
    def fronts(day: str, *roots: str) -> list[str]:
        return [one.symbol for one in front_contracts(roots, np.datetime64(day))]

    assert fronts("2025-02-28", "ZN", "SR3", "ZQ") == ["ZNH25", "SR3H25", "ZQH25"]
    # The delivery month of March begins on the first, the quarter of SR3H25 on the 19th.
    assert fronts("2025-03-01", "ZN", "SR3", "ZQ") == ["ZNM25", "SR3H25", "ZQJ25"]
    assert fronts("2025-03-19", "ZN", "SR3", "SR1") == ["ZNM25", "SR3J25", "SR1J25"]
    # This root is not listed yet.
    assert fronts("2010-01-04", "TWE", "ZB") == ["ZBH10"]


def test_the_benchmarks_of_a_day(real_data: Callable[[str], Path]) -> None:
    market = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of=AS_OF)
    log = ExceptionLog()
    given = read_source(real_data("fixed_coupon_master.csv"), name="securities")
    table = parse(given.table, SECURITIES, file="securities", log=log).table
    securities = read_securities(table, curve=market.curve, file="securities", log=log)
    found = benchmarks(securities, AS_OF)
    matures = {tenor: str(securities.maturity_date[at]) for tenor, at in found.items()}
    assert matures == {
        2: "2027-02-28",
        3: "2028-02-15",
        5: "2030-02-28",
        7: "2032-02-29",
        10: "2035-02-15",
        20: "2045-02-15",
        30: "2055-02-15",
    }
    assert str(securities.cusip[found[10]]) == "91282CMM0"
