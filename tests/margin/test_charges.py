from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.conventions import ALL, CASH, COMBINED, FICC, FUTURES, OTHER
from crossmargin.exceptions import InputError
from crossmargin.instruments.securities import Securities
from crossmargin.margin.charges import (
    ChargeRules,
    Exposures,
    before_holiday,
    charge,
    charge_concentration,
    charge_liquidity,
    charge_rules,
    ficc_charges,
    volumes_of,
)
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import (
    Charge,
    CmeConcentration,
    CmeLiquidity,
    HolidayRules,
    LiquidityRules,
    Policy,
    RepoRateRules,
    read_policy,
)


def at(house: str, rate: float = 0.5, name: str = "liquidity") -> Charge:
    return Charge(name, house, rate, reducible=False, evidence="ours", source="a test")


@pytest.fixture
def universe(by_hand: Any) -> Any:
    names = [(f"NOTE{n}0000", [(1.0, 100.0)], 1.0) for n in range(8)]
    value = [100.0, 90.0, 1000.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return by_hand(*names, market_value=value)


def test_a_house_charges_the_gross_value_of_its_own_positions(universe: Any, book_of: Any) -> None:
    # FICC XM 2 * 100 + |-1| * 90 = 290; CME XM 3 * 1000; FICC other 4 * 100; CME other 5 * 1000.
    book = book_of([{0: 2, 1: -1, 3: 9}, {2: -3}, {0: -4}, {2: 5}, {}, {}, {}, {}])
    ficc, cme = charge(book, universe, (at("FICC"), at("CME", 0.25)))
    # Cash, futures, combined, other, all. In `all` the segments net first: 2 - 4 notes of 100 and
    # one of 90 are 290 again, -3 + 5 futures of 1000 are 2000.
    assert ficc.amount.tolist() == [[145.0, 0.0, 145.0, 200.0, 145.0], [0.0] * 5]
    assert cme.amount.tolist() == [[0.0, 750.0, 750.0, 1250.0, 500.0], [0.0] * 5]
    assert (ficc.charge.ccp, cme.charge.ccp) == ("FICC", "CME")


def test_no_charge_is_no_charge(universe: Any, book_of: Any) -> None:
    assert charge(book_of([{0: 1}, {}, {}, {}]), universe, ()) == []


def test_charges_are_kept_apart(universe: Any, book_of: Any) -> None:
    found = charge(
        book_of([{0: 1}, {}, {}, {}]), universe, (at("FICC", 0.1, "a"), at("FICC", 0.2, "b"))
    )
    assert [c.charge.name for c in found] == ["a", "b"]
    np.testing.assert_allclose([c.amount[0, 0] for c in found], [10.0, 20.0])


NOTHING = np.zeros((1, 5))
RATES = np.array([0.5, 0.25])


def margin_of(v: float) -> CcpMargin:
    return CcpMargin(FICC, np.full((1, 5), v), np.zeros((1, 5), dtype=bool), {})


def exposures(rate: Any = RATES) -> Exposures:
    """Return two instruments of 10 and 20 USD in bucket 0, one of 40 in bucket 1."""
    return Exposures(
        np.array([0, 0, 1, -1, -1, -1, -1, -1, -1, -1]),
        np.array([10.0, 20.0, 40.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        np.asarray(rate),
    )


def test_net_exposure_of_a_bucket_is_charged_at_its_rate(book_of: Any) -> None:
    # XM: 3 * 10 - 20 = 10 at a half, -40 at a quarter; other: -60 at a half. Buckets do not net.
    book = book_of([{0: 3, 1: -1, 2: -1, 3: 9}, {}, {1: -3}, {}])
    (repo,) = ficc_charges(book, margin_of(0.0), ChargeRules(repo_rate=exposures()))
    assert (repo.charge.name, repo.charge.ccp, repo.charge.reducible) == ("repo rate", FICC, False)
    amount = repo.amount[0]
    assert amount[[CASH, COMBINED, FUTURES, OTHER]].tolist() == [15.0, 15.0, 0.0, 30.0]
    # 30 - 20 - 60 = -50 at a half, and the ten.
    assert amount[ALL] == 35.0


@pytest.mark.parametrize(("v", "due"), [(37.0, 15.0), (37.5, 0.0), (38.0, 0.0), (0.0, 15.0)])
def test_liquidity_is_charged_above_its_share_of_v(book_of: Any, v: float, due: float) -> None:
    # The cost of 15 is more than 0.4 * 37, but not than 0.4 * 37.5 = 15.
    book = book_of([{0: 3, 1: -1, 2: -1}, {}, {}, {}])
    rules = ChargeRules(liquidity=exposures(), liquidity_threshold=0.4)
    (found,) = ficc_charges(book, margin_of(v), rules)
    assert found.charge.name == "liquidity adjustment"
    assert found.amount[0, CASH] == due
    assert found.amount[0, OTHER] == 0.0


def test_holiday_is_a_share_of_v(book_of: Any) -> None:
    (found,) = ficc_charges(book_of([{}] * 4), margin_of(8.0), ChargeRules(holiday=0.25))
    assert (found.charge.name, found.amount.tolist()) == ("holiday", [[2.0] * 5])


def test_no_table_is_no_charge(book_of: Any) -> None:
    assert ficc_charges(book_of([{}] * 4), margin_of(8.0), ChargeRules()) == []


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("2025-07-03", True),  # Thursday before Independence Day, a Friday
        ("2025-07-02", False),
        ("2025-05-23", True),  # Friday before Memorial Day
        ("2025-05-16", False),  # an ordinary Friday
        ("2025-11-26", True),  # Wednesday before Thanksgiving
        ("2025-10-10", True),  # Columbus Day closes the bond market
        ("2027-07-02", True),  # 4 July 2027 is a Sunday: Monday is closed
    ],
)
def test_day_before_a_holiday(day: str, due: bool) -> None:
    assert before_holiday(np.datetime64(day)) == due


def policy_with(**tables: Any) -> Policy:
    return replace(read_policy(), **tables)


@pytest.fixture
def held(make_securities: Any) -> Securities:
    return make_securities(
        {
            "cusip": "NOTE00000",
            "issue_date": "2024-03-13",
            "maturity_date": "2026-03-13",
        },
        {
            "cusip": "TIPS00000",
            "type": "tips",
            "issue_date": "2024-03-13",
            "maturity_date": "2026-03-14",
        },
    )


def test_rules_of_a_run(held: Securities, by_hand: Any, market: Any, scenario_rules: Any) -> None:
    notes = [(name, [(1.0, 100.0)], 1.0) for name in held.cusip]
    days = ("2025-03-13", "2025-04-13", "2025-04-14", "2026-03-13", "2027-03-13")
    cash = [(f"USD {day}", [(0.5, 100.0)], 1.0) for day in days]
    universe = by_hand(*notes, *cash, market_value=[99.0, 98.0] + [0.0] * 5)
    universe = replace(universe, price=np.array([np.nan] * 2 + [80.0] * 5))
    rules = charge_rules(
        universe,
        held,
        market,
        policy_with(
            scenarios=scenario_rules,
            repo_rate=RepoRateRules((1, 12), ("1/12", "1"), ()),
            liquidity=LiquidityRules((("a", ("note",), 12), ("b", ("tips",), 24)), (0.1, 0.2), 0.4),
            holiday=HolidayRules(0.5),
        ),
    )
    assert rules.repo_rate is not None
    assert rules.repo_rate.bucket.tolist() == [-1, -1, 0, 0, 1, 1, 1]
    # 80 USD a lot times the days: none, 31, 32, 365, 730.
    expected = 80.0 * np.array([0, 31, 32, 365, 730]) / 365.25
    np.testing.assert_allclose(rules.repo_rate.value[2:], expected, rtol=1e-15)
    moves = ScenarioStore().of(
        market.history, horizon=3, look_back=100, minimum=100, stress=scenario_rules.stress
    )
    # The second largest of 140 moves.
    second = np.sort(np.abs(moves.shock[:, [0, 3]]), axis=0)[-2]
    assert rules.repo_rate.rate.tolist() == second.tolist()
    assert rules.liquidity is not None
    assert rules.liquidity.bucket.tolist() == [0, 1, -1, -1, -1, -1, -1]
    assert rules.liquidity.value.tolist()[:2] == [99.0, 98.0]
    assert (rules.liquidity.rate.tolist(), rules.liquidity_threshold) == ([0.1, 0.2], 0.4)
    # 13 March 2025 is an ordinary Thursday.
    assert rules.holiday is None
    given = charge_rules(
        universe, held, market, policy_with(repo_rate=RepoRateRules((6,), ("1",), (0.01,)))
    )
    assert given.repo_rate is not None
    assert given.repo_rate.rate.tolist() == [0.01]


def test_charges_of_a_run_are_outside_the_reduction(
    sample_inputs: dict[str, Any], sample_run: xm.Run
) -> None:
    with_repo = policy_with(repo_rate=RepoRateRules((12,), ("1/4",), (0.01,)))
    charged = xm.run(**sample_inputs, policy=with_repo)
    was, now = sample_run.accounts.to_arrow(), charged.accounts.to_arrow()
    assert was["offset_rate"].equals(now["offset_rate"])
    assert was["v_ficc_cash"].equals(now["v_ficc_cash"])
    parts = charged.components.to_arrow()
    parts = parts.filter(pc.equal(parts["component"], "charge: repo rate"))
    assert set(parts["reducible"].to_pylist()) == {False}
    own = parts.filter(pc.equal(parts["portfolio"], "cash")).to_pylist()
    due = {(r["account"], r["clearing_firm"]): r["amount"] for r in own}
    firm = dict(zip(now["account"].to_pylist(), now["clearing_firm"].to_pylist(), strict=True))
    checked = 0
    columns = ("account", "requirement_ficc")
    for a, b in zip(was.select(columns).to_pylist(), now.select(columns).to_pylist(), strict=True):
        amount = due.get((a["account"], firm[a["account"]]))
        if amount and a["requirement_ficc"] is not None:
            assert b["requirement_ficc"] - a["requirement_ficc"] == amount
            checked += 1
    assert checked > 100


@pytest.fixture
def futures(by_hand: Any) -> Any:
    """Return a note, forward cash leg and futures: two months of ZN, one of ZT, one of SR3."""
    names = ["NOTE00000", "USD 2025-05-01", "SR3M25", "ZNM25", "ZNU25", "ZTM25"]
    return by_hand(*((name, [(1.0, 100.0)], 1.0) for name in names))


BOOK: list[dict[int, int]] = [
    # FICC XM, CME XM, FICC other, CME other of two accounts.
    {0: 500},
    {3: -30, 4: 20, 5: 7},
    {0: -9},
    {3: 10, 2: 4},
    {},
    {},
    {},
    {4: -8},
]


def test_liquidity_is_the_cost_of_every_contract_net(futures: Any, book_of: Any) -> None:
    rules = CmeLiquidity(cost=(("ZN", 15.625), ("ZT", 8.0)), reducible=False)
    found = charge_liquidity(book_of(BOOK), futures, rules)
    # XM: 15.625 * (30 + 20) + 8 * 7 = 837.25; other: 15.625 * 10, SR3 is not named. In `all`
    # ZNM25 nets to -20: 15.625 * (20 + 20) + 56 = 681. Cash is FICC's own.
    assert found.amount.tolist() == [
        [0.0, 837.25, 837.25, 156.25, 681.0],
        [0.0, 0.0, 0.0, 125.0, 125.0],
    ]
    assert (found.charge.name, found.charge.ccp, found.charge.reducible) == (
        "liquidity",
        "CME",
        False,
    )


def test_concentration_counts_the_contracts_that_share_a_volume(futures: Any, book_of: Any) -> None:
    rules = CmeConcentration(threshold=0.25, rate=(("ZN", 3.0), ("ZT", 10.0)), reducible=True)
    volumes = volumes_of(futures, {"ZN": 100.0, "ZTM25": 8.0, "UB": 1.0}, rules)
    found = charge_concentration(book_of(BOOK), futures, rules, volumes)
    # XM: ZN 3 * (30 + 20 - 25) = 75, ZT 10 * (7 - 2) = 50; other: 10 < 25. In `all` ZN counts
    # 20 + 20: 3 * 15 = 45.
    assert found.amount.tolist() == [[0.0, 125.0, 125.0, 0.0, 95.0], [0.0] * 5]
    assert (found.charge.name, found.charge.ccp, found.charge.reducible) == (
        "concentration",
        "CME",
        True,
    )
    # A volume of its own: ZNM25 30 - 25, ZNU25 20 - 10 of the root's 40 in XM.
    volumes = volumes_of(futures, {"ZN": 40.0, "ZNM25": 100.0, "ZT": 28.0}, rules)
    found = charge_concentration(book_of(BOOK), futures, rules, volumes)
    assert found.amount[0, 1] == 3.0 * (5 + 10)


def test_concentration_begins_beyond_the_threshold(futures: Any, book_of: Any) -> None:
    rules = CmeConcentration(threshold=0.5, rate=(("ZN", 4.0),), reducible=False)
    for contracts, due in ((10, 0.0), (11, 4.0), (-12, 8.0)):
        volumes = volumes_of(futures, {"ZN": 20.0}, rules)
        book = book_of([{}, {3: contracts}, {}, {}])
        assert charge_concentration(book, futures, rules, volumes).amount[0, 1] == due


def test_a_charged_contract_without_volume_is_refused_by_name(futures: Any, book_of: Any) -> None:
    rules = CmeConcentration(threshold=0.5, rate=(("ZN", 4.0), ("UB", 1.0)), reducible=False)
    for adv in ({}, {"ZNM25": 5.0}, {"ZT": 5.0}):
        with pytest.raises(InputError, match=r"ZN is charged .* give a row for ZN .*--volumes"):
            volumes_of(futures, adv, rules)
    # UB is not in the run.
    assert volumes_of(futures, {"ZN": 5.0}, rules).adv.tolist() == [0.0, 5.0]
    with pytest.raises(ValueError, match="needs volumes"):
        charge_concentration(book_of(BOOK), futures, rules, None)


HELD = st.dictionaries(st.integers(2, 5), st.integers(-50, 50).filter(bool), max_size=4)


@given(
    inside=HELD,
    other=HELD,
    adv=st.floats(0.0, 200.0),
    threshold=st.floats(0.0, 2.0),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_charges_grow_with_the_book_and_netting_never_costs(
    futures: Any,
    book_of: Any,
    inside: dict[int, int],
    other: dict[int, int],
    adv: float,
    threshold: float,
) -> None:
    amounts = tuple((root, 2.0) for root in ("ZN", "ZT", "SR3"))
    rules = CmeConcentration(threshold, amounts, reducible=False)
    volumes = volumes_of(futures, dict.fromkeys(("ZN", "ZT", "SR3"), adv), rules)

    def due(*rows: dict[int, int]) -> tuple[Any, Any]:
        book = book_of(rows)
        return (
            charge_liquidity(book, futures, CmeLiquidity(amounts, reducible=False)).amount[0],
            charge_concentration(book, futures, rules, volumes).amount[0],
        )

    liquidity, concentration = due({}, inside, {}, other)
    for found in (liquidity, concentration):
        assert (found >= 0.0).all()
        assert found[0] == 0.0
        assert found[1] == found[2]
    assert liquidity[4] <= liquidity[1] + liquidity[3]
    # Beyond the threshold only the excess counts, never more than all contracts.
    assert (concentration <= liquidity).all()
    opposite = due({}, {k: -q for k, q in inside.items()}, {}, {k: -q for k, q in other.items()})
    assert np.array_equal(opposite, (liquidity, concentration))
    doubled = due({}, {k: 2 * q for k, q in inside.items()}, {}, {})
    assert doubled[0][1] == 2 * liquidity[1]
    # Twice the book is charged at least twice.
    assert doubled[1][1] >= 2 * concentration[1]


def test_volumes_are_shared_by_contracts_alone(futures: Any) -> None:
    rules = CmeConcentration(0.5, (("ZN", 4.0),), reducible=False)
    found = volumes_of(futures, {"ZN": 5.0, "ZNU25": 3.0}, rules)
    assert found.adv.tolist() == [0.0, 5.0, 3.0]
    assert found.number.tolist() == [0, 0, 0, 1, 2, 0]
