"""What-ifs are the run itself: the same trade as a row of the book gives the same numbers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.margin.model import AmountError
from crossmargin.policies import read_policy
from crossmargin.policies.sections.charges import GrossValueCharge
from crossmargin.whatif.scope import Scope

ACCOUNTS = 120
Question = tuple[str, dict[str, float], bool]


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.sample_market()


@pytest.fixture(scope="module")
def tables(sample_book: Callable[[int], dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return sample_book(ACCOUNTS)


def margin(
    tables: dict[str, pa.Table],
    market: xm.Market,
    *rows: dict[str, Any],
    policy: str | None = None,
) -> xm.RunResult:
    positions = tables["positions"]
    if rows:
        more = [{name: row.get(name) for name in positions.column_names} for row in rows]
        positions = pa.concat_tables([positions, pa.Table.from_pylist(more, positions.schema)])
    return xm.run(**tables | {"positions": positions}, market=market, policy=policy)


@pytest.fixture(scope="module")
def run(tables: dict[str, pa.Table], market: xm.Market) -> xm.RunResult:
    return margin(tables, market)


@pytest.fixture(scope="module")
def session(run: xm.RunResult) -> xm.Session:
    return xm.Session(run)


def row_of(run: xm.RunResult, account: str, names: Any) -> dict[str, Any]:
    found = [r for r in run.accounts.to_arrow().to_pylist() if r["account"] == account]
    return {name: found[0][name] for name in names}


def test_no_trade_changes_nothing(run: xm.RunResult, session: xm.Session) -> None:
    assert session.accounts == tuple(run.accounts.to_arrow()["account"].to_pylist())
    # All statuses, accounts at two firms among them.
    for account in session.accounts:
        answer = session.what_if(account, {})
        assert answer == row_of(run, account, answer)


@pytest.mark.parametrize("booked_in_xm", [True, False])
def test_a_trade_is_what_the_same_row_would_be(
    run: xm.RunResult,
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


@pytest.mark.parametrize("memory", [2**30, 0])
@pytest.mark.parametrize(
    ("policy", "without_basis"), [("cme-ficc-2026-04-30", True), ("cme-ficc-2026-11-30", False)]
)
def test_answers_carry_the_caveats_of_their_figures(
    tables: dict[str, pa.Table], market: xm.Market, memory: int, policy: str, without_basis: bool
) -> None:
    """A market without bases and SOFR: futures carry a caveat, kept in memory or not.

    The second policy assumes a basis where none is given.
    """
    history = replace(market.history, basis={}, sofr=None)
    bare = margin(tables, replace(market, history=history), policy=policy)
    session = xm.Session(bare, memory=memory)
    caveats = ("saving_is_upper_bound", "spread_risk")
    for account in session.accounts:
        answer = session.what_if(account, {})
        assert answer == row_of(bare, account, answer)
        assert set(caveats) < set(answer)
    rows = bare.accounts.to_arrow().to_pylist()
    plain = next(
        row["account"]
        for row in rows
        if row["status"] == "complete"
        and not row["saving_is_upper_bound"]
        and row["spread_risk"] is None
    )

    def caveats_of(**trades: float) -> list[object]:
        answer = session.what_if(plain, trades)
        return [answer[name] for name in caveats]

    assert caveats_of() == [False, None]
    assert caveats_of(ZNU26=-1.0) == [without_basis, None]
    assert caveats_of(SR3U26=1.0) == [False, "not modelled"]
    assert caveats_of(SR3U26=1.0, ZNU26=-1.0) == [without_basis, "not modelled"]


def test_questions_do_not_touch_each_other(session: xm.Session) -> None:
    account = session.accounts[7]
    questions = [(account, {"ZNU26": float(n)}) for n in range(-20, 21)]
    together = session.what_ifs(questions).to_arrow().to_pylist()
    assert together == [session.what_if(*question) for question in questions]
    assert len({answer["requirement"] for answer in together}) > 20


def test_a_contract_may_be_written_with_one_digit(session: xm.Session) -> None:
    account = session.accounts[7]
    assert session.what_if(account, {"znu6": 5}) == session.what_if(account, {"ZNU26": 5})


@pytest.fixture(scope="module")
def questions(run: xm.RunResult, session: xm.Session) -> list[Question]:
    """Return trades of all kinds in all accounts, those at two firms among them."""
    held: dict[str, list[dict[str, Any]]] = {}
    for line in run.positions.to_arrow().to_pylist():
        if line["instrument"] in session.instruments and line["quantity"]:
            held.setdefault(line["account"], []).append(line)
    futures = [name for name in session.instruments if len(name) <= 6]
    bonds = [name for name in session.instruments if len(name) == 9]
    rng = np.random.default_rng(2)
    asked: list[Question] = []
    for account in session.accounts:
        for booked_in_xm in (True, False):
            asked += [
                (account, {str(rng.choice(futures)): int(rng.integers(-99, 100))}, booked_in_xm),
                (account, {str(rng.choice(bonds)): 1e5 * rng.integers(-999, 1000)}, booked_in_xm),
            ]
            legs = rng.choice([*futures, *bonds], 5, replace=False)
            asked.append(
                (
                    account,
                    {str(name): 100 * int(rng.integers(-9, 10)) for name in legs},
                    booked_in_xm,
                )
            )
        for line in held.get(account, [])[:3]:
            # Closes the line where it is booked, and doubles it the other way round.
            asked += [
                (account, {line["instrument"]: times * line["quantity"]}, line["xm"])
                for times in (-1, -2)
            ]
    return asked


def by_columns(session: xm.Session, question: Question) -> dict[str, Any]:
    account, trades, booked_in_xm = question
    answer = session.what_ifs([(account, trades)], xm=booked_in_xm)
    row: dict[str, Any] = answer.to_arrow().to_pylist()[0]
    return row


@pytest.fixture(scope="module")
def answers(session: xm.Session, questions: list[Question]) -> list[str]:
    """Return what the columnar models answer, as text: types and decimal places count too."""
    return [repr(by_columns(session, question)) for question in questions]


def ask(session: xm.Session, question: Question) -> str:
    account, trades, booked_in_xm = question
    return repr(session.what_if(account, trades, xm=booked_in_xm))


def refuse_columns(monkeypatch: pytest.MonkeyPatch, session: xm.Session) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the columnar models were asked")

    monkeypatch.setattr(Scope, "answers", refuse)


def test_kept_accounts_answer_as_the_columns_do(
    monkeypatch: pytest.MonkeyPatch,
    run: xm.RunResult,
    questions: list[Question],
    answers: list[str],
) -> None:
    session = xm.Session(run)
    refuse_columns(monkeypatch, session)
    assert [ask(session, question) for question in questions] == answers
    # The questions are worth asking: every outcome is among them.
    for part in ("'FICC'", "'CME'", "NOT_ELIGIBLE", "INCOMPLETE", "ONE_SIDED", "'capped': True"):
        assert sum(part in answer for answer in answers) > 3
    unknown = sum("'requirement': None" in answer for answer in answers)
    assert unknown > 20
    assert len(answers) - unknown > 1000


def test_an_instrument_that_no_model_covers_leaves_amounts_unknown(session: xm.Session) -> None:
    state = session._scope.models
    lacking = state.ccps["FICC"].unpriced != ""
    names = [n for n in state.universe.name[lacking].tolist() if n in session.instruments]
    assert names
    # Complete before the trade, and a total was known.
    account = next(name for name in session.accounts if session.what_if(name, {})["reason"] is None)
    for name in names:
        question = (account, {name: 100.0}, True)
        assert ask(session, question) == repr(by_columns(session, question))
        answer = session.what_if(account, {name: 100.0})
        assert answer["requirement"] is None
        assert answer["standalone_requirement"] is None


def test_two_ways_to_write_a_contract_add_up(session: xm.Session) -> None:
    account = session.accounts[7]
    assert session.what_if(account, {"znu6": 5, "ZNU26": 7}) == session.what_if(
        account, {"ZNU26": 12}
    )
    assert session.what_if(account, {"ZNU26": 7, "znu6": -7}) == session.what_if(account, {})


def test_memory_is_bounded_and_forgetting_changes_no_answer(
    run: xm.RunResult, questions: list[Question], answers: list[str]
) -> None:
    everything = xm.Session(run)
    for account in everything.accounts:
        everything.what_if(account, {})
    kept = everything._scope.cached
    assert kept is not None
    assert len(kept._kept) == len(everything.accounts)
    sizes = sorted(kept._bytes.tolist())
    assert kept._used == sum(sizes)

    # Room for three of the largest.
    memory = sum(sizes[-3:])
    session = xm.Session(run, memory=memory)
    few = session._scope.cached
    assert few is not None
    rng = np.random.default_rng(3)
    most = 0
    for n in rng.integers(0, len(questions), 600).tolist():
        assert ask(session, questions[n]) == answers[n]
        assert few._used == sum(few._bytes[list(few._kept)].tolist()) <= memory
        most = max(most, len(few._kept))
    assert 3 <= most < len(session.accounts) / 2


def test_the_account_asked_least_lately_goes_first(run: xm.RunResult) -> None:
    probe = xm.Session(run)._scope.cached
    assert probe is not None
    largest = np.argsort(probe._bytes)[-3:].tolist()
    first, second, third = largest
    session = xm.Session(run, memory=2 * int(probe._bytes[third]))
    kept = session._scope.cached
    assert kept is not None
    for account in (first, second, first, third):
        session.what_if(session.accounts[account], {})
    assert list(kept._kept) == [first, third]


@pytest.mark.parametrize("memory", [0, 1, 50_000])
def test_accounts_that_no_memory_holds_are_asked_by_columns(
    run: xm.RunResult, questions: list[Question], answers: list[str], memory: int
) -> None:
    session = xm.Session(run, memory=memory)
    kept = session._scope.cached
    assert kept is not None
    for n in range(0, len(questions), 30):
        assert ask(session, questions[n]) == answers[n]
        account = session._scope.accounts[questions[n][0]]
        assert (account in kept._kept) == (kept._bytes[account] <= memory)
        assert kept._used <= memory


@pytest.mark.parametrize("memory", [-1, 1e9, True, None, "1 GiB"])
def test_memory_is_a_number_of_bytes(run: xm.RunResult, memory: Any) -> None:
    with pytest.raises(ValueError, match="memory: a number of bytes expected, got"):
        xm.Session(run, memory=memory)


def test_an_account_is_kept_where_the_memory_holds_just_it(
    run: xm.RunResult, questions: list[Question], answers: list[str]
) -> None:
    everything = xm.Session(run)
    probe = everything._scope.cached
    assert probe is not None
    largest = int(np.argmax(probe._bytes))
    enough = int(probe._bytes[largest])
    own = [n for n, (name, _, _) in enumerate(questions) if name == everything.accounts[largest]]
    for memory, accounts in ((enough, [largest]), (enough - 1, [])):
        session = xm.Session(run, memory=memory)
        assert session._scope.cached is not None
        for n in own:
            assert ask(session, questions[n]) == answers[n]
        assert list(session._scope.cached._kept) == accounts


def test_threads_may_ask_one_session(
    run: xm.RunResult, questions: list[Question], answers: list[str]
) -> None:
    probe = xm.Session(run)._scope.cached
    assert probe is not None
    # So small that threads throw out each other's accounts.
    session = xm.Session(run, memory=2 * int(probe._bytes.max()))
    wrong: list[int] = []

    def work(seed: int) -> None:
        for n in np.random.default_rng(seed).integers(0, len(questions), 150).tolist():
            if ask(session, questions[n]) != answers[n]:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def exit_code(child: int, seconds: float) -> int | None:
    """Return how a forked child ended, None where it hung."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("busy", ["what_if", "what_ifs"])
