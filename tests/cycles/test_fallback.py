"""A clearing house that is late: three rules, each worked out by hand."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.cycles.fallback import fallback_rules
from crossmargin.exceptions import InputError
from crossmargin.policies import FallbackRules
from crossmargin.policies.sections.cycles import FALLBACKS

RULES = ("zero_benefit", "last_good_factor", "other_side_factor")


def good(
    *rows: tuple[str, float] | tuple[str, float, str] | tuple[str, float, str, str],
) -> pa.Table:
    """Return last good rates; of the day before the sample's unless a row says otherwise."""
    full = [(*row, *("2026-06-09", "EOD")[len(row) - 2 :]) for row in rows]
    names = ("account", "offset_rate", "day", "cycle")
    return pa.table({name: [row[at] for row in full] for at, name in enumerate(names)})


def cells(table: Any, account: str) -> dict[str, Any]:
    rows = {row["account"]: row for row in table.to_arrow().to_pylist()}
    return rows[account]


@pytest.fixture(scope="module")
def run(run_by_cubes: Callable[..., xm.RunResult]) -> xm.RunResult:
    return run_by_cubes(
        ("BOTH", 1_000_000, 10, 0),
        ("CAPPED", 1_000_000, 22, 0),
        ("CASH", 1_000_000, 0, 0),
        ("OUT", 1_000_000, 10, 0),
        ("EDGE", 9_000_000, 1, 0),
        ("NONE", -1_000_000, 10, 0),
    )


def test_by_hand(run: xm.RunResult) -> None:
    # Cash 10,000; 10 futures of 500 at FICC save 10/15, of 300 at CME save 6/13.
    table = xm.fallbacks(run, late="CME", last_good=good(("BOTH", 0.5)))
    row = cells(table, "BOTH")
    assert row["offset_rate"] == pytest.approx(6 / 13, abs=1e-15)
    assert row["requirement"] == Decimal("7000.00")
    assert (row["offset_rate_zero_benefit"], row["reason_zero_benefit"]) == (0.0, "CCP_LATE")
    assert row["requirement_zero_benefit"] == Decimal("13000.00")
    assert (row["offset_rate_last_good_factor"], row["reason_last_good_factor"]) == (0.5, None)
    assert row["requirement_last_good_factor"] == Decimal("6500.00")
    # CME is late: FICC's saving alone. 10,000 / 3 and 3,000 / 3.
    assert row["offset_rate_other_side_factor"] == pytest.approx(2 / 3, abs=1e-15)
    assert row["requirement_other_side_factor"] == Decimal("4333.33")
    assert (row["last_good_rate"], row["last_good_cycle"]) == (0.5, "EOD")
    assert row["last_good_day"] == datetime.date(2026, 6, 9)
    assert row["rule"] == "zero_benefit"


def test_the_other_side_is_the_one_that_is_there(run: xm.RunResult) -> None:
    row = cells(xm.fallbacks(run, late="FICC"), "BOTH")
    assert row["offset_rate_other_side_factor"] == pytest.approx(6 / 13, abs=1e-15)
    # Under the minimum by CME's model (600 / 90,300), above it by FICC's (1,000 / 90,500).
    late_ficc, late_cme = (cells(xm.fallbacks(run, late=ccp), "EDGE") for ccp in ("FICC", "CME"))
    assert late_ficc["offset_rate_other_side_factor"] == 0.0
    assert late_ficc["reason_other_side_factor"] == "BELOW_MINIMUM"
    assert late_cme["offset_rate_other_side_factor"] == pytest.approx(1000 / 90500, abs=1e-15)


def test_no_rate_is_above_the_cap(run: xm.RunResult) -> None:
    # 22 futures of 500 at FICC: 11,000 against 10,000, of which 1,000 is left: 20/21.
    table = xm.fallbacks(run, late=["CME"], last_good=good(("CAPPED", 0.95)))
    row = cells(table, "CAPPED")
    assert row["offset_rate_last_good_factor"] == 0.8
    assert row["offset_rate_other_side_factor"] == 0.8
    assert row["last_good_rate"] == 0.95
    assert row["requirement_last_good_factor"] == Decimal("3320.00")


