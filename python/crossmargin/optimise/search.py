"""Search for the choice of futures with the lowest call: starts, steps of one line, swaps of two.

Every candidate is judged by the full calculation. All accounts are searched side by side, so that
one calculation judges the candidates of all. Methodology, section 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, count

import numpy as np

from crossmargin.arrays import Integer, Mask
from crossmargin.calculation.moves import UNKNOWN, Movable, requirement_after
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.engine import Execution

SWAPPED = 4
"""Lines of an account that are swapped for each other: those with the largest DV01."""
SMALLER = 4
"""Each size of steps is this many times smaller than the one before it."""
FINEST = 256
"""The finest step of a line is its range over this, at least one contract."""
LITTLE = 0.01
"""The share of a call by which a choice with fewer lines may cost more, to begin again from it."""
LEVELS = 9
"""Quantities that the greedy start tries for a line, evenly spaced from the fewest to the most."""


@dataclass(frozen=True)
class Judge:
    """The full calculation as a judge of candidates.

    Attributes
    ----------
    lines : Movable
    models : PreparedModels
    transfer : int
        Cents that each transfer costs: a line that is moved.
    execution : Execution
    most : int, optional
        The most transfers of an account.
    """

    lines: Movable
    models: PreparedModels
    transfer: int
    execution: Execution
    most: int | None = None

    def cost(self, account: Integer, choice: Integer) -> Integer:
        """Return the requirement and the cost of the transfers, cents [N].

        It is UNKNOWN where the requirement is, and where there are too many transfers.
        """
        lines = self.lines
        asker = np.repeat(np.arange(account.size), lines.count[account])
        moved = choice != lines.crossed[lines.lines_of(account)]
        transfers = np.bincount(asker[moved], minlength=account.size)
        cents = np.full(account.size, UNKNOWN)
        asked = np.ones(account.size, dtype=bool) if self.most is None else transfers <= self.most
        own = choice[asked[asker]]
        cents[asked] = requirement_after(lines, self.models, account[asked], own, self.execution)
        return np.where(cents == UNKNOWN, UNKNOWN, cents + transfers * self.transfer)


@dataclass
class Best:
    """The best choice found so far: contracts of each line [M], cents of each account [A]."""

    choice: Integer
    cents: Integer


def unjudged(lines: Movable) -> Best:
    """Return what is there now, not yet judged."""
    return Best(lines.crossed.copy(), np.full(lines.ptr.size - 1, UNKNOWN))


def take_better(judge: Judge, best: Best, account: Integer, choice: Integer) -> Mask:
    """Judge a candidate for each account [N] and keep those that cost less; return which, [N]."""
    return _keep_best(judge, best, account, account, choice)


def improve(judge: Judge, best: Best, accounts: Integer, may: Mask | None = None) -> None:
    """Improve a choice until no step or swap of any size costs less.

    Parameters
    ----------
    judge : Judge
    best : Best
        Improved in place.
    accounts : ndarray of int64
        Ascending.
    may : ndarray of bool, [M], optional
        Lines that may change.

    Notes
    -----
    A line steps up and down by its range, then a quarter of that, and so on; where no step helps,
    two of the lines with the largest DV01 are swapped. An account is done after a pass through
    all sizes without any improvement, so a second search from there finds nothing new.
    """
    lines = judge.lines
    span = lines.upper - lines.lower
    if may is not None:
        span = np.where(may, span, 0)
    size = span.copy()
    finest = np.where(span > 0, np.maximum(span // FINEST, 1), 0)
    improved = np.zeros(lines.ptr.size - 1, dtype=bool)
    active = accounts[lines.count[accounts] > 0]
    while active.size:
        at = lines.lines_of(active)
        better = _step(judge, best, at, size)
        still = active[~better]
        swapped = _swap(judge, best, still, size, span)
        improved[active[better]] = True
        improved[still[swapped]] = True
        stuck = still[~swapped]
        at = lines.lines_of(stuck)
        ends = np.ones(lines.ptr.size - 1, dtype=bool)
        np.logical_and.at(ends, lines.account[at], size[at] <= finest[at])
        size[at] = np.maximum(size[at] // SMALLER, finest[at])
        ended = stuck[ends[stuck]]
        again = lines.lines_of(ended)
        size[again] = span[again]
        done = ended[~improved[ended]]
        improved[ended] = False
        active = np.setdiff1d(active, done, assume_unique=True)


def move_whole_lines(judge: Judge, best: Best, accounts: Integer, most: int | None = None) -> None:
    """Move whole lines in or out, the one that saves most first, until none saves anything.

    Parameters
    ----------
    judge : Judge
    best : Best
        Improved in place; its cents are known.
    accounts : ndarray of int64
        Ascending.
    most : int, optional
        The most lines of an account to move.
    """
    lines = judge.lines
    # Steps as long as a line's range end at none or all of it.
    span = lines.upper - lines.lower
    active = accounts
    for _ in count() if most is None else range(most):
        if not active.size:
            return
        active = active[_step(judge, best, lines.lines_of(active), span)]


def step_and_swap(judge: Judge, best: Best, accounts: Integer, size: int) -> None:
    """Keep for each account the best step of one line, and then the best swap of two.

    Parameters
    ----------
    judge : Judge
    best : Best
        Improved in place; its cents are known.
    accounts : ndarray of int64
        Ascending.
    size : int
        A line steps by its range over this, at least one contract.
    """
    lines = judge.lines
    span = lines.upper - lines.lower
    length = np.where(span > 0, np.maximum(span // size, 1), 0)
    _step(judge, best, lines.lines_of(accounts), length)
    _swap(judge, best, accounts, length, span)


def settle(judge: Judge, best: Best, accounts: Integer, unsure: Integer) -> None:
    """Let what is there now take part, and undo transfers that save nothing.

    Whole lines are moved from there. Where that costs less than the best choice, it is improved.

    Parameters
    ----------
    judge : Judge
    best : Best
        Found without regard to what is there now. Changed in place.
    accounts : ndarray of int64, [N]
        Ascending.
    unsure : ndarray of int64
        Those of the accounts where the bound leaves room.

    Notes
    -----
    A second search, after the transfers, proposes nothing new: it finds the same `best`, which
    costs no less than what is then there; and no step or swap from there costs less.
    """
    lines = judge.lines
    own = lines.lines_of(accounts)
    today = unjudged(lines)
    take_better(judge, today, accounts, lines.crossed[own])
    move_whole_lines(judge, today, unsure)
    near = accounts[today.cents[accounts] < best.cents[accounts]]
    improve(judge, today, np.intersect1d(near, unsure, assume_unique=True))
    better = today.cents <= best.cents
    taken = own[better[lines.account[own]]]
    best.choice[taken] = today.choice[taken]
    best.cents[accounts] = np.minimum(best.cents, today.cents)[accounts]
    again = economise(judge, best, accounts)
    while (again := np.intersect1d(again, unsure, assume_unique=True)).size:
        improve(judge, best, again)
        again = economise(judge, best, again)


def _step(judge: Judge, best: Best, at: Integer, size: Integer) -> Mask:
    """Try steps of single lines; return which accounts improved, in the order of their lines."""
    lines = judge.lines
    now = best.choice[at]
    line = np.concatenate([at, at])
    value = np.concatenate([now - size[at], now + size[at]])
    value = np.clip(value, lines.lower[line], lines.upper[line])
    moved = (value != best.choice[line]) & (size[line] > 0)
    line, value = line[moved], value[moved]
    account = lines.account[line]
    choice, place = _copies(lines, best, account)
    choice[place + line - lines.ptr[account]] = value
    return _keep_best(judge, best, np.unique(lines.account[at]), account, choice)


def _swap(judge: Judge, best: Best, accounts: Integer, size: Integer, span: Integer) -> Mask:
    """Try steps of two lines at once that leave DV01 as it is; return which accounts improved.

    A line without a span does not change.
    """
    lines = judge.lines
    dv01 = judge.models.universe.sensitivities.dv01[lines.instrument]
    weight = np.abs(dv01 * span)
    at = lines.lines_of(accounts)
    order = at[np.lexsort((at, -weight[at], lines.account[at]))]
    rank = np.arange(order.size) - np.searchsorted(lines.account[order], lines.account[order])
    top = np.full((lines.ptr.size - 1, SWAPPED), -1)
    chosen = (rank < SWAPPED) & (weight[order] > 0.0)
    top[lines.account[order[chosen]], rank[chosen]] = order[chosen]
    pairs = list(combinations(range(SWAPPED), 2))
    both = np.array([top[accounts][:, pair] for pair in pairs]).reshape(-1, 2)
    one, other = both[(both >= 0).all(axis=1)].T
    step = np.tile(size[one], 2) * np.repeat((1, -1), one.size)
    one, other = np.tile(one, 2), np.tile(other, 2)
    first = np.clip(best.choice[one] + step, lines.lower[one], lines.upper[one])
    answer = np.rint((best.choice[one] - first) * (dv01[one] / dv01[other])).astype(np.int64)
    second = np.clip(best.choice[other] + answer, lines.lower[other], lines.upper[other])
    moved = (first != best.choice[one]) & (second != best.choice[other])
    account = lines.account[one[moved]]
    choice, place = _copies(lines, best, account)
    choice[place + one[moved] - lines.ptr[account]] = first[moved]
    choice[place + other[moved] - lines.ptr[account]] = second[moved]
    return _keep_best(judge, best, accounts, account, choice)


def _copies(lines: Movable, best: Best, account: Integer) -> tuple[Integer, Integer]:
    """Return the best choice of each account, and where each begins."""
    count = lines.count[account]
    return best.choice[lines.lines_of(account)], np.cumsum(count) - count


def _keep_best(
    judge: Judge, best: Best, accounts: Integer, account: Integer, choice: Integer
) -> Mask:
    """Judge candidates [N], keep the best of each account if it costs less; return where."""
    before = best.cents[accounts]
    consider(judge, best, account, choice)
    return np.asarray(best.cents[accounts] < before)


def consider(judge: Judge, best: Best, account: Integer, choice: Integer) -> Integer:
    """Judge candidates, keep the best of each account if it costs less, and return their cents.

    Parameters
    ----------
    judge : Judge
    best : Best
        Improved in place.
    account : ndarray of int64, [N]
        An account may be there more than once.
    choice : ndarray of int64
        For the lines of each account in turn.

    Returns
    -------
    ndarray of int64, [N]
    """
    lines = judge.lines
    cents = judge.cost(account, choice)
    first = _cheapest(account, cents)
    winner = first[cents[first] < best.cents[account[first]]]
    best.cents[account[winner]] = cents[winner]
    count = lines.count[account]
    begin = np.cumsum(count) - count
    end = np.cumsum(count[winner])
    source = np.repeat(begin[winner] - end + count[winner], count[winner])
    best.choice[lines.lines_of(account[winner])] = choice[source + np.arange(count[winner].sum())]
    return cents


def _cheapest(account: Integer, cents: Integer) -> Integer:
    """Return the number of each account's candidate with the fewest cents, the first of equals."""
    order = np.lexsort((cents, account))
    return order[np.flatnonzero(np.diff(account[order], prepend=-1))]


