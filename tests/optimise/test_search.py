"""The search for a choice: what it keeps, what it may change, and where it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmargin.arrays import Integer
from crossmargin.engine import Execution
from crossmargin.optimise.search import (
    UNKNOWN,
    Judge,
    consider,
    economise,
    greedy,
    improve,
    take_better,
    thin_out,
    unjudged,
)

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")


@pytest.fixture(scope="module")
def book(small_run: Any, small_book: Any, judged: Any) -> Any:
    return judged(small_run(small_book(6, 14, lines=4, contracts=6)))


@pytest.fixture(scope="module")
def judge(book: Any) -> Judge:
    return Judge(book.lines, book.stages.models, 0, Execution(1))


def own(book: Any, account: int) -> Integer:
    at: Integer = book.lines.lines_of(np.array([account]))
    return at


def test_the_best_of_several_candidates_is_kept(book: Any, judge: Judge) -> None:
    best = unjudged(book.lines)
    account = int(book.accounts[np.argmax(book.lines.count[book.accounts])])
    choices, calls = book.every(account)
    other = int(book.accounts[book.accounts != account][0])
    others, other_calls = book.every(other)
    # Accounts in any order, and one of them many times.
    asked = np.concatenate([[other], np.full(calls.size, account), [other]])
    choice = np.concatenate([others[0], choices.ravel(), others[-1]])
    found = consider(judge, best, asked, choice)
    assert found[1:-1].tolist() == calls.tolist()
    assert best.cents[account] == calls.min()
    assert best.choice[own(book, account)].tolist() == choices[calls.argmin()].tolist()
    assert best.cents[other] == min(other_calls[0], other_calls[-1])
    rest = np.setdiff1d(np.arange(best.cents.size), [account, other])
    assert (best.cents[rest] == UNKNOWN).all()
    # What costs as much does not replace it.
    before = best.choice.copy()
    assert not take_better(judge, best, np.array([account]), choices[calls.argmin()]).any()
    consider(judge, best, asked, choice)
    assert (best.choice == before).all()


def test_a_transfer_has_its_cost(book: Any, judge: Judge) -> None:
    lines = book.lines
    costly = Judge(lines, judge.models, 500, Execution(1))
    accounts = book.accounts
    at = lines.lines_of(accounts)
    choice = np.where(np.arange(lines.total.size) % 2, lines.total, lines.crossed)
    moved = np.bincount(lines.account[choice != lines.crossed], minlength=lines.ptr.size - 1)
    difference = costly.cost(accounts, choice[at]) - judge.cost(accounts, choice[at])
    assert difference.tolist() == (500 * moved[accounts]).tolist()
    assert difference.any()


def test_the_search_ends_where_no_step_of_one_contract_helps(book: Any, judge: Judge) -> None:
    best = unjudged(book.lines)
    accounts = book.accounts[book.lines.free[book.accounts]]
    take_better(judge, best, accounts, best.choice[book.lines.lines_of(accounts)])
    before = best.cents.copy()
    improve(judge, best, accounts)
    assert (best.cents[accounts] <= before[accounts]).all()
    assert (best.cents[accounts] < before[accounts]).any()
    assert (best.choice >= book.lines.lower).all()
    assert (best.choice <= book.lines.upper).all()
    for account in accounts.tolist():
        choices, calls = book.every(account)
        away = np.abs(choices - best.choice[own(book, account)])
        assert set(calls[away.sum(axis=1) == 0].tolist()) == {best.cents[account]}
        assert (calls[away.sum(axis=1) == 1] >= best.cents[account]).all()


def test_only_lines_that_may_change_do(book: Any, judge: Judge) -> None:
    accounts = book.accounts[book.lines.free[book.accounts]]
    may = np.arange(book.lines.total.size) % 2 == 0
    best = unjudged(book.lines)
    take_better(judge, best, accounts, best.choice[book.lines.lines_of(accounts)])
    improve(judge, best, accounts, may)
    changed = best.choice != book.lines.crossed
    assert not changed[~may].any()
    assert changed[may].any()


def test_the_greedy_choice_sets_line_by_line(book: Any, judge: Judge) -> None:
    accounts = book.accounts[book.lines.free[book.accounts]]
    best = greedy(judge, accounts)
    dv01 = judge.models.universe.sensitivities.dv01[book.lines.instrument]
    risk = np.abs(dv01 * (book.lines.upper - book.lines.lower))
    for account in accounts.tolist():
        choices, calls = book.every(account)
        at = own(book, account)
        chosen = np.zeros(at.size, dtype=np.int64)
        for line in np.argsort(-risk[at], kind="stable").tolist():
            others = np.arange(at.size) != line
            possible = np.flatnonzero((choices[:, others] == chosen[others]).all(axis=1))
            least = calls[possible].min()
            chosen = choices[possible[calls[possible].argmin()]]
        assert best.cents[account] == least


def test_a_transfer_that_saves_nothing_is_undone(book: Any, judge: Judge) -> None:
    lines = book.lines
    accounts = book.accounts
    best = unjudged(lines)
    best.choice[:] = np.where(lines.free[lines.account], lines.total, lines.crossed)
    cost = judge.cost(accounts, best.choice[lines.lines_of(accounts)])
    economise(judge, best, accounts)
    assert (best.cents[accounts] <= cost).all()
    moved = np.flatnonzero(best.choice != lines.crossed)
    assert moved.size
    for line in moved[np.isin(lines.account[moved], accounts)].tolist():
        account = np.array([lines.account[line]])
        without = best.choice.copy()
        without[line] = lines.crossed[line]
        after = judge.cost(account, without[lines.lines_of(account)])
        assert after[0] > best.cents[account[0]]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_transfers_beyond_the_most_are_undone(book: Any, judge: Judge, most: int) -> None:
    lines = book.lines
    accounts = book.accounts[lines.free[book.accounts]]
    best = unjudged(lines)
    best.choice[:] = np.where(lines.free[lines.account], lines.total, lines.crossed)
    economise(replace(judge, most=most), best, accounts)
    moved = np.bincount(lines.account[best.choice != lines.crossed], minlength=lines.ptr.size - 1)
    assert moved[accounts].max() == most
    at = lines.lines_of(accounts)
    assert best.cents[accounts].tolist() == judge.cost(accounts, best.choice[at]).tolist()


def test_a_thinner_choice_leaves_lines_out_for_little(book: Any, judge: Judge) -> None:
    lines = book.lines
    accounts = book.accounts[lines.free[book.accounts]]
    best = unjudged(lines)
    best.choice[:] = np.where(lines.free[lines.account], lines.total, lines.crossed)
    best.cents[accounts] = judge.cost(accounts, best.choice[lines.lines_of(accounts)])
    thin = thin_out(judge, best, accounts)
    own = lines.lines_of(accounts)
    left_out = thin.choice[own] != best.choice[own]
    assert left_out.any()
    assert not thin.choice[own][left_out].any()
    cost = judge.cost(accounts, thin.choice[own])
    assert cost.tolist() == thin.cents[accounts].tolist()
    assert (cost <= 1.01 * best.cents[accounts]).all()