def test_both_late_leaves_no_other_side(run: xm.RunResult) -> None:
    row = cells(xm.fallbacks(run, late=("FICC", "CME"), last_good=good(("BOTH", 0.5))), "BOTH")
    assert (row["offset_rate_other_side_factor"], row["reason_other_side_factor"]) == (
        0.0,
        "BOTH_LATE",
    )
    assert row["requirement_other_side_factor"] == row["requirement_zero_benefit"] == 13000
    assert row["offset_rate_last_good_factor"] == 0.5


def test_who_has_no_benefit_today_has_none_by_any_rule(run: xm.RunResult) -> None:
    table = xm.fallbacks(run, late="FICC", last_good=good(("CASH", 0.5), ("OUT", 0.5)))
    for account, reason in (("CASH", "ONE_SIDED"), ("OUT", "NOT_ELIGIBLE")):
        row = cells(table, account)
        for rule in RULES:
            assert (row[f"offset_rate_{rule}"], row[f"reason_{rule}"]) == (0.0, reason)
            assert row[f"requirement_{rule}"] == row["requirement"]


def test_a_position_that_does_not_hedge_has_nothing_from_the_other_side(run: xm.RunResult) -> None:
    row = cells(xm.fallbacks(run, late="FICC", last_good=good(("NONE", 0.0))), "NONE")
    for rule in ("last_good_factor", "other_side_factor"):
        assert (row[f"offset_rate_{rule}"], row[f"reason_{rule}"]) == (0.0, "NO_SAVING")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("BOTH", 0.5, "2026-06-10", "ITD"), None),
        (("BOTH", 0.5, "2026-06-03", "EODXM"), None),
        (("BOTH", 0.5, "2026-06-02", "EODXM"), "NO_LAST_GOOD"),
        (("BOTH", 0.01), None),
        (("BOTH", 0.0099), "BELOW_MINIMUM"),
        (("BOTH", 0.0), "NO_SAVING"),
        (("SOMEBODY", 0.5), "NO_LAST_GOOD"),
    ],
)
def test_which_last_rate_is_good(run: xm.RunResult, row: Any, reason: str | None) -> None:
    found = cells(xm.fallbacks(run, late="FICC", last_good=good(row)), "BOTH")
    assert found["reason_last_good_factor"] == reason
    assert found["offset_rate_last_good_factor"] == (row[1] if reason is None else 0.0)


def test_without_last_good_rates_theirs_is_unknown_not_zero(run: xm.RunResult) -> None:
    row = cells(xm.fallbacks(run, late="FICC"), "BOTH")
    names = ("offset_rate", "reason", "requirement")
    assert [row[f"{name}_last_good_factor"] for name in names] == [None] * 3
    with pytest.raises(InputError, match="last_good_factor needs them"):
        xm.apply_fallback(run, late="FICC", rule="last_good_factor")
    # An empty table is an answer: there has been no good day yet.
    row = cells(xm.fallbacks(run, late="FICC", last_good=good()), "BOTH")
    assert row["reason_last_good_factor"] == "NO_LAST_GOOD"


@pytest.mark.parametrize("late", ["FICC", "CME", ("CME", "FICC")])
@pytest.mark.parametrize("rule", RULES)
def test_what_is_applied_is_what_the_table_shows(run: xm.RunResult, rule: str, late: Any) -> None:
    table, last = xm.fallbacks(run, late=late, last_good=good(("BOTH", 0.5))), None
    if rule == "last_good_factor":
        last = good(("BOTH", 0.5))
    applied = xm.apply_fallback(run, late=late, last_good=last, rule=rule)
    for name in ("offset_rate", "reason", "requirement"):
        assert applied.accounts[name].to_pylist() == table[f"{name}_{rule}"].to_pylist()
    for name in ("v_ficc_cash", "v_cme_futures", "offset_rate_ficc", "offset_rate_cme"):
        assert applied.accounts[name].equals(run.accounts[name])
    entry = applied.manifest["offset_rates"]
    assert (entry["source"], entry["rule"]) == ("fallback", rule)
    assert entry["late"] == (["FICC", "CME"] if isinstance(late, tuple) else [late])
    assert applied.manifest["run_id"] != run.manifest["run_id"]


