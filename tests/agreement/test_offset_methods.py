from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.agreement.offset_methods import credited, scheme, shared_out
from crossmargin.policies import ClassDisallowance, Policy

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "policies"


@pytest.mark.parametrize(
    ("cash", "futures", "offsets", "expected"),
    [
        # Within a class: half of the smaller leg.
        ((30.0,), (-40.0,), [(0, 0, 0.5)], [15.0]),
        ((-30.0,), (40.0,), [(0, 0, 0.5)], [15.0]),
        # The same direction, or one leg alone: nothing.
        ((30.0,), (40.0,), [(0, 0, 0.5)], [0.0]),
        ((-30.0,), (-40.0,), [(0, 0, 0.5)], [0.0]),
        ((30.0,), (0.0,), [(0, 0, 0.5)], [0.0]),
        # 30 of the 40 go within the class at 3/4; the other 10 against class 1 at 1/4.
        ((30.0, 50.0), (-40.0, 0.0), [(0, 0, 0.75), (1, 0, 0.25)], [22.5, 2.5]),
        # In the other order class 1 uses all 40 at the lower share, and nothing is left.
        ((30.0, 50.0), (-40.0, 0.0), [(1, 0, 0.25), (0, 0, 0.75)], [10.0, 0.0]),
        # Class 1 is short at both ccps: its cash offsets class 0's long future, no more than 20.
        ((8.0, -50.0), (20.0, -6.0), [(0, 0, 1.0), (1, 1, 1.0), (1, 0, 0.5)], [0.0, 0.0, 10.0]),
        # A share of nothing still uses the legs.
        ((30.0, 50.0), (-40.0, 0.0), [(0, 0, 0.0), (1, 0, 1.0)], [0.0, 10.0]),
        ((30.0,), (-40.0,), [], []),
    ],
)
def test_offsets_are_taken_in_their_order(
    cash: Any, futures: Any, offsets: Any, expected: list[float]
) -> None:
    used, credit = credited(np.array([cash]), np.array([futures]), offsets)
    assert credit.tolist() == [expected]
    share = [share for _, _, share in offsets]
    assert [n * part for n, part in zip(used[0], share, strict=True)] == expected


MARGINS = st.lists(st.integers(-(2**20), 2**20).map(float), min_size=3, max_size=3)
OFFSETS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    max_size=6,
)


@given(MARGINS, MARGINS, OFFSETS, st.integers(1, 1000))
def test_credit_is_within_either_side_and_scales(
    cash: list[float], futures: list[float], offsets: Any, factor: int
) -> None:
    one, other = np.array([cash]), np.array([futures])
    used, credit = credited(one, other, offsets)
    assert (credit >= 0.0).all()
    assert credit.sum() <= used.sum() <= min(np.abs(one).sum(), np.abs(other).sum())
    # Quarters of whole numbers: exact.
    _, scaled = credited(factor * one, factor * other, offsets)
    assert scaled.tolist() == (factor * credit).tolist()
    # All the other way round is the same.
    assert credited(-one, -other, offsets)[1].tolist() == credit.tolist()


@given(
    st.lists(st.integers(0, 2**20).map(float), min_size=1, max_size=4),
    st.integers(0, 2**22).map(float),
)
def test_buckets_have_no_more_to_offset_than_the_account(apart: list[float], whole: float) -> None:
    (found,) = shared_out(np.array([apart]), np.array([whole]))
    assert (found >= 0.0).all()
    assert (found <= apart).all()
    assert found.sum() == pytest.approx(min(sum(apart), whole), rel=1e-12)
    if sum(apart) <= whole:
        assert found.tolist() == apart


def test_a_book_that_hedges_itself_has_little_left_to_offset() -> None:
    # 100,000 of 2Y against 100,000 of 5Y nets to 10,000: two-year futures offset half of that.
    row = margined(
        xm.read_policy(EXAMPLES / "example-class-disallowance.toml"),
        "cash,NOTE00002,10000000",
        "cash,NOTE00005,-2250000",
        "future,ZTU26,-100",
    )
    assert row["v_ficc_cash"] == 10_000
    assert row["v_cme_futures"] == 200_000
    used = 100_000 * 10_000 / 190_000
    # Futures are long of nothing, so that the short 5Y of cash meets no opposite.
    assert row["offsets"] == {
        "2Y : 2Y": (pytest.approx(used, rel=1e-12), pytest.approx(0.75 * used, rel=1e-12))
    }
    assert row["offset_rate"] == pytest.approx(2 * 0.75 * used / 210_000, rel=1e-14)


