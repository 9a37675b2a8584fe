from __future__ import annotations

from typing import Any

import numpy as np

from crossmargin.conventions import ALL, CASH, CME, COMBINED, FICC, FUTURES, OTHER
from crossmargin.margin.charges.amounts import (
    Exposures,
    gross_cost,
    net_cost,
    net_positions,
    of_root,
)


def test_net_exposure_of_a_bucket_costs_its_rate(book_of: Any) -> None:
    # Two instruments of 10 and 20 USD in bucket 0, one of 40 in bucket 1.
    exposures = Exposures(
        np.array([0, 0, 1, -1, -1, -1, -1, -1, -1, -1]),
        np.array([10.0, 20.0, 40.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        np.array([0.5, 0.25]),
    )
    # XM: 3 * 10 - 20 = 10 at a half, -40 at a quarter; other: -60 at a half. Buckets do not net.
    book = book_of([{0: 3, 1: -1, 2: -1, 3: 9}, {}, {1: -3}, {}])
    amount = net_cost(book, FICC, exposures)[0]
    assert amount[[CASH, COMBINED, FUTURES, OTHER]].tolist() == [15.0, 15.0, 0.0, 30.0]
    # 30 - 20 - 60 = -50 at a half, and the ten.
    assert amount[ALL] == 35.0


def test_own_positions_net_within_a_portfolio(book_of: Any) -> None:
    book = book_of([{0: 2}, {1: 3}, {0: -2, 2: 1}, {1: 1}])
    found = {
        ccp: [
            dict(zip(instrument.tolist(), net.tolist(), strict=True))
            for _, _, instrument, net in net_positions(book, ccp)
        ]
        for ccp in (FICC, CME)
    }
    assert found[FICC] == [{0: 2.0}, {}, {0: 2.0}, {0: -2.0, 2: 1.0}, {0: 0.0, 2: 1.0}]
    assert found[CME] == [{}, {1: 3.0}, {1: 3.0}, {1: 1.0}, {1: 4.0}]
    each = np.array([10.0, -1.0, 5.0, *[0.0] * 7])
    assert gross_cost(book, FICC, each).tolist() == [[20.0, 0.0, 20.0, 25.0, 5.0]]
    assert gross_cost(book, CME, each).tolist() == [[0.0, 3.0, 3.0, 1.0, 4.0]]


def test_a_root_that_is_not_named_has_nothing(futures: Any) -> None:
    assert of_root((("ZN", 2.0), ("UB", 9.0)), futures).tolist() == [0, 0, 0, 2, 2, 0]
