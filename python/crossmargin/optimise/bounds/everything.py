"""A bound for accounts that do best with all futures in the cross-margin account."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.conventions import CME
from crossmargin.optimise.bounds.call import ROUNDING
from crossmargin.optimise.bounds.forms import LOWEST
from crossmargin.optimise.bounds.problem import FUTURES, OTHER, Problem, cubes_of

LOOKED_AT = 600
"""Scenarios among which others are looked for that stand in for one."""


def everything_moved(problem: Problem, accounts: Integer, call: Float) -> Float:
    """Return a bound for accounts that do best with all futures in the cross-margin account.

    Parameters
    ----------
    problem : Problem
    accounts : ndarray of int64, [N]
        Of those in the problem.
    call : ndarray of float64, [N]
        The best known call, USD.

    Returns
    -------
    ndarray of float64, [N]
        USD; minus infinity where it does not apply.

    Notes
    -----
    What is moved out, x, costs V(x) in the ordinary account. It makes V of the futures smaller by
    at most the largest loss of x in any k scenarios, such as the worst of all futures. With a rate
    of at most the cap, that saves at most 1 - cap of this loss L(x). V(x) is at least as much if k
    scenarios lose at least (1 - cap) * L(x) for every x >= 0 with L(x) > 0: those whose losses by
    line are at least c times as large, for one c of 1 - cap or more.
    """
    bound = np.full(accounts.size, -np.inf)
    if CME not in problem.houses:
        return bound
    house, known = problem.houses[CME], problem.known
    left = 1.0 - problem.cap
    row = house.portfolios.index(FUTURES) * problem.whole.account.size
    ordinary = house.portfolios.index(OTHER) * problem.whole.account.size
    for number, account in enumerate(accounts):
        inside = problem.inside[account]
        own = problem.whole.take(np.array([account]))
        lower, upper, anchor = (part[0, inside] for part in (own.lower, own.upper, own.anchor))
        sign = np.where(upper > 0, 1, -1)
        all_moved = np.array_equal(anchor, np.where(upper > 0, upper, lower))
        capped = known.apart[account] + left * (house.most[account] + known.v_ficc[account])
        within_cap = call[number] <= capped + ROUNDING
        if not (all_moved and within_cap) or np.any((lower < 0) & (upper > 0)):
            continue
        instrument = problem.instrument[account, inside]
        losses, whole = [], []
        for measure in house.model.measures:
            fixed = house.fixed[cubes_of(house.model).index(measure.cube)].pnl
            window = slice(measure.start, measure.start + measure.count)
            pnl = measure.cube.pnl[instrument, window]
            rest = fixed[ordinary + account, window] - anchor @ pnl
            if np.any(rest != 0.0):
                break
            losses.append(-(sign[:, None] * pnl))
            whole.append(-(fixed[row + account, window] + anchor @ pnl))
        else:
            # V is at least each mixture, and so the bound is at least that of each.
            ks = [measure.k for measure in house.model.measures]
            v = max(_all_but(losses, whole, ks, weights, left) for weights in house.model.mixtures)
            bound[number] = known.apart[account] + left * (v + known.v_ficc[account]) - ROUNDING
    return bound


def _all_but(
    losses: list[Float], whole: list[Float], ks: list[int], weights: Sequence[float], left: float
) -> float:
    """Return V of all futures by the worst k scenarios that k others stand in for.

    `losses` are those of each line [D x S], `whole` those of all of them [S], by measure.
    """
    # A stand-in loses when all futures lose. The worst of those scenarios are enough to look at.
    looked_at = []
    for loss, all_of_it in zip(losses, whole, strict=True):
        size = min(LOOKED_AT, all_of_it.size)
        looked_at.append(loss[:, np.argpartition(-all_of_it, size - 1)[:size]])
    total = 0.0
    for number, (loss, all_of_it, k, weight) in enumerate(
        zip(losses, whole, ks, weights, strict=True)
    ):
        if not weight:
            continue
        size = min(k + max(k // 4, 2), all_of_it.size)
        worst = np.argpartition(-all_of_it, size - 1)[:size]
        fine = np.ones(size, dtype=bool)
        for which, (others, enough) in enumerate(zip(looked_at, ks, strict=True)):
            if weights[which]:
                least = left if which == number else 0.0
                fine &= _stand_ins(loss[:, worst], others, least) >= enough
        ranked = np.sort(all_of_it[worst[fine]])[::-1]
        if ranked.size < k:
            return LOWEST
        total += weight * ranked[k - 1]
    return total


def _stand_ins(loss: Float, others: Float, least: float) -> Integer:
    """Return how many scenarios lose at least `least` times as much, whatever is held, [N].

    `loss` is [D x N], `others` [D x S]. Scenario t stands in for s if for some c, at least
    `least`, no line loses less in t than c times what it loses in s.
    """
    big = np.iinfo(np.int64).max
    count = np.zeros(loss.shape[1], dtype=np.int64)
    for number, lines in enumerate(loss.T):
        losing, gaining, flat = lines > 0.0, lines < 0.0, lines == 0.0
        if not losing.any():
            count[number] = big
            continue
        most = (others[losing] / lines[losing, None]).min(axis=0)
        fewest = (others[gaining] / lines[gaining, None]).max(axis=0, initial=least)
        stands = (most >= fewest) & (others[flat] >= 0.0).all(axis=0)
        count[number] = np.count_nonzero(stands)
    return count