def test_a_child_forked_while_others_ask_can_ask_too(
    run: xm.RunResult, questions: list[Question], answers: list[str], busy: str
) -> None:
    probe = xm.Session(run)._scope.cached
    assert probe is not None
    # So small that the store is held most of the time, to throw out accounts and add others.
    session = xm.Session(run, memory=2 * int(probe._bytes.max()), threads=2)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            for account, trades, inside in questions[:40]:
                if busy == "what_if":
                    session.what_if(account, trades, xm=inside)
                else:
                    session.what_ifs([(account, trades)] * 200, xm=inside)

    def answer(question: Question) -> str:
        account, trades, inside = question
        if busy == "what_if":
            return ask(session, question)
        return repr(session.what_ifs([(account, trades)], xm=inside).to_arrow().to_pylist()[0])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    ends = []
    for n in range(30):
        time.sleep(0.01)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if answer(questions[n]) == answers[n] else 2
            finally:
                os._exit(code)
        ends.append(exit_code(child, 20.0))
        if ends[-1] != 0:
            break
    stop.set()
    for thread in threads:
        thread.join()
    assert ends == [0] * 30


def test_the_store_of_a_child_counts_what_it_keeps(run: xm.RunResult) -> None:
    session = xm.Session(run)
    for account in session.accounts[:5]:
        session.what_if(account, {})
    store = session._scope.cached
    assert store is not None
    used, store._used = store._used, 0
    store._lock.acquire()
    store.after_fork()
    assert store._used == used
    assert not store._lock.locked()