def greedy(judge: Judge, accounts: Integer) -> Best:
    """Return the choice that begins with nothing and sets line by line to the best of some levels.

    The lines with the largest DV01 come first.

    Parameters
    ----------
    judge : Judge
    accounts : ndarray of int64
        Ascending.

    Returns
    -------
    Best
        Of these accounts; of no use for others.
    """
    lines = judge.lines
    best = Best(np.zeros_like(lines.total), np.full(lines.ptr.size - 1, UNKNOWN))
    dv01 = judge.models.universe.sensitivities.dv01[lines.instrument]
    span = lines.upper - lines.lower
    at = lines.lines_of(accounts)
    order = at[np.lexsort((at, -np.abs(dv01 * span)[at], lines.account[at]))]
    rank = np.arange(order.size) - np.searchsorted(lines.account[order], lines.account[order])
    for place in range(int(lines.count[accounts].max(initial=0))):
        line = np.repeat(order[rank == place], LEVELS)
        level = np.arange(line.size) % LEVELS
        account = lines.account[line]
        choice, begin = _copies(lines, best, account)
        value = lines.lower[line] + span[line] * level // (LEVELS - 1)
        choice[begin + line - lines.ptr[account]] = value
        consider(judge, best, account, choice)
    return best


def economise(judge: Judge, best: Best, accounts: Integer) -> Integer:
    """Undo transfers that save nothing, or less than they cost, and those beyond the most.

    Parameters
    ----------
    judge : Judge
        With the cost of a transfer, and the most of them. Those that save least go first. If there
        is either, the choice is then improved, and so is what is there now: the better one counts.
    best : Best
        Changed in place; its cents then count the transfers' cost.
    accounts : ndarray of int64
        Ascending.

    Returns
    -------
    ndarray of int64
        The accounts of which a transfer was undone.
    """
    lines = judge.lines
    best.cents[accounts] = replace(judge, most=None).cost(
        accounts, best.choice[lines.lines_of(accounts)]
    )
    undone = undo(judge, best, accounts)
    if judge.most is not None or judge.transfer:
        free = accounts[lines.free[accounts]]
        improve(judge, best, free)
        today = unjudged(lines)
        take_better(judge, today, free, lines.crossed[lines.lines_of(free)])
        improve(judge, today, free)
        take_better(judge, best, free, today.choice[lines.lines_of(free)])
    return undone


