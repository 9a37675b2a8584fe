"""Before, after, the difference and its parts."""

from __future__ import annotations

import decimal
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.agreement.requirement import AMOUNTS
from crossmargin.results.schemas.whatif import IMPACT_TABLE, IMPACTS, INCREMENTS, WHAT_IFS
from crossmargin.whatif.impact import Part, increments, subsets

FUTURES = ("ZTU26", "ZFU26", "ZNU26", "TNU26", "ZBU26", "UBU26")


@pytest.fixture(scope="module")
def session(sample_run: xm.RunResult) -> xm.Session:
    return xm.Session(sample_run)


def complete(session: xm.Session) -> list[str]:
    """Return accounts that save something, and of which every amount is known."""
    answers = {name: session.what_if(name) for name in session.accounts[:60]}
    return [
        name
        for name, answer in answers.items()
        if answer["reason"] is None and None not in [answer[amount] for amount in AMOUNTS]
    ]


def test_the_figures_are_those_of_two_what_ifs(session: xm.Session) -> None:
    account = complete(session)[0]
    trades = {"ZNU26": -30, "ZFU26": 12}
    impact = session.impact(account, trades)
    assert impact.before == session.what_if(account, {})
    assert impact.after == session.what_if(account, trades)
    for name, difference in impact.difference.items():
        assert difference == impact.after[name] - impact.before[name]
    assert set(AMOUNTS) < set(impact.difference)
    assert impact.table.to_arrow().schema.equals(IMPACTS.arrow)
    assert impact.parts.to_arrow().schema.equals(INCREMENTS.arrow)


def test_parts_by_hand() -> None:
    """f() = 10, f(a) = 13, f(b) = 9, f(c) = 10, f(ab) = 11, f(ac) = 15, f(bc) = 9, f(abc) = 20."""
    value = dict(zip(subsets(3), (10, 13, 9, 10, 11, 15, 9, 20), strict=True))
    assert list(value) == [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    cents = [Decimal(amount).quantize(Decimal("0.01")) for amount in value.values()]
    cells: dict[str, Any] = {name: pa.array(cents, WHAT_IFS[name].type) for name in AMOUNTS}
    cells["saving"] = pa.array([*cents[:-1], None], WHAT_IFS["saving"].type)
    answers = pa.table({"account": ["A"] * 8} | cells)
    # The caller's context does not round.
    with decimal.localcontext(prec=1):
        found = increments([Part(name, ()) for name in "abc"], answers).to_pylist()
    assert [(row["part"], row["leg"], row["with_leg"], row["requirement"]) for row in found] == [
        ("single", "a", None, 3),
        ("single", "b", None, -1),
        ("single", "c", None, 0),
        ("pair", "a", "b", -1),
        ("pair", "a", "c", 2),
        ("pair", "b", "c", 0),
        ("remainder", None, None, 7),
    ]
    assert [row["saving"] for row in found] == [3, -1, 0, -1, 2, 0, None]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_parts_add_up_to_the_cent(session: xm.Session, data: Any) -> None:
    account = data.draw(st.sampled_from(complete(session)), label="account")
    names = data.draw(st.lists(st.sampled_from(FUTURES), min_size=0, max_size=5, unique=True))
    trades = {name: data.draw(st.integers(-300, 300)) for name in names}
    impact = session.impact(account, trades)
    for name in AMOUNTS:
        assert sum(row[name] for row in impact.parts) == impact.difference[name]
    legs = [name for name, size in trades.items() if size]
    singles = [row for row in impact.parts if row["part"] == "single"]
    assert [row["leg"] for row in singles] == [f"{name} {trades[name]:,}" for name in legs]
    before = session.what_if(account)["requirement"]
    for name, row in zip(legs, singles, strict=True):
        alone = session.what_if(account, {name: trades[name]})["requirement"]
        assert row["requirement"] == alone - before


def test_moves_are_parts_too_and_a_name_in_two_forms_is_one(session: xm.Session) -> None:
    scope = session.scope()
    for account in complete(session):
        number = scope.accounts[account]
        held = {
            name: scope.held(number, scope.crossed[scope.instruments[name]], at)
            for name in FUTURES
            if (at := scope.instruments[name]) is not None
        }
        name = next((name for name, lots in held.items() if lots), None)
        if name is None:
            continue
        impact = session.impact(
            account, {"ZNU26": 5, "znu6": 7, "ZFU26": 0}, moves={name: -held[name]}
        )
        assert impact.parts["leg"].to_pylist() == [
            "ZNU26 12",
            f"move {name} {-held[name]:,}",
            "ZNU26 12",
        ]
        assert sum(row["requirement"] for row in impact.parts) == impact.difference["requirement"]
        return
    pytest.fail("no account has a cross-margined future")


def test_what_is_unpriced_is_unknown_in_every_part_of_it(session: xm.Session) -> None:
    scope = session.scope()
    lacking = scope.models.ccps["FICC"].unpriced != ""
    names = [n for n in scope.models.universe.name[lacking].tolist() if n in session.instruments]
    impact = session.impact(complete(session)[0], {names[0]: 100, "ZNU26": 1})
    assert impact.difference["requirement"] is None
    assert impact.parts["requirement"].to_pylist()[1] is not None
    assert impact.parts["requirement"].to_pylist()[::2] == [None, None]


def test_many_questions_stand_beside_their_accounts(session: xm.Session) -> None:
    accounts = complete(session)[:3]
    questions = [(name, {"ZNU26": lots}) for lots in (3, -3) for name in accounts]
    rows = session.impacts(questions).to_arrow().to_pylist()
    assert [row["question"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    for (name, trades), row in zip(questions, rows, strict=True):
        assert row["account"] == name
        assert row["requirement_before"] == session.what_if(name)["requirement"]
        assert row["requirement_after"] == session.what_if(name, trades)["requirement"]
        difference = row["requirement_after"] - row["requirement_before"]
        assert row["requirement_difference"] == difference


def test_the_table_of_impacts_trades_each_tenor_and_root_both_ways(session: xm.Session) -> None:
    account = complete(session)[0]
    rows = session.impact_table(account).to_arrow().to_pylist()
    tenors = [row["tenor"] for row in rows[::2]]
    assert tenors[:7] == ["2-Year", "3-Year", "5-Year", "7-Year", "10-Year", "20-Year", "30-Year"]
    assert {"ZT", "ZN", "UB", "SR3"} < set(tenors[7:])
    assert [row["quantity"] for row in rows[:2]] == [100_000_000, -100_000_000]
    assert {abs(row["quantity"]) for row in rows[14:]} == {100}
    for row in rows:
        after = session.what_if(account, {row["instrument"]: row["quantity"]})
        assert row["requirement_after"] == after["requirement"]
        assert row["offset_rate_after"] == after["offset_rate"]


def test_a_table_without_a_tenor_or_root_is_empty(sample_book: Any) -> None:
    book, policy = sample_book(20), xm.read_policy()
    run = xm.run(
        positions=book["positions"].slice(0, 0),
        accounts=book["accounts"],
        securities=book["securities"].slice(0, 0),
        market=xm.sample_market(),
        policy=replace(policy, eligibility=replace(policy.eligibility, roots=())),
        allow_empty=True,
    )
    session = xm.Session(run)
    table = session.impact_table(session.accounts[0]).to_arrow()
    assert (len(table), table.schema) == (0, IMPACT_TABLE.arrow)
