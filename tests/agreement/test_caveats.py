"""What is said of an account's figures beside the figures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from crossmargin.agreement.caveats import STATUSES, account_caveats, account_status
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_XM, SEGMENTS
from crossmargin.engine import Book
from crossmargin.instruments.universe import Universe
from crossmargin.policies import AgreementRules
from crossmargin.policies.sections import LOWER_OF_MODELS

RULES = AgreementRules(offset_method=LOWER_OF_MODELS, cap=0.8, minimum_saving=0.01)
# A Treasury, ZN, SR3.
UNIVERSE = cast(Universe, SimpleNamespace(root=np.array(["", "ZN", "SR3"])))


def book(*held: dict[int, int]) -> Book:
    """Return a book of groups, each an instrument by segment."""
    rows = [group.get(segment) for group in held for segment in range(len(SEGMENTS))]
    column = np.array([number for number in rows if number is not None], dtype=np.int32)
    row_ptr = np.concatenate([[0], np.cumsum([number is not None for number in rows])])
    return Book(row_ptr.astype(np.int64), column, np.ones(column.size), columns=3)


def caveats(held: Book, group_account: list[int], accounts: int, **changed: Any) -> list[Any]:
    found = account_caveats(
        held,
        UNIVERSE,
        roots_without_basis=("ZN",),
        roots_without_spread=("SR3",),
        group_account=np.array(group_account),
        accounts=accounts,
        rules=replace(RULES, **changed),
    )
    return [found.saving_is_upper_bound.tolist(), found.spread_not_modelled.tolist()]


def test_a_cross_margined_future_without_its_basis_bounds_the_saving() -> None:
    held = book({FICC_XM: 0, CME_XM: 1}, {CME_OTHER: 1}, {FICC_XM: 0})
    assert caveats(held, [0, 1, 2], 3) == [[True, False, False], [False] * 3]


def test_an_offset_rate_from_a_table_is_no_bound() -> None:
    held = book({CME_XM: 1})
    assert caveats(held, [0], 1, offset_method="class_disallowance")[0] == [False]


def test_a_short_rate_future_is_told_of_wherever_it_is() -> None:
    # The last group is the second account's, at another firm.
    held = book({CME_OTHER: 2}, {FICC_XM: 0}, {CME_XM: 1}, {CME_OTHER: 2})
    bound, spread = caveats(held, [0, 1, 2, 1], 3)
    assert spread == [True, True, False]
    assert bound == [False, False, True]


@pytest.mark.parametrize(
    ("eligible", "rejected", "known", "reason", "status"),
    [
        (True, 0, True, "", "complete"),
        (True, 0, True, "ONE_SIDED", "complete"),
        (False, 0, True, "NOT_ELIGIBLE", "not_eligible"),
        (False, 1, True, "NOT_ELIGIBLE", "incomplete"),
        (False, 0, False, "NOT_ELIGIBLE", "incomplete"),
        (True, 0, False, "", "incomplete"),
        (True, 0, True, "INCOMPLETE", "incomplete"),
    ],
)
def test_figures_that_lack_something_are_incomplete(
    eligible: bool, rejected: int, known: bool, reason: str, status: str
) -> None:
    saving = cast(Saving, SimpleNamespace(reason=np.array([reason], dtype=object)))
    amount = Amount(np.zeros(1, dtype=np.int64), np.array([known]))
    required = Requirements(*[amount] * len(Requirements.__dataclass_fields__))
    number = account_status(
        saving,
        required,
        eligible=np.array([eligible]),
        rows_rejected=np.array([rejected]),
    )
    assert [STATUSES[n] for n in number] == [status]
