from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crossmargin.conventions import ALL, CASH, COMBINED, FUTURES, OTHER
from crossmargin.engine import Book, Execution, revalue
from crossmargin.engine.backends import available
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import roots
from crossmargin.margin.cme import span
from crossmargin.margin.cme.span import (
    SpanModel,
    Spread,
    intra_charge,
    scan_risk,
    span_detail,
    span_margin,
    span_model,
    spread_credits,
    with_file,
)
from crossmargin.margin.cme.span_file import FileSpread, SpanFile
from crossmargin.margin.cme.span_ranges import NO_TIERS, ScanRanges
from crossmargin.market.scenarios import HistoryShortError, ScenarioStore
from crossmargin.policies import Span, read_policy

POLICY = read_policy("cme-ficc-2026-04-30-span")
TABLE = POLICY.get(Span)
assert TABLE is not None
RULES = replace(TABLE, calibration_rows=100, spreads=())
CME = replace(POLICY.cme, equivalent_roots=((3.0, "ZT"), (100.0, "ZN")))
NAMES = roots()
ZT, ZN, ZB = (NAMES.index(root) for root in ("ZT", "ZN", "ZB"))

PROPERTY = settings(deadline=None, derandomize=True, database=None)


def test_scan_risk_by_hand() -> None:
    # Three long at 600: falls of 1/3, 2/3, 3/3 lose 600, 1200, 1800; 3 * 600 * 3 * 0.33 = 1782.
    net = np.array([3.0, -2.0, 0.0])
    risk, scenario = scan_risk(net * np.array([600.0, 900.0, 100.0]), 3.0, 0.33)
    assert risk.tolist() == [1800.0, 1800.0, 0.0]
    # Long: the price falls by the whole range, scenario 13 of 16; short: it rises, 11; flat: 1.
    assert scenario.tolist() == [13, 11, 1]
    # Covered by half, the extreme moves, 15 up and 16 down, are one and a half ranges.
    risk, scenario = scan_risk(net * np.array([600.0, 900.0, 100.0]), 3.0, 0.5)
    assert risk.tolist() == [2700.0, 2700.0, 0.0]
    assert scenario.tolist() == [16, 15, 1]


def test_scan_risk_of_the_published_sofr_hedge() -> None:
    # CME, 2025: margins of eight quarterly SR3 contracts, each by itself, add up to 569,910 USD.
    net = np.array([100.0, 99.0, 99.0, 98.0, 97.0, 96.0, 95.0, 95.0])
    usd = np.array([425.0, 650.0, 765.0, 825.0, 825.0, 825.0, 800.0, 750.0])
    risk, _ = scan_risk(-net * usd, 3.0, 0.33)
    assert (net.sum(), risk.sum()) == (779.0, 569_910.0)


def test_intra_charge_by_hand() -> None:
    # Tier 1: +5 and -2; tier 2: -4; tier 3: +1.
    tiers = [np.array([[5.0, -2.0]]), np.array([[-4.0]]), np.array([[1.0]])]
    # Within tier 1 two at 10; then 1 against 2: min(5 - 2, 4) = 3 at 50; then 2 against 3: 1 at 70.
    spreads = [(0, 0, 10.0), (0, 1, 50.0), (1, 2, 70.0)]
    assert intra_charge(tiers, spreads, (1,)).tolist() == [2 * 10.0 + 3 * 50.0 + 1 * 70.0]
    # The other way about: min(5, 4) = 4 at 50 first, then 1 within tier 1; none is left for tier 3.
    spreads = [(0, 1, 50.0), (0, 0, 10.0), (1, 2, 70.0)]
    assert intra_charge(tiers, spreads, (1,)).tolist() == [4 * 50.0 + 1 * 10.0]
    # Both ways at once: +5 of tier 1 with -4 of tier 2, and -2 of tier 1 with +3.
    both = [np.array([[5.0, -2.0]]), np.array([[-4.0, 3.0]])]
    assert intra_charge(both, [(1, 0, 50.0)], (1,)).tolist() == [(4 + 2) * 50.0]
    assert intra_charge(tiers, [], (1,)).tolist() == [0.0]