SECURITIES = pa.table(
    {
        # The first and the last one are deliverable into ZT and ZN of September 2026.
        "cusip": ["NOTE00002", "NOTE00005", "NOTE00010", "NOTE00007"],
        "coupon_pct": ["4", "4", "4", "4"],
        "issue_date": ["2026-06-01", "2026-05-31", "2026-05-15", "2026-05-31"],
        "maturity_date": ["2028-06-30", "2031-05-31", "2036-05-15", "2033-05-31"],
    }
)
PNL = {
    # USD lost per 100 face or per contract in the one scenario where yields rise, and the gain in
    # the other one.
    "NOTE00002": 1.0,
    "NOTE00005": 4.0,
    "NOTE00010": 8.0,
    "ZTU26": 2_000.0,
    "ZTZ26": 2_000.0,
    "ZNU26": 6_000.0,
    "SR3U26": 1_000.0,
}


def margined(rules: Policy, *positions: str) -> dict[str, Any]:
    """Return the account's row: each V is |sum of position * PNL|, at either ccp."""
    cells = [line.split(",") for line in positions]
    names = ("kind", "instrument", "quantity")
    cube = pa.table(
        {
            "instrument": list(PNL),
            "up": [-loss for loss in PNL.values()],
            "down": list(PNL.values()),
        }
    )
    result = xm.run(
        positions=pa.table(
            {
                "account": ["A"] * len(cells),
                **{name: [row[i] for row in cells] for i, name in enumerate(names)},
                "xm": ["true"] * len(cells),
            }
        ),
        accounts=pa.table(
            {
                "account": ["A"],
                "origin": ["customer"],
                "ficc_role": ["sponsored_member"],
                "opted_in": ["true"],
                "clearing_firm": ["F1"],
            }
        ),
        securities=SECURITIES,
        market=xm.sample_market(),
        policy=rules,
        ficc_cube=cube,
        cme_cube=cube,
        threads=1,
    )
    (row,) = result.accounts.to_arrow().to_pylist()
    assert isinstance(row, dict)
    parts = result.breakdown.to_arrow().to_pylist()
    assert all(part["component"] == "reduction" and part["ccp"] is None for part in parts)
    return row | {"offsets": {part["item"]: (part["quantity"], part["amount"]) for part in parts}}


def test_class_disallowance_of_a_book_by_hand() -> None:
    # Within 1/4, across neighbours 1/2 disallowed (the example's numbers).
    row = margined(
        xm.read_policy(EXAMPLES / "example-class-disallowance.toml"),
        "cash,NOTE00002,10000000",
        "cash,NOTE00005,5000000",
        "future,ZTU26,-100",
        "future,ZNU26,10",
    )
    assert row["v_ficc_cash"] == 100_000 + 200_000
    assert row["v_cme_futures"] == 200_000 - 60_000
    # Futures: 2Y short 100 * 2,000; 10Y long 60,000, since ZN's cheapest has about seven years.
    # They hedge each other, so that 140,000 is all there is of them: 140 / 260 of each.
    short = 200_000 * 140_000 / 260_000
    # Class 2Y: 100,000 lots * 1 long, the smaller leg, at 3/4. Class 5Y: 50,000 * 4 long, no
    # future. Across 2Y-5Y: what is left of the short future at 1/2. There is no short cash.
    left = short - 100_000
    reduction = 75_000 + 0.5 * left
    assert row["offsets"] == {
        "2Y : 2Y": (100_000, 75_000),
        "5Y : 2Y": (pytest.approx(left, rel=1e-12), pytest.approx(0.5 * left, rel=1e-12)),
    }
    # Each clearing house takes it off.
    reduction *= 2
    assert row["offset_rate"] == pytest.approx(reduction / (300_000 + 140_000), rel=1e-14)
    assert (row["binding"], row["capped"], row["reason"]) == (None, False, None)
    assert float(row["programme_saving"]) == pytest.approx(reduction, abs=0.01)


def test_spread_credit_of_a_book_by_hand() -> None:
    # 10Y against ZN at 3/4; 2Y against ZT at 3/4 (the example's numbers).
    row = margined(
        xm.read_policy(EXAMPLES / "example-spread-credit.toml"),
        "cash,NOTE00002,-1000000",
        "cash,NOTE00010,2000000",
        "future,ZNU26,-20",
        "future,ZTU26,8",
        "future,SR3U26,-3",
    )
    assert row["v_ficc_cash"] == 160_000 - 10_000
    assert row["v_cme_futures"] == 120_000 - 16_000 + 3_000
    # 10Y long 20,000 * 8 against ZN short 20 * 6,000; 2Y short 10,000 against ZT long 16,000; no
    # spread has SR3. Scaled to what each side has in all, 150 / 170 and 107 / 136 of each.
    zn, zt = 120_000 * 107 / 136, 10_000 * 150 / 170
    assert row["offsets"] == {
        "2Y : ZT": (pytest.approx(zt, rel=1e-12), pytest.approx(0.75 * zt, rel=1e-12)),
        "10Y : ZN": (pytest.approx(zn, rel=1e-12), pytest.approx(0.75 * zn, rel=1e-12)),
    }
    # Off at each clearing house.
    assert row["offset_rate"] == pytest.approx(
        2 * 0.75 * (zn + zt) / (150_000 + 107_000), rel=1e-14
    )
    assert (row["binding"], row["reason"]) == (None, None)


