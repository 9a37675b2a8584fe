"""Scan ranges by tier of a root."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.conventions import FUTURES
from crossmargin.engine import Book, revalue
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import roots
from crossmargin.margin.cme.span import (
    SpanModel,
    Spread,
    scaled_ranges,
    span_detail,
    span_margin,
    span_model,
    with_file,
)
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.cme.span_parts import span_parts
from crossmargin.margin.cme.span_ranges import ScanRanges, tier_contracts
from crossmargin.margin.observed import Outright
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Span, SpanTiers, read_policy

POLICY = read_policy("cme-ficc-2026-04-30-span")
TABLE = POLICY.get(Span)
assert TABLE is not None
RULES = replace(TABLE, calibration_rows=100, spreads=())
CME = replace(POLICY.cme, equivalent_roots=((3.0, "ZT"), (100.0, "ZN")))
NAMES = roots()
AS_OF = np.datetime64("2025-03-13")


def ranges_of(**by_root: dict[tuple[int, int], float] | float) -> ScanRanges:
    """Return ranges: a number of USD for a root, or one for each of its tiers."""
    rows: list[tuple[str, tuple[int, int] | None, float]] = []
    for root in NAMES:
        usd = by_root.get(root, np.nan)
        tiers = usd if isinstance(usd, dict) else {None: usd}
        rows += [(root, months, amount) for months, amount in tiers.items()]
    root, months, usd = zip(*rows, strict=True)
    empty, nothing = ("",) * len(rows), np.full(len(rows), np.nan)
    return ScanRanges(root, months, np.array(usd), empty, empty, nothing, nothing)


def test_a_month_between_tiers_is_in_the_next_one_and_one_beyond_in_the_last() -> None:
    ranges = ranges_of(SR3={(0, 2): 1.0, (6, 8): 2.0}, ZN=3.0)
    first = ranges.root.index("SR3")
    assert [ranges.number("SR3", month) - first for month in (-3, 0, 2, 3, 6, 8, 9, 99)] == [
        *(0, 0, 0),
        *(1, 1, 1, 1, 1),
    ]
    assert ranges.number("ZN", 50) == ranges.root.index("ZN")
    assert ranges.roots == NAMES
    rows = [row for row in ranges.describe() if row["root"] == "SR3"]
    assert [(row["tier"], row["first_month"], row["last_month"]) for row in rows] == [
        (1, 0, 2),
        (2, 6, 8),
    ]


def tiered(contracts: dict[str, int], ranges: ScanRanges, **rules: Any) -> SpanModel:
    """Return a model of contracts, each with its month after the as-of month."""
    names = [name.split()[0] for name in contracts]
    size = len(names)
    return SpanModel(
        rules=replace(RULES, **rules),
        ranges=ranges,
        spreads=(Spread((NAMES.index("SR3"), NAMES.index("ZN")), (1.0, -1.0), 0.5),),
        contract=np.arange(size),
        delta=np.ones(size),
        root=np.array([NAMES.index(name) for name in names]),
        month=np.array(list(contracts.values())),
        scan_range=np.array(list(map(ranges.number, names, contracts.values()))),
        priced=np.ones(10, dtype=bool),
    )


OWN = tiered(
    {"SR3 near": 0, "SR3 serial": 1, "SR3 far": 6, "ZN": 3},
    ranges_of(SR3={(0, 2): 400.0, (3, 8): 700.0}, ZN=1000.0),
)


def test_months_move_together_by_the_same_share_of_their_ranges(book_of: Any) -> None:
    # +6 and -1 near, -2 far: 5 * 400 - 2 * 700 = 600 when all prices rise by their range.
    detail = span_detail(book_of([{}, {0: 6, 1: -1, 2: -2}, {}, {}]), OWN)
    sr3 = NAMES.index("SR3")
    assert detail.net_delta[0, FUTURES, sr3] == 3.0
    assert detail.gain[0, FUTURES, sr3] == detail.scan[0, FUTURES, sr3] == 600.0
    # It loses when prices fall by the whole range: scenario 13. The other way round: 11.
    assert detail.scenario[0, FUTURES, sr3] == 13
    detail = span_detail(book_of([{}, {0: -6, 1: 1, 2: 2}, {}, {}]), OWN)
    assert detail.scan[0, FUTURES, sr3] == 600.0
    assert detail.scenario[0, FUTURES, sr3] == 11


@pytest.mark.parametrize(
    ("held", "scan", "formed", "credit"),
    [
        # Net +3 with a risk of 600, 200 a delta: one spread with ZN.
        ({0: 5, 2: -2, 3: -1}, 1600.0, 1.0, 0.5 * (200.0 + 1000.0)),
        # Net zero: 2 * 400 - 2 * 700.
        ({0: 2, 2: -2, 3: -1}, 1600.0, 0.0, 0.0),
        # Net +3 without a risk: 7 * 400 - 4 * 700. There is nothing that ZN could offset.
        ({0: 7, 2: -4, 3: -1}, 1000.0, 0.0, 0.0),
        # Net +1, but it gains when prices fall: 3 * 400 - 2 * 700 = -200. ZN adds to that.
        ({0: 3, 2: -2, 3: -1}, 1200.0, 0.0, 0.0),
    ],
)
def test_a_spread_needs_a_net_delta_that_moves_as_the_root_does(
    book_of: Any, held: dict[int, int], scan: float, formed: float, credit: float
) -> None:
    book = book_of([{}, held, {}, {}])
    detail = span_detail(book, OWN)
    assert detail.scan[0, FUTURES].sum() == scan
    assert detail.spreads[0, FUTURES].tolist() == [formed]
    assert detail.credit[0, FUTURES].tolist() == [credit]
    assert span_margin(book, OWN).v[0, FUTURES] == scan - credit


def test_scan_risk_is_shared_out_by_delta_and_range(book_of: Any) -> None:
    book = book_of([{}, {0: 5, 2: -2, 3: -1}, {}, {}])
    margin = span_margin(book, OWN)
    parts = {part.component: part for part in span_parts(book, OWN, margin, 1)}
    assert parts["scan"].per_lot[0, FUTURES].tolist() == [400.0, 400.0, 700.0, -1000.0]
    # Five near contracts carry 2000 of 600, two far ones -1400: the credit of 100 likewise.
    credit = parts["credit"].per_lot[0, FUTURES]
    assert credit[[0, 2, 3]].tolist() == pytest.approx([-100 / 1.5, -700 / 6, 500.0], rel=1e-14)
    total = sum((p.per_lot[0, FUTURES] * [5.0, 0.0, -2.0, -1.0]).sum() for p in parts.values())
    assert total == pytest.approx(margin.v[0, FUTURES], rel=1e-14)


quantities = st.dictionaries(st.integers(0, 3), st.integers(-(10**6), 10**6), max_size=4)


@settings(deadline=None, derandomize=True, database=None)
@given(held=quantities)
def test_v_is_homogeneous_and_at_most_what_contracts_ask_for_apart(held: dict[int, int]) -> None:
    def v(times: int) -> float:
        lines = sorted(held.items())
        book = Book.from_arrays(
            [0, 0, len(lines), len(lines), len(lines)],
            [i for i, _ in lines],
            [times * q for _, q in lines],
            columns=10,
        )
        return float(span_margin(book, OWN).v[0, FUTURES])

    usd = [400.0, 400.0, 700.0, 1000.0]
    assert 0.0 <= v(1) <= sum(abs(q) * usd[i] for i, q in held.items()) * (1.0 + 1e-15)
    assert v(-1) == v(1)
    assert v(4) == 4.0 * v(1)


def test_an_observed_margin_of_a_root_scales_all_of_its_tiers() -> None:
    observed = ObservedMargin("SR3", AS_OF, 500.0)
    outright = Outright(observed, "SR3J25", 400.0, 390.0, "scale", 1.25)
    ranges = scaled_ranges(OWN, [outright]).ranges
    keys = zip(ranges.root, ranges.months, strict=True)
    usd = dict(zip(keys, ranges.usd.tolist(), strict=True))
    assert [usd["SR3", (0, 2)], usd["SR3", (3, 8)], usd["ZN", None]] == [500.0, 875.0, 1000.0]


def tiers(*rows: tuple[str, int, int], ranges: tuple[tuple[str, int, float], ...] = ()) -> Any:
    return SpanTiers(rows, ranges)


def test_a_tier_has_the_largest_range_of_its_quarterly_contracts(by_hand: Any, market: Any) -> None:
    universe = by_hand(
        # Sensitive to the zero rate at the second time: 100 a rate of one.
        ("ZTM25", [(2.25, 100.0, 0.25)], 2000.0),
        ("ZNM25", [(7.25, 100.0, 0.25)], 1000.0),
        ("SR3H25", [(1.0, 100.0, 0.25)], 2500.0),
        ("SR3J25", [(5.0, 100.0, 0.25)], 2500.0),
        ("SR3M25", [(2.0, 100.0, 0.25)], 2500.0),
        ("SR3N25", [(3.0, 100.0, 0.25)], 2500.0),
        # The tier's only quarterly contract is not priced: another one stands for it.
        ("SR3Q25", [(4.0, 100.0, 0.25)], 2500.0),
        ("SR3U25", [], 2500.0),
        years=[0.0] * 8,
    )
    own = span_model(
        universe,
        market,
        CME,
        RULES,
        tiers=tiers(("SR3", 0, 3), ("SR3", 4, 6), ("SR3", 7, 20), ranges=(("SR3", 3, 77.0),)),
    )
    plain = ScenarioStore().of(
        market.history, horizon=1, look_back=100, minimum=100, stress=(), scaling=None
    )
    pnl = revalue(universe.terms, plain.shock)
    worst = {name: float(np.abs(row).max()) for name, row in zip(universe.name, pnl, strict=True)}
    rows = [row for row in own.ranges.describe() if row["root"] == "SR3"]
    # April moves most in the first tier, but it is not quarterly. July moves less than August.
    assert worst["SR3J25"] > worst["SR3M25"] > worst["SR3H25"]
    assert [(r["contract"], r["scan_range"], r["origin"]) for r in rows] == [
        ("SR3M25", worst["SR3M25"], "calibrated"),
        ("SR3Q25", worst["SR3Q25"], "calibrated"),
        (None, 77.0, "supplied"),
    ]
    assert max(rows[0]["var_long"], rows[0]["var_short"]) == worst["SR3M25"]
    assert [own.ranges.months[t] for t in own.scan_range[2:]] == [
        *((0, 3),) * 3,
        *((4, 6),) * 3,
    ]
    # Without a contract of its own a tier has the range of the front contract: April's.
    alone = span_model(universe, market, CME, RULES, tiers=tiers(("SR3", 0, 3), ("SR3", 9, 20)))
    last = [row for row in alone.ranges.describe() if row["root"] == "SR3"][-1]
    assert (last["contract"], last["scan_range"]) == ("SR3J25", worst["SR3J25"])
    assert last["tier"] == 2


def test_the_contracts_of_a_calibration_are_those_that_are_listed() -> None:
    found = tier_contracts(tiers(("SR3", 0, 2), ("ZN", 0, 9), ("SR3", 3, 5)), AS_OF)
    symbols = [contract.symbol for contract in found]
    # SR3Z24 is in its reference quarter until 18 March; 39 quarters and 6 serial months follow.
    assert symbols[:5] == ["SR3Z24", "SR3F25", "SR3G25", "SR3H25", "SR3J25"]
    assert symbols[-3:] == ["ZNH25", "ZNM25", "ZNU25"]
    assert len(symbols) == 39 + 6 + 3


def test_a_files_ranges_are_by_tier_too() -> None:
    key = ("CME", "SR3")
    months = {
        "2025-03": 300.0,
        "2025-04": 999.0,
        "2025-06": 500.0,
        "2025-09": 0.0,
        "2025-12": 800.0,
    }
    file = SpanFile(
        hash="",
        business_date=AS_OF,
        commodity={key: key},
        in_dollars=frozenset([key]),
        scan_range={key: {np.datetime64(month): usd for month, usd in months.items()}},
        settlement={},
        tiers={},
        delivery={},
        spreads=(),
        securities={},
        not_decoded={},
    )
    own = tiers(
        *(("SR3", 0, 5), ("SR3", 6, 8), ("SR3", 9, 20)), ranges=(("SR3", 1, 1.0), ("SR3", 2, 2.0))
    )
    rules = replace(RULES, product_codes=(("SR3", *key),))
    changed, by_tier, taken = with_file(rules, own, file, AS_OF)
    # Of March and June the larger; April is not quarterly, September has no range.
    assert by_tier.ranges == (("SR3", 1, 500.0), ("SR3", 2, 2.0), ("SR3", 3, 800.0))
    assert taken == ("scan_ranges.SR3.1", "scan_ranges.SR3.3")
    assert changed.scan_ranges == ()
    with pytest.raises(InputError, match="nothing for our roots"):
        with_file(rules, tiers(("SR3", 6, 8)), file, AS_OF)
