"""Omnibus accounts and given-up trades: where positions are margined, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.policies.policy import parse_policy
from crossmargin.sample import sample_tables

AMOUNTS = ("requirement", "requirement_cme", "other_ficc", "other_cme", "standalone_requirement")


@pytest.fixture(scope="module")
def securities() -> pa.Table:
    return sample_tables(accounts=10)["securities"]


@pytest.fixture(scope="module")
def notes(securities: pa.Table) -> list[str]:
    """Return notes that may be cross-margined."""
    matures = np.array(securities["maturity_date"].to_pylist(), "datetime64[D]")
    kind = np.array(securities["type"].to_pylist())
    fits = (kind == "note") & (matures > np.datetime64("2030-01-01"))
    return [str(name) for name in np.array(securities["cusip"].to_pylist())[fits][:3]]


def row(account: str, kind: str, instrument: str, quantity: float, **more: Any) -> dict[str, Any]:
    return {
        "account": account,
        "kind": kind,
        "instrument": instrument,
        "quantity": quantity,
        "xm": True,
        "settle_date": None,
        "start_date": None,
        "end_date": None,
        "repo_rate": None,
        "clearing_firm": None,
        "given_up": None,
        **more,
    }


def account(name: str, omnibus: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "account": name,
        "origin": "customer",
        "ficc_role": "executing_firm_customer",
        "opted_in": True,
        "clearing_firm": "F",
        "omnibus": omnibus,
        **more,
    }


POOL = account("POOL", ficc_role="omnibus")
Margined = Callable[..., xm.RunResult]


@pytest.fixture(scope="module")
def margined(securities: pa.Table) -> Margined:
    market = xm.sample_market()

    def run(accounts: list[dict[str, Any]], rows: list[dict[str, Any]]) -> xm.RunResult:
        typed = [
            ("settle_date", pa.date32()),
            ("start_date", pa.date32()),
            ("end_date", pa.date32()),
            ("repo_rate", pa.float64()),
            ("clearing_firm", pa.string()),
            ("given_up", pa.bool_()),
        ]
        positions = pa.Table.from_pylist(rows)
        for name, kind in typed:
            place = positions.column_names.index(name)
            positions = positions.set_column(place, name, positions[name].cast(kind))
        people = pa.Table.from_pylist(accounts)
        place = people.column_names.index("omnibus")
        people = people.set_column(place, "omnibus", people["omnibus"].cast(pa.string()))
        return xm.run(positions=positions, accounts=people, securities=securities, market=market)

    return run


def amounts(run: xm.RunResult) -> dict[str, dict[str, Any]]:
    return {own["account"]: {name: own[name] for name in AMOUNTS} for own in run.accounts}


def coded(run: xm.RunResult, code: str) -> dict[str, str]:
    return {e["account"]: e["message"] for e in run.exceptions if e["code"] == code}


def test_positions_at_ficc_net_in_the_omnibus_account(margined: Margined, notes: list[str]) -> None:
    rows = [
        row("A", "cash", notes[0], 30e6),
        row("A", "future", "ZNU26", -40),
        row("B", "cash", notes[0], -30e6),
        row("B", "cash", notes[1], 5e6, xm=False),
        row("B", "future", "ZNU26", 40),
    ]
    run = margined([account("A", "POOL"), account("B", "POOL"), POOL], rows)
    # By hand: 30 million long and short cancel, so 5 million of the other note is all that is left.
    alone = margined(
        [account("A"), account("B"), account("C")],
        [
            row("C", "cash", notes[1], 5e6, xm=False),
            row("A", "future", "ZNU26", -40, xm=False),
            row("B", "future", "ZNU26", 40, xm=False),
        ],
    )
    found, expected = amounts(run), amounts(alone)
    assert found == {"A": expected["A"], "B": expected["B"], "POOL": expected["C"]}
    assert found["POOL"]["other_ficc"] == found["POOL"]["requirement"] > 0
    lines = [(p["account"], p["instrument"], p["quantity"]) for p in run.positions]
    assert sorted(lines) == [("A", "ZNU26", -40), ("B", "ZNU26", 40), ("POOL", notes[1], 5e6)]
    status = {own["account"]: own["status"] for own in run.accounts}
    assert status == dict.fromkeys(("A", "B", "POOL"), "not_eligible")
    assert run.manifest["accounts"] == {"read": 3, "margined": 3, "without_positions": 0}
    assert coded(run, "IN_OMNIBUS") == {
        "A": "1 row at FICC margined in the omnibus account POOL, 1 row of futures not "
        "cross-margined",
        "B": "2 rows at FICC margined in the omnibus account POOL, 1 row of futures not "
        "cross-margined",
        "POOL": "margined at FICC with 2 members as one portfolio",
    }


def test_nothing_is_counted_twice_and_nothing_is_lost(margined: Margined, notes: list[str]) -> None:
    repo = {"start_date": np.datetime64("2026-06-09").astype(object)}
    rows = [
        row("A", "cash", notes[0], 30e6),
        row(
            "B",
            "repo",
            notes[1],
            7e6,
            **repo,
            end_date=np.datetime64("2026-07-09").astype(object),
            repo_rate=4.0,
        ),
        row("POOL", "cash", notes[2], -9e6),
        row("C", "cash", notes[2], 4e6),
    ]
    run = margined([account("A", "POOL"), account("B", "POOL"), POOL, account("C")], rows)
    assert run.stages is not None
    legs, lines = run.stages.netted.legs, run.stages.netted.lines
    assert np.abs(legs.lots).sum() == np.abs(lines.lots).sum()
    assert {p["account"] for p in run.positions} == {"POOL", "C"}
    # The omnibus account's own rows have the same reason: what nets together has one.
    reasons = {(p["account"], p["assignment_reason"]) for p in run.positions}
    assert reasons == {("POOL", "IN_OMNIBUS"), ("C", "CROSS_MARGINED")}


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-50, 50)), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_an_omnibus_account_pays_what_one_account_with_all_rows_pays(
    margined: Margined, notes: list[str], trades: list[tuple[str, int]]
) -> None:
    rows = [
        row(name, "cash", notes[number % 3], lots * 1e6)
        for number, (name, lots) in enumerate(trades)
        if lots
    ]
    rows.append(row("A", "future", "ZNU26", 3))
    people = [account(name, "POOL") for name in "ABC"]
    pooled = amounts(margined([*people, POOL], rows))["POOL"]
    one = [{**own, "account": "POOL"} for own in rows if own["kind"] == "cash"]
    futures = [own for own in rows if own["kind"] == "future"]
    together = amounts(margined([account("A"), POOL], [*one, *futures]))["POOL"]
    assert pooled == together


def test_rows_at_another_firm_or_ccp_stay_where_they_are(
    margined: Margined, notes: list[str]
) -> None:
    rows = [
        row("A", "cash", notes[0], 30e6),
        row("A", "cash", notes[0], -20e6, clearing_firm="G"),
        row("A", "cash", notes[0], -10e6, clearing_firm="G", given_up=True),
    ]
    run = margined([account("A", "POOL"), POOL], rows)
    lines = {(p["account"], p["clearing_firm"]): p["quantity"] for p in run.positions}
    # 30 million less the 10 that were given up; the 20 are at the other firm until they are.
    assert lines == {("POOL", "F"): 20e6, ("A", "G"): -20e6}
    assert list(coded(run, "OTHER_FIRM")) == ["A"]


def test_a_trade_given_up_counts_at_the_accounts_own_firm(
    margined: Margined, notes: list[str]
) -> None:
    executed = [
        row("A", "cash", notes[0], 30e6),
        row("A", "future", "ZNU26", -200, clearing_firm="G"),
    ]
    before = margined([account("A")], executed)
    given_up = [executed[0], {**executed[1], "given_up": True}]
    after = margined([account("A")], given_up)
    own = margined([account("A")], [executed[0], {**executed[1], "clearing_firm": None}])
    assert amounts(after) == amounts(own)
    assert amounts(before) != amounts(after)
    assert [own["reason"] for own in before.accounts] == ["ONE_SIDED"]
    assert coded(after, "OTHER_FIRM") == {}
    # Without another firm the mark says nothing.
    idle = margined([account("A")], [{**row, "clearing_firm": None} for row in given_up])
    assert amounts(idle) == amounts(own)


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ([account("A", "NOBODY")], "omnibus NOBODY has no usable row in the accounts table"),
        ([account("A", "A")], "the ficc_role of A is not omnibus"),
        ([account("A", "B"), account("B")], "the ficc_role of B is not omnibus"),
        ([account("A", "POOL"), {**POOL, "clearing_firm": "G"}], "POOL is at another clearing"),
        ([account("A", "POOL", origin="house"), POOL], "never net"),
        ([account("A", "POOL", ficc_role="sponsored_member"), POOL], "margined by itself"),
    ],
)
def test_an_omnibus_account_that_cannot_take_positions_leaves_them_where_they_are(
    margined: Margined, notes: list[str], accounts: list[dict[str, Any]], message: str
) -> None:
    rows = [row("A", "cash", notes[0], 30e6), row("A", "future", "ZNU26", -200)]
    run = margined(accounts, rows)
    said = coded(run, "OMNIBUS_INVALID")
    assert list(said) == ["A"]
    assert message in said["A"]
    # No netting and no benefit: nobody knows where the positions should be.
    assert {p["account"] for p in run.positions} == {"A"}
    own = next(row for row in run.accounts if row["account"] == "A")
    assert (own["status"], own["rows_rejected"]) == ("incomplete", 1)
    assert own["offset_rate"] == 0


def test_an_omnibus_account_in_another_or_of_the_house_takes_nothing(
    margined: Margined, notes: list[str]
) -> None:
    rows = [row("A", "cash", notes[0], 30e6), row("POOL", "cash", notes[0], 1e6)]
    other = account("BIG", ficc_role="omnibus")
    run = margined([account("A", "POOL"), {**POOL, "omnibus": "BIG"}, other], rows)
    assert "cannot be in another" in coded(run, "OMNIBUS_INVALID")["POOL"]
    assert {p["account"]: p["quantity"] for p in run.positions} == {"POOL": 31e6}
    run = margined([account("A", "POOL"), {**POOL, "origin": "house"}], rows)
    said = coded(run, "OMNIBUS_INVALID")
    assert "never net" in said["A"]
    assert "its origin is house" in said["POOL"]
    assert {p["account"]: p["quantity"] for p in run.positions} == {"A": 30e6, "POOL": 1e6}


def test_a_rejected_row_of_a_member_makes_the_omnibus_account_incomplete(
    margined: Margined, notes: list[str]
) -> None:
    rows = [
        row("A", "cash", notes[0], 30e6),
        row("A", "cash", "NOTHING99", 1e6),
        row("B", "cash", notes[0], 1e6),
    ]
    with pytest.warns(xm.InputWarning):
        run = margined([account("A", "POOL"), account("B", "POOL"), POOL], rows)
    status = {own["account"]: (own["status"], own["rows_rejected"]) for own in run.accounts}
    assert status == {
        "A": ("incomplete", 1),
        "B": ("not_eligible", 0),
        "POOL": ("incomplete", 1),
    }


def test_sessions_explanations_and_allocations_know_the_omnibus_account(
    margined: Margined, notes: list[str], tmp_path: Path
) -> None:
    rows = [
        row("A", "cash", notes[0], 30e6),
        row("A", "future", "ZNU26", -200, xm=False),
        row("B", "cash", notes[1], -30e6),
    ]
    people = [account("A", "POOL"), account("B", "POOL"), POOL]
    run = margined(people, rows)
    session = xm.Session(run)
    with pytest.raises(InputError, match="in the omnibus account POOL"):
        session.what_if("A", {notes[0]: 1e6})
    assert session.what_if("A", {notes[0]: 0})["requirement"] == amounts(run)["A"]["requirement"]
    more = margined(people, [*rows, row("B", "cash", notes[0], -5e6)])
    answer = session.what_if("POOL", {notes[0]: -5e6})
    assert answer["requirement"] == amounts(more)["POOL"]["requirement"]
    more = margined(people, [*rows, row("A", "future", "ZNU26", 50)])
    answer = session.what_if("A", {"ZNU26": 50})
    assert answer["requirement"] == amounts(more)["A"]["requirement"]
    asked = pa.table(
        {"account": ["A", "POOL"], "instrument": [notes[0]] * 2, "quantity": [1e6] * 2}
    )
    answers = xm.answer_questions(session, asked)
    assert [(e["row"], e["code"]) for e in answers.exceptions] == [(1, "ACCOUNT_IN_OMNIBUS")]
    assert [own["account"] for own in answers.answers] == ["POOL"]
    allocation = xm.allocate(run)
    assert {own["outcome"] for own in allocation.accounts} == {"NOT_ELIGIBLE"}
    for name in "AB":
        assert "in the omnibus account POOL, not here" in xm.explain(run, name).text
    told = xm.explain(run, "POOL").text
    assert "its members (2 in the accounts table) net in it" in told
    assert f"{amounts(run)['POOL']['requirement']:,.0f}" in told
    xm.write_run(run, tmp_path / "run")
    again = xm.read_run(tmp_path / "run")
    assert amounts(again) == amounts(run)
    assert xm.Session(again).what_if("POOL")["requirement"] == amounts(run)["POOL"]["requirement"]


def test_a_replay_gives_the_days_of_runs(
    securities: pa.Table, margined: Margined, notes: list[str]
) -> None:
    people = [account("A", "POOL"), account("B", "POOL"), POOL]
    days = [np.datetime64("2026-06-10"), np.datetime64("2026-06-11"), np.datetime64("2026-06-12")]
    rows = [
        row("A", "cash", notes[0], 30e6, settle_date=days[1].astype(object)),
        row("B", "cash", notes[0], -10e6),
        row("B", "cash", notes[1], 1e6, settle_date=days[2].astype(object), given_up=True),
    ]
    market = xm.sample_market()
    book = {
        "positions": pa.Table.from_pylist(rows).drop_columns(
            ["start_date", "end_date", "repo_rate", "clearing_firm"]
        ),
        "accounts": pa.Table.from_pylist(people),
        "securities": securities,
    }
    run = xm.run(**book, market=market)
    replayed = list(xm.replay(**book, markets=[market, market]))
    for day in replayed:
        assert day.requirements.requirement.cents.tolist() == [
            int(100 * own["requirement"]) for own in run.accounts
        ]
        assert list(day.rows_rejected) == [own["rows_rejected"] for own in run.accounts]


def test_an_omnibus_role_can_be_made_eligible_by_no_policy() -> None:
    text = b"""