@pytest.mark.parametrize("name", ["class-disallowance", "spread-credit"])
def test_cap_and_reasons_are_those_of_the_current_rule(name: str) -> None:
    rules = xm.read_policy(EXAMPLES / f"example-{name}.toml")
    hedge = ("cash,NOTE00002,10000000", "future,ZTU26,-50")
    row = margined(rules, *hedge)
    # A quarter is left of each 100,000.
    assert (row["offset_rate"], row["capped"], row["requirement_ficc"]) == (0.75, False, 25_000)
    assert row["requirement_cme"] == 25_000
    low = replace(rules, agreement=replace(rules.agreement, cap=0.25))
    row = margined(low, *hedge)
    assert (row["offset_rate"], row["capped"], row["binding"]) == (0.25, True, None)
    high = replace(rules, agreement=replace(rules.agreement, minimum_saving=0.76))
    assert margined(high, *hedge)["reason"] == "BELOW_MINIMUM"
    same_way = margined(rules, hedge[0], "future,ZTU26,50")
    assert (same_way["offset_rate"], same_way["reason"]) == (0.0, "NO_SAVING")
    assert margined(rules, hedge[0])["reason"] == "ONE_SIDED"


def test_short_rate_futures_are_in_the_first_class() -> None:
    rules = xm.read_policy(EXAMPLES / "example-class-disallowance.toml")
    row = margined(rules, "cash,NOTE00002,10000000", "future,SR3U26,-40")
    assert row["offset_rate"] == 2 * 0.75 * 40_000 / (100_000 + 40_000)


def test_upper_end_of_a_class_belongs_to_it_and_the_last_has_none(
    sample_book: Callable[..., dict[str, Any]],
) -> None:
    rules = xm.read_policy(EXAMPLES / "example-class-disallowance.toml")
    result = xm.run(**sample_book(40), market=xm.sample_market(), policy=rules, threads=1)
    assert result.stages is not None
    universe = result.stages.models.universe
    by_class = rules.get(ClassDisallowance)
    assert by_class is not None
    treasury = np.flatnonzero(universe.kind == "treasury")
    ordered = np.unique(universe.years[treasury])
    low, high = float(ordered[ordered.size // 3]), float(ordered[-2])
    classes = (("low", low), ("high", high))
    table = replace(by_class, classes=classes, within=(0.0, 0.0), across=())
    found = scheme(rules.with_sections(table), universe)
    assert found is not None
    years = universe.years[treasury]
    expected = np.where(years <= low, 0, 1)
    assert (
        found.bucket[treasury].tolist()
        == np.where(universe.priced[treasury], expected, -1).tolist()
    )
    assert found.bucket[universe.kind == "forward cash leg"].max() == -1


def test_what_we_cannot_value_takes_no_part() -> None:
    # Nothing is deliverable into the December contract: it has a P&L, but neither term nor DV01.
    rules = xm.read_policy(EXAMPLES / "example-class-disallowance.toml")
    row = margined(rules, "cash,NOTE00002,10000000", "future,ZTZ26,-50")
    assert (row["v_cme_futures"], row["offset_rate"], row["reason"]) == (100_000, 0.0, "NO_SAVING")


def test_the_manifest_names_the_offset_method_and_sessions_follow_it(
    sample_book: Callable[..., dict[str, Any]],
) -> None:
    rules = EXAMPLES / "example-class-disallowance.toml"
    result = xm.run(**sample_book(40), market=xm.sample_market(), policy=rules, threads=1)
    assert result.manifest["policy"]["offset_method"] == "class_disallowance"
    rows = {row["account"]: row for row in result.accounts.to_arrow().to_pylist()}
    assert any(row["offset_rate"] > 0.0 for row in rows.values())
    session = xm.Session(result, threads=1)
    asked = session.what_ifs([(name, {}) for name in session.accounts]).to_arrow().to_pylist()
    for answer in asked:
        for column in ("offset_rate", "reason", "binding", "requirement", "saving"):
            assert answer[column] == rows[answer["account"]][column]
