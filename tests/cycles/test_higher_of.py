from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.cycles.higher_of import CycleCharges, higher_of
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import HigherOfRules

RULES = HigherOfRules(business_days=26)
DAYS = add_business_days("2026-03-02", np.arange(40), "bond")
"""Day 1 is a Monday; Good Friday, 3 April 2026, is a business day, since payrolls come out."""


def records(obligations: list[float], **other: Any) -> dict[str, Any]:
    size = len(obligations)
    return {
        "day": DAYS[:size],
        "account": ["X"] * size,
        "start_of_day_var": [300e6] * size,
        "noon_var": [150e6] * size,
        "obligations": obligations,
        "liquidity_need": [80e9] * size,
    } | other


def test_published_example() -> None:
    # 91 FR 5128: 100 billion of obligations on Day 1 against a need of 80 billion. On Days 2 to 27
    # a start-of-day VaR of 300 million and an intraday one of 150 are 300 in both cycles.
    found = higher_of(**records([100e9] + [0.0] * 39), rules=RULES)
    assert np.flatnonzero(found.subject).tolist() == list(range(1, 27))
    assert found.start_of_day.tolist() == [300e6] * 40
    assert found.noon.tolist() == [150e6] + [300e6] * 26 + [150e6] * 13


def test_noon_slice_counts_where_it_is_the_higher_one() -> None:
    found = higher_of(
        **records([100e9, 0.0, 0.0], noon_var=[1.0, 500e6, 2.0]), rules=HigherOfRules(1)
    )
    assert found.subject.tolist() == [False, True, False]
    assert found.noon.tolist() == [1.0, 500e6, 2.0]
    assert found.start_of_day.tolist() == [300e6] * 3


def test_need_itself_is_no_excess_and_a_new_excess_starts_again() -> None:
    found = higher_of(
        **records([80e9, 81e9, 81e9, 0.0, 0.0, 0.0]), rules=HigherOfRules(business_days=2)
    )
    assert found.subject.tolist() == [False, False, True, True, True, False]


def test_days_are_business_days_and_accounts_are_apart() -> None:
    # Friday before Memorial Day: two business days on is Wednesday, whatever lies between.
    found = higher_of(
        day=["2026-05-27", "2026-05-22", "2026-05-28", "2026-05-27"],
        account=["X", "X", "X", "Y"],
        start_of_day_var=[2.0] * 4,
        noon_var=[1.0] * 4,
        obligations=[0.0, 5.0, 0.0, 5.0],
        liquidity_need=[1.0] * 4,
        rules=HigherOfRules(business_days=2),
    )
    assert found.subject.tolist() == [True, False, False, False]
    assert found.noon.tolist() == [2.0, 1.0, 1.0, 1.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 39), st.sampled_from("XY"), st.booleans(), st.integers(0, 9)),
        max_size=40,
        unique_by=lambda r: (r[0], r[1]),
    ),
    st.integers(1, 30),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, derandomize=True, database=None)
def test_rule_by_rule(rows: list[Any], length: int, shuffle: Any) -> None:
    def ask(chosen: list[Any]) -> CycleCharges:
        return higher_of(
            day=[DAYS[r[0]] for r in chosen],
            account=[r[1] for r in chosen],
            start_of_day_var=[4.0] * len(chosen),
            noon_var=[float(r[3]) for r in chosen],
            obligations=[2.0 if r[2] else 1.0 for r in chosen],
            liquidity_need=[1.0] * len(chosen),
            rules=HigherOfRules(length),
        )

    found = ask(rows)
    for n, (day, account, _, var) in enumerate(rows):
        subject = any(a == account and over and 0 < day - d <= length for d, a, over, _ in rows)
        assert found.subject[n] == subject
        assert found.noon[n] == (max(4.0, var) if subject else var)
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    assert ask([rows[n] for n in order]).noon.tolist() == found.noon[order].tolist()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"noon_var": [1.0]}, "noon_var must have one entry for each day"),
        ({"obligations": [1.0, np.nan]}, "obligations holds a number that is not finite"),
        ({"day": ["2026-03-02", "2026-03-02"]}, "account X has two records of 2026-03-02"),
        ({"day": ["2026-03-02", None]}, "day: a date is missing"),
    ],
)
def test_unusable_records_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        higher_of(**records([1.0, 1.0]) | change, rules=RULES)
