"""The offset rate without spreads and assumed bases is that of a run without these tables."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.policies import BasisProcessRules, ObservedMarginRules, SpreadRules, read_policy

POLICY = read_policy("cme-ficc-2026-11-30")
OBSERVED = pa.table(
    {"instrument": ["ZT", "ZN"], "date": ["2026-01-02"] * 2, "maintenance": [5000.0, 500.0]}
)


@pytest.mark.parametrize("use", ["show", "scale"])
def test_it_equals_a_run_without_the_tables(sample_inputs: dict[str, Any], use: str) -> None:
    policy = POLICY.with_sections(ObservedMarginRules(use))
    inputs = {**sample_inputs, "observed_margins": OBSERVED}
    run = xm.run(**inputs, policy=policy)
    alone = xm.run(**inputs, policy=policy.without_sections(SpreadRules, BasisProcessRules))
    before = {row["account"]: row for row in alone.accounts}
    [account, *_] = [row["account"] for row in run.accounts if 0.0 < row["offset_rate"] < 0.8]
    told = xm.explain(run, account)
    rates = {row["ccp"]: row["offset_rate_curve_alone"] for row in told.offset}
    expected = before[account]
    assert rates == {"FICC": expected["offset_rate_ficc"], "CME": expected["offset_rate_cme"]}
    [sentence] = [text for text in told.sentences if text.startswith("Without the policy's spread")]
    assert f"would be {expected['offset_rate']:.1%} (FICC's model" in sentence


def test_without_the_tables_there_is_nothing_to_tell(sample_inputs: dict[str, Any]) -> None:
    run = xm.run(**sample_inputs, policy="cme-ficc-2026-04-30")
    account = next(row["account"] for row in run.accounts if row["offset_rate"] > 0.0)
    told = xm.explain(run, account)
    assert [row["offset_rate_curve_alone"] for row in told.offset] == [None, None]
    assert not any("assumed" in text for text in told.sentences)
