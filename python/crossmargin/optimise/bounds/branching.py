"""Branch and bound: boxes with the lowest bounds are cut until all are near the best call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.optimise.bounds.call import ROUNDING, least_call
from crossmargin.optimise.bounds.forms import joined
from crossmargin.optimise.bounds.problem import Problem

AT_ONCE = 8
"""Boxes of an account that are cut in a round."""
NO_RISK = 1e-9
"""USD: the risk of a contract that moves no price of ours, for the order of the cuts."""


def prove(
    problem: Problem,
    call: Float,
    weight: Float,
    judge: Callable[[Integer, Integer], Float],
    *,
    tolerance: float,
    boxes: int,
) -> Float:
    """Return a lower bound on the call of each account, by branch and bound.

    Parameters
    ----------
    problem : Problem
        Of A accounts.
    call : ndarray of float64, [A]
        The best known call, USD.
    weight : ndarray of float64, [A x D]
        How much risk a contract of each line has, USD: boxes are cut where they are widest in it.
    judge : callable
        Takes accounts [N] and a choice for each [N x D], and returns the calls, [N], exact. Asked
        for boxes of a single choice, and for the middle of the box with the lowest bound, which is
        often a good choice.
    tolerance : float
        A bound that falls short of the call by this share of it, or by ten cents, is good enough.
    boxes : int
        The most boxes of an account.

    Returns
    -------
    ndarray of float64, [A]
        USD, never above the best call known in the end.
    """
    call = call.copy()
    accounts = call.size
    open_boxes = problem.whole
    bound = least_call(problem, open_boxes)
    made = np.ones(accounts, dtype=np.int64)
    # The lowest bound among boxes that are put aside: closed, or a single choice.
    aside = np.full(accounts, np.inf)
    while True:
        enough = call - np.maximum(call * tolerance, 2.0 * ROUNDING)
        closed = open_boxes.single | (bound >= enough[open_boxes.account])
        np.minimum.at(aside, open_boxes.account[closed], bound[closed])
        open_boxes, bound = open_boxes.take(~closed), bound[~closed]
        order = np.lexsort((bound, open_boxes.account))
        owner = open_boxes.account[order]
        rank = np.arange(owner.size) - np.searchsorted(owner, owner)
        cut = order[(rank < AT_ONCE) & (made[owner] < boxes)]
        if not cut.size:
            break
        chosen = open_boxes.take(cut)
        # A line without risk comes last, but a box is never cut along a line that has no range.
        width = (chosen.upper - chosen.lower) * np.fmax(weight[chosen.account], NO_RISK)
        halves = chosen.cut(np.argmax(width, axis=1))
        below = np.maximum(least_call(problem, halves), np.tile(bound[cut], 2))
        made += np.bincount(halves.account, minlength=accounts)
        rest = np.ones(bound.size, dtype=bool)
        rest[cut] = False
        open_boxes = joined((open_boxes.take(rest), halves))
        order = np.lexsort((below, halves.account))
        asked = halves.single
        asked[order[np.flatnonzero(np.diff(halves.account[order], prepend=-1))]] = True
        tried = halves.take(asked)
        calls = judge(tried.account, tried.middle())
        np.minimum.at(call, tried.account, calls)
        below[asked] = np.where(tried.single, calls, below[asked])
        bound = np.concatenate([bound[rest], below])
    np.minimum.at(aside, open_boxes.account, bound)
    return np.asarray(np.minimum(aside, call))
