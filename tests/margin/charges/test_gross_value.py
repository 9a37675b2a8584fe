from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmargin.margin.charges import charge_book
from crossmargin.margin.charges.gross_value import prepare
from crossmargin.policies.sections.charges import GrossValueCharge


def at(ccp: str, rate: float = 0.5, name: str = "liquidity") -> GrossValueCharge:
    return GrossValueCharge(name, ccp, rate, reducible=False, evidence="ours", source="a test")


@pytest.fixture
def universe(by_hand: Any) -> Any:
    names = [(f"NOTE{n}0000", [(1.0, 100.0)], 1.0) for n in range(8)]
    value = [100.0, 90.0, 1000.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return by_hand(*names, market_value=value)


def test_a_ccp_charges_the_gross_value_of_its_own_positions(
    universe: Any, book_of: Any, inputs_of: Any, margins: Any
) -> None:
    # FICC XM 2 * 100 + |-1| * 90 = 290; CME XM 3 * 1000; FICC other 4 * 100; CME other 5 * 1000.
    book = book_of([{0: 2, 1: -1, 3: 9}, {2: -3}, {0: -4}, {2: 5}, {}, {}, {}, {}])
    charges = prepare(inputs_of(universe, charges=(at("FICC"), at("CME", 0.25))))
    ficc, cme = charge_book(book, tuple(charges), margins(groups=2))
    # Cash, futures, combined, other, all. In `all` the segments net first: 2 - 4 notes of 100 and
    # one of 90 are 290 again, -3 + 5 futures of 1000 are 2000.
    assert ficc.amount.tolist() == [[145.0, 0.0, 145.0, 200.0, 145.0], [0.0] * 5]
    assert cme.amount.tolist() == [[0.0, 750.0, 750.0, 1250.0, 500.0], [0.0] * 5]
    assert (ficc.ccp, cme.ccp) == ("FICC", "CME")


def test_no_entry_is_no_charge(universe: Any, inputs_of: Any) -> None:
    assert prepare(inputs_of(universe)) == []


def test_charges_are_kept_apart(universe: Any, book_of: Any, inputs_of: Any, margins: Any) -> None:
    entries = (at("FICC", 0.1, "a"), at("FICC", 0.2, "b"))
    charges = tuple(prepare(inputs_of(universe, charges=entries)))
    found = charge_book(book_of([{0: 1}, {}, {}, {}]), charges, margins())
    assert [c.name for c in found] == ["a", "b"]
    np.testing.assert_allclose([c.amount[0, 0] for c in found], [10.0, 20.0])
