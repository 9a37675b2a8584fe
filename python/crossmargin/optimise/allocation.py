"""Which futures to move into the cross-margin accounts, and how good the answer is.

Methodology, section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import NOW, hedges_by_tenor, movable, simple_choices
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.conventions import CASH, CME, FICC, OTHER
from crossmargin.engine import Execution
from crossmargin.engine.execution import Progress
from crossmargin.engine.executor import run_blocks
from crossmargin.io.results import ALLOCATION, csv_bytes, write_results
from crossmargin.margin.model import LARGEST_MARGIN
from crossmargin.optimise.bounds.branching import prove
from crossmargin.optimise.bounds.call import least_call
from crossmargin.optimise.bounds.everything import everything_moved
from crossmargin.optimise.bounds.problem import Known, Problem, problem
from crossmargin.optimise.months import allowed_months
from crossmargin.optimise.quick import find_quickly
from crossmargin.optimise.search import (
    Best,
    Judge,
    consider,
    economise,
    greedy,
    improve,
    leave,
    move_whole_lines,
    settle,
    take_better,
    thin_out,
    unjudged,
)
from crossmargin.optimise.tables import NEAR, Found, allocation_tables
from crossmargin.optimise.transfers import bookings, fixml, positions_csv, positions_of
from crossmargin.results.table import Table

BOXES = 24
"""The most boxes an account's bound is found with, unless told otherwise."""
TOLERANCE = 0.9 * NEAR
"""A bound this share below the call is not raised further: the choice counts as optimal, also once
the bound is cut to the cent."""
TOGETHER = 256
"""Accounts that are bounded side by side."""
_ALONE = Execution(threads=1)


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
    best, bound = unjudged(lines), np.full(lines.ptr.size - 1, np.nan)
    best.choice[lines.lines_of(chosen)] = 0
    calls = Judge(lines, models, 0, execution)
    costs = Judge(lines, models, transfer_cents, execution, most_transfers)
    for number, choice in enumerate(simple_choices(lines, models)):
        # What is there now comes in later: the search must not depend on it.
        if number != NOW:
            take_better(calls, best, chosen, choice[lines.lines_of(chosen)])
    hedges = hedges_by_tenor(lines, models)
    take_better(calls, best, chosen, hedges[lines.lines_of(chosen)])
    bound[chosen] = best.cents[chosen] / 100.0
    search = _Search(calls, best, _known(stages))
    execution.tell("allocating", 0.1)
    unsure = search.unproved(chosen[lines.free[chosen]], bound)
    execution.tell("allocating", 0.3)
    nothing = unjudged(lines)
    nothing.choice[:] = 0
    nothing.cents[unsure] = calls.cost(unsure, nothing.choice[lines.lines_of(unsure)])
    move_whole_lines(calls, nothing, unsure)
    take_better(calls, best, unsure, nothing.choice[lines.lines_of(unsure)])
    improve(calls, best, unsure)
    execution.tell("allocating", 0.6)
    search.prove(unsure, bound, boxes)
    search.start_again(unsure, bound)
    settle(calls, best, chosen, unsure)
    bound[chosen] = np.minimum(bound[chosen], best.cents[chosen] / 100.0)
    if most_transfers is not None or transfer_cents:
        economise(costs, best, chosen)
    leave(lines, best, chosen, today.cents, minimum_gain_cents)
    execution.tell("allocating", 1.0)
    return Found(lines, chosen, best.choice, bound)