name = "own"
title = "own"
authority = "us"
effective_from = 2026-01-01
extends = "cme-ficc-2026-11-30"
[eligibility.customer_roles]
value = ["sponsored_member", "omnibus"]
evidence = "ours"
source = "a test"
"""
    with pytest.raises(InputError, match="cannot hold omnibus"):
        parse_policy(text, name="own")


def delivery(leave: str) -> str:
    return f"""
name = "own"
title = "own"
authority = "us"
effective_from = 2026-01-01
extends = "cme-ficc-2026-11-30"
[delivery_month.futures_leave]
value = "{leave}"
evidence = "ours"
source = "a test"
"""


@pytest.mark.parametrize(
    ("leave", "contract", "segment"),
    [
        ("never", "ZNM26", "CME cross-margined"),
        ("first_day", "ZNM26", "CME other"),
        ("first_intention_day", "ZNM26", "CME other"),
        ("first_day", "ZNU26", "CME cross-margined"),
        # Short-rate futures settle in cash: nothing is delivered.
        ("first_day", "SR3M26", "CME cross-margined"),
    ],
)
def test_a_policy_says_when_futures_leave_before_delivery(
    securities: pa.Table, notes: list[str], leave: str, contract: str, segment: str
) -> None:
    # The sample's market is of 10 June 2026.
    rows = [row("A", "cash", notes[0], 30e6), row("A", "future", contract, -10)]
    keys = ("account", "kind", "instrument", "quantity", "xm")
    run = xm.run(
        positions=pa.Table.from_pylist([{key: own[key] for key in keys} for own in rows]),
        accounts=pa.Table.from_pylist([account("A")]).drop_columns(["omnibus"]),
        securities=securities,
        market=xm.sample_market(),
        policy=parse_policy(delivery(leave).encode(), name="own"),
    )
    assert {p["instrument"]: p["segment"] for p in run.positions}[contract] == segment
    left = segment == "CME other"
    assert ("CONTRACT_INELIGIBLE" in [e["code"] for e in run.exceptions]) == left
    assert run.stages is not None
    eligible = run.stages.models.eligible[run.stages.models.universe.name == contract]
    assert eligible.tolist() == [not left]


def test_what_calls_need_of_an_account_is_read_and_changes_no_requirement(
    margined: Margined, notes: list[str]
) -> None:
    rows = [row("A", "cash", notes[0], 30e6), row("B", "cash", notes[0], 30e6)]
    plain = margined([account("A"), account("B")], rows)
    told = [account("A", risk_profile="HEIGHTENED", house_model=True), account("B")]
    told[1] |= {"risk_profile": None, "house_model": None}
    run = margined(told, rows)
    assert amounts(run) == amounts(plain)
    for found, profile, flagged in (
        (plain, ["standard"] * 2, [False] * 2),
        (run, ["heightened", "standard"], [True, False]),
    ):
        assert found.stages is not None
        read = found.stages.parsed.accounts
        assert read["risk_profile"].to_pylist() == profile
        assert read["house_model"].to_pylist() == flagged
    wrong = margined([account("A", risk_profile="high"), account("B")], rows[1:])
    assert list(coded(wrong, "ACCOUNT_INVALID")) == ["A"]