def test_the_policy_says_which_rule(run_by_cubes: Callable[..., xm.RunResult]) -> None:
    policy = xm.read_policy().with_sections(FallbackRules("other_side_factor", 0))
    run = run_by_cubes(("BOTH", 1_000_000, 10, 0), policy=policy)
    rows = good(("BOTH", 0.5))
    table = xm.fallbacks(run, late="CME", last_good=rows)
    assert table["rule"].to_pylist() == ["other_side_factor"]
    # No business day back: yesterday's is too old.
    assert table["reason_last_good_factor"].to_pylist() == ["NO_LAST_GOOD"]
    assert xm.apply_fallback(run, late="CME").accounts["requirement"].to_pylist() == [
        Decimal("4333.33")
    ]
    first = run_by_cubes(("BOTH", 1_000_000, 10, 0), policy=xm.read_policy("cme-ficc-2026-04-30"))
    assert fallback_rules(first).rule == "zero_benefit"


def test_under_a_table_of_the_policy_the_other_side_has_that_table(
    sample_inputs: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    example = request.config.rootpath / "docs/policies/example-class-disallowance.toml"
    run = xm.run(**sample_inputs, policy=example)
    table = xm.fallbacks(run, late="FICC")
    assert max(run.accounts["offset_rate"].to_pylist()) > 0.0
    assert table["offset_rate_other_side_factor"].equals(run.accounts["offset_rate"])
    assert table["reason_other_side_factor"].equals(run.accounts["reason"])


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_properties(sample_run: xm.RunResult, data: st.DataObject) -> None:
    names = sample_run.accounts["account"].to_pylist()
    picked = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=20))
    rate = st.floats(0.0, 1.0)
    last = good(*[(name, data.draw(rate)) for name in picked]) if picked else good()
    late = data.draw(st.sampled_from(["FICC", "CME", ("FICC", "CME")]))
    rows = xm.fallbacks(sample_run, late=late, last_good=last).to_arrow().to_pylist()
    assert [row["account"] for row in rows] == names
    for row in rows:
        for rule in RULES:
            assert 0.0 <= row[f"offset_rate_{rule}"] <= 0.8
            assert (row[f"offset_rate_{rule}"] == 0.0) == (row[f"reason_{rule}"] is not None)
            known = row[f"requirement_{rule}"]
            assert (known is None) == (row["requirement"] is None)
            assert known is None or known <= row["requirement_zero_benefit"]
        if late != ("FICC", "CME"):
            # The models' own rate is the smaller of both sides.
            assert row["offset_rate_other_side_factor"] >= row["offset_rate"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (good(("BOTH", 0.5, "2026-06-11")), "comes after the run of 2026-06-10 EOD"),
        (good(("X", 0.5, "2026-06-10", "EODXM")), "row 1: 2026-06-10 EODXM comes after"),
        (good(("BOTH", 0.5), ("BOTH", 0.5)), "BOTH has more than one row"),
        (good(("BOTH", 50.0)), "outside 0 to 1"),
        (good(("BOTH", 0.5, "2026-06-09", "NOON")), "not one of ITD"),
        (good(("BOTH", 0.5, "soon")), "not a date"),
    ],
)
def test_rates_that_cannot_be_last_are_refused(
    run: xm.RunResult, rows: pa.Table, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        xm.fallbacks(run, late="FICC", last_good=rows)


def test_arguments_of_another_kind_are_refused(run: xm.RunResult) -> None:
    for late in ((), "", "LCH", ("FICC", "LCH")):
        with pytest.raises(ValueError, match="late: FICC, CME or both expected"):
            xm.fallbacks(run, late=late)
    with pytest.raises(TypeError, match="run: a run"):
        xm.fallbacks("results", late="FICC")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rule: 'none' is not one of zero_benefit"):
        xm.apply_fallback(run, late="FICC", rule="none")
    with pytest.raises(ValueError, match="were given"):
        xm.fallbacks(xm.apply_fallback(run, late="FICC"), late="FICC")
    assert FALLBACKS == RULES
