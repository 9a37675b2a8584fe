"""What must always hold (methodology, section 7), on random books and a few random markets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.engine.backends import available
from crossmargin.exceptions import InputError
from crossmargin.io.hashes import table_hash
from crossmargin.market.curve import TENORS
from crossmargin.policies import (
    ClassDisallowance,
    CmeCorrelation,
    CmeFloor,
    HaircutRules,
    ObservedMarginRules,
    Policy,
    Span,
    Stress,
)
from crossmargin.policies.policy import DEFAULT
from crossmargin.policies.sections import CLASS_DISALLOWANCE, LOWER_OF_MODELS, SPREAD_CREDIT
from crossmargin.policies.sections.charges import (
    CmeConcentration,
    CmeLiquidity,
    HolidayRules,
    LiquidityRules,
)

# Books drawn at random have a few rows, and often the same ones.
pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")

Row = dict[str, Any]

AS_OF = np.datetime64("2025-03-13")
HISTORY = 170

SECURITIES = (
    # One for each contract that can stand for cash, two for ZT and ZN; then what is not eligible.
    ("ZT0000001", "4.125", "2025-02-28", "2027-02-28", ""),
    ("ZT0000002", "4.25", "2022-03-31", "2027-03-31", ""),
    ("Z3N000001", "4.25", "2025-03-15", "2028-03-15", ""),
    ("ZF0000001", "4", "2025-02-28", "2030-02-28", ""),
    ("ZN0000001", "4.5", "2024-12-31", "2031-12-31", ""),
    ("ZN0000002", "4.25", "2025-02-28", "2032-02-29", ""),
    ("TN0000001", "4.625", "2025-02-15", "2035-02-15", ""),
    ("TWE000001", "4.75", "2025-02-15", "2045-02-15", ""),
    ("ZB0000001", "3", "2012-05-15", "2042-05-15", ""),
    ("UB0000001", "4.625", "2025-02-15", "2055-02-15", ""),
    ("SHORT0000", "4", "2021-02-15", "2026-02-15", ""),
    ("TIPS00001", "1", "2024-01-15", "2034-01-15", "tips"),
    ("BILL00001", "0", "2024-09-12", "2025-09-11", ""),
)
NOTES = tuple(s[0] for s in SECURITIES[:10])
INELIGIBLE = tuple(s[0] for s in SECURITIES[10:])
CONTRACTS = ("ZTM25", "ZFM25", "ZNM25", "ZBM25", "UBM25", "SR3U25", "ZQK25", "ZNU25")
"""Nothing is deliverable into the last one: no model covers it."""
ACCOUNTS: tuple[Row, ...] = (
    {"account": "00123"},
    {"account": "123", "ficc_role": "executing_firm_customer", "multiplier": "1.25"},
    {"account": "HOUSE", "origin": "house", "ficc_role": "netting_member"},
    {"account": "OUT", "opted_in": "no", "minimum": "1000000"},
    {"account": "EMPTY"},
)
HOLDERS = tuple(row["account"] for row in ACCOUNTS[:4])
TABLES = {
    "accounts": ("account",),
    "components": ("account", "clearing_firm", "ccp", "portfolio", "component"),
    "breakdown": ("account", "clearing_firm", "ccp", "portfolio", "component", "item"),
    "positions": ("account", "clearing_firm", "segment", "instrument", "xm"),
}
"""Columns that name a row of each result."""

HVAR, SPAN = "hvar", "span"
SPAN_SEED = 3
"""The market that is run with the CME-like model by scan ranges."""

PROPERTY = settings(deadline=None, derandomize=True, database=None)

EXECUTIONS: list[dict[str, Any]] = [
    {"threads": 1},
    *({"backend": backend, "threads": 2} for backend in available() if backend != "reference"),
]
"""What must give the bits of the reference."""


@cache
def market(seed: int, swaps: int = 0) -> xm.Market:
    """Return a market of rates that wander, with or without bases and some rows of SOFR."""
    draw = np.random.default_rng(seed)
    days = np.busday_offset(AS_OF, np.arange(1 - HISTORY, 1), roll="backward")
    level = np.array([4.3, 4.3, 4.2, 4.1, 4.0, 4.0, 4.1, 4.2, 4.3, 4.7, 4.6])
    common, own = draw.integers(-9, 10, (HISTORY, 1)), draw.integers(-4, 5, (HISTORY, level.size))
    away = np.zeros((HISTORY, level.size))
    for row in range(1, HISTORY):
        away[row] = 0.9 * away[row - 1] + 0.01 * (common + own)[row]
    percent = np.round(level + away, 2)
    yields = pa.table({"date": days, **dict(zip(TENORS, percent.T, strict=True))})
    basis = None
    if seed:
        basis = pa.table(
            {
                "date": days,
                "root": ["ZN"] * HISTORY,
                "contract": ["ZNM25"] * HISTORY,
                "basis": np.round(draw.integers(-9, 10, HISTORY) / 64.0, 4),
            }
        )
    sofr = None
    if swaps:
        moves = np.cumsum(draw.integers(-6, 7, (swaps, 4)), axis=0)
        rates = np.round(np.array([4.3, 4.2, 4.0, 3.8]) + 0.01 * moves, 2).T
        columns = dict(zip(("1mo", "6mo", "2y", "10y"), rates, strict=True))
        sofr = pa.table({"date": days[-swaps:], **columns})
    return xm.read_market(yields, as_of=AS_OF, basis=basis, sofr=sofr)


EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "policies"
OFFSET_METHODS = (LOWER_OF_MODELS, CLASS_DISALLOWANCE, SPREAD_CREDIT)
CHARGED = "charges"
EVERYTHING = "everything"
PERIODS = "periods"
FIRST = "cme-ficc-2026-04-30"
"""The version before the default one, which has no drawn factors, floors or short rates."""
BY_OFFSET_METHOD = [
    (offset_method, model) for model in (HVAR, SPAN) for offset_method in OFFSET_METHODS
]
every_offset_method = pytest.mark.parametrize(("offset_method", "model"), BY_OFFSET_METHOD)
every_policy = pytest.mark.parametrize(
    "variant", [*OFFSET_METHODS, CHARGED, SPAN, EVERYTHING, PERIODS, FIRST]
)


CHARGED_ROOTS = ("ZN", "ZT", "SR3")
VOLUMES = pa.table({"contract": ["ZN", "ZT", "SR3", "ZNM25"], "adv": [250.0, 90.5, 0.0, 100.0]})
OBSERVED = pa.table(
    {
        "instrument": ["ZN", "ZT", "SR3"],
        "date": ["2025-01-02"] * 3,
        "maintenance": [1900.0, 1050.0, 410.0],
    }
)
FIGURES = {"volumes": VOLUMES, "observed_margins": OBSERVED}


def cme_charges(*, reducible: bool) -> tuple[CmeLiquidity, CmeConcentration]:
    """Return charges of the CME-like model; `reducible` is of the one on concentration."""
    rate = tuple((root, 3.25) for root in CHARGED_ROOTS)
    cost = tuple((root, 7.8125) for root in CHARGED_ROOTS)
    return (
        CmeLiquidity(cost, reducible=False),
        CmeConcentration(0.1, rate, reducible=reducible),
    )


def periods_of_stress() -> tuple[tuple[str, str, str, str, tuple[str, ...]], ...]:
    """Return periods before the look-back, within it, and across its start; one has two roots."""
    days = [str(market(0).history.date[row]) for row in (0, 25, 20, 50, 70, 90)]
    return tuple(
        (ccp, name, first, last, roots)
        for ccp in ("FICC", "CME")
        for name, first, last, roots in (
            ("first", *days[:2], ()),
            ("second", *days[2:4], ("ZT", "ZN")),
            ("third", *days[4:], ()),
        )
    )


@cache
def policy(variant: str = LOWER_OF_MODELS, model: str = HVAR) -> Policy:
    """Return the default policy, or one with other rules or another model, for a short history."""
    if variant == SPAN:
        return policy(model=SPAN)
    if variant == PERIODS:
        return policy().with_sections(Stress(periods_of_stress()), CmeFloor(0.25))
    if variant == EVERYTHING:
        by_class = policy(CLASS_DISALLOWANCE, SPAN)
        both = replace(policy(CHARGED), cme=by_class.cme, agreement=by_class.agreement)
        return both.with_sections(
            *by_class.optional.values(),
            LiquidityRules(
                (("short", ("note", "bond"), 60), ("long", ("note", "bond", "tips"), 480)),
                (0.01, 0.03125),
                0.1,
            ),
            HolidayRules(0.25),
            *cme_charges(reducible=False),
        )
    if model == SPAN and variant != LOWER_OF_MODELS:
        by_table, by_scan = policy(variant), policy(model=SPAN)
        return replace(by_table, cme=by_scan.cme).with_sections(*by_scan.optional.values())
    source: str | Path | None = EXAMPLES / f"example-{variant.replace('_', '-')}.toml"
    if variant == CHARGED:
        source = f"{DEFAULT}-charges"
    elif variant == FIRST:
        source = FIRST
    elif variant == LOWER_OF_MODELS:
        source = f"{DEFAULT}-span" if model == SPAN else None
    rules = xm.read_policy(source)
    first, last = (str(market(0).history.date[row]) for row in (0, 60))
    if rules.get(Stress) is not None:
        periods = tuple((ccp, "first", first, last, ()) for ccp in ("FICC", "CME"))
        rules = rules.with_sections(Stress(periods))
    span = rules.get(Span)
    if span is not None:
        rules = rules.with_sections(
            replace(
                span,
                calibration_rows=100,
                tiers=(("SR3", 0, 5), ("SR3", 6, 11)),
                intra_spreads=(("SR3", 1, 2, 60.0),),
                delivery_charges=(("ZN", 55.0),),
            )
        )
    return replace(
        rules,
        scenarios=replace(
            rules.scenarios, look_back=120, minimum_rows=100, stress_windows=((first, last),)
        ),
        ficc=replace(rules.ficc, minimum_margin_rows=60, floor_rows=50),
        cme=replace(rules.cme, volatility_seed_rows=20),
    )


def table(rows: tuple[Row, ...] | list[Row], columns: str) -> pa.Table:
    """Return rows as a table of text, blank where a row says nothing."""
    return pa.table(
        {name: pa.array([str(r.get(name, "")) for r in rows]) for name in columns.split()}
    )


def run(rows: list[Row], *, seed: int = 0, **options: Any) -> xm.RunResult:
    """Run the main job; `accounts` and `securities` may be given in another order.

    With charges the ineligible securities have prices, for haircuts.
    """
    rules = options.pop("policy", policy(model=SPAN if seed == SPAN_SEED else HVAR))
    people = [
        {
            "origin": "customer",
            "ficc_role": "sponsored_member",
            "opted_in": "yes",
            "clearing_firm": "F1",
        }
        | row
        for row in options.pop("accounts", ACCOUNTS)
    ]
    names = "cusip coupon_pct issue_date maturity_date type"
    known = [
        dict(zip(names.split(), row, strict=True))
        | {"price": "98.5" if rules.get(HaircutRules) and row[0] in INELIGIBLE else ""}
        for row in options.pop("securities", SECURITIES)
    ]
    return xm.run(
        positions=table(
            rows,
            "account kind instrument quantity xm start_date end_date repo_rate start_cash "
            "clearing_firm",
        ),
        accounts=table(
            people, "account origin ficc_role opted_in clearing_firm multiplier minimum"
        ),
        securities=table(known, f"{names} price"),
        policy=rules,
        **{
            "threads": 1,
            "market": market(seed),
            "volumes": VOLUMES if rules is policy(EVERYTHING) else None,
        }
        | options,
    )


def bits(result: xm.RunResult, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a hash of each result, its rows in the order of their names."""
    found = {}
    for name, keys in TABLES.items():
        arrow = getattr(result, name).to_arrow()
        ordered = arrow.sort_by([(key, "ascending") for key in keys])
        found[name] = table_hash(ordered, without=("run_id", *without))
    return found


