from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

from crossmargin.cycles.step import CYCLES, Step

GIVEN: dict[str, Any] = {
    "day": "2026-11-30",
    "cycle": "EOD",
    "run": 1,
    "step": "calls",
    "run_id": "id",
    "policy": "policy",
    "policy_hash": "hash",
}


def test_a_day_has_its_cycles_in_this_order() -> None:
    assert CYCLES == ("ITD", "CUR", "EOD", "EODXM")


@pytest.mark.parametrize(
    "day", ["2026-11-30", datetime.date(2026, 11, 30), np.datetime64("2026-11-30")]
)
def test_a_day_is_a_date(day: Any) -> None:
    assert Step(**{**GIVEN, "day": day}).day == datetime.date(2026, 11, 30)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("day", "30.11.2026", "day"),
        ("day", "NaT", "day"),
        ("cycle", "NOON", "cycle: one of ITD, CUR, EOD, EODXM"),
        ("run", 0, "run: a whole number from 1"),
        ("run", True, "run: a whole number from 1"),
        ("run", 1.0, "run: a whole number from 1"),
        ("step", "", "step: a text"),
        ("policy_hash", None, "policy_hash: a text"),
        ("inputs", {"a.csv": ""}, "inputs: names and hashes"),
        ("outputs", {"a.csv": 1}, "outputs: names and hashes"),
        ("late", "FICC", "late: names"),
        ("late", ["FICC,CME"], "late: names"),
    ],
)
def test_a_step_without_sense_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Step(**{**GIVEN, field: value})


def test_messages_name_a_step_in_words() -> None:
    assert Step(**GIVEN).name == "2026-11-30 EOD run 1, step calls"
