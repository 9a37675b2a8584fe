"""What-ifs are the run itself: the same trade as a row of the book gives the same numbers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.sample import sample_tables

ACCOUNTS = 120


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.Market.sample()


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return sample_tables(accounts=ACCOUNTS)


def margin(tables: dict[str, pa.Table], market: xm.Market, *rows: dict[str, Any]) -> xm.Run:
    positions = tables["positions"]
    if rows:
        more = [{name: row.get(name) for name in positions.column_names} for row in rows]
        positions = pa.concat_tables([positions, pa.Table.from_pylist(more, positions.schema)])
    return xm.run(
        positions=positions,
        accounts=tables["accounts"],
        securities=tables["securities"],
        market=market,
    )


@pytest.fixture(scope="module")
def run(tables: dict[str, pa.Table], market: xm.Market) -> xm.Run:
    return margin(tables, market)


@pytest.fixture(scope="module")
def session(run: xm.Run) -> xm.Session:
    return xm.Session(run)


def row_of(run: xm.Run, account: str, names: Any) -> dict[str, Any]:
    found = [r for r in run.accounts.to_arrow().to_pylist() if r["account"] == account]
    return {name: found[0][name] for name in names}


def test_no_trade_changes_nothing(run: xm.Run, session: xm.Session) -> None:
    assert session.accounts == tuple(run.accounts.to_arrow()["account"].to_pylist())
    # All statuses, accounts at two firms among them.
    for account in session.accounts:
        answer = session.what_if(account, {})
        assert answer == row_of(run, account, answer)


@pytest.mark.parametrize("booked_in_xm", [True, False])
def test_a_trade_is_what_the_same_row_would_be(
    run: xm.Run,
    session: xm.Session,
    tables: dict[str, pa.Table],
    market: xm.Market,
    booked_in_xm: bool,
) -> None:
    cusip = next(name for name in session.instruments if name.startswith("SYN3"))
    quantity = {"ZNU26": -37.0, "SR3U26": 12.0, cusip: 5_000_000.0}
    accounts = session.accounts[::9]
    rows = [
        {
            "account": account,
            "kind": "cash" if name == cusip else "future",
            "instrument": name,
            "quantity": lots,
            "xm": booked_in_xm,
        }
        for account in accounts
        for name, lots in quantity.items()
    ]
    after = margin(tables, market, *rows)
    asked = session.what_ifs([(a, quantity) for a in accounts], xm=booked_in_xm)
    for account, answer in zip(accounts, asked.to_arrow().to_pylist(), strict=True):
        assert answer == row_of(after, account, answer)
        assert answer == session.what_if(account, quantity, xm=booked_in_xm)
    before = {account: row_of(run, account, ["requirement"]) for account in accounts}
    changed = [row_of(after, a, ["requirement"]) != before[a] for a in accounts]
    assert sum(changed) > len(accounts) / 2


def test_questions_do_not_touch_each_other(session: xm.Session) -> None:
    account = session.accounts[7]
    questions = [(account, {"ZNU26": float(n)}) for n in range(-20, 21)]
    together = session.what_ifs(questions).to_arrow().to_pylist()
    assert together == [session.what_if(*question) for question in questions]
    assert len({answer["requirement"] for answer in together}) > 20


def test_a_contract_may_be_written_with_one_digit(session: xm.Session) -> None:
    account = session.accounts[7]
    assert session.what_if(account, {"znu6": 5}) == session.what_if(account, {"ZNU26": 5})


@pytest.mark.parametrize(
    ("account", "trades", "message"),
    [
        ("nobody", {}, "account 'nobody' is not in the run"),
        (None, {"ZNU31": 1}, "instrument 'ZNU31' is not in the run"),
        (None, {"912810XX1": 100}, "instrument '912810XX1' is not in the run"),
        (None, {"USD 2026-06-11": 100}, "is not in the run"),
        (None, {"ZNU26": 1.5}, "no whole number of contracts"),
        (None, {"ZNU26": float("nan")}, "is no number within"),
        (None, {"ZNU26": 1e9}, "is no number within"),
    ],
)
def test_errors_say_what_is_wrong(
    session: xm.Session, account: str | None, trades: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        session.what_if(account or session.accounts[0], trades)


def test_a_run_without_models_cannot_be_asked(run: xm.Run) -> None:
    read_back = xm.Run(run.accounts, run.components, run.positions, run.exceptions, run.manifest)
    with pytest.raises(ValueError, match="this run has no models"):
        xm.Session(read_back)