def by_account(result: xm.RunResult) -> dict[str, Row]:
    return {row["account"]: row for row in result.accounts.to_arrow().to_pylist()}


def cash(instruments: tuple[str, ...] = NOTES) -> st.SearchStrategy[Row]:
    return st.builds(
        lambda name, n: {"kind": "cash", "instrument": name, "quantity": 100_000 * n},
        st.sampled_from(instruments),
        st.integers(-9, 9).filter(bool),
    )


FUTURE = st.builds(
    lambda name, n: {"kind": "future", "instrument": name, "quantity": n},
    st.sampled_from(CONTRACTS),
    st.integers(-9, 9).filter(bool),
)
# 36,000,000 at 3.6% over ten days pays 36,000: whole lots of cash, whatever the size.
REPO = st.builds(
    lambda kind, name, start, n: {
        "kind": kind,
        "instrument": name,
        "quantity": 36_000_000 * n,
        "start_cash": 36_000_000 * n,
        "repo_rate": "3.6",
        "start_date": f"2025-03-{start}",
        "end_date": f"2025-03-{start + 10}",
    },
    st.sampled_from(["repo", "reverse"]),
    st.sampled_from(NOTES),
    st.sampled_from([13, 17]),
    st.integers(1, 3),
)
# Long notes against short futures, so that there is often something to save.
HEDGE = st.builds(
    lambda name, n, contract, m: [
        {"kind": "cash", "instrument": name, "quantity": 100_000 * n},
        {"kind": "future", "instrument": contract, "quantity": -m},
    ],
    st.sampled_from(NOTES),
    st.integers(3, 9),
    st.sampled_from(CONTRACTS[:5]),
    st.integers(3, 9),
)


