from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities

ZN = Contract("ZN", np.datetime64("2025-06"))
AS_OF = np.datetime64("2025-03-13")


def test_baskets_are_found_once_for_the_same_securities_and_day(
    make_securities: Callable[..., Securities],
) -> None:
    securities = make_securities(
        {"cusip": "SHORT", "issue_date": "2024-12-31", "maturity_date": "2026-12-31"},
        {"cusip": "SEVEN", "issue_date": "2024-12-31", "maturity_date": "2031-12-31"},
    )
    store = BasketStore()
    found = store.of(securities, ZN, securities, AS_OF)
    assert securities.cusip[found.bond].tolist() == ["SEVEN"]
    assert store.of(securities, ZN, securities, AS_OF) is found
    other = securities.take(np.array([0]))
    assert store.of(other, ZN, other, AS_OF).bond.size == 0
    # As of a year before it was not announced yet.
    early = store.of(securities, ZN, securities, np.datetime64("2024-06-13"))
    assert early.bond.size == 0
