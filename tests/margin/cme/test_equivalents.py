"""Which contract stands for cash, and how many of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import roots
from crossmargin.margin.cme.equivalents import equivalents, stand_ins
from crossmargin.margin.cme.historical import cme_cubes
from crossmargin.margin.cme.span import span_model
from crossmargin.margin.cme.span_file import SecurityEquivalent, SpanFile
from crossmargin.policies import CmeEquivalents, Span, read_policy

RULES = read_policy("cme-ficc-2026-04-30").cme
AS_OF = np.datetime64("2025-03-13")
CODES = (("ZT", "CBT", "26"), ("ZN", "CBT", "21"))
NOTHING = CmeEquivalents((), 0.0, False, CODES)


def rows(*illiquid: str, minimum: float = 0.0, **volumes: float) -> list[tuple[float, str, str]]:
    """Return upper years, contract and bucket of what stands for cash."""
    table = CmeEquivalents(illiquid, minimum, False, ())
    found = stand_ins(RULES, AS_OF, table, volumes)
    return [(one.up_to, one.contract.symbol if one.contract else "", one.bucket) for one in found]


def test_without_a_table_each_contract_stands_for_its_bucket() -> None:
    plain = stand_ins(RULES, AS_OF)
    assert [one.reason for one in plain] == [""] * 7
    assert rows() == [(one.up_to, one.contract.symbol, one.bucket) for one in plain if one.contract]
    assert [one.up_to for one in plain] == [limit for limit, _ in RULES.equivalent_roots]


def test_a_bucket_without_a_liquid_contract_is_cut_in_the_middle() -> None:
    assert rows("Z3N")[:4] == [
        (2.5, "ZTM25", "ZT"),
        (3.0, "ZTM25", "Z3N"),
        (3.5, "ZFM25", "Z3N"),
        (5.5, "ZFM25", "ZF"),
    ]
    # Z3N and ZF together are the years from 2.5 to 5.5: the middle is 4.
    assert rows("ZF", "Z3N")[:5] == [
        (2.5, "ZTM25", "ZT"),
        (3.5, "ZTM25", "Z3N"),
        (4.0, "ZTM25", "ZF"),
        (5.5, "ZNM25", "ZF"),
        (8.0, "ZNM25", "ZN"),
    ]


def test_at_an_end_of_the_table_there_is_one_neighbour() -> None:
    found = rows("ZT", "Z3N", "ZB", "UB")
    assert found == [
        (2.5, "ZFM25", "ZT"),
        (3.5, "ZFM25", "Z3N"),
        (5.5, "ZFM25", "ZF"),
        (8.0, "ZNM25", "ZN"),
        (12.0, "TNM25", "TN"),
        (22.0, "TNM25", "ZB"),
        (100.0, "TNM25", "UB"),
    ]


def test_volumes_tell_what_is_liquid_where_the_policy_has_a_minimum() -> None:
    volumes = {"ZT": 900.0, "ZF": 100.0, "ZFM25": 5000.0, "TN": 999.9}
    assert rows(**volumes) == rows()
    # The contract's own volume comes before its root's; a root without one counts as liquid.
    assert rows(minimum=1000.0, **volumes) == rows("ZT", "TN")
    table = CmeEquivalents(("Z3N",), 1000.0, False, ())
    reasons = [one.reason for one in stand_ins(RULES, AS_OF, table, volumes)]
    assert reasons[0] == "ZTM25 trades 900 contracts a day, fewer than 1,000"
    assert reasons[1] == "the policy says that Z3N is not liquid"


def test_a_contract_that_is_not_listed_is_not_liquid() -> None:
    found = stand_ins(RULES, np.datetime64("2005-01-10"), NOTHING)
    assert [(one.up_to, one.contract and one.contract.root) for one in found] == [
        (2.5, "ZT"),
        (3.0, "ZT"),
        (3.5, "ZF"),
        (5.5, "ZF"),
        (8.0, "ZN"),
        (10.0, "ZN"),
        (12.0, "ZB"),
        (22.0, "ZB"),
        (100.0, "ZB"),
    ]
    assert found[1].reason == "Z3N is not listed"


def test_some_contract_must_be_liquid() -> None:
    with pytest.raises(InputError, match=r"none of cme.equivalent_roots is liquid: the policy"):
        rows(*roots("treasury"))


@settings(deadline=None, derandomize=True, database=None)
@given(st.sets(st.sampled_from([root for _, root in RULES.equivalent_roots]), max_size=6))
def test_every_year_has_one_liquid_contract_and_the_nearest_one(illiquid: set[str]) -> None:
    found = rows(*sorted(illiquid))
    limits = [limit for limit, _, _ in found]
    assert limits == sorted(set(limits))
    assert limits[-1] == 100.0
    names = [symbol[:-3] for _, symbol, _ in found]
    assert not illiquid & set(names)
    order = [root for _, root in RULES.equivalent_roots]
    assert [order.index(name) for name in names] == sorted(order.index(name) for name in names)
    assert set(names) == set(order) - illiquid


def file_of(**securities: tuple[tuple[str, str, float], ...]) -> SpanFile:
    """Return a file that names securities: product, month and factor."""
    return SpanFile(
        hash="",
        business_date=AS_OF,
        commodity={},
        in_dollars=frozenset(),
        scan_range={},
        settlement={},
        tiers={},
        delivery={},
        spreads=(),
        securities={
            cusip: tuple(
                SecurityEquivalent(("CBT", product), np.datetime64(month), factor)
                for product, month, factor in records
            )
            for cusip, records in securities.items()
        },
        not_decoded={},
    )


ONLY_ZT_ZN = replace(RULES, equivalent_roots=((3.0, "ZT"), (100.0, "ZN")))
FROM_FILE = replace(NOTHING, from_span_file=True)


@pytest.fixture
def universe(by_hand: Any) -> Any:
    # DV01 of a lot 0.02, 0.03, ... against 40 of ZT and 70 of ZN a contract.
    return by_hand(
        *((f"NOTE{n:05d}", [(2.0 + n, 100.0)], 1.0) for n in range(6)),
        ("ZTM25", [(2.25, 100.0, 0.25)], 2000.0),
        ("ZNM25", [(7.25, 100.0, 0.25)], 1000.0),
        years=[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 2.25, 7.25],
    )


def test_securities_enter_by_the_files_factor(universe: Any, market: Any) -> None:
    zt, zn = 6, 7
    file = file_of(
        # 0.005 contracts for 1,000 of face are 0.0005 a lot; by DV01 it is 0.02 / 40 = 0.0005.
        NOTE00000=(("26", "2025-06", 0.004),),
        # By years it is ZT's; the file says ZN.
        NOTE00001=(("21", "2025-06", 0.005),),
        # Two futures, another month, an unknown product, and ten times what DV01s say.
        NOTE00002=(("26", "2025-06", 0.005), ("21", "2025-06", 0.004)),
        NOTE00003=(("21", "2025-09", 0.005),),
        NOTE00004=(("21", "2025-06", 0.1),),
        OTHERNOTE=(("21", "2025-06", 0.005),),
    )
    plain = equivalents(universe, ONLY_ZT_ZN, AS_OF)
    found = equivalents(universe, ONLY_ZT_ZN, AS_OF, FROM_FILE, file=file)
    assert found.contract.tolist() == [zt, zn, zn, zn, zn, zn]
    assert found.ratio[:2].tolist() == [0.004 * 100 / 1000, 0.005 * 100 / 1000]
    assert found.ratio[2:].tolist() == plain.ratio[2:].tolist()
    assert found.priced.all()
    assert found.describe()["equivalents_from_file"] == {
        "by_dv01": 1,
        "by_factor": 2,
        "implausible": 1,
        "other_contract": 1,
        "several_contracts": 1,
    }
    # Only where the policy says so.
    for table in (None, NOTHING):
        same = equivalents(universe, ONLY_ZT_ZN, AS_OF, table, file=file)
        assert same.ratio.tolist() == plain.ratio.tolist()
        assert list(same.describe()) == ["equivalents"]


def test_both_models_take_what_stands_for_cash(
    universe: Any, market: Any, scenario_rules: Any
) -> None:
    table = replace(FROM_FILE, illiquid=("ZT",))
    file = file_of(NOTE00000=(("26", "2025-06", 0.004),))
    own = equivalents(universe, ONLY_ZT_ZN, AS_OF, table, file=file)
    assert own.contract.tolist() == [6, 7, 7, 7, 7, 7]
    historical, stressed, priced = cme_cubes(
        universe, market, ONLY_ZT_ZN, scenario_rules, equivalent=own
    )
    assert priced.all()
    for cube in (historical, stressed.cube):
        zt, zn = cube.pnl[6], cube.pnl[7]
        for note, (pnl, ratio) in enumerate(((zt, 0.0004), (zn, 0.03 / 70.0))):
            np.testing.assert_allclose(cube.pnl[note], ratio * pnl, rtol=0, atol=2.0**-21)
    span = read_policy("cme-ficc-2026-04-30-span").get(Span)
    assert span is not None
    rules = replace(span, calibration_rows=100, spreads=())
    model = span_model(universe, market, ONLY_ZT_ZN, rules, equivalent=own)
    assert model.contract[:2].tolist() == [0, 1]
    assert model.delta[:2].tolist() == pytest.approx([0.0004, 0.03 / 70.0], abs=2.0**-33)


def test_the_manifest_says_what_stands_for_which_years_and_why() -> None:
    table = CmeEquivalents(("Z3N",), 0.0, False, ())
    found = [
        {"up_to_years": one.up_to, "bucket": one.bucket, "reason": one.reason or None}
        for one in stand_ins(RULES, AS_OF, table)
    ]
    assert found[1:3] == [
        {
            "up_to_years": up_to,
            "bucket": "Z3N",
            "reason": "the policy says that Z3N is not liquid",
        }
        for up_to in (3.0, 3.5)
    ]
