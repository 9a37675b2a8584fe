"""Which futures to move into the cross-margin accounts, and how good the answer is.

Methodology, section 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import movable, simple_choices
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.conventions import CASH, CME, FICC, OTHER
from crossmargin.engine import Execution
from crossmargin.engine.execution import Progress
from crossmargin.margin.model import LARGEST_MARGIN
from crossmargin.optimise.bounds import (
    Known,
    anchored,
    everything_moved,
    least_call,
    problem,
    prove,
)
from crossmargin.optimise.months import allowed_months
from crossmargin.optimise.search import (
    Best,
    Judge,
    consider,
    economise,
    greedy,
    improve,
    now,
    take_better,
)
from crossmargin.optimise.tables import NEAR, Found, allocation_tables
from crossmargin.results.table import Table

BOXES = 48
"""The most boxes an account's bound is found with, unless told otherwise."""
TOLERANCE = 0.9 * NEAR
"""A bound this share below the call is not raised further: the choice counts as optimal, also once
the bound is cut to the cent."""
TOGETHER = 512
"""Accounts that are searched and bounded side by side."""


def find(
    stages: Stages,
    accounts: Integer,
    *,
    may: Mask | None,
    most_transfers: int | None,
    transfer_cents: int,
    minimum_gain_cents: int,
    boxes: int,
    execution: Execution,
) -> Found:
    """Return the best choice found for some accounts, and a bound on all choices."""
    models = stages.models
    batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
    lines = movable(batch, models, may)
    today = stages.requirements.requirement
    chosen = accounts[(lines.count[accounts] > 0) & today.known[accounts]]
    best, bound = now(lines), np.full(lines.ptr.size - 1, np.nan)
    calls = Judge(lines, models, 0, execution)
    costs = Judge(lines, models, transfer_cents, execution)
    known = _known(stages)
    # Accounts with as many lines lie together, because their boxes are padded to the longest.
    order = chosen[np.argsort(lines.count[chosen], kind="stable")]
    for first in range(0, order.size, TOGETHER):
        execution.tell("allocating", first / order.size)
        some = np.sort(order[first : first + TOGETHER])
        for choice in simple_choices(lines, models):
            take_better(calls, best, some, choice[lines.lines_of(some)])
        free = some[lines.free[some]]
        bound[some] = best.cents[some] / 100.0
        if free.size:
            bound[free] = _search(calls, best, free, known, boxes)
        economise(costs, best, some, most_transfers)
        gain = today.cents[some] - best.cents[some]
        kept = lines.lines_of(some[gain < max(minimum_gain_cents, 1)])
        best.choice[kept] = lines.crossed[kept]
    execution.tell("allocating", 1.0)
    return Found(lines, chosen, best.choice, bound)


def _search(calls: Judge, best: Best, accounts: Integer, known: Known, boxes: int) -> Float:
    """Improve the choice of some accounts, and return a bound on every choice, USD [N]."""
    lines, execution = calls.lines, calls.execution

    def call(at: Integer) -> Float:
        return np.asarray(best.cents[at] / 100.0)

    whole = problem(lines, calls.models, accounts, best.choice, known, execution)
    bound = least_call(whole, whole.whole)
    unsure = np.flatnonzero(bound < call(accounts) * (1.0 - TOLERANCE))
    bound[unsure] = np.maximum(
        bound[unsure], everything_moved(whole, unsure, call(accounts[unsure]))
    )
    unsure = unsure[bound[unsure] < call(accounts[unsure]) * (1.0 - TOLERANCE)]
    if not unsure.size:
        return np.minimum(bound, call(accounts))
    open_accounts = accounts[unsure]
    improve(calls, best, open_accounts)
    other = greedy(calls, open_accounts).choice[lines.lines_of(open_accounts)]
    better = take_better(calls, best, open_accounts, other)
    improve(calls, best, open_accounts[better])
    before = best.cents[open_accounts].copy()
    part = anchored(whole, unsure, lines, open_accounts, best.choice)

    def judge(account: Integer, choice: Integer) -> Float:
        cents = consider(calls, best, open_accounts[account], choice[part.inside[account]])
        return np.asarray(cents / 100.0)

    risk = np.abs(_risk(calls.models))[part.instrument]
    proved = prove(part, call(open_accounts), risk, judge, tolerance=TOLERANCE, boxes=boxes)
    improve(calls, best, open_accounts[best.cents[open_accounts] < before])
    bound[unsure] = np.maximum(bound[unsure], proved)
    return np.minimum(bound, call(accounts))


def _risk(models: PreparedModels) -> Float:
    """Return the DV01 of a contract of each instrument, USD [I]."""
    return np.asarray(models.universe.sensitivities.dv01)


def _known(stages: Stages) -> Known:
    """Return what no choice changes."""
    margins, required = stages.margins, stages.requirements
    accounts = required.requirement.cents.size
    v_ordinary = margins.cme.v[:accounts, OTHER]
    fixed = required.other_ficc.cents + required.other_cme.cents + required.other_ccps.cents
    # A choice changes what the ordinary account at CME pays: its V, and what is charged on it.
    fixed = fixed - exact.cents(v_ordinary)
    left = 1.0 - stages.models.policy.agreement.cap
    for charged in margins.charged:
        amount = charged.amount[:accounts]
        if charged.ccp == FICC:
            # Less is reduced less, also when it is rounded.
            fixed = fixed + exact.cents(amount[:, CASH] * (left if charged.reducible else 1.0))
        elif charged.ccp == CME:
            fixed = fixed - exact.cents(amount[:, OTHER])
    return Known(fixed / 100.0, margins.ficc.v[:accounts, CASH], margins.cme.v[:accounts, CASH])