def test_credits_by_hand_in_order_of_priority() -> None:
    # Net +6, -4, -5; scan risk 6000, 8000, 2500: 1000, 2000 and 500 a delta.
    net = np.array([[6.0, -4.0, -5.0]])
    risk = np.array([[6000.0, 8000.0, 2500.0]])
    first = Spread((0, 1), (2.0, -1.0), 0.5)
    second = Spread((0, 2), (-1.0, 2.0), 0.8)
    # First: min(6 / 2, 4 / 1) = 3 spreads use 6 and 3; nothing is left of root 0.
    count, credit = spread_credits(net, risk, [first, second])
    assert count.tolist() == [[3.0, 0.0]]
    assert credit.tolist() == [[6 * 1000 * 0.5 + 3 * 2000 * 0.5, 0.0]]
    # Second (it is held with its sides exchanged): min(6 / 1, 5 / 2) = 2.5 use 2.5 and 5; of the
    # 3.5 left, first makes min(3.5 / 2, 4) = 1.75, which use 3.5 and 1.75.
    count, credit = spread_credits(net, risk, [second, first])
    assert count.tolist() == [[2.5, 1.75]]
    assert credit.tolist() == [
        [2.5 * 1000 * 0.8 + 5 * 500 * 0.8, 3.5 * 1000 * 0.5 + 1.75 * 2000 * 0.5]
    ]


@pytest.mark.parametrize("net", [[3.0, 2.0], [-3.0, -2.0], [3.0, 0.0], [0.0, 0.0]])
def test_no_credit_where_sides_are_not_opposite(net: list[float]) -> None:
    spread = Spread((0, 1), (1.0, -1.0), 1.0)
    count, credit = spread_credits(np.array([net]), np.abs([net]) * 100.0, [spread])
    assert (count.tolist(), credit.tolist()) == ([[0.0]], [[0.0]])


def test_a_spread_of_three_legs_needs_all_of_them() -> None:
    butterfly = Spread((0, 1, 2), (1.0, -2.0, 1.0), 0.5)
    net = np.array([[4.0, -6.0, 9.0], [4.0, -6.0, -9.0], [-4.0, 6.0, -9.0]])
    count, credit = spread_credits(net, np.abs(net) * 100.0, [butterfly])
    # min(4, 6 / 2, 9) = 3 spreads: 3, 6 and 3 deltas of 100 at half.
    assert count.tolist() == [[3.0], [0.0], [3.0]]
    assert credit.tolist() == [[150.0 + 300.0 + 150.0], [0.0], [600.0]]


def model(
    usd: dict[str, float],
    contracts: dict[str, int],
    *,
    spreads: tuple[Spread, ...] = (),
    cash: float | None = None,
    **rules: Any,
) -> SpanModel:
    """Return a model of some contracts; with `cash` a lot of it follows as the last instrument."""
    root = np.array([NAMES.index(name.split()[0]) for name in contracts], dtype=np.int64)
    size = root.size + (cash is not None)
    nothing = np.full(len(NAMES), np.nan)
    return SpanModel(
        rules=replace(RULES, **rules),
        ranges=ScanRanges(
            NAMES,
            (None,) * len(NAMES),
            np.array([usd.get(name, np.nan) for name in NAMES]),
            ("",) * len(NAMES),
            ("",) * len(NAMES),
            nothing,
            nothing,
        ),
        spreads=spreads,
        contract=np.arange(size) % root.size,
        delta=np.array([1.0] * root.size + ([] if cash is None else [cash])),
        root=root,
        month=np.array(list(contracts.values()), dtype=np.int64),
        scan_range=root,
        priced=np.ones(10, dtype=bool),
    )


