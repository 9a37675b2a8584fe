from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from crossmargin.cycles.day.plan import CYCLES, DIRECTORIES, Slot, day_plan
from crossmargin.exceptions import InputError

DAY = datetime.date(2026, 6, 10)


def test_a_date_is_enough() -> None:
    plan = day_plan({"date": DAY})
    assert plan.date == np.datetime64("2026-06-10")
    assert plan.carried == ("EODXM",)
    assert (plan.policy, plan.options, plan.late, plan.files) == (None, {}, {}, {})


def test_every_option_is_taken() -> None:
    plan = day_plan(
        {
            "date": "2026-06-10",
            "policy": "own.toml",
            "allocation": {"front_month": True, "most_transfers": 3, "transfer_cost": 5},
            "late": {"EOD": ["FICC", "FICC"]},
            "carried": ["EODXM", "EOD"],
            "inputs": {"accounts": "clients.xlsx"},
        }
    )
    assert plan.policy == "own.toml"
    assert plan.options == {"front_month": True, "most_transfers": 3, "transfer_cost": 5}
    assert plan.late == {"EOD": ("FICC",)}
    assert plan.carried == ("EOD", "EODXM")
    assert plan.files == {"accounts": "clients.xlsx"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "`date`: is missing"),
        ({"date": "10.6.2026"}, "is not a day"),
        ({"date": datetime.datetime(2026, 6, 10)}, "is not a day"),
        ({"date": True}, "is not a day"),
        ({"polcy": "x"}, "`polcy` is unknown; do you mean `policy`?"),
        ({"Date": DAY}, "`Date` is unknown; do you mean `date`?"),
        ({"policy": 3}, "give the name of a shipped policy"),
        ({"allocation": {"front_mnth": True}}, "do you mean `front_month`?"),
        ({"allocation": {"front_month": 1}}, "1 is not true or false"),
        ({"allocation": {"most_transfers": True}}, "True is not a whole number"),
        ({"allocation": {"transfer_cost": "5"}}, "is not an amount in USD"),
        ({"allocation": {"transfer_cost": float("nan")}}, "nan is not from 0 to"),
        ({"allocation": {"minimum_gain": float("inf")}}, "inf is not from 0 to"),
        ({"allocation": {"most_transfers": -1}}, "-1 is not from 0 to"),
        ({"allocation": []}, "must be a table"),
        ({"late": {"EDO": ["FICC"]}}, "do you mean `EOD`?"),
        ({"late": {"EOD": "FICC"}}, "give a list of clearing houses"),
        ({"late": {"EOD": ["LCH"]}}, "'LCH' is neither FICC nor CME"),
        ({"carried": ["NOON"]}, "'NOON' is not a cycle"),
        ({"carried": "EOD"}, "give a list of cycles"),
        ({"inputs": {"acounts": "a.csv"}}, "do you mean `accounts`?"),
        ({"inputs": {"accounts": 3}}, "3 is not the name of a file"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"day\.toml") as refused:
        day_plan({"date": DAY, **given} if given else {})
    assert message in str(refused.value)


def test_the_plan_is_in_the_order_of_the_day() -> None:
    assert [cycle.name for cycle in CYCLES] == ["ITD", "CUR", "EOD", "EODXM"]
    for cycle in CYCLES:
        numbers = [DIRECTORIES[step] for step in cycle.steps]
        assert numbers == sorted(numbers)
    assert str(Slot(1, 3)) == "CUR-3"