def turned(row: Row) -> Row:
    """Return the same position the other way round."""
    return row | {"quantity": -row["quantity"]}


@st.composite
def books(draw: st.DrawFn) -> list[Row]:
    """Return rows of one to twelve positions of four accounts."""
    rows: list[Row] = []
    for hedge in draw(st.lists(HEDGE, min_size=1, max_size=3)):
        account = draw(st.sampled_from(HOLDERS))
        rows += [row | {"account": account, "xm": "yes"} for row in hedge]
    other = st.one_of(cash(), FUTURE, REPO, cash(INELIGIBLE))
    for row in draw(st.lists(other, max_size=6)):
        place = {
            "account": draw(st.sampled_from(HOLDERS)),
            "xm": draw(st.sampled_from(["yes", "yes", "no"])),
            "clearing_firm": draw(st.sampled_from(["", "", "", "F1", "F9"])),
        }
        rows.append(row | place)
    return rows


SEEDS = st.integers(0, SPAN_SEED)


@every_offset_method
@given(rows=books(), seed=SEEDS)
@settings(PROPERTY, max_examples=40)
def test_shares_and_money_are_bounded_and_add_up(
    offset_method: str, model: str, rows: list[Row], seed: int
) -> None:
    result = run(rows, seed=seed, policy=policy(offset_method, model))
    cap = policy().agreement.cap
    found = by_account(result)
    assert set(found) == {row["account"] for row in ACCOUNTS}
    for row in found.values():
        assert 0.0 <= row["offset_rate"] <= cap
        assert (row["offset_rate"] > 0.0) == (row["reason"] is None)
        assert (row["binding"] is not None) == (
            row["offset_rate"] > 0.0 and offset_method == LOWER_OF_MODELS
        )
        if row["offset_rate"] > 0.0 and offset_method == LOWER_OF_MODELS:
            smaller = min(row["offset_rate_ficc"], row["offset_rate_cme"])
            assert row["offset_rate"] == min(smaller, cap)
            assert row["capped"] == (smaller > cap)
            assert row["binding"] == (
                "FICC" if row["offset_rate_ficc"] <= row["offset_rate_cme"] else "CME"
            )
        if row["offset_rate"] > 0.0:
            assert row["status"] == "complete" or row["requirement"] is None
        # Cross-margined, a clearing house asks for no more than V alone, to the cent.
        for required, alone in (("ficc", "v_ficc_cash"), ("cme", "v_cme_futures")):
            if row[alone] is not None:
                assert row[alone] >= 0.0
                most = Decimal(row[alone]).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
                assert 0 <= row[f"requirement_{required}"] <= most
        parts = [
            row[name] for name in ("requirement_ficc", "requirement_cme", "other_ficc", "other_cme")
        ]
        if None in parts:
            assert row["requirement"] is row["house_requirement"] is row["saving"] is None
        else:
            assert row["requirement"] == sum(parts)
            assert row["saving"] == row["standalone_requirement"] - row["requirement"]
            assert row["house_requirement"] >= 0


