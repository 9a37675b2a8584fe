"""The offset rate without spreads and assumed bases is that of a run without these tables."""

from __future__ import annotations

from typing import Any

import crossmargin as xm
from crossmargin.policies import BasisProcessRules, SpreadRules, read_policy

POLICY = read_policy("cme-ficc-2026-11-30")


def test_it_equals_a_run_without_the_tables(sample_inputs: dict[str, Any]) -> None:
    run = xm.run(**sample_inputs, policy=POLICY)
    alone = xm.run(**sample_inputs, policy=POLICY.without_sections(SpreadRules, BasisProcessRules))
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