def test_v_is_the_sum_of_its_parts(book_of: Any) -> None:
    own = model(
        {"ZN": 1000.0, "ZB": 2000.0},
        {"ZN near": 0, "ZN far": 3, "ZB": 3},
        spreads=(Spread((ZN, ZB), (2.0, -1.0), 0.75),),
        tiers=(("ZN", 0, 2), ("ZN", 3, 5)),
        intra_spreads=(("ZN", 1, 2, 100.0),),
        delivery_charges=(("ZN", 40.0), ("ZB", 7.0)),
    )
    # ZN +7 in delivery and -3 behind, ZB -1.
    result = span_margin(book_of([{}, {0: 7, 1: -3, 2: -1}, {}, {}]), own)
    assert result.ccp == "CME"
    found = {name: part[0, FUTURES] for name, part in result.component.items()}
    # Scan 4 * 1000 + 1 * 2000; three between the tiers; seven in delivery; one spread of 2 and 1.
    assert found == {
        "scan": 6000.0,
        "intra": 300.0,
        "delivery": 280.0,
        "credit": -0.75 * (2 * 1000.0 + 1 * 2000.0),
    }
    assert result.v[0].tolist() == [0.0, 3580.0, 3580.0, 0.0, 3580.0]
    detail = span_detail(book_of([{}, {0: 7, 1: -3, 2: -1}, {}, {}]), own)
    assert detail.net_delta[0, FUTURES, [ZN, ZB]].tolist() == [4.0, -1.0]
    assert detail.scenario[0, FUTURES, [ZN, ZB]].tolist() == [13, 11]
    assert detail.spreads[0, FUTURES].tolist() == [1.0]
    assert detail.credit[0, FUTURES].tolist() == [3000.0]
    # The parts are those of the components, portfolio by portfolio, and they are named.
    for items in result.items:
        total = np.zeros((1, 5))
        np.add.at(total, (items.group, items.portfolio), items.amount)
        assert total.tolist() == result.component[items.component].tolist()
    scan, intra, delivery, credit = result.items
    at = scan.portfolio == FUTURES
    assert [scan.name[k] for k in scan.item[at]] == ["ZN", "ZB"]
    assert scan.quantity is not None
    assert scan.scenario is not None
    assert scan.quantity[at].tolist() == [4.0, -1.0]
    assert scan.scenario[at].tolist() == [13, 11]
    assert [credit.name[p] for p in credit.item[credit.portfolio == FUTURES]] == ["ZN 2 : ZB -1"]
    assert credit.quantity is not None
    assert credit.quantity[credit.portfolio == FUTURES].tolist() == [1.0]
    assert intra.amount[intra.portfolio == FUTURES].tolist() == [300.0]
    assert delivery.amount[delivery.portfolio == FUTURES].tolist() == [280.0]


def test_portfolios_net_across_their_segments_only(book_of: Any) -> None:
    own = model({"ZN": 1000.0}, {"ZN": 3}, cash=0.5)
    # Cash +6 lots stand for 3 contracts; futures -2; another ccp's cash +8; outside +1.
    result = span_margin(book_of([{1: 6}, {0: -2}, {1: 8}, {0: 1}]), own)
    portfolios = [CASH, FUTURES, COMBINED, OTHER, ALL]
    assert result.v[0, portfolios].tolist() == [3000.0, 2000.0, 1000.0, 1000.0, 1000.0]