def own_cube(run: xm.RunResult, ccp: str, scale: float, names: list[str]) -> pa.Table:
    """Return a model's cube as a user would bring it."""
    assert run.stages is not None
    models = run.stages.models
    cube = next(iter(models.ccps[ccp].scenario_pnl().values()))
    pnl = cube.pnl[:, : len(names)] * scale
    return pa.table(
        {"instrument": models.universe.name.tolist()}
        | {name: pnl[:, n] for n, name in enumerate(names)}
    )


@pytest.mark.parametrize(
    ("scale", "kept"),
    [(2.0, True), (1.0 / 3.0, False)],
    ids=["on the grid", "off the grid"],
)
def test_users_cubes_are_kept_on_the_grid_and_asked_by_columns_off_it(
    run: xm.RunResult,
    tables: dict[str, pa.Table],
    market: xm.Market,
    questions: list[Question],
    scale: float,
    kept: bool,
) -> None:
    names = [f"s{n}" for n in range(60)]
    own = xm.run(
        **tables,
        market=market,
        ficc_cube=own_cube(run, "FICC", scale, names),
        cme_cube=own_cube(run, "CME", scale, names),
    )
    session = xm.Session(own)
    assert (session._scope.cached is not None) == kept
    for question in questions[::40]:
        assert ask(session, question) == repr(by_columns(session, question))