NUMBERS = tuple(
    f"v_{ccp}_{portfolio}"
    for ccp in ("ficc", "cme")
    for portfolio in ("cash", "futures", "combined")
)


@every_policy
@given(rows=books(), seed=SEEDS, factor=st.sampled_from([2, 3, 4, 7, 64, 100]))
@settings(PROPERTY, max_examples=20)
def test_scaling_every_position_scales_v_and_leaves_p(
    variant: str, rows: list[Row], seed: int, factor: int
) -> None:
    rules = policy(variant)
    one = by_account(run(rows, seed=seed, policy=rules))
    larger = [
        row | {name: row[name] * factor for name in ("quantity", "start_cash") if name in row}
        for row in rows
    ]
    many = by_account(run(larger, seed=seed, policy=rules))
    exact = factor & (factor - 1) == 0
    for account, before in one.items():
        after = many[account]
        for name in NUMBERS:
            if before[name] is None:
                assert after[name] is None
            elif exact:
                assert after[name] == factor * before[name]
            else:
                assert after[name] == pytest.approx(factor * before[name], rel=1e-12, abs=0.0)
        for name in ("offset_rate", "offset_rate_ficc", "offset_rate_cme"):
            if before[name] is None or exact:
                assert after[name] == before[name]
            else:
                assert after[name] == pytest.approx(before[name], rel=0.0, abs=1e-12)
        assert after["reason"] == before["reason"]


