from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmargin.conventions import FICC
from crossmargin.margin.charges import charge_book
from crossmargin.margin.charges.holiday import before_holiday, prepare
from crossmargin.policies.sections.charges import HolidayRules


def test_it_is_a_share_of_v(futures: Any, inputs_of: Any, book_of: Any, margins: Any) -> None:
    (charge,) = prepare(inputs_of(futures, HolidayRules(0.25), as_of="2025-07-03"))
    assert (charge.name, charge.ccp, charge.reducible) == ("holiday", FICC, False)
    (found,) = charge_book(book_of([{}] * 4), (charge,), margins(8.0))
    assert found.amount.tolist() == [[2.0] * 5]


def test_no_table_and_any_other_day_is_no_charge(futures: Any, inputs_of: Any) -> None:
    assert prepare(inputs_of(futures, as_of="2025-07-03")) == []
    # 13 March 2025 is an ordinary Thursday.
    assert prepare(inputs_of(futures, HolidayRules(0.25))) == []


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("2025-07-03", True),  # Thursday before Independence Day, a Friday
        ("2025-07-02", False),
        ("2025-05-23", True),  # Friday before Memorial Day
        ("2025-05-16", False),  # an ordinary Friday
        ("2025-11-26", True),  # Wednesday before Thanksgiving
        ("2025-10-10", True),  # Columbus Day closes the bond market
        ("2027-07-02", True),  # 4 July 2027 is a Sunday: Monday is closed
    ],
)
def test_day_before_a_holiday(day: str, due: bool) -> None:
    assert before_holiday(np.datetime64(day)) == due
