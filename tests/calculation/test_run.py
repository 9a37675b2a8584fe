"""The main job on real figures: books whose answer we know the shape of."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.policies.sections.charges import LiquidityRules

AS_OF = "2025-03-13"
FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
TIPS = "91282CJH5,2.375,2023-10-31,2028-10-15,tips"
TABLES = ("accounts", "components", "breakdown", "positions", "baskets", "exceptions")
ONE_LINE = "A,cash,91282CMM0,1000000,true"


@pytest.fixture(scope="module")
def market(real_data: Callable[[str], Path]) -> xm.Market:
    return xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of=AS_OF)


@pytest.fixture(scope="module")
def securities(real_data: Callable[[str], Path]) -> pa.Table:
    text = real_data("fixed_coupon_master.csv").read_text().splitlines()
    rows = [",".join([*line.split(",")[:4], "", line.split(",")[4]]) for line in text[1:]]
    header = "cusip,coupon_pct,issue_date,maturity_date,type,resold_as"
    return _table("\n".join([header, *rows, TIPS + ","]))


def _table(text: str) -> pa.Table:
    reader = csv.open_csv(io.BytesIO(text.encode()))
    types = dict.fromkeys(reader.schema.names, pa.string())
    options = csv.ConvertOptions(column_types=types)
    return csv.read_csv(io.BytesIO(text.encode()), convert_options=options)


def _positions(*rows: str) -> pa.Table:
    return _table("\n".join(["account,kind,instrument,quantity,xm", *rows]))


def _accounts(*names: str) -> pa.Table:
    rows = [f"{name},customer,sponsored_member,true,FCM" for name in names]
    return _table("\n".join(["account,origin,ficc_role,opted_in,clearing_firm", *rows]))


def _basis_market(real_data: Callable[[str], Path], scale: float) -> xm.Market:
    """Return the market with a basis of ZNM25 that jumps up and down by `scale` price points."""
    yields = real_data("us_treasury_par_yields.csv.gz")
    date = xm.read_market(yields, as_of=AS_OF).history.date
    sign = np.where(np.random.default_rng(5).integers(0, 2, date.size) == 1, 1.0, -1.0)
    basis = pa.table(
        {
            "date": pa.array(date, pa.date32()),
            "root": pa.repeat("ZN", date.size),
            "contract": pa.repeat("ZNM25", date.size),
            "basis": sign * scale,
        }
    )
    return xm.read_market(yields, as_of=AS_OF, basis=basis)


def _row(run: xm.RunResult, account: str) -> dict[str, Any]:
    rows = [r for r in run.accounts.to_arrow().to_pylist() if r["account"] == account]
    assert len(rows) == 1
    return rows[0]


HAND_MADE = {
    "BASIS": ("cash,91282CMM0,100000000,true", "future,ZNM25,-1100,true"),
    "CURVE": ("cash,91282CMM0,100000000,true", "future,ZTM5,-1800,true"),
    "CASH": ("cash,91282CMM0,100000000,true",),
    "FUTURES": ("future,ZNM25,-1100,true",),
    "TIPS": (f"cash,{TIPS[:9]},100000000,true", "future,ZNM25,-1100,true"),
    "SPLIT": (
        "cash,91282CMM0,10000000,true",
        "future,ZNM25,-1100,true",
        "future,ZNM25,1100,false",
    ),
    "SOFR": ("cash,91282CKE0,10000000,true", "future,SR3M25,-100,true"),
}


def _hand_made(market: xm.Market, securities: pa.Table, policy: str | None) -> xm.RunResult:
    rows = [f"{account},{line}" for account, lines in HAND_MADE.items() for line in lines]
    return xm.run(
        positions=_positions(*rows),
        accounts=_accounts(*HAND_MADE),
        securities=securities,
        market=market,
        policy=policy,
    )


@pytest.fixture(scope="module")
def hand_made(market: xm.Market, securities: pa.Table) -> xm.RunResult:
    return _hand_made(market, securities, None)


@pytest.fixture(scope="module")
def first_version(market: xm.Market, securities: pa.Table) -> xm.RunResult:
    """Return the run in which nothing moves a note and its future apart but the curve."""
    return _hand_made(market, securities, FIRST)


def test_basis_trade_is_capped_and_an_upper_bound(first_version: xm.RunResult) -> None:
    row = _row(first_version, "BASIS")
    assert row["offset_rate_ficc"] > 0.8
    assert row["offset_rate_cme"] > 0.8
    assert (row["offset_rate"], row["capped"], row["binding"]) == (0.8, True, "FICC")
    assert row["saving_is_upper_bound"]
    assert row["reason"] is None
    # A fifth is left at each clearing house.
    assert float(row["requirement_ficc"]) == pytest.approx(0.2 * row["v_ficc_cash"], abs=0.005)
    assert float(row["requirement_cme"]) == pytest.approx(0.2 * row["v_cme_futures"], abs=0.005)


def test_spreads_and_an_assumed_basis_leave_a_basis_trade_less(
    hand_made: xm.RunResult, first_version: xm.RunResult
) -> None:
    row, before = _row(hand_made, "BASIS"), _row(first_version, "BASIS")
    for rate in ("offset_rate_ficc", "offset_rate_cme"):
        assert 0.7 < row[rate] < before[rate]
    # CME's smaller saving binds, and it is below the cap.
    assert row["offset_rate"] == row["offset_rate_cme"] < 0.8
    assert (row["capped"], row["binding"], row["reason"]) == (False, "CME", None)
    # The basis counts as known, and the run says that it is assumed.
    assert not row["saving_is_upper_bound"]
    assert hand_made.manifest["exceptions"]["BASIS_ASSUMED"] == 1
    assert "BASIS_ASSUMED" not in first_version.manifest["exceptions"]
    left = 1.0 - row["offset_rate"]
    assert float(row["requirement_ficc"]) == pytest.approx(left * row["v_ficc_cash"], abs=0.005)
    assert float(row["requirement_cme"]) == pytest.approx(left * row["v_cme_futures"], abs=0.005)


def test_a_saving_by_tables_is_no_bound_of_what_the_models_see(
    market: xm.Market, securities: pa.Table
) -> None:
    lines = (f"BASIS,{line}" for line in HAND_MADE["BASIS"])
    policy = Path(__file__).resolve().parents[2] / "docs/policies/example-class-disallowance.toml"
    run = xm.run(
        positions=_positions(*lines),
        accounts=_accounts("BASIS"),
        securities=securities,
        market=market,
        policy=policy,
    )
    row = _row(run, "BASIS")
    assert row["offset_rate"] > 0.0
    assert not row["saving_is_upper_bound"]


def test_curve_trade_saves_less(hand_made: xm.RunResult) -> None:
    basis, curve = _row(hand_made, "BASIS"), _row(hand_made, "CURVE")
    assert 0.0 < curve["offset_rate"] < basis["offset_rate"]
    assert curve["offset_rate_ficc"] < basis["offset_rate_ficc"]
    assert curve["offset_rate_cme"] < basis["offset_rate_cme"]


@pytest.mark.parametrize("account", ["CASH", "FUTURES"])
def test_one_side_alone_saves_nothing(hand_made: xm.RunResult, account: str) -> None:
    row = _row(hand_made, account)
    assert (row["offset_rate"], row["reason"], row["binding"]) == (0.0, "ONE_SIDED", None)
    assert row["saving"] == 0
    assert row["requirement"] == row["standalone_requirement"] > 0


def test_tips_never_enter_and_stay_unpriced(hand_made: xm.RunResult) -> None:
    row = _row(hand_made, "TIPS")
    assert (row["v_ficc_cash"], row["offset_rate"], row["reason"]) == (0.0, 0.0, "ONE_SIDED")
    for column in (
        "other_ficc",
        "requirement",
        "house_requirement",
        "standalone_requirement",
        "saving",
    ):
        assert row[column] is None
    assert row["requirement_cme"] == _row(hand_made, "FUTURES")["requirement_cme"]
    codes = [r["code"] for r in hand_made.exceptions.to_arrow().to_pylist()]
    assert codes.count("SECURITY_INELIGIBLE") == codes.count("NO_MODEL") == 1


def test_splitting_a_hedge_can_cost_more_than_it_saves(hand_made: xm.RunResult) -> None:
    # Without the programme the futures net to nothing in one ordinary account.
    row = _row(hand_made, "SPLIT")
    assert row["saving"] < 0
    assert row["standalone_requirement"] - row["requirement"] == row["saving"]


def test_short_rate_futures_say_that_spreads_are_not_modelled(hand_made: xm.RunResult) -> None:
    assert _row(hand_made, "SOFR")["spread_risk"] == "not modelled"
    assert _row(hand_made, "BASIS")["spread_risk"] is None
    assert not _row(hand_made, "SOFR")["saving_is_upper_bound"]


def test_saving_at_ficc_falls_as_the_basis_moves_more(
    real_data: Callable[[str], Path], securities: pa.Table, first_version: xm.RunResult
) -> None:
    # A basis that does not move at all, and no spreads; then histories in place of the assumed one.
    offset_rate_ficc = [_row(first_version, "BASIS")["offset_rate_ficc"]]
    for scale in (0.1, 0.4, 1.6):
        run = xm.run(
            positions=_positions(*(f"BASIS,{line}" for line in HAND_MADE["BASIS"])),
            accounts=_accounts("BASIS"),
            securities=securities,
            market=_basis_market(real_data, scale),
        )
        row = _row(run, "BASIS")
        assert not row["saving_is_upper_bound"]
        offset_rate_ficc.append(row["offset_rate_ficc"])
    assert offset_rate_ficc == sorted(offset_rate_ficc, reverse=True)
    assert offset_rate_ficc[0] - offset_rate_ficc[-1] > 0.1


def test_breakdown_adds_up_to_the_components_by_scan_ranges(
    market: xm.Market, securities: pa.Table
) -> None:
    lines = ("future,ZNM25,-1100,true", "future,ZTM5,3000,true", "cash,91282CMM0,10000000,true")
    run = xm.run(
        positions=_positions(*(f"A,{line}" for line in lines)),
        accounts=_accounts("A"),
        securities=securities,
        market=market,
        policy="cme-ficc-2026-04-30-span",
    )
    total: dict[tuple[str, str], float] = {}
    for part in run.breakdown.to_arrow().to_pylist():
        key = (part["portfolio"], part["component"])
        total[key] = total.get(key, 0.0) + part["amount"]
    assert total["futures", "scan"] > -total["futures", "credit"] > 0.0
    for row in run.components.to_arrow().to_pylist():
        if row["ccp"] == "CME" and row["component"] in ("scan", "intra", "delivery", "credit"):
            found = total.pop((row["portfolio"], row["component"]), 0.0)
            assert float(row["amount"]) == pytest.approx(found, abs=0.0051)
    assert not total


def test_the_default_policy_has_no_parts(hand_made: xm.RunResult) -> None:
    assert len(hand_made.breakdown) == 0
    assert {"item", "quantity", "scenario", "amount"} <= set(hand_made.breakdown.column_names)


def test_manifest_says_what_was_run(hand_made: xm.RunResult) -> None:
    manifest = hand_made.manifest
    assert not manifest["synthetic"]
    assert manifest["as_of"] == manifest["market"]["curve_date"] == AS_OF
    assert manifest["ccps"]["FICC"]["cubes"]["pnl"]["scenarios"] == 2750
    assert manifest["ccps"]["CME"]["cubes"]["historical"]["scenarios"] == 2750
    # July 2008 to June 2009, March 2020 and March 2023; the first policy has the first alone.
    assert manifest["ccps"]["CME"]["cubes"]["stressed"]["scenarios"] == 250 + 27 + 20
    assert manifest["rows"] == {"read": 13, "used": 13, "rejected": 0}
    assert set(manifest["results"]) == set(TABLES)


def test_two_runs_differ_in_times_and_run_id_alone(
    hand_made: xm.RunResult, market: xm.Market, securities: pa.Table
) -> None:
    rows = [f"{account},{line}" for account, lines in HAND_MADE.items() for line in lines]
    again = xm.run(
        positions=_positions(*rows),
        accounts=_accounts(*HAND_MADE),
        securities=securities,
        market=market,
        threads=1,
    )
    changing = {"run_id", "started", "finished"}
    first = {k: v for k, v in hand_made.manifest.items() if k not in changing}
    assert first == {k: v for k, v in again.manifest.items() if k not in changing}
    assert hand_made.manifest["run_id"] != again.manifest["run_id"]


def test_five_thousand_accounts_over_the_real_universe(
    market: xm.Market, securities: pa.Table
) -> None:
    rng = np.random.default_rng(11)
    cusip = np.array(
        [
            r["cusip"]
            for r in securities.to_pylist()
            if r["maturity_date"] > "2026-06" and not r["type"]
        ]
    )
    contract = np.array(
        ["ZTM25", "Z3NM25", "ZFM25", "ZNM25", "TNM25", "TWEM25", "ZBM25", "UBM25", "SR3U25"]
    )
    accounts = np.array([f"{number:05d}" for number in range(5000)])
    cash, futures = rng.integers(0, 5000, 50_000), rng.integers(0, 5000, 25_000)
    face = 100_000 * np.maximum(rng.lognormal(3, 1.5, cash.size).astype(int), 1)
    lots = np.maximum(rng.lognormal(3, 1.5, futures.size).astype(int), 1)
    positions = pa.table(
        {
            "account": np.concatenate([accounts[cash], accounts[futures]]),
            "kind": ["cash"] * cash.size + ["future"] * futures.size,
            "instrument": np.concatenate(
                [rng.choice(cusip, cash.size), rng.choice(contract, futures.size)]
            ),
            "quantity": np.concatenate([face, -lots]).astype(float),
            "xm": rng.random(cash.size + futures.size) < 0.9,
        }
    )
    run = xm.run(
        positions=positions,
        accounts=_accounts(*accounts),
        securities=securities,
        market=market,
    )
    table = run.accounts.to_arrow()
    assert len(table) == 5000
    assert set(table["status"].to_pylist()) == {"complete"}
    p = table["offset_rate"].to_numpy()
    assert 0.2 < np.mean(p > 0.0) <= 1.0
    assert p.min() >= 0.0
    assert p.max() <= 0.8
    total = sum(table["requirement"].to_pylist())
    parts = ("requirement_ficc", "requirement_cme", "other_ficc", "other_cme")
    assert total == sum(sum(table[name].to_pylist()) for name in parts) > 0


def test_user_cubes_take_the_place_of_ours(market: xm.Market, securities: pa.Table) -> None:
    # 100 scenarios: w = 1, so VaR is the one worst loss.
    moves = np.linspace(-1.0, 1.0, 100)
    names = [f"s{number}" for number in range(100)]

    def cube(cash: float, future: float) -> pa.Table:
        pnl = np.vstack([cash * moves, future * moves])
        columns = {name: pnl[:, number] for number, name in enumerate(names)}
        return pa.table({"instrument": ["91282CMM0", "ZNM5"], **columns})

    run = xm.run(
        positions=_positions("A,cash,91282CMM0,1000000,true", "A,future,ZNM25,-10,true"),
        accounts=_accounts("A"),
        securities=securities,
        market=market,
        ficc_cube=cube(1.0, 500.0),
        cme_cube=cube(1.0, 250.0),
    )
    row = _row(run, "A")
    # 10,000 lots at 1 USD against 10 contracts at 500, then at 250 (no stress: HVaR alone).
    assert (row["v_ficc_cash"], row["v_ficc_futures"], row["v_ficc_combined"]) == (
        10_000,
        5_000,
        5_000,
    )
    assert (row["v_cme_cash"], row["v_cme_futures"], row["v_cme_combined"]) == (
        10_000,
        2_500,
        7_500,
    )
    assert row["offset_rate_ficc"] == pytest.approx(2 / 3, abs=1e-15)
    assert row["offset_rate_cme"] == pytest.approx(0.4, abs=1e-15)
    assert (row["offset_rate"], row["binding"]) == (row["offset_rate_cme"], "CME")
    assert list(run.manifest["ccps"]["CME"]["cubes"]) == ["historical"]


@pytest.mark.parametrize(
    ("version", "ten", "two"),
    [
        # July 2008 to June 2009 alone: 0.75 * 400 + 0.25 * 300, and 0.75 * 250 + 0.25 * 100.
        (FIRST, 375.0, 212.5),
        # The worst of three periods: 0.75 * 400 + 0.25 * 500, and 0.75 * 250 + 0.25 * 600.
        (SECOND, 425.0, 337.5),
    ],
)
def test_scenarios_of_ones_own_meet_the_policy_s_periods_of_stress(
    market: xm.Market, securities: pa.Table, version: str, ten: float, two: float
) -> None:
    # The weight is the same in both, so that a new fit of the second does not count here.
    policy = xm.read_policy(version)
    policy = replace(policy, cme=replace(policy.cme, historical_weight=0.75))
    # Of 200 scenarios the second largest loss counts; of a period's one, that one.
    loss = {"2008-10-15": (300, 100), "2020-03-09": (500, 50), "2023-03-13": (200, 600)}
    loss["an ordinary day"] = (400, 250)
    loss |= {f"s{number}": (number, number) for number in range(196)}
    run = xm.run(
        positions=_positions("A,future,ZNM25,1,true", "B,future,ZTM25,1,true"),
        accounts=_accounts("A", "B"),
        securities=securities,
        market=market,
        cme_cube=pa.table(
            {
                "instrument": ["ZNM25", "ZTM25"],
                **{name: [-float(one) for one in both] for name, both in loss.items()},
            }
        ),
        policy=policy,
    )
    assert [_row(run, account)["v_cme_futures"] for account in ("A", "B")] == [ten, two]


@pytest.mark.parametrize("price", [95.0, None])
def test_what_only_a_cube_covers_is_charged_by_its_price(
    market: xm.Market, securities: pa.Table, price: float | None
) -> None:
    at = securities["cusip"].to_pylist().index(TIPS[:9])
    prices = pa.array([price if row == at else None for row in range(len(securities))], "float64")
    policy = xm.read_policy()
    group = ("all", ("tips",), 480)
    run = xm.run(
        positions=_positions(f"A,cash,{TIPS[:9]},100000000,false"),
        accounts=_accounts("A"),
        securities=securities.append_column("price", prices),
        market=market,
        policy=policy.with_sections(LiquidityRules((group,), (0.01,), 0.0)),
        ficc_cube=pa.table({"instrument": [TIPS[:9]], **{f"s{n}": [-0.5] for n in range(9)}}),
    )
    row = _row(run, "A")
    codes = [r["code"] for r in run.exceptions.to_arrow().to_pylist()]
    if price is None:
        # A floor and a charge on a market value that nobody knows are not nothing.
        assert "NO_PRICE" in codes
        assert row["other_ficc"] is row["requirement"] is None
        return
    assert "NO_PRICE" not in codes
    # A million lots: V is 0.5 USD each, the charge 1% of 95, and the floor below V.
    parts = {r["component"]: r["amount"] for r in run.components.to_arrow().to_pylist()}
    assert parts["VaR"] == parts["V"] == 500_000
    assert parts["charge: liquidity adjustment"] == 950_000
    assert 0 < parts["floor"] < 500_000
    assert row["other_ficc"] == 1_450_000


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_span_policy_margins_futures_by_their_scan_range(
    market: xm.Market, securities: pa.Table, version: str
) -> None:
    book = _positions("A,future,ZNM25,-300,true", "A,cash,91282CMM0,30000000,true")
    given = {"accounts": _accounts("A"), "securities": securities, "market": market}
    span = f"{version}-span"
    run = xm.run(positions=book, policy=span, **given)
    ranges = {row["root"]: row for row in run.manifest["ccps"]["CME"]["scan_ranges"]}
    assert ranges["ZN"]["contract"] == "ZNM25"
    # A range is a day's move: between a fifth and four fifths of a point in 2025.
    assert 500.0 < ranges["ZN"]["scan_range"] < 2000.0
    row = _row(run, "A")
    assert row["v_cme_futures"] == 300.0 * ranges["ZN"]["scan_range"]
    # The ten-year of February 2025 stands for TN: the spread of TN and ZN has a credit.
    (rate,) = (
        s["rate"] for s in run.manifest["ccps"]["CME"]["spreads"] if s["legs"][0] == ["ZN", 4.0]
    )
    assert 0.5 < rate < 1.0
    contracts = row["v_cme_cash"] / ranges["TN"]["scan_range"]
    assert 200.0 < contracts < 400.0
    number = min(contracts / 3.0, 300.0 / 4.0)
    credit = rate * number * (3.0 * ranges["TN"]["scan_range"] + 4.0 * ranges["ZN"]["scan_range"])
    alone = row["v_cme_futures"] + row["v_cme_cash"]
    assert row["v_cme_combined"] == pytest.approx(alone - credit, rel=1e-12)
    # FICC's side is that of the policy with historical simulation at CME.
    plain = _row(xm.run(positions=book, policy=version, **given), "A")
    assert row["offset_rate_ficc"] == plain["offset_rate_ficc"]
    assert xm.Session(run).what_if("A", {})["offset_rate_cme"] == row["offset_rate_cme"]
    cube = pa.table({"instrument": ["ZNM25"], "a": [1.0]})
    with pytest.raises(InputError, match=r"cme_cube: the policy.s cme\.model, span, takes no cube"):
        xm.run(positions=book, policy=span, cme_cube=cube, **given)


def test_short_rate_futures_have_scan_ranges_by_tier(
    market: xm.Market, securities: pa.Table
) -> None:
    book = _positions(
        "A,future,SR3M25,10,true", "B,future,SR3M25,10,true", "B,future,SR3M26,-7,true"
    )
    run = xm.run(
        positions=book,
        accounts=_accounts("A", "B"),
        securities=securities,
        market=market,
        policy="cme-ficc-2026-11-30-span",
    )
    rows = [r for r in run.manifest["ccps"]["CME"]["scan_ranges"] if r["root"] == "SR3"]
    # March is the as-of month: its contract is of the first tier, June's of the second.
    assert [r["contract"] for r in rows[:8]] == [
        *("SR3H25", "SR3M25", "SR3U25", "SR3Z25"),
        *("SR3H26", "SR3M26", "SR3U26", "SR3Z26"),
    ]
    assert [r["tier"] for r in rows] == list(range(1, 13))
    usd = {r["contract"]: r["scan_range"] for r in rows}
    assert _row(run, "A")["v_cme_futures"] == 10.0 * usd["SR3M25"]
    assert _row(run, "B")["v_cme_futures"] == abs(10.0 * usd["SR3M25"] - 7.0 * usd["SR3M26"])
    for account in ("A", "B"):
        answer = xm.Session(run).what_if(account, {"SR3M26": 0})
        assert answer["requirement"] == _row(run, account)["requirement"]


EQUIVALENTS = """name = "own"
extends = "cme-ficc-2026-11-30{}"
[equivalents.from_span_file]
value = true
evidence = "ours"
source = "a test"
"""


def test_securities_of_a_span_file_enter_by_its_factors(
    market: xm.Market, securities: pa.Table, tmp_path: Path
) -> None:
    head = f"0 CME   {str(market.as_of).replace('-', '')}SE\n"
    values = "01000-01500-01500-01500+01500+01485-01485+"
    scan = f"82CBT21        21        FUT 202506            0000000{values}\n"
    record = "91CBT  TN        202506   US   91282CMM0      USD 2035021504625000080000\n"
    file, empty = tmp_path / "cme.pa2", tmp_path / "empty.pa2"
    file.write_text(f"{head}2 CBT 21    0USD$PN   21        FUT\n{scan}{record}")
    empty.write_text(head)
    book = _positions("A,cash,91282CMM0,30000000,true", "A,future,TNM25,1,true")
    given = {"accounts": _accounts("A"), "securities": securities, "market": market}
    for kind in ("", "-span"):
        own = tmp_path / f"own{kind}.toml"
        own.write_text(EQUIVALENTS.format(kind))
        plain = xm.run(positions=book, policy=f"cme-ficc-2026-11-30{kind}", **given)
        run = xm.run(positions=book, policy=own, span_file=file, **given)
        # 30 million of face are 30,000 times 0.008 contracts of TN.
        assert _row(run, "A")["v_cme_cash"] == pytest.approx(
            240.0 * _row(run, "A")["v_cme_futures"], rel=1e-6
        )
        assert _row(plain, "A")["v_cme_cash"] != _row(run, "A")["v_cme_cash"]
        found = run.manifest["ccps"]["CME"]
        assert found["equivalents_from_file"] == {"by_factor": 1}
        assert found["equivalents"][1] == {
            "up_to_years": 3.0,
            "bucket": "Z3N",
            "contract": "ZTM25",
            "reason": "the policy says that Z3N is not liquid",
        }
        assert "equivalents_from_file" not in plain.manifest["ccps"]["CME"]
    own = tmp_path / "own.toml"
    cube = pa.table({"instrument": ["TNM25"], "a": [1.0]})
    for says, policy, more in (
        (r"hvar, not span, and it takes no", "cme-ficc-2026-11-30", {"span_file": file}),
        (r"names no debt securities", own, {"span_file": empty}),
        (r"of no use beside cme_cube", own, {"span_file": file, "cme_cube": cube}),
    ):
        with pytest.raises(InputError, match=says):
            xm.run(positions=book, policy=policy, **given, **more)


def test_a_future_without_a_scan_range_is_not_covered(
    market: xm.Market, securities: pa.Table, tmp_path: Path
) -> None:
    # No bond of the table is deliverable into a bond future: there is nothing to calibrate from.
    years = pc.strptime(securities["maturity_date"], "%Y-%m-%d", "s")
    short = securities.filter(pc.less(pc.year(years), 2036))
    book = _positions("A,future,ZBM25,10,true", "B,future,ZNM25,10,true")
    given = {"accounts": _accounts("A", "B"), "securities": short, "market": market}
    run = xm.run(positions=book, policy="cme-ficc-2026-04-30-span", **given)
    assert (_row(run, "A")["v_cme_futures"], _row(run, "A")["requirement"]) == (None, None)
    assert run.stages is not None
    name, unpriced = run.stages.models.universe.name, run.stages.models.ccps["CME"].unpriced
    assert set(unpriced[name == "ZBM25"]) == {"NO_SCAN_RANGE"}
    assert _row(run, "B")["v_cme_futures"] > 0.0
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\nextends = "cme-ficc-2026-04-30-span"\n[span.scan_ranges]\n'
        'value = [["ZB", 3500]]\nevidence = "ours"\nsource = "a test"\n'
    )
    run = xm.run(positions=book, policy=own, **given)
    assert _row(run, "A")["v_cme_futures"] == 35_000.0


def test_instrument_missing_from_a_cube_is_unpriced(
    market: xm.Market, securities: pa.Table
) -> None:
    cube = pa.table({"instrument": ["ZNM25"], "a": [1.0], "b": [-1.0]})
    run = xm.run(
        positions=_positions("A,cash,91282CMM0,1000000,true", "A,future,ZNM25,-10,true"),
        accounts=_accounts("A"),
        securities=securities,
        market=market,
        ficc_cube=cube,
    )
    row = _row(run, "A")
    assert (row["v_ficc_cash"], row["requirement_ficc"], row["requirement"]) == (None, None, None)
    assert (row["offset_rate"], row["reason"], row["status"]) == (0.0, "INCOMPLETE", "incomplete")
    assert "NOT_IN_CUBE" in [r["code"] for r in run.exceptions.to_arrow().to_pylist()]


@pytest.mark.parametrize("policy", [FIRST, SECOND])
def test_other_spellings_give_the_same_answer(
    market: xm.Market, securities: pa.Table, policy: str
) -> None:
    plain = _positions("A,cash,91282CMM0,10000000,true", "A,future,ZNM25,-100,true")
    other = _positions(
        "A,cash,91282cmm0,4000000,true",
        "A,cash,US91282CMM00,3000000,true",
        "A,cash,91282CMM,3000000,true",
        "A,future,TYM5 Comdty,-60,true",
        "A,future,ZNM25-CBT,-40,true",
    )
    given = {"accounts": _accounts("A"), "securities": securities, "market": market}
    runs = [xm.run(positions=p, policy=policy, **given) for p in (plain, other)]
    a, b = (run.manifest["results"] for run in runs)
    for name in ("accounts", "components", "breakdown", "positions"):
        assert a[name] == b[name]
    if policy == FIRST:
        assert str(_row(runs[1], "A")["requirement"]) == "67073.16"
    assert runs[1].manifest["exceptions"]["NAME_RESOLVED"] == 1


def test_a_stale_contract_has_expired(
    real_data: Callable[[str], Path], securities: pa.Table
) -> None:
    today = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2026-02-27")
    note = "A,cash,912810UG1,10000000,true"
    given = {"accounts": _accounts("A"), "securities": securities, "market": today}
    alone = _row(xm.run(positions=_positions(note), **given), "A")["requirement"]
    assert alone > 0
    for name in ("ZBH5", "ZBH25"):
        with pytest.warns(xm.InputWarning, match="1 of 2 rows of positions are rejected"):
            run = xm.run(positions=_positions(note, f"A,future,{name},-60,true"), **given)
        row = _row(run, "A")
        assert (row["offset_rate"], row["reason"]) == (0.0, "INCOMPLETE")
        assert row["requirement"] == alone
        assert run.manifest["exceptions"]["CONTRACT_EXPIRED"] == 1


def test_a_cube_may_spell_instruments_in_another_way(
    market: xm.Market, securities: pa.Table
) -> None:
    cube = pa.table({"instrument": ["91282cmm0", "TYM5 Comdty"], "a": [-1.0, 2.0]})
    run = xm.run(
        positions=_positions(ONE_LINE, "A,future,ZNM25,-1,true"),
        accounts=_accounts("A"),
        securities=securities,
        market=market,
        ficc_cube=cube,
    )
    assert "NOT_IN_CUBE" not in run.manifest["exceptions"]


def test_too_many_rejected_rows_are_an_error(market: xm.Market, securities: pa.Table) -> None:
    common = {"accounts": _accounts("A"), "securities": securities, "market": market}
    book = _positions(ONE_LINE, "A,cash,91282CMM0,150,true", "B,cash,91282CMM0,100,true")
    with pytest.warns(xm.InputWarning, match="2 of 3 rows of positions are rejected"):
        run = xm.run(positions=book, **common, max_rejected=2)
    assert run.manifest["rows"] == {"read": 3, "used": 1, "rejected": 2}
    assert _row(run, "A")["rows_rejected"] == 1
    assert _row(run, "A")["reason"] == "INCOMPLETE"
    with pytest.raises(InputError, match="2 rows rejected, 1 allowed"):
        xm.run(positions=book, **common, max_rejected=1)


def test_short_history_is_an_unusable_input(
    real_data: Callable[[str], Path], securities: pa.Table
) -> None:
    short = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2012-03-13")
    with pytest.raises(InputError, match="HISTORY_SHORT"):
        xm.run(
            positions=_positions("A,cash,912810QN1,1000000,true"),
            accounts=_accounts("A"),
            securities=securities,
            market=short,
        )


def test_results_are_written_and_read_back(hand_made: xm.RunResult, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = hand_made.write(tmp_path / "results")
    for name in TABLES:
        table = pq.read_table(out / f"{name}.parquet")
        assert table.equals(getattr(hand_made, name).to_arrow())
        assert {"as_of", "cycle", "run_id"} <= set(table.column_names)
        assert b"schema_version" in table.schema.metadata


def test_cube_that_names_an_instrument_twice_is_refused(
    market: xm.Market, securities: pa.Table
) -> None:
    cube = pa.table({"instrument": ["ZNM25", "ZNM5"], "a": [1.0, 2.0]})
    with pytest.raises(InputError, match="ZNM25 and ZNM5 name the same instrument"):
        xm.run(
            positions=_positions(ONE_LINE),
            accounts=_accounts("A"),
            securities=securities,
            market=market,
            cme_cube=cube,
        )


@pytest.mark.parametrize(
    ("pnl", "problem"),
    [
        (9e8, "its margin at CME is beyond 100,000,000,000 USD"),
        (1e308, "the sum of its P&L at CME in scenario 1 is not finite"),
    ],
)
def test_an_impossible_amount_names_the_account(
    market: xm.Market,
    securities: pa.Table,
    monkeypatch: pytest.MonkeyPatch,
    pnl: float,
    problem: str,
) -> None:
    # A cube is read within 1e9 USD, which no sum can take out of float64's range.
    monkeypatch.setattr("crossmargin.io.cubes.LARGEST_PNL", np.inf)
    cube = pa.table({"instrument": ["91282CMM0", "ZNM25"], "a": [1.0, 1.0], "b": [-1.0, -pnl]})
    with pytest.raises(InputError, match=f"^account SECOND: {problem}; check the units"):
        xm.run(
            positions=_positions("FIRST,cash,91282CMM0,1000,true", "SECOND,future,ZNM25,999,true"),
            accounts=_accounts("FIRST", "SECOND"),
            securities=securities,
            market=market,
            cme_cube=cube,
        )


def test_columns_of_the_user_never_displace_ours(market: xm.Market, securities: pa.Table) -> None:
    accounts = _accounts("A")
    for name in ("offset_rate", "run_id", "desk"):
        accounts = accounts.append_column(name, pa.array(["mine"]))
    run = xm.run(
        positions=_positions(ONE_LINE), accounts=accounts, securities=securities, market=market
    )
    row = _row(run, "A")
    assert (row["input_offset_rate"], row["input_run_id"], row["desk"]) == ("mine", "mine", "mine")
    assert row["offset_rate"] == 0.0
    assert row["run_id"] == run.manifest["run_id"]


@pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")
def test_both_legs_of_a_repo_are_listed_once(market: xm.Market, securities: pa.Table) -> None:
    header = "account,kind,instrument,quantity,xm,start_date,end_date,repo_rate,start_cash"
    repo = f"A,repo,{TIPS[:9]},1000000,true,2025-03-20,2025-04-20,4.3"
    run = xm.run(
        positions=_table(f"{header}\n{repo},900000\n{repo},"),
        accounts=_accounts("A"),
        securities=securities,
        market=market,
    )
    found = [(r["row"], r["code"]) for r in run.exceptions.to_arrow().to_pylist()]
    assert found.count((1, "NO_MODEL")) == 1
    # Without a model nothing says what cash a blank stands for.
    assert [code for row, code in found if row == 2] == ["VALUE_INVALID"]


def test_settlements_give_the_run_that_their_basis_gives(
    real_data: Callable[[str], Path], market: xm.Market, securities: pa.Table
) -> None:
    days = market.history.date[-100:]
    settled = pa.table(
        {
            "date": pa.array(np.tile(days, 2), pa.date32()),
            "contract": ["ZNM25"] * days.size + ["TNM25"] * days.size,
            "price": 110.0 + np.random.default_rng(3).integers(0, 256, 2 * days.size) / 64.0,
        }
    )
    book = {
        "positions": _positions("A,cash,91282CMM0,10000000,true", "A,future,ZNM25,-100,true"),
        "accounts": _accounts("A"),
        "securities": securities,
    }
    by_price = xm.run(**book, market=market, settlements=settled)
    assert by_price.stages is not None
    found = by_price.stages.models.market.history.basis
    assert list(found) == ["TN", "ZN"]
    basis = pa.concat_tables(
        pa.table(
            {
                "date": pa.array(own.date, pa.date32()),
                "root": pa.repeat(root, own.date.size),
                "contract": pa.repeat(own.contract[0], own.date.size),
                "basis": own.level[:, 0],
            }
        )
        for root, own in found.items()
    )
    yields = real_data("us_treasury_par_yields.csv.gz")
    by_basis = xm.run(**book, market=xm.read_market(yields, as_of=AS_OF, basis=basis))
    for table in ("accounts", "components", "positions"):
        hashes = [run.manifest["results"][table]["hash"] for run in (by_price, by_basis)]
        assert hashes[0] == hashes[1]
    assert by_price.manifest["inputs"]["settlements"]["rows_read"] == 200
    told = [
        r["message"]
        for r in by_price.exceptions.to_arrow().to_pylist()
        if r["file"] == "settlements"
    ]
    # Nothing could be delivered into TNM25 before its first note was announced.
    assert [text[:3] for text in told] == ["TN:", "ZN:", "16 "]
    with pytest.raises(InputError, match="settlements: ZN has a basis history too"):
        xm.run(
            **book,
            market=xm.read_market(
                yields, as_of=AS_OF, basis=basis.filter(pc.equal(basis["root"], "ZN"))
            ),
            settlements=settled,
        )
    with pytest.raises(ValueError, match=r"give run\.stages\.models\.market"):
        xm.compare_revaluation(by_price, market)
    assert len(xm.compare_revaluation(by_price, by_price.stages.models.market))


def test_a_settlement_that_cannot_be_is_refused_by_row(
    market: xm.Market, securities: pa.Table
) -> None:
    with pytest.raises(InputError, match=r"settlements, row 1: ZNM25 at 11\.09 on .* points from"):
        xm.run(
            positions=_positions(ONE_LINE),
            accounts=_accounts("A"),
            securities=securities,
            market=market,
            settlements=_table("date,contract,price\n2025-03-13,ZNM25,11.09"),
        )


def test_a_history_that_begins_later_than_the_stress_is_noted(
    real_data: Callable[[str], Path], securities: pa.Table
) -> None:
    yields = csv.read_csv(real_data("us_treasury_par_yields.csv.gz"))
    day = yields["date"].cast(pa.string())
    # Without a day of 2008 to 2009 the other periods of the default policy are left.
    cuts = (("2012-01-03", 1), ("2009-01-02", 1), ("2008-07-01", 0), ("2006-02-09", 0))
    for first, count in cuts:
        cut = yields.filter(pc.greater_equal(day, first))
        run = xm.run(
            positions=_positions(ONE_LINE),
            accounts=_accounts("A"),
            securities=securities,
            market=xm.read_market(cut, as_of=AS_OF),
        )
        assert run.manifest["exceptions"].get("STRESS_CUT", 0) == count