@every_policy
@given(rows=books(), seed=SEEDS, data=st.data())
@settings(PROPERTY, max_examples=20)
def test_ineligible_position_never_moves_the_share(
    variant: str, rows: list[Row], seed: int, data: st.DataObject
) -> None:
    more = data.draw(st.lists(cash(INELIGIBLE), min_size=1, max_size=3))
    account = data.draw(st.sampled_from(HOLDERS))
    added = [row | {"account": account, "xm": "yes"} for row in more]
    before, after = (
        by_account(run(book, seed=seed, policy=policy(variant))) for book in (rows, rows + added)
    )
    for name in (
        *NUMBERS,
        "offset_rate",
        "offset_rate_ficc",
        "offset_rate_cme",
        "reason",
        "binding",
        "capped",
    ):
        assert {a: row[name] for a, row in after.items()} == {
            a: row[name] for a, row in before.items()
        }
    for name in ("requirement_ficc", "requirement_cme", "programme_saving"):
        assert after[account][name] == before[account][name]


@every_policy
@given(rows=books(), seed=SEEDS, random=st.randoms(use_true_random=False))
@settings(PROPERTY, max_examples=20)
def test_order_of_the_inputs_does_not_matter(
    variant: str, rows: list[Row], seed: int, random: Any
) -> None:
    def shuffled(items: Any) -> list[Any]:
        return list(random.sample(list(items), len(items)))

    other = run(
        shuffled(rows),
        seed=seed,
        accounts=shuffled(ACCOUNTS),
        securities=shuffled(SECURITIES),
        policy=policy(variant),
    )
    assert bits(other) == bits(run(rows, seed=seed, policy=policy(variant)))


@given(books(), SEEDS, st.randoms(use_true_random=False))
@settings(PROPERTY, max_examples=20)
def test_splitting_a_position_into_rows_changes_nothing(
    rows: list[Row], seed: int, random: Any
) -> None:
    units = {"cash": 100_000, "future": 1, "repo": 36_000_000, "reverse": 36_000_000}
    split: list[Row] = []
    for row in rows:
        unit = units[row["kind"]]
        left = row["quantity"] // unit
        while left:
            part = random.choice(range(1, left + 1) if left > 0 else range(left, 0))
            left -= part
            one = row | {"quantity": part * unit}
            if "start_cash" in row:
                one["start_cash"] = part * unit
            split.append(one)
    random.shuffle(split)
    assert bits(run(split, seed=seed)) == bits(run(rows, seed=seed))


@given(books(), SEEDS)
@settings(PROPERTY, max_examples=20)
def test_accounts_do_not_touch_each_other(rows: list[Row], seed: int) -> None:
    together = by_account(run(rows, seed=seed))
    account = rows[0]["account"]
    alone = by_account(run([row for row in rows if row["account"] == account], seed=seed))
    without = {"run_id"}
    assert {k: v for k, v in alone[account].items() if k not in without} == {
        k: v for k, v in together[account].items() if k not in without
    }