def undo(judge: Judge, best: Best, accounts: Integer) -> Integer:
    """Undo transfers that save nothing, or less than they cost, and those beyond the most.

    Parameters
    ----------
    judge : Judge
        As for `economise`.
    best : Best
        Changed in place. Its cents are known, and count the transfers' cost.
    accounts : ndarray of int64
        Ascending.

    Returns
    -------
    ndarray of int64
        The accounts of which a transfer was undone.
    """
    lines = judge.lines
    any_number = replace(judge, most=None)
    undone = np.zeros(lines.ptr.size - 1, dtype=bool)
    _all_or_none(any_number, best, accounts[~lines.free[accounts]], judge.most)
    active = accounts[lines.free[accounts]]
    while active.size:
        allowed = best.cents
        if judge.most is not None:
            allowed = np.where(_transfers(lines, best) > judge.most, UNKNOWN, allowed)
        active = _undo_one(any_number, best, active, lines.crossed, allowed)
        undone[active] = True
    return np.flatnonzero(undone)


def leave(
    lines: Movable, best: Best, accounts: Integer, today: Integer, minimum_cents: int
) -> None:
    """Leave accounts as they are where the choice saves too little, or nothing.

    Parameters
    ----------
    lines : Movable
    best : Best
        Its cents count the transfers' cost. The choices are changed in place.
    accounts : ndarray of int64
    today : ndarray of int64, [A]
        Cents of what is there now.
    minimum_cents : int
        What must be saved.
    """
    gain = today[accounts] - best.cents[accounts]
    kept = lines.lines_of(accounts[gain < max(minimum_cents, 1)])
    best.choice[kept] = lines.crossed[kept]