@dataclass(frozen=True)
class Allocation:
    """Which futures to move, what it saves, and how good the answer is.

    Attributes
    ----------
    accounts : Table
        A row per account.
    lines : Table
        A row per line of futures that may be moved: where it is, where it should be, and what one
        contract more or less would change.
    transfers : Table
        The lines to move.
    as_of, cycle : str
        Those of the run.
    """

    accounts: Table
    lines: Table
    transfers: Table
    as_of: str
    cycle: str

    def __repr__(self) -> str:
        """Return how much there is to move, as text."""
        return (
            f"<Allocation {self.as_of} {self.cycle}: {len(self.transfers):,} transfers, "
            f"{len(self.accounts):,} accounts>"
        )


def allocate(
    run: RunResult,
    accounts: Sequence[str] | None = None,
    *,
    front_month: bool = False,
    exclude_roll: bool = False,
    most_transfers: int | None = None,
    transfer_cost: float = 0.0,
    minimum_gain: float = 0.0,
    boxes: int = BOXES,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Allocation:
    """Return the futures to move into the cross-margin accounts, and back, to pay least.

    Every choice is judged by the full calculation, whatever the policy. Each answer has a bound
    that no choice can go below.

    Parameters
    ----------
    run : RunResult
        With its stages.
    accounts : sequence of str, optional
        All of the run if not given.
    front_month : bool
        Move only the first month of each root that still trades. Other months stay where they are.
    exclude_roll : bool
        Leave alone the Treasury futures that are being rolled.
    most_transfers : int, optional
        The most lines of an account to move.
    transfer_cost : float
        What moving a line costs, USD; a transfer must save more.
    minimum_gain : float
        USD that an account must save, after the cost, or it is left as it is.
    boxes : int
        How many boxes the bound of an account may take. More give a closer bound, and now and then
        a better choice.
    threads : int, optional
        As many as the process may use if not given. The answer does not depend on it.
    progress : callable, optional
        Called with the name of the stage and the share done.

    Returns
    -------
    Allocation

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind, an account is not in the run, or the run has no stages.

    Examples
    --------
    >>> allocation = allocate(run)  # doctest: +SKIP
    >>> allocation.transfers.to_pandas()  # doctest: +SKIP
    """
    if not isinstance(run, RunResult):
        raise TypeError(f"run: a run, from xm.run(...), expected, got {run!r:.60}")
    stages = stages_of(run)
    transfer_cents = _cents("transfer_cost", transfer_cost)
    minimum_cents = _cents("minimum_gain", minimum_gain)
    _check_count("most_transfers", most_transfers, 0)
    _check_count("boxes", boxes, 1)
    execution = Execution(threads, progress=progress)
    may = None
    if front_month or exclude_roll:
        contracts = stages.netted.contracts
        may = np.zeros(stages.models.universe.name.size, dtype=bool)
        # The contracts are the universe's last instruments.
        may[may.size - len(contracts) :] = allowed_months(
            contracts,
            stages.models.market.as_of,
            front_month=front_month,
            exclude_roll=exclude_roll,
        )
    found = find(
        stages,
        numbers_of(run, accounts),
        may=may,
        most_transfers=most_transfers,
        transfer_cents=transfer_cents,
        minimum_gain_cents=minimum_cents,
        boxes=boxes,
        execution=execution,
    )
    of_accounts, lines, transfers = allocation_tables(
        stages, found, numbers_of(run, accounts), execution
    )
    return Allocation(
        accounts=Table(of_accounts),
        lines=Table(lines),
        transfers=Table(transfers),
        as_of=run.manifest["as_of"],
        cycle=run.manifest["cycle"],
    )


def numbers_of(run: RunResult, accounts: Sequence[str] | None) -> Integer:
    """Return the numbers of some accounts of a run, ascending; of all if None.

    Raises
    ------
    ValueError
        One is not in the run.
    """
    names = run.accounts.to_arrow()["account"].to_pylist()
    if accounts is None:
        return np.arange(len(names))
    if isinstance(accounts, str):
        raise TypeError(f"accounts: names expected, such as [{accounts!r}], got one text")
    number = {name: i for i, name in enumerate(names)}
    for name in accounts:
        if name not in number:
            raise ValueError(f"account {name!r} is not in the run")
    return np.unique(np.array([number[name] for name in accounts], dtype=np.int64))


def _cents(name: str, usd: float) -> int:
    """Return an amount in cents, checked."""
    if isinstance(usd, bool) or not isinstance(usd, int | float | Decimal):
        raise TypeError(f"{name}: an amount in USD expected, got {usd!r:.40}")
    if not 0 <= usd <= LARGEST_MARGIN:
        raise ValueError(f"{name}: {usd} is not an amount from 0 to {LARGEST_MARGIN:,.0f} USD")
    return round(usd * 100)


def _check_count(name: str, value: int | None, least: int) -> None:
    """Refuse what is not a whole number of at least so many."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: a whole number expected, got {value!r:.40}")
    if value < least:
        raise ValueError(f"{name}: {value} is less than {least}")
