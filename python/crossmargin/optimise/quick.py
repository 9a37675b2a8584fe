"""The futures to move, found in a moment: starts, a few steps where most is at stake, no bounds.

Methodology, section 9. The work is counted, not timed, so that the answer is always the same.
"""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Integer, Mask
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import (
    NOTHING,
    NOW,
    UNKNOWN,
    hedges_by_tenor,
    margin_after,
    movable,
    simple_choices,
)
from crossmargin.calculation.result import Stages
from crossmargin.engine import Execution
from crossmargin.optimise.search import (
    Best,
    Judge,
    leave,
    move_whole_lines,
    step_and_swap,
    take_better,
    undo,
)
from crossmargin.optimise.tables import Found

SHARE = 0.95
"""The accounts that are searched hold this share of what the cap would still let all save."""
WHOLE_LINES = 2
"""How many whole lines are moved in each of them, one after the other."""
SIZES = (4, 16)
"""Then lines step, and are swapped, by their range over each of these."""


def find_quickly(
    stages: Stages,
    accounts: Integer,
    *,
    may: Mask | None,
    most_transfers: int | None,
    transfer_cents: int,
    minimum_gain_cents: int,
    execution: Execution,
) -> Found:
    """Return a good choice for some accounts, without a bound."""
    models = stages.models
    batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
    lines = movable(batch, models, may)
    today = stages.requirements.requirement
    chosen = accounts[(lines.count[accounts] > 0) & today.known[accounts]]
    calls = Judge(lines, models, 0, execution)
    # The run has judged what is there now.
    best = Best(lines.crossed.copy(), np.full(lines.ptr.size - 1, UNKNOWN))
    best.cents[chosen] = today.cents[chosen]
    starts = [*simple_choices(lines, models), hedges_by_tenor(lines, models)]
    _take_best(calls, best, chosen, starts)
    execution.tell("allocating", 0.5)
    searched = _most_at_stake(calls, best, chosen[lines.free[chosen]])
    for start in starts[NOTHING + 1 :]:
        half = np.clip((best.choice + start) // 2, lines.lower, lines.upper)
        take_better(calls, best, searched, half[lines.lines_of(searched)])
    move_whole_lines(calls, best, searched, most=WHOLE_LINES)
    for size in SIZES:
        step_and_swap(calls, best, searched, size)
    execution.tell("allocating", 0.8)
    costs = Judge(lines, models, transfer_cents, execution, most_transfers)
    moved = lines.account[best.choice != lines.crossed]
    best.cents[chosen] += np.bincount(moved, minlength=best.cents.size)[chosen] * transfer_cents
    undo(costs, best, chosen)
    leave(lines, best, chosen, today.cents, minimum_gain_cents)
    execution.tell("allocating", 1.0)
    return Found(lines, chosen, best.choice, None)


def _take_best(judge: Judge, best: Best, accounts: Integer, choices: list[Integer]) -> None:
    """Keep the best of some choices [M] for each account, none judged twice."""
    lines = judge.lines
    for number in range(NOW + 1, len(choices)):
        new = np.ones(lines.ptr.size - 1, dtype=bool)
        for before in choices[:number]:
            differs = np.zeros_like(new)
            differs[lines.account[choices[number] != before]] = True
            new &= differs
        asked = accounts[new[accounts]]
        take_better(judge, best, asked, choices[number][lines.lines_of(asked)])


def _most_at_stake(judge: Judge, best: Best, accounts: Integer) -> Integer:
    """Return the accounts, ascending, that hold most of what the cap would still let all save."""
    lines, models = judge.lines, judge.models
    choice = best.choice[lines.lines_of(accounts)]
    moved = margin_after(lines, models, accounts, choice, judge.execution)
    left = models.policy.agreement.cap - moved.agreement.saving.offset_rate
    stake = best.cents[accounts] * left
    order = np.argsort(-stake, kind="stable")
    before = np.cumsum(stake[order]) - stake[order]
    return np.sort(accounts[order[before < SHARE * stake.sum()]])