def thin_out(judge: Judge, best: Best, accounts: Integer) -> Best:
    """Return the best choice without the lines that save least, as long as it costs little more.

    Parameters
    ----------
    judge : Judge
    best : Best
    accounts : ndarray of int64
        Ascending.

    Returns
    -------
    Best
        Of these accounts: another start for the search. Its call is up to `LITTLE` higher.
    """
    thin = Best(best.choice.copy(), best.cents.copy())
    allowed = best.cents.copy()
    allowed[accounts] += np.floor(allowed[accounts] * LITTLE).astype(np.int64)
    active = accounts
    while active.size:
        active = _undo_one(judge, thin, active, np.zeros_like(thin.choice), allowed)
    return thin


def _all_or_none(judge: Judge, best: Best, accounts: Integer, most: int | None) -> None:
    """Undo all transfers of accounts that have no other choice, if they save nothing."""
    lines = judge.lines
    at = lines.lines_of(accounts)
    cents = judge.cost(accounts, lines.crossed[at])
    kept = cents <= best.cents[accounts]
    if most is not None:
        kept |= _transfers(lines, best)[accounts] > most
    best.cents[accounts[kept]] = cents[kept]
    own = lines.lines_of(accounts[kept])
    best.choice[own] = lines.crossed[own]


def _transfers(lines: Movable, best: Best) -> Integer:
    """Return the number of transfers of each account, [A]."""
    moved = best.choice != lines.crossed
    return np.asarray(np.bincount(lines.account[moved], minlength=lines.ptr.size - 1))


def _undo_one(
    judge: Judge, best: Best, accounts: Integer, back: Integer, allowed: Integer
) -> Integer:
    """Set one line of each account back, the one that costs least to set back; return where.

    Parameters
    ----------
    judge : Judge
    best : Best
        Changed in place.
    accounts : ndarray of int64
        Ascending.
    back : ndarray of int64, [M]
        What a line is set back to.
    allowed : ndarray of int64, [A]
        The most cents an account may then pay.
    """
    lines = judge.lines
    at = lines.lines_of(accounts)
    line = at[best.choice[at] != back[at]]
    account = lines.account[line]
    choice, place = _copies(lines, best, account)
    choice[place + line - lines.ptr[account]] = back[line]
    cents = judge.cost(account, choice)
    first = _cheapest(account, cents)
    undone = first[cents[first] <= allowed[account[first]]]
    best.choice[line[undone]] = back[line[undone]]
    best.cents[account[undone]] = cents[undone]
    return np.asarray(account[undone])