def test_a_book_is_margined_block_by_block(book_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = model({"ZN": 1000.0}, {"ZN": 3})
    book = book_of([row for g in range(7) for row in ({}, {0: g - 3}, {}, {0: g} if g else {})])
    whole = span_margin(book, own)
    monkeypatch.setattr(span, "BLOCK_GROUPS", 2)
    in_blocks = span_margin(book, own)
    assert in_blocks.v.tolist() == whole.v.tolist()
    for of_blocks, of_whole in zip(in_blocks.items, whole.items, strict=True):
        assert of_blocks.component == of_whole.component
        for field in ("group", "portfolio", "item", "amount", "quantity", "scenario"):
            np.testing.assert_array_equal(getattr(of_blocks, field), getattr(of_whole, field))
    assert whole.v[:, FUTURES].tolist() == [3000.0, 2000.0, 1000.0, 0.0, 1000.0, 2000.0, 3000.0]
    assert span_margin(book_of([]), own).v.shape == (0, 5)


def test_parameters_are_calibrated_from_the_front_contracts(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    universe = build(market)
    legs = (("ZT", 3.0, "A"), ("ZN", 2.0, "B"))
    absent = (("ZT", 3.0, "A"), ("UB", 2.0, "B"))
    own = span_model(universe, market, CME, replace(RULES, spreads=(legs, absent)))

    plain = ScenarioStore().of(
        market.history, horizon=1, look_back=100, minimum=100, stress=(), scaling=None
    )
    pnl = revalue(universe.terms, plain.shock)
    zt, zn = (pnl[universe.name.tolist().index(name)] for name in ("ZTM25", "ZNM25"))
    # Of 100 rows at 99% the worst one.
    worst = {"ZT": np.abs(zt).max(), "ZN": np.abs(zn).max()}
    assert own.ranges.usd[[ZT, ZN]].tolist() == [worst["ZT"], worst["ZN"]]
    assert own.ranges.var_long[[ZT, ZN]].tolist() == [-zt.min(), -zn.min()]
    assert own.ranges.var_short[[ZT, ZN]].tolist() == [zt.max(), zn.max()]
    apart = 3.0 * worst["ZT"] + 2.0 * worst["ZN"]
    offset = 1.0 - np.abs(3.0 * zt - 2.0 * zn).max() / apart
    assert 0.0 < offset < 1.0
    assert [s.rate for s in own.spreads] == [pytest.approx(offset, rel=1e-14), 0.0]
    assert own.spreads[0].ratio == (3.0, -2.0)
    # A supplied range and supplied rates take the place of what was seen.
    given = replace(
        RULES, spreads=(legs,), spread_rates=(0.7,), scan_ranges=(("ZN", 1234.0), ("UB", 5.0))
    )
    other = span_model(universe, market, CME, given)
    assert other.ranges.usd[[ZT, ZN]].tolist() == [worst["ZT"], 1234.0]
    assert other.spreads[0].rate == 0.7
    row = {r["root"]: r for r in other.ranges.describe()}
    assert (row["ZN"]["origin"], row["ZN"]["scan_range"]) == ("supplied", 1234.0)
    assert row["ZN"]["var_long"] == -zn.min()
    assert row["UB"] == {
        "root": "UB",
        **dict.fromkeys(("tier", "first_month", "last_month")),
        "contract": None,
        "scan_range": 5.0,
        "origin": "supplied",
        "var_long": None,
        "var_short": None,
    }
    assert row["TN"]["scan_range"] is None
    assert other.describe()["spreads"] == [
        {"legs": [["ZT", 3.0], ["ZN", -2.0]], "rate": 0.7, "origin": "supplied"}
    ]


CODES = (("ZT", "CBT", "26"), ("ZN", "CBT", "21"), ("ZB", "CBT", "17"), ("UB", "CBT", "UBE"))
KEY = {root: (exchange, product) for root, exchange, product in CODES}
FILE = SpanFile(
    hash="",
    business_date=np.datetime64("2025-03-12"),
    commodity={key: key for key in KEY.values()},
    in_dollars=frozenset(key for root, key in KEY.items() if root != "UB"),
    scan_range={
        KEY["ZT"]: {np.datetime64("2025-06"): 450.0, np.datetime64("2025-09"): 999.0},
        # March is deliverable: the front contract is June's, of which nothing is said.
        KEY["ZN"]: {np.datetime64("2025-03"): 1600.0},
        KEY["UB"]: {np.datetime64("2025-06"): 9000.0},
    },
    settlement={},
    tiers={"21": ((np.datetime64("2025-03"), np.datetime64("2025-06")),)},
    delivery={
        "21": {np.datetime64("2025-03"): 75.0, np.datetime64("2025-06"): 90.0},
        "17": {np.datetime64("2025-06"): 60.0},
    },
    spreads=(
        FileSpread(1, 0.9, ((KEY["ZN"], 1.0, "A"), (("CME", "ED"), 4.0, "B"))),
        FileSpread(2, 0.7, ((KEY["ZT"], 3.0, "A"), (KEY["ZN"], 2.0, "B"))),
    ),
    securities={},
    not_decoded={},
)


def test_what_a_file_holds_takes_the_place_of_the_policys() -> None:
    own = replace(
        RULES, product_codes=CODES, scan_ranges=(("ZT", 1.0), ("UB", 2.0)), calibration_rows=7
    )
    rules, _, taken = with_file(own, NO_TIERS, FILE, np.datetime64("2025-03-13"))
    # UB's amounts are not in whole dollars; the first spread has a leg that is none of ours.
    assert dict(rules.scan_ranges) == {"ZT": 450.0, "UB": 2.0}
    assert dict(rules.delivery_charges) == {"ZN": 75.0}
    assert rules.spreads == ((("ZT", 3.0, "A"), ("ZN", 2.0, "B")),)
    assert rules.spread_rates == (0.7,)
    assert taken == ("scan_ranges.ZT", "delivery_charges.ZN", "spreads", "spread_rates")
    assert (rules.tiers, rules.calibration_rows) == (own.tiers, 7)


def test_a_file_of_which_nothing_is_used_is_refused() -> None:
    with pytest.raises(InputError, match="span file: it has nothing for our roots"):
        with_file(replace(RULES, product_codes=()), NO_TIERS, FILE, np.datetime64("2025-03-13"))


@pytest.mark.parametrize(
    ("as_of", "says"),
    [
        ("2025-03-11", "after the as-of date"),
        # Thursday to Wednesday are five business days; one more is too old.
        ("2025-03-20", "more than 5 business days before"),
    ],
)
def test_a_file_of_another_day_is_refused(as_of: str, says: str) -> None:
    with pytest.raises(InputError, match=f"span file: it is of 2025-03-12, {says}"):
        with_file(replace(RULES, product_codes=CODES), NO_TIERS, FILE, np.datetime64(as_of))
    rules, _, _ = with_file(
        replace(RULES, product_codes=CODES), NO_TIERS, FILE, np.datetime64("2025-03-19")
    )
    assert dict(rules.scan_ranges)["ZT"] == 450.0


def test_a_file_that_makes_no_sense_is_refused() -> None:
    twice = FileSpread(1, 0.5, ((KEY["ZN"], 1.0, "A"), (KEY["ZN"], 1.0, "B")))
    with pytest.raises(InputError, match="span file: spreads need legs"):
        with_file(
            replace(RULES, product_codes=CODES),
            NO_TIERS,
            replace(FILE, spreads=(twice,)),
            np.datetime64("2025-03-13"),
        )


def test_the_model_says_what_came_from_the_file(build: Any, market: Any) -> None:
    own = span_model(build(market), market, CME, replace(RULES, product_codes=CODES), FILE)
    row = {r["root"]: r for r in own.ranges.describe()}
    assert (row["ZT"]["scan_range"], row["ZT"]["origin"]) == (450.0, "file")
    assert row["ZN"]["origin"] == "calibrated"
    assert own.describe()["from_file"][0] == "scan_ranges.ZT"
    assert [s["origin"] for s in own.describe()["spreads"]] == ["file"]


def test_a_short_history_cannot_be_calibrated(build: Any, market: Any) -> None:
    with pytest.raises(HistoryShortError):
        span_model(build(market), market, CME, replace(RULES, calibration_rows=1000))


def test_cash_enters_by_its_dv01_and_what_has_no_range_is_not_covered(
    by_hand: Any, market: Any
) -> None:
    universe = by_hand(
        # DV01 of a lot 0.02 against 40 a contract; the next has no contract that is priced.
        ("NOTE00000", [(2.0, 100.0)], 1.0),
        ("NOTE00001", [(5.0, 100.0)], 1.0),
        ("USD 2025-05-01", [(0.5, 100.0)], 1.0),
        ("ZTM25", [(2.25, 100.0, 0.25)], 2000.0),
        ("ZNM25", [], 1000.0),
        ("ZBU25", [], 1000.0),
        ("UBM25", [(20.0, 100.0, 0.25)], 1000.0),
        years=[2.0, 5.0, 0.0, 2.25, 0.0, 0.0, 20.0],
    )
    own = span_model(universe, market, CME, replace(RULES, scan_ranges=(("ZB", 2000.0),)))
    # ZB's range is supplied; ZN's front contract has no basket to calibrate from.
    assert own.priced.tolist() == [True, False, True, True, False, True, True]
    assert own.delta[[0, 2]].tolist() == [pytest.approx(0.0005, abs=2.0**-33), 0.0]
    assert own.delta[0] * 2.0**32 == np.rint(own.delta[0] * 2.0**32)
    assert own.month.tolist() == [3, 3, 6, 3]


deltas = hnp.arrays(
    np.float64, (3, 4), elements=st.integers(-(2**40), 2**40).map(lambda n: n / 2.0**20)
)
risks = hnp.arrays(np.float64, 4, elements=st.floats(1.0, 1e4))
ratios = st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.0])
rates = st.sampled_from([0.0, 0.01, 0.1, 1.0 / 3.0, 0.75, 1.0])
spread_lists = st.lists(
    st.tuples(st.permutations(range(4)), ratios, ratios, rates).map(
        lambda t: Spread(tuple(t[0][:2]), (t[1], -t[2]), t[3])
    ),
    max_size=5,
)


