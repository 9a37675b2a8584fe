"""Which delivery months may be moved, by the calendar."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.instruments.contracts import Contract
from crossmargin.optimise.months import allowed_months, front, in_roll


def contract(root: str, month: str) -> Contract:
    return Contract(root, np.datetime64(month))


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


def test_the_roll_begins_ten_business_days_before_the_delivery_month() -> None:
    # Back from 1 June 2025: 30, 29, 28, 27 May, not Memorial Day, 23, 22, 21, 20, 19, 16 May.
    june = contract("ZN", "2025-06")
    assert not in_roll(june, day("2025-05-15"))
    assert in_roll(june, day("2025-05-16"))
    assert in_roll(june, day("2025-06-18"))
    # Short-rate futures settle in cash; each month is a rate of its own.
    assert not in_roll(contract("SR3", "2025-06"), day("2025-06-10"))


@pytest.mark.parametrize(
    ("as_of", "first", "first_out_of_roll"),
    [
        ("2025-02-13", "2025-03", "2025-03"),
        ("2025-02-14", "2025-03", "2025-06"),
        # The last trading day of March is the 20th, seven business days before the 31st.
        ("2025-03-20", "2025-03", "2025-06"),
        ("2025-03-21", "2025-06", "2025-06"),
        ("2025-12-15", "2025-12", "2026-03"),
    ],
)
def test_the_front_month_is_the_first_that_trades(
    as_of: str, first: str, first_out_of_roll: str
) -> None:
    assert front("ZN", day(as_of), exclude_roll=False) == contract("ZN", first)
    assert front("ZN", day(as_of), exclude_roll=True) == contract("ZN", first_out_of_roll)


def test_a_month_may_be_moved_if_no_option_forbids_it() -> None:
    contracts = [
        contract("ZN", "2025-03"),
        contract("ZN", "2025-06"),
        contract("ZN", "2025-09"),
        contract("ZT", "2025-06"),
        contract("ZQ", "2025-03"),
        contract("ZQ", "2025-04"),
    ]

    def allowed(**options: bool) -> list[bool]:
        both = {"front_month": False, "exclude_roll": False} | options
        return allowed_months(contracts, day("2025-03-13"), **both).tolist()

    assert allowed() == [True] * 6
    assert allowed(exclude_roll=True) == [False, True, True, True, True, True]
    # The front ZT is that of March, which is not here.
    assert allowed(front_month=True) == [True, False, False, False, True, False]
    assert allowed(front_month=True, exclude_roll=True) == [False, True, False, True, True, False]