def test_a_charge_that_cannot_be_found_for_one_account_is_asked_by_columns(
    tables: dict[str, pa.Table], market: xm.Market, questions: list[Question]
) -> None:
    charge = GrossValueCharge("liquidity", "FICC", 0.001, True, "ours", "a test")
    run = xm.run(
        **tables,
        market=market,
        policy=replace(read_policy(), charges=(charge,)),
    )
    stages = run.stages
    assert stages is not None
    assert xm.Session(run)._scope.cached is not None
    charges = tuple(replace(charge, single=None) for charge in stages.models.charges)
    models = replace(stages.models, charges=charges)
    session = xm.Session(replace(run, stages=replace(stages, models=models)))
    assert session._scope.cached is None
    for question in questions[::60]:
        assert ask(session, question) == repr(by_columns(session, question))


def test_without_the_extension_the_answers_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
    run: xm.RunResult,
    questions: list[Question],
    answers: list[str],
) -> None:
    for module in ("crossmargin.engine._core", "numba", "crossmargin.engine.numba_kernels"):
        monkeypatch.setitem(sys.modules, module, None)
    session = xm.Session(run)
    assert session._scope.cached is None
    for n in range(0, len(questions), 60):
        assert ask(session, questions[n]) == answers[n]


def test_an_account_too_large_to_be_exact_is_asked_by_columns(
    tables: dict[str, pa.Table], market: xm.Market, session: xm.Session
) -> None:
    cusip = next(name for name in session.instruments if name.startswith("SYN3"))
    account = session.accounts[7]
    row = {"account": account, "kind": "cash", "instrument": cusip, "quantity": 4e11, "xm": True}
    large = xm.Session(margin(tables, market, row))
    question = (account, {"ZNU26": -5.0}, True)
    assert ask(large, question) == repr(by_columns(large, question))
    assert large._scope.cached is not None
    assert not large._scope.cached._kept
    # A trade as large is no other matter, nor does it harm the account.
    question = (account, {cusip: 4e11}, True)
    assert ask(session, question) == repr(by_columns(session, question))


