"""What the best of a few simple choices of futures would save beyond today's."""

from __future__ import annotations

from itertools import islice

import numpy as np

from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Integer, Mask
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import AccountMargins
from crossmargin.calculation.moves import (
    NOTHING,
    NOW,
    Movable,
    movable,
    requirement_after,
    simple_choices,
)
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import ALL, CASH, FUTURES, OTHER
from crossmargin.engine import Execution

UNUSED = "unused_saving"
"""The manifest's entry on a run that did not look for it; no other run has one."""
FEW = 4
"""Choices that are tried: what is there now, nothing, everything, and the hedges as they are."""


def unused_saving(
    batch: Batch,
    models: PreparedModels,
    margins: AccountMargins,
    saving: Saving,
    requirements: Requirements,
    execution: Execution,
) -> Amount:
    """Return what each account would pay less with other futures in the cross-margin account.

    Parameters
    ----------
    batch : Batch
        The book of a run.
    models : PreparedModels
    margins, saving, requirements : AccountMargins, Saving, Requirements
        Of that book.
    execution : Execution

    Returns
    -------
    Amount
        Cents, zero or more, [A]: by the best of the first `simple_choices`, each judged by the full
        calculation. `optimise.allocation` finds more. Known where the requirement is known and no
        row is rejected.
    """
    lines = movable(batch, models)
    today = requirements.requirement
    least = today.cents.copy()
    accounts = today.cents.size
    v_cash, v_cme = margins.ficc.v[:accounts, CASH], margins.cme.v[:accounts]
    v_futures, v_ordinary, v_all = v_cme[:, FUTURES], v_cme[:, OTHER], v_cme[:, ALL]
    # Nothing is left to find where everything is moved and the rate is at the cap.
    done = saving.capped & (v_ordinary == 0.0)
    asked = (lines.count > 0) & today.known & ~done
    # V of all futures in the ordinary account is known already.
    left = 1.0 - saving.offset_rate
    back = v_cash + v_all < left * (v_cash + v_futures) + v_ordinary
    earlier: list[Integer] = []
    for number, choice in enumerate(islice(simple_choices(lines, models), FEW)):
        hopeful = asked & back if number == NOTHING else asked
        for other in earlier:
            hopeful = hopeful & _differ(lines, choice, other)
        fresh = np.flatnonzero(hopeful)
        if number != NOW:
            own = choice[lines.lines_of(fresh)]
            after = requirement_after(lines, models, fresh, own, execution)
            least[fresh] = np.minimum(least[fresh], after)
        earlier.append(choice)
    return Amount(today.cents - least, today.known & batch.clients.complete)


def _differ(lines: Movable, one: Integer, other: Integer) -> Mask:
    """Return in which accounts two choices differ, [A]."""
    differs = np.zeros(lines.ptr.size - 1, dtype=bool)
    differs[lines.account[one != other]] = True
    return differs
