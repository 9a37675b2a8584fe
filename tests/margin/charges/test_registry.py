from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

import crossmargin.margin.charges
from crossmargin.margin.charges import CHARGES, charge_book, prepare_charges
from crossmargin.policies.sections.charges import (
    CmeConcentration,
    CmeLiquidity,
    GrossValueCharge,
    HolidayRules,
    LiquidityRules,
    RepoRateRules,
)

FIRST = GrossValueCharge("first", "CME", 0.1, reducible=True, evidence="ours", source="a test")
SECTIONS = (
    CmeConcentration(0.5, (("ZN", 4.0),), reducible=True),
    CmeLiquidity((("ZN", 4.0),), reducible=False),
    HolidayRules(0.5),
    LiquidityRules((("a", ("note",), 12),), (0.1,), 0.4),
    RepoRateRules((12,), ("1",), (0.01,)),
)


def test_every_module_of_a_charge_is_in_the_registry() -> None:
    folder = Path(crossmargin.margin.charges.__file__).parent
    others = {"__init__", "amounts", "charge", "registry", "rule", "_scalar"}
    modules = {path.stem for path in folder.glob("*.py")} - others
    assert {module.__name__.rpartition(".")[2] for module in CHARGES} == modules


def test_charges_come_in_the_order_of_the_registry(
    futures: Any, inputs_of: Any, book_of: Any, margins: Any
) -> None:
    inputs = inputs_of(
        futures, *SECTIONS, charges=(FIRST,), as_of="2025-07-03", volumes={"ZN": 2.0}
    )
    charges = prepare_charges(inputs)
    assert [(c.ccp, c.name, c.reducible) for c in charges] == [
        ("CME", "first", True),
        ("FICC", "repo rate", False),
        ("FICC", "liquidity adjustment", False),
        ("FICC", "holiday", False),
        ("CME", "liquidity", False),
        ("CME", "concentration", True),
    ]
    book = book_of([{}, {3: 2}, {}, {}])
    given = margins(8.0)
    found = charge_book(book, charges, given)
    assert [(c.ccp, c.name) for c in found] == [(c.ccp, c.name) for c in charges]
    assert [c.amount[0, 1] for c in found] == [0.0, 0.0, 0.0, 4.0, 8.0, 4.0]
    # They reach another process as they are.
    again = charge_book(book, pickle.loads(pickle.dumps(charges)), given)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.amount, other.amount)


def test_a_policy_without_charges_has_none(futures: Any, inputs_of: Any) -> None:
    assert prepare_charges(inputs_of(futures)) == ()