@given(books(), SEEDS)
@settings(PROPERTY, max_examples=20)
def test_final_cycle_is_a_record_of_its_own(rows: list[Row], seed: int) -> None:
    first, second = (run(rows, seed=seed, cycle=cycle) for cycle in ("EOD", "EODXM"))
    assert bits(first, without=("cycle",)) == bits(second, without=("cycle",))
    for result, cycle in ((first, "EOD"), (second, "EODXM")):
        assert result.manifest["cycle"] == cycle
        for name in TABLES:
            stamps = getattr(result, name).to_arrow()["cycle"].to_pylist()
            assert stamps == [cycle] * len(stamps)
            assert stamps or name in ("breakdown", "exceptions")
    assert first.manifest["run_id"] != second.manifest["run_id"]


@every_policy
@given(rows=books(), seed=SEEDS)
@settings(PROPERTY, max_examples=6)
def test_threads_and_backends_give_the_same_bits(variant: str, rows: list[Row], seed: int) -> None:
    rules = policy(variant)
    expected = bits(run(rows, seed=seed, backend="reference", policy=rules))
    for options in EXECUTIONS:
        assert bits(run(rows, seed=seed, policy=rules, **options)) == expected


@pytest.mark.parametrize("offset_method", [CLASS_DISALLOWANCE, SPREAD_CREDIT])
@given(rows=st.lists(HEDGE, min_size=1, max_size=3), seed=SEEDS)
@settings(PROPERTY, max_examples=10)
def test_tables_change_the_share_and_nothing_of_the_models(
    offset_method: str, rows: list[list[Row]], seed: int
) -> None:
    book = [row | {"account": "00123", "xm": "yes"} for hedge in rows for row in hedge]
    by_table, by_models = (
        by_account(run(book, seed=seed, policy=policy(name)))
        for name in (offset_method, LOWER_OF_MODELS)
    )
    for name in (*NUMBERS, "offset_rate_ficc", "offset_rate_cme", "standalone_requirement"):
        assert by_table["00123"][name] == by_models["00123"][name]


@given(
    st.lists(st.one_of(HEDGE, HEDGE.map(lambda h: [turned(h[0]), h[1]])), min_size=1, max_size=4),
    SEEDS,
)
@settings(PROPERTY, max_examples=25)
def test_class_disallowance_is_that_of_accounts_of_one_class_each(
    hedges: list[list[Row]], seed: int
) -> None:
    book = [row for hedge in hedges for row in hedge]
    rules = policy(CLASS_DISALLOWANCE)
    table = rules.get(ClassDisallowance)
    assert table is not None
    limits = [years for _, years in table.classes]
    held = [row | {"account": "WHOLE", "xm": "yes"} for row in book]
    whole = run(held, seed=seed, accounts=[{"account": "WHOLE"}], policy=rules)
    assert whole.stages is not None
    universe = whole.stages.models.universe
    number = {name: i for i, name in enumerate(universe.name)}
    dv01 = universe.sensitivities.dv01
    parts: list[Row] = []
    side = dict.fromkeys([f"{kind}{i}" for kind in ("cash", "future") for i in range(4)], 0.0)
    for row in book:
        i = number[row["instrument"]]
        part = f"{row['kind']}{sum(universe.years[i] > limit for limit in limits[:-1])}"
        parts.append(row | {"account": part, "xm": "yes"})
        side[part] += row["quantity"] / (100 if row["kind"] == "cash" else 1) * dv01[i]
    alone = by_account(
        run(parts, seed=seed, accounts=[{"account": name} for name in side], policy=rules)
    )
    left = {
        name: alone[name]["v_ficc_cash" if name.startswith("cash") else "v_cme_futures"]
        for name in side
    }
    row = by_account(whole)["WHOLE"]
    # Classes that hedge each other share what their side asks for.
    for kind, v in (("cash", row["v_ficc_cash"]), ("future", row["v_cme_futures"])):
        names = [name for name in left if name.startswith(kind)]
        total = sum(left[name] for name in names)
        for name in names:
            left[name] *= min(1.0, v / total) if total else 1.0
    # Each class with itself, then neighbours either way: 2Y-5Y, 5Y-10Y, 10Y-30Y.
    pairs = [(i, i) for i in range(4)]
    for i in range(3):
        pairs += [(i, i + 1), (i + 1, i)]
    reduction = 0.0
    for i, j in pairs:
        one, other = f"cash{i}", f"future{j}"
        if side[one] * side[other] < 0.0:
            used = min(left[one], left[other])
            left[one] -= used
            left[other] -= used
            reduction += used * (0.75 if i == j else 0.5)
    apart = row["v_ficc_cash"] + row["v_cme_futures"]
    assert reduction <= min(row["v_ficc_cash"], row["v_cme_futures"]) * (1.0 + 1e-12)
    # Each clearing house takes it off.
    if row["reason"] is None:
        assert row["offset_rate"] == pytest.approx(min(2.0 * reduction / apart, 0.8), rel=1e-12)
    elif row["reason"] != "ONE_SIDED":
        assert 2.0 * reduction < 0.01 * apart


