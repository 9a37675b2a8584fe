from __future__ import annotations

from typing import Any

import pytest

from crossmargin.conventions import CASH, FICC, OTHER
from crossmargin.margin.charges import charge_book
from crossmargin.margin.charges.liquidity import exposures, prepare
from crossmargin.policies.sections.charges import LiquidityRules

RULES = LiquidityRules((("a", ("note",), 12), ("b", ("tips",), 24)), (0.5, 0.25), 0.4)


@pytest.fixture
def inputs(by_hand: Any, make_securities: Any, inputs_of: Any) -> Any:
    """Return a note that has a year left and TIPS that have a day more; cash beside them."""
    held = make_securities(
        {"cusip": "NOTE00000", "issue_date": "2024-03-13", "maturity_date": "2026-03-13"},
        {
            "cusip": "TIPS00000",
            "type": "tips",
            "issue_date": "2024-03-13",
            "maturity_date": "2026-03-14",
        },
    )
    names = (*held.cusip, "USD 2025-05-01")
    universe = by_hand(
        *((name, [(1.0, 100.0)], 1.0) for name in names), market_value=[10.0, 40.0, 0.0]
    )
    return inputs_of(universe, RULES, held=held)


def test_securities_are_in_their_maturity_group(inputs: Any) -> None:
    found = exposures(inputs, RULES)
    assert found.bucket.tolist() == [0, 1, -1]
    assert found.value.tolist()[:2] == [10.0, 40.0]
    assert found.rate.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("v", "due"), [(37.0, 15.0), (37.5, 0.0), (38.0, 0.0), (0.0, 15.0)])
def test_it_is_charged_above_its_share_of_v(
    inputs: Any, book_of: Any, margins: Any, v: float, due: float
) -> None:
    (charge,) = prepare(inputs)
    assert (charge.name, charge.ccp, charge.reducible) == ("liquidity adjustment", FICC, False)
    # The cost of 10 at a half and 40 at a quarter is more than 0.4 * 37, but not than 0.4 * 37.5.
    (found,) = charge_book(book_of([{0: 1, 1: -1}, {}, {}, {}]), (charge,), margins(v))
    assert found.amount[0, CASH] == due
    assert found.amount[0, OTHER] == 0.0


def test_no_table_is_no_charge(futures: Any, inputs_of: Any) -> None:
    assert prepare(inputs_of(futures)) == []
