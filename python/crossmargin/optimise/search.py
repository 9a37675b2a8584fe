"""Search for the choice of futures with the lowest call: starts, steps of one line, swaps of two.

Every candidate is judged by the full calculation. All accounts are searched side by side, so that
one calculation judges the candidates of all. Methodology, section 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.moves import Movable, margin_after
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import FICC_XM, SEGMENTS
from crossmargin.engine import Execution
from crossmargin.margin.portfolios import row_of

TOGETHER = 4096
"""Candidates judged in one calculation."""
SWAPPED = 4
"""Lines of an account that are swapped for each other: those with the largest DV01."""
FINEST = 256
"""The finest step of a line is its range over this, at least one contract."""
UNKNOWN = np.iinfo(np.int64).max
"""The cents of a candidate whose requirement is unknown, or that is not allowed."""


@dataclass(frozen=True)
class Terms:
    """What a transfer costs, and how many there may be.

    Attributes
    ----------
    cents : int
        The cost of a transfer, a line that is moved.
    most : int, optional
        The most transfers of an account.
    """

    cents: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Judge:
    """The full calculation as a judge of candidates."""

    lines: Movable
    models: PreparedModels
    terms: Terms
    execution: Execution

    def cost(self, account: Integer, choice: Integer) -> Integer:
        """Return the requirement and the cost of the transfers, cents [N]; or UNKNOWN."""
        count = self.lines.count[account]
        end = np.cumsum(count)
        parts = [
            self._cost(account[first:last], choice[end[first] - count[first] : end[last - 1]])
            for first, last in _blocks(account.size)
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def _cost(self, account: Integer, choice: Integer) -> Integer:
        lines = self.lines
        at = lines.lines_of(account)
        asker = np.repeat(np.arange(account.size), lines.count[account])
        transfers = np.bincount(asker[choice != lines.crossed[at]], minlength=account.size)
        required = margin_after(
            lines, self.models, account, choice, self.execution
        ).requirements.requirement
        allowed = required.known
        if self.terms.most is not None:
            allowed = allowed & (transfers <= self.terms.most)
        return np.where(allowed, required.cents + transfers * self.terms.cents, UNKNOWN)


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, size, TOGETHER):
        yield first, min(first + TOGETHER, size)


@dataclass
class Best:
    """The best choice found so far: contracts of each line [M], cents of each account [A]."""

    choice: Integer
    cents: Integer


def search(judge: Judge, accounts: Integer) -> Best:
    """Return the best choice of some accounts that this search finds.

    Parameters
    ----------
    judge : Judge
    accounts : ndarray of int64
        Ascending.

    Returns
    -------
    Best
        Of other accounts, what is there now, with UNKNOWN cents. Where nothing costs less than
        what is there now, that.
    """
    lines = judge.lines
    best = Best(lines.crossed.copy(), np.full(lines.ptr.size - 1, UNKNOWN))
    for start in starts(judge):
        take_better(judge, best, accounts, start[lines.lines_of(accounts)])
    improve(judge, best, accounts)
    return best


def starts(judge: Judge) -> Iterator[Integer]:
    """Yield what is there now, nothing, everything, and hedges by DV01, each [M]."""
    lines = judge.lines
    yield lines.crossed
    yield np.zeros_like(lines.total)
    yield lines.total
    dv01 = judge.models.universe.sensitivities.dv01
    futures = dv01[lines.instrument] * lines.total
    cash = _cash_dv01(lines, dv01)[lines.account]
    against = futures * cash < 0.0
    yield np.where(against, lines.total, 0)
    hedge = np.bincount(
        lines.account, np.where(against, np.abs(futures), 0.0), lines.ptr.size - 1
    )[lines.account]
    share = np.ones(lines.total.size)
    np.divide(np.abs(cash), hedge, out=share, where=hedge > np.abs(cash))
    yield np.where(against, np.rint(share * lines.total), 0.0).astype(np.int64)


def _cash_dv01(lines: Movable, dv01: Float) -> Float:
    """Return the DV01 of each account's cross-margined cash, [A]."""
    row, book = row_of(lines.places.book), lines.places.book
    cash = row % len(SEGMENTS) == FICC_XM
    total = np.bincount(
        row[cash] // len(SEGMENTS),
        lines.lots[cash] * dv01[book.column[cash]],
        book.rows // len(SEGMENTS),
    )
    return total[: lines.ptr.size - 1]