def full_policy() -> Policy:
    """Return the policy with everything the CME-like model can do beside what it does anyway."""
    correlation = CmeCorrelation(weight=0.5, decay=0.97)
    scaled = ObservedMarginRules("scale")
    return policy().with_sections(correlation, scaled, *cme_charges(reducible=True))


ONE_FUTURE: list[Row] = [
    {"account": "123", "kind": "future", "instrument": "ZNM25", "quantity": 5, "xm": "yes"}
]

RATES: list[Row] = [
    {"account": "123", "kind": "cash", "instrument": "ZT0000001", "quantity": 10**7, "xm": "yes"},
    {"account": "123", "kind": "future", "instrument": "SR3U25", "quantity": -70, "xm": "yes"},
]


def test_spreads_of_short_rates_are_modelled_where_sofr_has_a_history() -> None:
    plain, own = (
        by_account(run(RATES))["123"],
        by_account(run(RATES, market=market(0, HISTORY)))["123"],
    )
    assert (plain["spread_risk"], own["spread_risk"]) == ("not modelled", None)
    assert own["v_ficc_cash"] == plain["v_ficc_cash"]
    assert own["v_ficc_futures"] != plain["v_ficc_futures"]
    # SOFR wanders by itself, so that it hedges less.
    assert own["offset_rate_ficc"] < plain["offset_rate_ficc"] - 0.1
    assert own["offset_rate_cme"] < plain["offset_rate_cme"] - 0.1
    # With 40 rows of history most scenarios have no move of its own.
    late = run(RATES, market=market(0, 40))
    assert by_account(late)["123"]["spread_risk"] == "not modelled"
    assert late.manifest["ccps"]["FICC"]["scenarios_without_sofr"] > 100
    assert run(RATES).manifest["ccps"]["FICC"]["scenarios_without_sofr"] is None


@pytest.mark.parametrize("pnl", ["sensitivity", "full"])
def test_both_kinds_of_pnl_know_sofr(pnl: str) -> None:
    rules = replace(policy(), ficc=replace(policy().ficc, pnl=pnl))
    found = by_account(run(RATES, market=market(1, HISTORY), policy=rules))["123"]
    # A contract is 25 USD a basis point, and three rows move SOFR by up to 18 of them.
    assert 0.1 < found["v_ficc_futures"] / (70 * 25 * 18) < 2.0


@given(books(), SEEDS, st.randoms(use_true_random=False))
@settings(PROPERTY, max_examples=6)
def test_the_whole_cme_model_gives_the_same_bits_everywhere(
    rows: list[Row], seed: int, random: Any
) -> None:
    how: Any = {"market": market(seed, HISTORY), "policy": full_policy(), **FIGURES}
    expected = bits(run(rows, backend="reference", **how))
    for options in EXECUTIONS:
        assert bits(run(rows, **how, **options)) == expected
    shuffled = random.sample(rows, len(rows))
    assert bits(run(shuffled, **how)) == expected


@given(books(), SEEDS)
@settings(PROPERTY, max_examples=10)
def test_charges_of_the_cme_model_stand_beside_v(rows: list[Row], seed: int) -> None:
    how: Any = {"seed": seed, "volumes": VOLUMES}
    plain = run(rows, policy=policy(), **how)
    codes = plain.exceptions.to_arrow()["code"].to_pylist()
    assert codes.count("INPUT_NOT_USED") == 1
    charged = run(rows, policy=policy().with_sections(*cme_charges(reducible=True)), **how)
    due: dict[str, dict[str, int]] = {}
    for row in charged.components.to_arrow().to_pylist():
        if row["component"].startswith("charge: "):
            assert row["ccp"] == "CME"
            assert row["reducible"] == (row["component"] == "charge: concentration")
            if row["amount"] is not None:
                due.setdefault(row["account"], {}).setdefault(row["portfolio"], 0)
                due[row["account"]][row["portfolio"]] += row["amount"]
    before, after = by_account(plain), by_account(charged)
    for name, row in after.items():
        for column in ("v_cme_futures", "v_cme_combined", "v_ficc_cash", "offset_rate"):
            assert row[column] == before[name][column]
        if row["requirement"] is not None:
            more = row["standalone_requirement"] - before[name]["standalone_requirement"]
            assert more == due.get(name, {}).get("all", 0)


