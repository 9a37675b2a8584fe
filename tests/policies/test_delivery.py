"""When Treasury futures leave the programme."""

from __future__ import annotations

import pytest

from crossmargin.policies import DeliveryMonthRules, read_policy, shipped_policies


def test_shipped_policies_let_futures_stay() -> None:
    for name in shipped_policies():
        rules = read_policy(name).get(DeliveryMonthRules)
        assert rules is None or rules.futures_leave == "never"
    assert read_policy().get(DeliveryMonthRules) == DeliveryMonthRules("never")


@pytest.mark.parametrize("value", ["", "NEVER", "last_day", "first day"])
def test_another_day_is_refused(value: str) -> None:
    assert not all(DeliveryMonthRules(value).rules().values())


@pytest.mark.parametrize("value", ["never", "first_intention_day", "first_day"])
def test_known_days_are_taken(value: str) -> None:
    assert all(DeliveryMonthRules(value).rules().values())
