"""Moves, new instruments and hypothetical accounts: answers are those of a full run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.market.curve import Curve
from crossmargin.policies.files import shipped_policies
from crossmargin.policies.policy import DEFAULT

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/policies"
POLICIES = (
    *shipped_policies(),
    str(EXAMPLES / "example-class-disallowance.toml"),
    str(EXAMPLES / "example-third-ccp.toml"),
)
ACCOUNTS = 60


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.sample_market()


@pytest.fixture(scope="module")
def tables(sample_book: Callable[[int], dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return sample_book(ACCOUNTS)


def more(table: pa.Table, *rows: dict[str, Any]) -> pa.Table:
    added = [{name: row.get(name) for name in table.column_names} for row in rows]
    return pa.concat_tables([table, pa.Table.from_pylist(added, table.schema)])


def future(account: str, name: str, quantity: float, xm: bool) -> dict[str, Any]:
    return {
        "account": account,
        "kind": "future",
        "instrument": name,
        "quantity": float(quantity),
        "xm": xm,
    }


def cash(account: str, name: str, quantity: float, xm: bool) -> dict[str, Any]:
    return future(account, name, quantity, xm) | {"kind": "cash"}


class Asked:
    """A run of the sample book under a policy, and full runs of it with more rows."""

    def __init__(self, tables: dict[str, pa.Table], market: xm.Market, policy: str) -> None:
        self.tables, self.market, self.policy = tables, market, policy
        self.run = self.again()
        self.session = xm.Session(self.run)

    def again(self, *rows: dict[str, Any], **tables: pa.Table) -> xm.RunResult:
        positions = more(self.tables["positions"], *rows)
        given = self.tables | {"positions": positions} | tables
        return xm.run(**given, market=self.market, policy=self.policy)

    def same(self, after: xm.RunResult, answer: dict[str, Any]) -> bool:
        rows = after.accounts.to_arrow().to_pylist()
        row = next(row for row in rows if row["account"] == answer["account"])
        return {name: row[name] for name in answer} == answer

    def lines(self, *, xm: bool, kind: str, eligible: bool = True) -> list[dict[str, Any]]:
        """Return lines of eligible accounts that are booked in the cross-margin account or not."""
        scope = self.session.scope()
        return [
            line
            for line in self.run.positions.to_arrow().to_pylist()
            if line["xm"] is xm
            and line["kind"] == kind
            and scope.eligible[scope.accounts[line["account"]]]
            and line["assignment_reason"] == ("CROSS_MARGINED" if xm else "NOT_XM")
            and (scope.crossed[i := scope.instruments[line["instrument"]]] != scope.other[i])
            is eligible
        ]


@pytest.fixture(scope="module", params=POLICIES, ids=lambda policy: Path(policy).stem)
def asked(request: Any, tables: dict[str, pa.Table], market: xm.Market) -> Asked:
    return Asked(tables, market, request.param)


@pytest.fixture(scope="module")
def plain(tables: dict[str, pa.Table], market: xm.Market) -> Asked:
    return Asked(tables, market, DEFAULT)


def test_a_move_is_what_the_two_rows_would_be(asked: Asked) -> None:
    questions, rows = [], []
    ordinary = asked.lines(xm=False, kind="future")
    assert ordinary
    for line in ordinary:
        moved = line["quantity"] // 2
        questions.append((line["account"], {}, {line["instrument"]: moved}))
        rows.append(line | {"quantity": moved})
    crossed = asked.lines(xm=True, kind="future")[:20]
    taken = {line["account"] for line in ordinary}
    for line in crossed:
        if line["account"] not in taken:
            taken.add(line["account"])
            questions.append(
                (line["account"], {"ZNU26": 3}, {line["instrument"]: -line["quantity"]})
            )
            rows.append(line | {"quantity": -line["quantity"]})
    seen: set[str] = set()
    for (account, trades, moves), line in zip(questions, rows, strict=True):
        if account in seen:
            continue
        seen.add(account)
        if len(seen) > 4:
            break
        name, moved = line["instrument"], line["quantity"]
        after = asked.again(
            future(account, name, moved, True),
            future(account, name, -moved, False),
            *(future(account, other, size, True) for other, size in trades.items()),
        )
        answer = asked.session.what_if(account, trades, moves=moves)
        assert asked.same(after, answer)
        together = asked.session.what_ifs([(account, trades, moves)]).to_arrow().to_pylist()
        assert together == [answer]


def test_cash_is_moved_by_cusip(plain: Asked) -> None:
    line = plain.lines(xm=True, kind="treasury")[0]
    account, name, held = line["account"], line["instrument"], line["quantity"]
    after = plain.again(cash(account, name, -held, True), cash(account, name, held, False))
    assert plain.same(after, plain.session.what_if(account, moves={name: -held}))


def test_a_move_out_and_its_opposite_end_where_they_began(plain: Asked) -> None:
    line = plain.lines(xm=True, kind="future")[0]
    account, name, held = line["account"], line["instrument"], line["quantity"]
    before = plain.session.what_if(account)
    out = plain.session.what_if(account, moves={name: -held})
    assert out != before
    assert plain.session.what_if(account, moves={name: 0}) == before
    # What is moved is netted with what is traded.
    back = plain.session.what_if(account, {name: held}, moves={name: -held})
    closed = plain.session.what_if(account, {name: held}, xm=True)
    assert back["standalone_requirement"] == closed["standalone_requirement"]


def test_a_move_leaves_what_the_account_would_pay_alone(plain: Asked) -> None:
    for line in plain.lines(xm=False, kind="future")[:10]:
        moves = {line["instrument"]: line["quantity"]}
        before = plain.session.what_if(line["account"])
        after = plain.session.what_if(line["account"], moves=moves)
        assert before["standalone_requirement"] == after["standalone_requirement"]


def test_only_what_is_held_and_eligible_can_be_moved(plain: Asked) -> None:
    ordinary = {
        (line["account"], line["instrument"]) for line in plain.lines(xm=False, kind="future")
    }
    line = next(
        line
        for line in plain.lines(xm=True, kind="future")
        if (line["account"], line["instrument"]) not in ordinary
    )
    account, name, held = line["account"], line["instrument"], line["quantity"]
    ask = plain.session.what_if
    for wrong in (held, -2 * held):
        with pytest.raises(ValueError, match=f"move of {wrong:,} {name}: the ordinary account"):
            ask(account, moves={name: wrong})
    with pytest.raises(ValueError, match="not a whole number"):
        ask(account, moves={name: 0.5})
    # Two ways to write a contract are one move.
    with pytest.raises(ValueError, match=f"move of {-2 * held:,} {name}"):
        ask(account, moves={name: -held, name.lower(): -held})
    scope = plain.session.scope()
    not_eligible = next(n for n in scope.accounts if not scope.eligible[scope.accounts[n]])
    with pytest.raises(ValueError, match=f"account {not_eligible} may not be cross-margined"):
        ask(not_eligible, moves={name: 1})
    bill = next(n for n, i in scope.instruments.items() if scope.crossed[i] == scope.other[i])
    with pytest.raises(ValueError, match=f"{bill} may not be cross-margined"):
        ask(account, moves={bill: 100})
    with pytest.raises(TypeError, match="trades or moves: quantities by instrument expected"):
        ask(account, moves=[(name, 1)])  # type: ignore[arg-type]


def test_new_instruments_are_priced_as_a_run_with_them_prices_them(asked: Asked) -> None:
    session = xm.Session(asked.run)
    known = set(session.instruments)
    securities = asked.tables["securities"].to_pylist()
    new = [
        row["cusip"]
        for row in securities
        if row["cusip"] not in known
        and row["type"] in ("note", "bond")
        and str(row["maturity_date"]) > "2029"
    ][:2]
    assert len(new) == 2
    # Scan ranges by tier bring every quarterly SR3 into the run.
    short = "ZQM27" if "SR3U28" in known else "SR3U28"
    quantity = {new[0]: 50_000_000, "UBM26": -120, new[1]: -7_000_000, short: 15}
    assert not known & set(quantity)
    accounts = session.accounts[::15]
    before = {name: session.what_if(name) for name in session.accounts}
    answers = [session.what_if(account, quantity) for account in accounts]
    assert set(session.instruments) == known | set(quantity)
    rows = [
        (cash if name in new else future)(account, name, size, True)
        for account in accounts
        for name, size in quantity.items()
    ]
    after = asked.again(*rows)
    for answer in answers:
        assert asked.same(after, answer)
    # What was known before is as before.
    assert {name: session.what_if(name) for name in session.accounts} == before
    together = session.what_ifs([(account, quantity) for account in accounts])
    assert together.to_arrow().to_pylist() == answers


def test_a_name_in_another_form_is_the_same_new_instrument(plain: Asked) -> None:
    session = xm.Session(plain.run)
    account = session.accounts[3]
    assert "ZTM26" not in session.instruments
    assert session.what_if(account, {"ztm6": 5}) == session.what_if(account, {"TUM26 Comdty": 5})
    assert session.instruments.count("ZTM26") == 1


def test_a_matured_or_unknown_instrument_is_refused_and_changes_nothing(plain: Asked) -> None:
    session = xm.Session(plain.run)
    known = session.instruments
    as_of = str(plain.market.as_of)
    for row in plain.tables["securities"].to_pylist():
        if str(row["maturity_date"]) <= as_of:
            with pytest.raises(ValueError, match=f"{row['cusip']} matured on"):
                session.what_if(session.accounts[0], {row["cusip"]: 100})
    with pytest.raises(ValueError, match="'NOPE' is not in the run's securities, and is no"):
        session.what_if(session.accounts[0], {"UBM26": 1, "NOPE": 100})
    assert session.instruments == known


@pytest.mark.parametrize("eligible", [True, False])
def test_an_account_that_is_not_in_the_book_answers_as_one_that_is(
    asked: Asked, eligible: bool
) -> None:
    session = xm.Session(asked.run)
    before = {name: session.what_if(name) for name in session.accounts}
    session.add_account("NEW", eligible=eligible, multiplier=1.25, floor=1000.0, minimum=5000.0)
    assert session.accounts[-1] == "NEW"
    cusip = asked.lines(xm=True, kind="treasury")[0]["instrument"]
    quantity = {cusip: 30_000_000, "ZNU26": -200, "UBM26": -10}
    empty, answer = session.what_if("NEW"), session.what_if("NEW", quantity)
    # An instrument that is priced now keeps the account.
    assert session.accounts[-1] == "NEW"
    accounts = more(
        asked.tables["accounts"],
        {
            "account": "NEW",
            "origin": "customer",
            "ficc_role": "sponsored_member" if eligible else "none",
            "opted_in": True,
            "clearing_firm": asked.tables["accounts"]["clearing_firm"][0].as_py(),
            "multiplier": 1.25,
            "floor": 1000.0,
            "minimum": 5000.0,
        },
    )
    assert asked.same(asked.again(accounts=accounts), empty)
    rows = [
        (cash if name == cusip else future)("NEW", name, size, True)
        for name, size in quantity.items()
    ]
    assert asked.same(asked.again(*rows, accounts=accounts), answer)
    assert {name: session.what_if(name) for name in before} == before


def test_a_hypothetical_account_needs_a_new_name_and_sensible_terms(plain: Asked) -> None:
    session = xm.Session(plain.run)
    with pytest.raises(ValueError, match="is in the session already"):
        session.add_account(session.accounts[0])
    for name in ("", " ", f"{session.accounts[0]} ", "\tNEW", "NEW\u00a0"):
        with pytest.raises(InputError, match="without blanks around it"):
            session.add_account(name)
    with pytest.raises(TypeError, match="name: a text expected"):
        session.add_account(5)  # type: ignore[arg-type]
    for terms in ({"multiplier": -1.0}, {"floor": float("nan")}, {"minimum": float("inf")}):
        with pytest.raises(ValueError, match="a number of zero or more expected"):
            session.add_account("NEW", **terms)  # type: ignore[arg-type]
    assert "NEW" not in session.accounts


def test_a_run_on_a_moved_market_prices_new_instruments_there(plain: Asked) -> None:
    curve = plain.market.curve
    moved = plain.market.with_curve(Curve(plain.market.as_of, curve.log_df * 1.01))
    account = plain.session.accounts[0]
    session = xm.Session(xm.rerun(plain.run, moved))
    answer = session.what_if(account, {"UBM26": -20})
    after = xm.rerun(plain.again(future(account, "UBM26", -20, True)), moved)
    assert plain.same(after, answer)
    assert answer != plain.session.what_if(account, {"UBM26": -20})


def test_what_a_users_cube_lacks_is_unknown(plain: Asked) -> None:
    assert plain.run.stages is not None
    models = plain.run.stages.models

    def own(ccp: str) -> pa.Table:
        cube = next(iter(models.ccps[ccp].scenario_pnl().values()))
        names = {"instrument": models.universe.name.tolist()}
        return pa.table(names | {f"s{n}": cube.pnl[:, n] for n in range(60)})

    run = xm.run(**plain.tables, market=plain.market, ficc_cube=own("FICC"), cme_cube=own("CME"))
    session = xm.Session(run)
    account = next(
        name for name in session.accounts if session.what_if(name)["requirement"] is not None
    )
    assert session.what_if(account, {"UBM26": 1})["requirement"] is None
    assert session.what_if(account, {"ZNU26": 1})["requirement"] is not None


def test_what_the_inputs_lack_of_a_new_instrument_is_told(plain: Asked) -> None:
    scope = plain.session.scope()
    futures = [name for name, at in scope.instruments.items() if scope.future[at]]
    futures = [name for name in futures if name not in ("UBM26", "ZTM26", "SR3U28")]
    run = xm.run(
        **plain.tables,
        market=plain.market,
        policy=str(EXAMPLES / "example-charges.toml"),
        volumes=pa.table({"contract": futures, "adv": [1e5] * len(futures)}),
    )
    session = xm.Session(run)
    known = session.instruments
    with pytest.raises(InputError, match=r"volumes: ZT is charged .* ZTM26 has none"):
        session.what_if(session.accounts[0], {"ZTM26": 1})
    assert session.instruments == known


def test_threads_may_ask_while_instruments_are_added(plain: Asked) -> None:
    session = xm.Session(plain.run)
    accounts = session.accounts[:20]
    before = [session.what_if(account, {"ZNU26": 3}) for account in accounts]
    new = ("UBM26", "ZTM26", "SR3U28")
    expected = {name: xm.Session(plain.run).what_if(accounts[0], {name: 5}) for name in new}
    wrong: list[str] = []

    def known() -> None:
        for _ in range(10):
            if [session.what_if(account, {"ZNU26": 3}) for account in accounts] != before:
                wrong.append("a known instrument")

    def added(name: str) -> None:
        if session.what_if(accounts[0], {name: 5}) != expected[name]:
            wrong.append(name)

    threads = [threading.Thread(target=known) for _ in range(2)]
    threads += [threading.Thread(target=added, args=(name,)) for name in new]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert set(new) < set(session.instruments)