def test_a_what_if_knows_the_whole_cme_model() -> None:
    how: Any = {"market": market(1, HISTORY), "policy": full_policy(), **FIGURES}
    more = {"account": "123", "kind": "future", "instrument": "ZNM25", "quantity": 40, "xm": "yes"}
    expected = by_account(run([*RATES, more], **how))["123"]
    answer = xm.Session(run(RATES, **how)).what_if("123", {"ZNM25": 40})
    assert answer["requirement"] == expected["requirement"]
    assert answer["standalone_requirement"] == expected["standalone_requirement"]
    assert answer["offset_rate"] == expected["offset_rate"]


def test_a_charge_by_volume_asks_for_volumes() -> None:
    with pytest.raises(InputError, match="ZT is charged by its average daily volume"):
        run(ONE_FUTURE, policy=full_policy())
    with pytest.raises(InputError, match="ZNM25 has none; give a row for ZN"):
        run(ONE_FUTURE, policy=full_policy(), volumes=VOLUMES.slice(1, 1))


def test_a_history_of_one_factor_cannot_be_recorrelated() -> None:
    days = np.busday_offset(AS_OF, np.arange(1 - HISTORY, 1), roll="backward")
    level = 4.0 + 0.01 * np.random.default_rng(3).integers(-9, 10, HISTORY)
    # At 1 and 3 months DF = 1 / (1 + y t): the same yield moves both alike but for second order.
    yields = pa.table({"date": days, **dict.fromkeys(TENORS, level)})
    flat = xm.read_market(yields, as_of=AS_OF)
    with pytest.raises(InputError, match="par yields: treasury:1/4 is a combination of"):
        run(ONE_FUTURE, market=flat, policy=full_policy(), volumes=VOLUMES)


@st.composite
def tail_cases(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """Return the P&L of two portfolios and a level, on and off the grid."""
    scenarios = draw(st.integers(1, 40))
    whole = st.integers(-50, 50).map(float)
    value = whole if draw(st.booleans()) else st.floats(-1e6, 1e6)
    pnl = draw(st.lists(value, min_size=2 * scenarios, max_size=2 * scenarios))
    return np.array(pnl).reshape(2, scenarios), draw(st.floats(0.01, 0.999))


@given(tail_cases(), st.sampled_from(available()))
@settings(PROPERTY, max_examples=100)
def test_expected_shortfall_is_not_below_var_and_subadditive(
    case: tuple[np.ndarray, float], backend: str
) -> None:
    pnl, level = case
    # Each alone, both, and the other side of the first.
    book = xm.Book.from_arrays([0, 1, 2, 4, 5], [0, 1, 0, 1, 0], [1, 1, 1, 1, -1])
    tail = xm.tails(book, xm.Cube(pnl), level=level, threads=1, backend=backend)
    assert (tail.es >= tail.var).all()
    assert tail.es[2] <= tail.es[0] + tail.es[1] + 1e-9 * (1.0 + np.abs(tail.es).max())
    # A loss of one side is a gain of the other: at the same level they cannot both be gains.
    assert tail.es[0] + tail.es[3] >= -1e-9 * (1.0 + np.abs(tail.es).max())


@given(HEDGE, SEEDS)
@settings(PROPERTY, max_examples=10)
def test_one_side_alone_saves_nothing(hedge: list[Row], seed: int) -> None:
    for one_side in hedge:
        row = by_account(run([one_side | {"account": "00123", "xm": "yes"}], seed=seed))["00123"]
        assert (row["offset_rate"], row["reason"], row["programme_saving"]) == (
            0.0,
            "ONE_SIDED",
            Decimal(0),
        )
        assert row["saving"] == 0
