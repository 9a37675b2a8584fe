"""One account in plain numbers is the columns' row, to the bit."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.agreement._scalar import standing_alone, together
from crossmargin.agreement.requirement import require
from crossmargin.agreement.savings import agree
from crossmargin.agreement.single import NOTHING, Client, settle
from crossmargin.conventions import CME, FICC
from crossmargin.margin.portfolios import CcpMargin, Flags, Portfolios
from crossmargin.policies import AgreementRules
from crossmargin.policies.sections import LOWER_OF_MODELS
from crossmargin.results.tables import money_columns, saving_columns

RULES = AgreementRules(offset_method=LOWER_OF_MODELS, cap=0.8, minimum_saving=0.01)
KNOWN: Flags = (False,) * 5

# Amounts that meet the cap, the minimum, ties and whole cents, and any others.
usd = st.one_of(
    st.sampled_from([0.0, 0.005, 1.0, 20.0, 80.0, 99.0, 100.0, 125.0, 1e11]),
    st.floats(2.0**-20, 1e11),
)
portfolios = st.tuples(usd, usd, usd, usd, usd)
flags = st.one_of(st.just(KNOWN), st.tuples(*[st.booleans()] * 5))
margins = st.tuples(portfolios, portfolios, flags, flags)
terms = st.sampled_from([0.0, 1.0, 1.25, 100.0]), st.one_of(st.just(0.0), usd)


def by_columns(
    groups: list[tuple[Portfolios, Portfolios, Flags, Flags]],
    *,
    eligible: bool,
    complete: bool,
    two_sided: bool,
    multiplier: float,
    floor: float,
    minimum: float,
    rules: AgreementRules,
) -> dict[str, Any]:
    """Return the row that `agree` and `require` give; the first group is the account's own."""
    ficc, cme, no_ficc, no_cme = (np.array(column) for column in zip(*groups, strict=True))
    margins = CcpMargin(FICC, ficc, no_ficc, {}), CcpMargin(CME, cme, no_cme, {})
    saving = agree(
        *margins,
        eligible=np.array([eligible]),
        complete=np.array([complete]),
        two_sided=np.array([two_sided]),
        rules=rules,
    )
    required = require(
        *margins,
        saving,
        [],
        group_account=np.zeros(len(groups), dtype=np.int64),
        multiplier=np.array([multiplier]),
        floor=np.array([floor]),
        minimum=np.array([minimum]),
    )
    row: dict[str, Any] = pa.table(
        {"account": ["A"], **saving_columns(saving), **money_columns(required)}
    ).to_pylist()[0]
    return row


def same_bits(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether two rows are equal, also in type, sign of zero and decimal places."""
    return [(k, type(v), repr(v)) for k, v in a.items()] == [
        (k, type(v), repr(v)) for k, v in b.items()
    ]


@settings(max_examples=600, deadline=None)
@given(
    st.lists(margins, min_size=1, max_size=3),
    *[st.booleans()] * 3,
    *terms,
    st.sampled_from([0.0, 50.0, 1e13]),
    st.sampled_from([(0.8, 0.01), (1.0, 0.0), (0.25, 0.5), (0.0, 0.0)]),
)
def test_one_account_is_the_row_of_the_columns(
    groups: list[tuple[Portfolios, Portfolios, Flags, Flags]],
    eligible: bool,
    complete: bool,
    two_sided: bool,
    multiplier: float,
    floor: float,
    minimum: float,
    limits: tuple[float, float],
) -> None:
    rules = AgreementRules(LOWER_OF_MODELS, *limits)
    there = NOTHING
    for group in groups[1:]:
        there = together(there, standing_alone(*group))
    client = Client("A", eligible, complete, (multiplier, floor, minimum), there)
    ours = settle(*groups[0], two_sided, client, rules)
    expected = by_columns(
        groups,
        eligible=eligible,
        complete=complete,
        two_sided=two_sided,
        multiplier=multiplier,
        floor=floor,
        minimum=minimum,
        rules=rules,
    )
    assert same_bits(ours, expected)


def test_a_cap_of_nothing_leaves_nothing_that_binds() -> None:
    v = (60.0, 40.0, 50.0, 1.0, 2.0)
    client = Client("A", True, True, (1.0, 0.0, 0.0))
    row = settle(v, v, KNOWN, KNOWN, True, client, AgreementRules(LOWER_OF_MODELS, 0.0, 0.0))
    assert (row["offset_rate"], row["binding"], row["capped"]) == (0.0, None, True)


# Below the cap, a tie, at the cap, beyond it, below the minimum, nothing to save.
@pytest.mark.parametrize("both", [50.0, 75.0, 20.0, 19.0, 99.5, 100.0, 130.0])
@pytest.mark.parametrize("other_model", [50.0, 75.0, 0.0])
def test_every_way_a_percentage_comes_about(both: float, other_model: float) -> None:
    ficc, cme = (60.0, 40.0, both, 1.0, 2.0), (30.0, 70.0, other_model, 3.0, 4.0)
    groups = [(ficc, cme, KNOWN, KNOWN)]
    terms = {"eligible": True, "complete": True}
    own = {"multiplier": 1.0, "floor": 0.0, "minimum": 0.0}
    client = Client("A", **terms, terms=(1.0, 0.0, 0.0))
    ours = settle(*groups[0], True, client, RULES)
    assert same_bits(ours, by_columns(groups, two_sided=True, rules=RULES, **terms, **own))
    binding = "FICC" if both >= other_model else "CME"
    assert ours["binding"] == (None if both > 99.0 else binding)
    assert ours["capped"] == (both < 20.0 and other_model == 0.0)


def test_the_callers_decimal_context_does_not_matter() -> None:
    amount = (12_345_678.91, 0.0, 0.0, 0.0, 12_345_678.91)
    client = Client("A", True, True, (1.0, 0.0, 0.0))
    with localcontext(prec=3):
        row = settle(amount, amount, KNOWN, KNOWN, False, client, RULES)
    assert row["standalone_requirement"] == Decimal("24691357.82")