def take_better(judge: Judge, best: Best, account: Integer, choice: Integer) -> Mask:
    """Judge a candidate for each account [N] and keep those that cost less; return which, [N]."""
    lines = judge.lines
    cents = judge.cost(account, choice)
    better = cents < best.cents[account]
    best.cents[account[better]] = cents[better]
    asker = np.repeat(np.arange(account.size), lines.count[account])
    taken = better[asker]
    best.choice[lines.lines_of(account)[taken]] = choice[taken]
    return better


def improve(judge: Judge, best: Best, accounts: Integer) -> None:
    """Improve a choice until no step or swap of any size costs less.

    A line steps up and down by half its range, then half of that, and so on; where no step helps,
    two of the lines with the largest DV01 are swapped. An account is done after a pass through
    all sizes without any improvement, so a second search from there finds nothing new.
    """
    lines = judge.lines
    span = lines.upper - lines.lower
    size = span.copy()
    finest = np.maximum(span // FINEST, 1)
    improved = np.zeros(lines.ptr.size - 1, dtype=bool)
    active = accounts[lines.count[accounts] > 0]
    while active.size:
        at = lines.lines_of(active)
        better = _step(judge, best, at, size)
        still = active[~better]
        swapped = _swap(judge, best, still, size)
        improved[active[better]] = True
        improved[still[swapped]] = True
        stuck = still[~swapped]
        at = lines.lines_of(stuck)
        ends = np.ones(lines.ptr.size - 1, dtype=bool)
        np.logical_and.at(ends, lines.account[at], size[at] <= finest[at])
        size[at] = np.maximum(size[at] // 2, finest[at])
        ended = stuck[ends[stuck]]
        again = lines.lines_of(ended)
        size[again] = span[again]
        done = ended[~improved[ended]]
        improved[ended] = False
        active = np.setdiff1d(active, done, assume_unique=True)


def _step(judge: Judge, best: Best, at: Integer, size: Integer) -> Mask:
    """Try steps of single lines; return which accounts improved, in the order of their lines."""
    lines = judge.lines
    now = best.choice[at]
    line = np.concatenate([at, at])
    value = np.concatenate([now - size[at], now + size[at]])
    value = np.clip(value, lines.lower[line], lines.upper[line])
    moved = value != best.choice[line]
    line, value = line[moved], value[moved]
    account = lines.account[line]
    choice, place = _copies(lines, best, account)
    choice[place + line - lines.ptr[account]] = value
    return _keep_best(judge, best, np.unique(lines.account[at]), account, choice)


def _swap(judge: Judge, best: Best, accounts: Integer, size: Integer) -> Mask:
    """Try steps of two lines at once that leave DV01 as it is; return which accounts improved."""
    lines = judge.lines
    dv01 = judge.models.universe.sensitivities.dv01[lines.instrument]
    weight = np.abs(dv01 * (lines.upper - lines.lower))
    at = lines.lines_of(accounts)
    order = at[np.lexsort((at, -weight[at], lines.account[at]))]
    rank = np.arange(order.size) - np.searchsorted(lines.account[order], lines.account[order])
    top = np.full((lines.ptr.size - 1, SWAPPED), -1)
    chosen = (rank < SWAPPED) & (weight[order] > 0.0)
    top[lines.account[order[chosen]], rank[chosen]] = order[chosen]
    pairs = [(i, j) for i in range(SWAPPED) for j in range(SWAPPED) if i != j]
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
    lines = judge.lines
    cents = judge.cost(account, choice)
    order = np.lexsort((cents, account))
    first = order[np.flatnonzero(np.diff(account[order], prepend=-1))]
    winner = first[cents[first] < best.cents[account[first]]]
    best.cents[account[winner]] = cents[winner]
    count = lines.count[account]
    begin = np.cumsum(count) - count
    won = account[winner]
    end = np.cumsum(count[winner])
    source = np.repeat(begin[winner] - end + count[winner], count[winner])
    best.choice[lines.lines_of(won)] = choice[source + np.arange(count[winner].sum())]
    return np.isin(accounts, won, assume_unique=True)
