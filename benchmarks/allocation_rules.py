"""Rules of thumb and general solvers that choose futures to move, beside `crossmargin.allocate`.

Each gets the exact judge: the full calculation after the moves. Accounts without cross-margined
cash have nothing to set off, and no rule moves anything there.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

import crossmargin as xm
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import UNKNOWN, Movable, book_after, movable, requirement_after
from crossmargin.conventions import CASH, CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS
from crossmargin.engine import Execution
from crossmargin.margin.model import Incremental
from crossmargin.margin.portfolios import row_of

POPULATION = 4
"""Members of differential evolution's population for each line, at least `FEWEST`."""
FEWEST = 12
CANDIDATES = 4
"""The linear program knows so many times k scenarios of each tail, at three choices."""


@dataclass(frozen=True)
class Desk:
    """A finished run, and the exact judge of choices.

    Attributes
    ----------
    run : RunResult
    threads : int or None
        Of the judge.
    """

    run: xm.RunResult
    threads: int | None = None

    @cached_property
    def lines(self) -> Movable:
        """The futures that may be moved."""
        stages = self.run.stages
        batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
        return movable(batch, stages.models)

    @property
    def models(self) -> Any:
        """The models of the run."""
        return self.run.stages.models

    @cached_property
    def accounts(self) -> np.ndarray:
        """The numbers of the accounts that have a choice and a known requirement."""
        known = self.run.stages.requirements.requirement.known
        return np.flatnonzero((self.lines.count > 0) & known)

    @cached_property
    def deciding(self) -> np.ndarray:
        """Those of them with cross-margined cash: only there can moved futures save anything."""
        return self.accounts[self.lines.free[self.accounts]]

    def cents(self, account: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Return the requirement of accounts [N] after a choice for each, cents."""
        execution = Execution(self.threads)
        return requirement_after(self.lines, self.models, account, choice, execution)

    def judge(self, accounts: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Return the requirement of some accounts after a choice of every line [M], cents."""
        return self.cents(accounts, choice[self.lines.lines_of(accounts)])


def as_is(desk: Desk) -> np.ndarray:
    """Leave all futures where they are."""
    return desk.lines.crossed


def everything(desk: Desk) -> np.ndarray:
    """Move all futures into the cross-margin accounts."""
    return desk.lines.total


def nothing(desk: Desk) -> np.ndarray:
    """Move all futures into the ordinary accounts."""
    return np.zeros_like(desk.lines.total)


def matched(desk: Desk) -> np.ndarray:
    """Match DV01 by tenor bucket: futures against the bucket's cash, the largest lines first."""
    lines, models = desk.lines, desk.models
    ends = np.asarray(models.policy.ficc.floor_bucket_years)
    bucket = np.minimum(np.searchsorted(ends, models.universe.years), ends.size - 1)
    dv01 = models.universe.sensitivities.dv01
    book = lines.places.book
    row = row_of(book)
    cash = np.flatnonzero(row % len(SEGMENTS) == FICC_XM)
    column = book.column[cash]
    of_cash = np.zeros((book.rows // len(SEGMENTS), ends.size))
    np.add.at(
        of_cash, (row[cash] // len(SEGMENTS), bucket[column]), lines.lots[cash] * dv01[column]
    )
    own = bucket[lines.instrument]
    risk = dv01[lines.instrument] * lines.total
    hedged = of_cash[lines.account, own]
    size = np.where(risk * hedged < 0.0, np.abs(risk), 0.0)
    order = np.lexsort((-size, own, lines.account))
    group = lines.account[order] * ends.size + own[order]
    before = np.cumsum(size[order]) - size[order]
    before -= before[np.searchsorted(group, group)]
    left = np.clip(np.abs(hedged[order]) - before, 0.0, size[order])
    filled = np.zeros(size.size)
    filled[order] = np.divide(left, size[order], out=np.zeros_like(left), where=size[order] > 0.0)
    return np.rint(filled * lines.total).astype(np.int64)


def greedy(desk: Desk) -> np.ndarray:
    """Move whole lines, in or out, one at a time, that which saves most first, until none does."""
    lines = desk.lines
    # What is there now may be beyond the position; a choice may not.
    choice = np.clip(lines.crossed, lines.lower, lines.upper)
    cents = np.full(lines.ptr.size - 1, UNKNOWN)
    active = desk.deciding
    cents[active] = desk.judge(active, choice)
    while active.size:
        at = np.concatenate([lines.lines_of(active)] * 2)
        value = np.where(np.arange(at.size) < at.size // 2, lines.total[at], 0)
        changes = value != choice[at]
        at, value = at[changes], value[changes]
        account = lines.account[at]
        count = lines.count[account]
        tried = choice[lines.lines_of(account)]
        tried[np.cumsum(count) - count + at - lines.ptr[account]] = value
        found = desk.cents(account, tried)
        order = np.lexsort((found, account))
        best = order[np.flatnonzero(np.diff(account[order], prepend=-1))]
        best = best[found[best] < cents[account[best]]]
        choice[at[best]] = value[best]
        cents[account[best]] = found[best]
        active = account[best]
    return choice


RULES: dict[str, Callable[[Desk], np.ndarray]] = {
    "leave as it is": as_is,
    "move everything": everything,
    "move nothing": nothing,
    "match DV01 by tenor bucket": matched,
    "greedy, line by line": greedy,
}


def absent(package: str) -> str:
    """Return why a solver cannot run, or nothing."""
    return "" if importlib.util.find_spec(package) else f"{package} is not installed"


class _TimeIsUpError(Exception):
    """The solver has had its time."""


def evolve(desk: Desk, account: int, seconds: float) -> int:
    """Return the least cents that SciPy's differential evolution finds in some time.

    The whole population is judged in one calculation. Beside random choices the first one has what
    is there, everything and nothing; it is finished whatever the time.
    """
    solve = import_module("scipy.optimize").differential_evolution
    lines = desk.lines
    at = lines.lines_of(np.array([account]))
    range_ = np.flatnonzero(lines.lower[at] < lines.upper[at])
    lower, upper = lines.lower[at][range_], lines.upper[at][range_]
    today = np.clip(lines.crossed, lines.lower, lines.upper)[at]
    size = max(FEWEST, POPULATION * range_.size)
    rng = np.random.default_rng([account, 1])
    first = rng.integers(lower, upper + 1, (size, range_.size)).astype(np.float64)
    first[:3] = 0.0
    first[0], first[1] = today[range_], lines.total[at][range_]
    least, end = UNKNOWN, time.perf_counter() + seconds

    def judge(member: np.ndarray) -> np.ndarray:
        nonlocal least
        if least < UNKNOWN and time.perf_counter() > end:
            raise _TimeIsUpError
        members = member.T if member.ndim == 2 else member[None]
        choice = np.tile(today, (len(members), 1))
        choice[:, range_] = np.rint(members)
        cents = desk.cents(np.full(len(members), account), choice.ravel())
        least = min(least, int(cents.min()))
        return cents / 100.0

    with suppress(_TimeIsUpError):
        solve(
            judge,
            np.stack([lower, upper], axis=1),
            init=first,
            integrality=np.ones(range_.size, dtype=bool),
            vectorized=True,
            updating="deferred",
            polish=False,
            maxiter=10_000,
            tol=0.0,
            rng=rng,
        )
    return least


def relax(desk: Desk, account: int) -> int:
    """Return the cents of the rounded solution of a linear program, by HiGHS.

    It minimises V(ordinary) + the largest of (1 - cap) * (V(futures) + V(cash)) and both models'
    V(cash and futures), with expected shortfall in place of VaR, over scenarios that are near the
    tail of a portfolio where all, none or today's futures are moved.
    """
    lines, models = desk.lines, desk.models
    own = np.array([account])
    at = lines.lines_of(own)
    program = _Program(lines.lower[at], lines.upper[at])
    margins = desk.run.stages.margins
    left = 1.0 - models.policy.agreement.cap
    cme, ficc = (models.ccps[ccp].incremental for ccp in (CME, FICC))
    fixed = _fixed_lots(desk, account)
    instrument = lines.instrument[at]
    starts = (lines.lower[at], lines.upper[at], lines.crossed[at])

    def v(model: Incremental, segments: list[int], sign: int) -> int:
        return program.v(model, fixed[segments].sum(axis=0), instrument, sign, starts)

    ordinary, futures = v(cme, [CME_OTHER], -1), v(cme, [CME_XM], 1)
    both = v(cme, [FICC_XM, CME_XM], 1)
    with_ficc = v(ficc, [FICC_XM, CME_XM], 1)
    crossed = program.column(1.0)
    program.cost[ordinary] = 1.0
    cash = float(margins.ficc.v[account, CASH])
    program.row({crossed: 1.0, futures: -left}, left * cash)
    program.row({crossed: 1.0, both: -1.0}, 0.0)
    program.row({crossed: 1.0, with_ficc: -1.0}, 0.0)
    choice = np.rint(program.solve()[: at.size]).astype(np.int64)
    return int(desk.cents(own, np.clip(choice, lines.lower[at], lines.upper[at]))[0])


def _fixed_lots(desk: Desk, account: int) -> np.ndarray:
    """Return what each segment holds where no futures are moved, [segments x I]."""
    count = int(desk.lines.count[account])
    book = book_after(desk.lines, np.array([account]), np.zeros(count, np.int64)).book
    lots = np.zeros((len(SEGMENTS), book.columns))
    row = row_of(book)
    first = row < len(SEGMENTS)
    np.add.at(lots, (row[first], book.column[first]), book.quantity[first])
    return lots


class _Program:
    """A linear program: what to move, then V of each portfolio and what it is made of."""

    def __init__(self, lower: np.ndarray, upper: np.ndarray) -> None:
        self.cost = [0.0] * lower.size
        self.lower = [float(x) for x in lower]
        self.upper = [float(x) for x in upper]
        self.lines = lower.size
        self.rows: list[tuple[np.ndarray, np.ndarray, float]] = []

    def column(self, cost: float = 0.0, lower: float = 0.0) -> int:
        """Add a variable without an upper end."""
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(np.inf)
        return len(self.cost) - 1

    def row(self, entries: dict[int, float], least: float) -> None:
        """Add a sum that is at least so much."""
        self.rows.append((np.array(list(entries)), np.array(list(entries.values())), least))

    def v(
        self,
        model: Incremental,
        fixed: np.ndarray,
        instrument: np.ndarray,
        sign: int,
        starts: tuple[np.ndarray, ...],
    ) -> int:
        """Add V of a portfolio, as the largest mixture of expected shortfalls; return its column.

        Rockafellar and Uryasev: it is the least of t + the sum of what losses exceed t by, over k.
        """
        held = np.flatnonzero(fixed)
        shortfall = []
        for measure in model.measures:
            window = slice(measure.start, measure.start + measure.count)
            slope = -sign * measure.pnl[instrument, window]
            loss = -fixed[held] @ measure.pnl[held, window]
            most = min(CANDIDATES * measure.k, measure.count)
            near = [np.argpartition(-(loss + q @ slope), most - 1)[:most] for q in starts]
            t, value = self.column(lower=-np.inf), self.column(lower=-np.inf)
            excess = []
            for s in np.unique(np.concatenate(near)).tolist():
                excess.append(self.column())
                at = np.concatenate([np.arange(self.lines), [t, excess[-1]]])
                entry = np.concatenate([-slope[:, s], [1.0, 1.0]])
                self.rows.append((at, entry, float(loss[s])))
            self.row({value: 1.0, t: -1.0, **dict.fromkeys(excess, -1.0 / measure.k)}, 0.0)
            shortfall.append(value)
        v = self.column()
        for weights in model.mixtures:
            parts = zip(shortfall, weights, strict=True)
            self.row({v: 1.0, **{value: -weight for value, weight in parts if weight}}, 0.0)
        return v

    def solve(self) -> np.ndarray:
        """Return the value of each variable."""
        highspy: Any = import_module("highspy")
        problem = highspy.HighsLp()
        problem.num_col_, problem.num_row_ = len(self.cost), len(self.rows)
        problem.col_cost_, problem.col_lower_ = np.array(self.cost), np.array(self.lower)
        problem.col_upper_ = np.array(self.upper)
        problem.row_lower_ = np.array([least for _, _, least in self.rows])
        problem.row_upper_ = np.full(len(self.rows), np.inf)
        problem.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        problem.a_matrix_.start_ = np.cumsum([0, *(at.size for at, _, _ in self.rows)], dtype="i4")
        problem.a_matrix_.index_ = np.concatenate([at for at, _, _ in self.rows]).astype("i4")
        problem.a_matrix_.value_ = np.concatenate([entry for _, entry, _ in self.rows])
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.passModel(problem)
        solver.run()
        return np.array(solver.getSolution().col_value)
