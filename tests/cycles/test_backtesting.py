from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmargin.cycles.backtesting import backtesting_charge
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import BacktestingRules

RULES = BacktestingRules(months=12, coverage=0.99, rank=3)
AS_OF = "2026-03-13"
DAYS = add_business_days(AS_OF, -np.arange(200), "bond")


def history(shortfalls: dict[int, float], days: int = 200, **other: Any) -> dict[str, Any]:
    """Return results with a margin of 100, and losses above it on some days, counted back."""
    loss = np.full(days, 40.0)
    for day, amount in shortfalls.items():
        loss[day] = 100.0 + amount
    return {
        "day": DAYS[:days],
        "account": ["A"] * days,
        "margin": [100.0] * days,
        "loss": loss,
        "as_of": AS_OF,
    } | other


def test_third_largest_deficiency_below_the_target() -> None:
    # Four deficiencies of 200 days: coverage 98%. The largest are 9, 7, 5.
    found = backtesting_charge(**history({3: 5.0, 10: 9.0, 11: 2.0, 199: 7.0}), rules=RULES)
    assert found.account.tolist() == ["A"]
    assert (found.days[0], found.deficiencies[0]) == (200, 4)
    assert found.coverage[0] == 0.98
    assert found.charge.tolist() == [5.0]


def test_target_itself_is_enough() -> None:
    # One of 100 days is exactly 99%; two of 200 too, three are 98.5%.
    one = backtesting_charge(**history({3: 5.0}, days=100), rules=RULES)
    assert (one.coverage[0], one.charge[0]) == (0.99, 0.0)
    two = backtesting_charge(**history({3: 5.0, 4: 6.0}), rules=RULES)
    assert two.charge.tolist() == [0.0]
    three = backtesting_charge(**history({3: 5.0, 4: 6.0, 5: 1.0}), rules=RULES)
    assert three.charge.tolist() == [1.0]


def test_fewer_deficiencies_than_the_rank_cost_nothing() -> None:
    few = backtesting_charge(**history({0: 5.0, 1: 6.0}, days=50), rules=RULES)
    assert (few.coverage[0], few.charge[0]) == (0.96, 0.0)
    tiny = backtesting_charge(**history({0: 5.0}, days=2), rules=RULES)
    assert tiny.charge.tolist() == [0.0]
    none = backtesting_charge(**history({}, days=0), rules=RULES)
    assert none.account.tolist() == none.charge.tolist() == []


def test_twelve_months_and_each_account_by_itself() -> None:
    old = ["2025-03-12", "2025-03-13", "2025-03-14", "2026-03-13", "2026-03-16"]
    found = backtesting_charge(
        day=[*old, "2026-03-11"],
        account=["B"] * 5 + ["A"],
        margin=[1.0] * 6,
        loss=[9.0, 8.0, 7.0, 6.0, 5.0, -3.0],
        as_of=AS_OF,
        rules=BacktestingRules(months=12, coverage=0.99, rank=2),
    )
    assert found.account.tolist() == ["A", "B"]
    assert found.days.tolist() == [1, 2]
    assert found.coverage.tolist() == [1.0, 0.0]
    # Of 7 - 1 and 6 - 1 the second.
    assert found.charge.tolist() == [0.0, 5.0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": [1.0]}, "loss must have one entry for each day"),
        ({"margin": [np.inf] * 3}, "margin holds a number that is not finite"),
        ({"loss": [0.0, np.nan, 0.0]}, "loss holds a number that is not finite"),
        ({"day": ["2026-03-02"] * 3}, "account A has two records of 2026-03-02; keep one"),
    ],
)
def test_unusable_results_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        backtesting_charge(**history({}, days=3, **change), rules=RULES)