@dataclass(frozen=True)
class _Search:
    """The best choices found so far, and what no choice changes."""

    calls: Judge
    best: Best
    known: Known

    def _call(self, accounts: Integer) -> Float:
        return np.asarray(self.best.cents[accounts] / 100.0)

    def _in_blocks(self, accounts: Integer, work: Callable[[Integer], None]) -> None:
        """Do some work on blocks of accounts, ascending in each, several at once.

        Accounts with as many lines lie together, because boxes are padded to the longest.
        """
        order = accounts[np.argsort(self.calls.lines.count[accounts], kind="stable")]
        bounds = [*range(0, order.size, TOGETHER), order.size]

        def block(first: int, last: int) -> None:
            work(np.sort(order[first:last]))

        run_blocks(block, bounds, threads=self.calls.execution.threads, unit="accounts")

    def _problem(self, accounts: Integer) -> Problem:
        calls = self.calls
        return problem(calls.lines, calls.models, accounts, self.best.choice, self.known, _ALONE)

    def unproved(self, accounts: Integer, bound: Float) -> Integer:
        """Bound accounts by one box, and return those whose best choice may not be optimal."""

        def one_box(some: Integer) -> None:
            whole = self._problem(some)
            least = least_call(whole, whole.whole)
            at = np.flatnonzero(self._unsure(some, least))
            least[at] = np.maximum(least[at], everything_moved(whole, at, self._call(some[at])))
            bound[some] = least

        self._in_blocks(accounts, one_box)
        return accounts[self._unsure(accounts, bound[accounts])]

    def _unsure(self, accounts: Integer, bound: Float) -> Mask:
        """Return which accounts' bounds are not near enough to the best call."""
        return np.asarray(bound < self._call(accounts) * (1.0 - TOLERANCE))

    def prove(self, accounts: Integer, bound: Float, boxes: int) -> None:
        """Raise the bounds of accounts, and improve the choices that this finds."""
        before = self.best.cents[accounts].copy()
        dv01 = np.abs(self.calls.models.universe.sensitivities.dv01)
        judge = replace(self.calls, execution=_ALONE)

        def cut(some: Integer) -> None:
            part = self._problem(some)
            proved = prove(
                part,
                self._call(some),
                dv01[part.instrument],
                partial(self._judged, judge, some, part.inside),
                tolerance=TOLERANCE,
                boxes=boxes,
            )
            bound[some] = np.maximum(bound[some], proved)

        self._in_blocks(accounts, cut)
        improve(self.calls, self.best, accounts[self.best.cents[accounts] < before])

    def start_again(self, accounts: Integer, bound: Float) -> None:
        """Search from other starts where the bound still leaves room."""
        calls, best = self.calls, self.best
        room = accounts[self._unsure(accounts, bound[accounts])]
        other = greedy(calls, room).choice[calls.lines.lines_of(room)]
        better = take_better(calls, best, room, other)
        improve(calls, best, room[better])
        thin = thin_out(calls, best, room)
        thinner = np.unique(calls.lines.account[thin.choice != best.choice])
        thinner = np.intersect1d(thinner, room, assume_unique=True)
        improve(calls, thin, thinner)
        take_better(calls, best, thinner, thin.choice[calls.lines.lines_of(thinner)])

    def _judged(
        self, judge: Judge, accounts: Integer, inside: Mask, asked: Integer, choice: Integer
    ) -> Float:
        """Judge choices for some of the accounts, keep better ones, and return the calls, USD."""
        cents = consider(judge, self.best, accounts[asked], choice[inside[asked]])
        return np.asarray(cents / 100.0)


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
    manifest : dict
        The run, the policy and the options it was made with.
    """

    accounts: Table
    lines: Table
    transfers: Table
    manifest: dict[str, Any]

    def trades(self) -> Table:
        """Return the transfers as rows of positions: two for each, which add up to zero.

        A run of the book with these rows appended requires `requirement_after` of every account.
        """
        return Table(positions_of(self.transfers.to_arrow()))

    def write(self, out: str | Path, prices: Mapping[str, float] | None = None) -> Path:
        """Write the allocation to a directory, all or nothing.

        There are accounts.parquet, lines.parquet, transfers.csv (a buy and a sell for each
        transfer), transfers.xml (the same as FIXML), positions.csv (the same as rows of positions,
        as in `trades`, to append to those of a run) and manifest.json.

        Parameters
        ----------
        out : str or Path
            The directory. An earlier allocation there is replaced.
        prices : mapping of str to float, optional
            The exchange's settlement prices, by contract, for transfers.xml: FIXML requires a price
            to book at. Without one it has to be filled in there.

        Returns
        -------
        Path
            The directory.

        Raises
        ------
        InputError
            The directory holds something else, such as results of a run, or cannot be written; or
            the name of an account has a character that XML cannot hold.
        ValueError
            A price is not a finite number.
        """
        tables = {"accounts": self.accounts.to_arrow(), "lines": self.lines.to_arrow()}
        transfers = self.transfers.to_arrow()
        files = {
            "transfers.csv": csv_bytes(bookings(transfers, self.manifest)),
            "transfers.xml": fixml(transfers, self.manifest, prices),
            "positions.csv": positions_csv(transfers),
        }
        return write_results(out, tables, self.manifest, files, what=ALLOCATION)

    def __repr__(self) -> str:
        """Return how much there is to move, as text."""
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        return (
            f"<Allocation {self.manifest['as_of']} {self.manifest['cycle']}{mark}: "
            f"{len(self.transfers):,} transfers, {len(self.accounts):,} accounts>"
        )

    def _repr_html_(self) -> str:
        """Return the size, and the first rows of transfers and accounts."""
        parts = (
            f"<h4>{name}</h4>{table._repr_html_()}"
            for name, table in (("transfers", self.transfers), ("accounts", self.accounts))
        )
        return f"<p>{escape(repr(self))}</p>{''.join(parts)}"


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
    quick: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Allocation:
    """Return the futures to move into the cross-margin accounts, and back, to pay least.

    Every choice is judged by the full calculation, whatever the policy. Each answer has a bound
    that no choice can go below, unless it is a quick one.

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
    quick : bool
        Look only for a good choice: no bound, no proof, and no effect of one contract more or less;
        these cells are empty. It begins from what is there now, so asked again after the transfers
        it may find more.
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
    if not isinstance(quick, bool):
        raise TypeError(f"quick: True or False expected, got {quick!r:.40}")
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
    found = (find_quickly if quick else partial(find, boxes=boxes))(
        stages,
        numbers_of(run, accounts),
        may=may,
        most_transfers=most_transfers,
        transfer_cents=transfer_cents,
        minimum_gain_cents=minimum_cents,
        execution=execution,
    )
    of_accounts, lines, transfers = allocation_tables(
        stages, found, numbers_of(run, accounts), execution
    )
    options = {
        "front_month": front_month,
        "exclude_roll": exclude_roll,
        "most_transfers": most_transfers,
        "transfer_cost": transfer_cents / 100,
        "minimum_gain": minimum_cents / 100,
        "boxes": None if quick else boxes,
        "quick": quick,
    }
    told = ("run_id", "as_of", "cycle", "synthetic", "policy")
    return Allocation(
        accounts=Table(of_accounts),
        lines=Table(lines),
        transfers=Table(transfers),
        manifest={**{name: run.manifest[name] for name in told}, "options": options},
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