@PROPERTY
@given(net=deltas, usd=risks, spreads=spread_lists)
def test_credits_are_part_of_the_risk_and_scale_with_the_book(
    net: Any, usd: Any, spreads: list[Spread]
) -> None:
    risk, _ = scan_risk(net * usd, 3.0, 0.33)
    np.testing.assert_array_equal(risk, np.abs(net * usd))
    count, credit = spread_credits(net, risk, spreads)
    assert (count >= 0.0).all()
    assert (credit >= 0.0).all()
    # By root, from the number of spreads: no delta is used twice, no risk credited twice.
    used, by_root = np.zeros(net.shape), np.zeros(net.shape)
    for n, spread in zip(count.T, spreads, strict=True):
        for k, ratio in zip(spread.root, spread.ratio, strict=True):
            used[:, k] += n * abs(ratio)
            by_root[:, k] += n * abs(ratio) * usd[k] * spread.rate
    assert (used <= np.abs(net) * (1.0 + 1e-12)).all()
    assert (by_root <= risk * (1.0 + 1e-12)).all()
    assert credit.sum() == pytest.approx(by_root.sum(), rel=1e-12)
    # Sides exchanged, the same; twice and three times the book.
    np.testing.assert_array_equal(spread_credits(-net, risk, spreads)[1], credit)
    np.testing.assert_array_equal(spread_credits(4.0 * net, 4.0 * risk, spreads)[1], 4.0 * credit)
    _, three = spread_credits(3.0 * net, 3.0 * risk, spreads)
    largest = 3.0 * float(risk.max())
    np.testing.assert_allclose(three, 3.0 * credit, rtol=1e-12, atol=1e-12 * largest)