def test_an_amount_that_no_account_can_have_is_the_same_error(session: xm.Session) -> None:
    bonds = [name for name in session.instruments if name.startswith("SYN3")]
    trades = dict.fromkeys(bonds, 1e12)
    messages = []
    for call in (
        lambda: session.what_if(session.accounts[7], trades),
        lambda: session.what_ifs([(session.accounts[7], trades)]),
    ):
        with pytest.raises(AmountError, match="its margin at FICC is beyond") as error:
            call()
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("account", "trades", "message"),
    [
        ("nobody", {}, "account 'nobody' is not in the run"),
        (None, {"TYU6 Comdty": 1e9}, "is not a number within"),
        (None, {"ZNU31": 1}, "instrument 'ZNU31' is not in the run's .* 'ZNU31' is not listed yet"),
        (None, {"912810XX1": 100}, "instrument '912810XX1' is not in the run's securities$"),
        (None, {"91282CAA9": 100}, "instrument '91282CAA9' is not in the run's securities"),
        (None, {"ZNM24": 1}, "ZNM24 expired on 2024-06-28"),
        (None, {"USD 2026-06-11": 100}, "is not in the run"),
        (None, {"ZNU26": 1.5}, "not a whole number of contracts"),
        (None, {"ZNU26": float("nan")}, "is not a number within"),
        (None, {"ZNU26": 1e9}, "is not a number within"),
        (None, {"ZNU26": "3"}, "quantity '3' of ZNU26 is not a number within"),
        (None, {"ZNU26": b"3"}, "quantity b'3' of ZNU26 is not a number within"),
        (None, {"ZNU26": None}, "quantity None of ZNU26 is not a number"),
        (None, {"ZNU26": True}, "quantity True of ZNU26 is not a number"),
        (None, {"ZNU26": Decimal("nan")}, "is not a number within"),
        (None, {"ZNU26": Decimal("1.5")}, "not a whole number of contracts"),
        (None, {"ZNU26": 10**400}, "is not a number within"),
        (None, {26: 1}, "instrument '26' is not in the run"),
        (["A"], {}, r"account \['A'\] is not in the run"),
    ],
)
def test_errors_say_what_is_wrong(
    session: xm.Session, account: Any, trades: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        session.what_if(account or session.accounts[0], trades)


@pytest.mark.parametrize(
    "trades", [[("ZNU26", 1)], pd.DataFrame({"ZNU26": [1]}), pd.Series({"ZNU26": 1}), "ZNU26", None]
)
def test_trades_of_another_kind_are_refused(session: xm.Session, trades: Any) -> None:
    with pytest.raises(TypeError, match=r'trades or moves: .* such as \{"ZNM25": -10\}, got'):
        session.what_if(session.accounts[0], trades)


@pytest.mark.parametrize(
    "questions",
    [{"A": {}}, [("A",)], ["AB"], pd.DataFrame({"account": ["A"]}), [("A", {}, {}, True)]],
)
def test_questions_are_pairs(session: xm.Session, questions: Any) -> None:
    with pytest.raises(TypeError, match=r'questions: pairs expected, such as \("ACC1"'):
        session.what_ifs(questions)


@pytest.mark.parametrize(
    "quantity", [np.int64(-100), np.int8(-100), np.float32(-100), Decimal(-100), Fraction(-100)]
)
def test_quantities_may_be_any_numbers(session: xm.Session, quantity: Any) -> None:
    account = session.accounts[7]
    expected = session.what_if(account, {"ZNU26": -100})
    assert session.what_if(account, {"ZNU26": quantity}) == expected
    assert list(session.what_ifs([(account, {"ZNU26": quantity})])) == [expected]


def test_a_session_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="a session needs a run, from"):
        xm.Session("results")  # type: ignore[arg-type]


def test_a_run_without_models_cannot_be_asked(run: xm.RunResult) -> None:
    read_back = replace(run, stages=None)
    with pytest.raises(ValueError, match="this run has no stages"):
        xm.Session(read_back)
