"""Both of CME's charges, alone and beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.margin.charges import Charged, charge_book, cme_concentration, cme_liquidity
from crossmargin.margin.charges.cme_concentration import volumes_of
from crossmargin.policies.sections.charges import CmeConcentration, CmeLiquidity

BOOK: list[dict[int, int]] = [
    # FICC XM, CME XM, FICC other, CME other of two accounts.
    {0: 500},
    {3: -30, 4: 20, 5: 7},
    {0: -9},
    {3: 10, 2: 4},
    {},
    {},
    {},
    {4: -8},
]


@pytest.fixture
def charged(futures: Any, inputs_of: Any, margins: Any, book_of: Any) -> Any:
    """Return a function from rows of a book and the rules of a charge to what is charged."""

    def make(
        rows: list[dict[int, int]], rules: CmeLiquidity | CmeConcentration, **volumes: float
    ) -> Charged:
        module = cme_liquidity if isinstance(rules, CmeLiquidity) else cme_concentration
        (charge,) = module.prepare(inputs_of(futures, rules, volumes=volumes))
        (found,) = charge_book(book_of(rows), (charge,), margins(groups=len(rows) // 4))
        return found

    return make


def test_liquidity_is_the_cost_of_every_contract_net(charged: Any) -> None:
    found = charged(BOOK, CmeLiquidity(cost=(("ZN", 15.625), ("ZT", 8.0)), reducible=False))
    # XM: 15.625 * (30 + 20) + 8 * 7 = 837.25; other: 15.625 * 10, SR3 is not named. In `all`
    # ZNM25 nets to -20: 15.625 * (20 + 20) + 56 = 681. Cash is FICC's own.
    assert found.amount.tolist() == [
        [0.0, 837.25, 837.25, 156.25, 681.0],
        [0.0, 0.0, 0.0, 125.0, 125.0],
    ]
    assert (found.name, found.ccp, found.reducible) == (
        "liquidity",
        "CME",
        False,
    )


def test_concentration_counts_the_contracts_that_share_a_volume(charged: Any) -> None:
    rules = CmeConcentration(threshold=0.25, rate=(("ZN", 3.0), ("ZT", 10.0)), reducible=True)
    found = charged(BOOK, rules, ZN=100.0, ZTM25=8.0, UB=1.0)
    # XM: ZN 3 * (30 + 20 - 25) = 75, ZT 10 * (7 - 2) = 50; other: 10 < 25. In `all` ZN counts
    # 20 + 20: 3 * 15 = 45.
    assert found.amount.tolist() == [[0.0, 125.0, 125.0, 0.0, 95.0], [0.0] * 5]
    assert (found.name, found.ccp, found.reducible) == (
        "concentration",
        "CME",
        True,
    )
    # A volume of its own: ZNM25 30 - 25, ZNU25 20 - 10 of the root's 40 in XM.
    found = charged(BOOK, rules, ZN=40.0, ZNM25=100.0, ZT=28.0)
    assert found.amount[0, 1] == 3.0 * (5 + 10)


def test_concentration_begins_beyond_the_threshold(charged: Any) -> None:
    rules = CmeConcentration(threshold=0.5, rate=(("ZN", 4.0),), reducible=False)
    for contracts, due in ((10, 0.0), (11, 4.0), (-12, 8.0)):
        found = charged([{}, {3: contracts}, {}, {}], rules, ZN=20.0)
        assert found.amount[0, 1] == due


def test_a_charged_contract_without_volume_is_refused_by_name(futures: Any, inputs_of: Any) -> None:
    rules = CmeConcentration(threshold=0.5, rate=(("ZN", 4.0), ("UB", 1.0)), reducible=False)
    for adv in ({}, {"ZNM25": 5.0}, {"ZT": 5.0}):
        with pytest.raises(InputError, match=r"ZN is charged .* give a row for ZN .*--volumes"):
            cme_concentration.prepare(inputs_of(futures, rules, volumes=adv))
    # UB is not in the run.
    assert volumes_of(futures, {"ZN": 5.0}, rules).adv.tolist() == [0.0, 5.0]


def test_volumes_are_shared_by_contracts_alone(futures: Any) -> None:
    rules = CmeConcentration(0.5, (("ZN", 4.0),), reducible=False)
    found = volumes_of(futures, {"ZN": 5.0, "ZNU25": 3.0}, rules)
    assert found.adv.tolist() == [0.0, 5.0, 3.0]
    assert found.number.tolist() == [0, 0, 0, 1, 2, 0]


def test_no_table_is_no_charge(futures: Any, inputs_of: Any) -> None:
    inputs = inputs_of(futures, volumes={"ZN": 5.0})
    assert cme_liquidity.prepare(inputs) == cme_concentration.prepare(inputs) == []


HELD = st.dictionaries(st.integers(2, 5), st.integers(-50, 50).filter(bool), max_size=4)


@given(
    inside=HELD,
    other=HELD,
    adv=st.floats(0.0, 200.0),
    threshold=st.floats(0.0, 2.0),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_charges_grow_with_the_book_and_netting_never_costs(
    charged: Any,
    inside: dict[int, int],
    other: dict[int, int],
    adv: float,
    threshold: float,
) -> None:
    amounts = tuple((root, 2.0) for root in ("ZN", "ZT", "SR3"))
    rules = CmeConcentration(threshold, amounts, reducible=False)
    volumes = dict.fromkeys(("ZN", "ZT", "SR3"), adv)

    def due(*rows: dict[int, int]) -> tuple[Any, Any]:
        return (
            charged(rows, CmeLiquidity(amounts, reducible=False)).amount[0],
            charged(rows, rules, **volumes).amount[0],
        )

    liquidity, concentration = due({}, inside, {}, other)
    for found in (liquidity, concentration):
        assert (found >= 0.0).all()
        assert found[0] == 0.0
        assert found[1] == found[2]
    assert liquidity[4] <= liquidity[1] + liquidity[3]
    # Beyond the threshold only the excess counts, never more than all contracts.
    assert (concentration <= liquidity).all()
    opposite = due({}, {k: -q for k, q in inside.items()}, {}, {k: -q for k, q in other.items()})
    assert np.array_equal(opposite, (liquidity, concentration))
    doubled = due({}, {k: 2 * q for k, q in inside.items()}, {}, {})
    assert doubled[0][1] == 2 * liquidity[1]
    # Twice the book is charged at least twice.
    assert doubled[1][1] >= 2 * concentration[1]