quantities = st.dictionaries(st.integers(0, 4), st.integers(-(10**6), 10**6), max_size=5)


@PROPERTY
@given(rows=st.lists(st.tuples(*[quantities] * 4), min_size=1, max_size=3))
def test_v_is_homogeneous_and_never_negative(rows: Any) -> None:

    own = model(
        {"ZT": 487.3, "ZN": 1059.1, "ZB": 2716.5},
        {"ZT": 3, "ZN near": 0, "ZN far": 3, "ZB": 3},
        cash=0.123456789,
        spreads=(Spread((ZT, ZN), (5.0, -3.0), 0.7), Spread((ZN, ZB), (2.0, -1.0), 0.8)),
        tiers=(("ZN", 0, 2), ("ZN", 3, 5)),
        intra_spreads=(("ZN", 1, 2, 100.0),),
        delivery_charges=(("ZN", 40.0),),
    )

    def v(times: int) -> Any:
        flat = [sorted(row.items()) for group in rows for row in group]
        ptr = np.cumsum([0, *map(len, flat)])
        cells = [cell for row in flat for cell in row]
        book = Book.from_arrays(
            ptr, [c for c, _ in cells], [times * q for _, q in cells], columns=10
        )
        return span_margin(book, own)

    one = v(1)
    assert (one.v >= 0.0).all()
    assert not one.unknown.any()
    np.testing.assert_array_equal(v(8).v, 8.0 * one.v)
    np.testing.assert_allclose(v(3).v, 3.0 * one.v, rtol=1e-12, atol=1e-3 * 1e-9)
    assert (one.component["credit"] <= 0.0).all()
    np.testing.assert_array_equal(v(-1).v, one.v)


@pytest.mark.parametrize("backend", available())
def test_spreads_have_the_same_bits_everywhere(backend: str) -> None:
    threads = 1 if backend == "reference" else 2
    draw = np.random.default_rng(5)
    net = draw.integers(-(2**40), 2**40, (3000, 4)) / 2.0**28
    risk = np.abs(net) * 1234.56
    spreads = [Spread((0, 1), (3.0, -2.0), 0.7), Spread((1, 2, 3), (1.0, -7.0, 2.0), 0.31)]
    expected = spread_credits(net, risk, spreads, execution=Execution(1))
    assert np.count_nonzero(expected[1]) > 2000
    found = spread_credits(net, risk, spreads, execution=Execution(threads, backend))
    assert np.array_equal(found, expected)
    tiers = [net[:, :2], net[:, 2:]]
    pairs = [(0, 0, 10.3), (0, 1, 50.7)]
    charge = intra_charge(tiers, pairs, (3000,), execution=Execution(1))
    assert np.array_equal(
        intra_charge(tiers, pairs, (3000,), execution=Execution(threads, backend)), charge
    )
