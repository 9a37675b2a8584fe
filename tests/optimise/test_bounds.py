"""Bounds on what a choice of futures can cost: worked by hand, and never above a feasible call."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.agreement.clients import Clients
from crossmargin.arrays import Float, Integer
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import movable
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS, UNIONS
from crossmargin.engine import Book, Cube, Execution, Measure
from crossmargin.engine.whatif import BucketSums
from crossmargin.instruments.universe import FUTURE, TREASURY
from crossmargin.margin.model import Incremental
from crossmargin.optimise.bounds import everything
from crossmargin.optimise.bounds.branching import prove
from crossmargin.optimise.bounds.call import ROUNDING, least_call
from crossmargin.optimise.bounds.everything import everything_moved
from crossmargin.optimise.bounds.forms import Boxes, Form
from crossmargin.optimise.bounds.problem import Known, Problem, problem
from crossmargin.policies.sections import LOWER_OF_MODELS

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")

PROPERTY = settings(deadline=None, derandomize=True, database=None)
ONE = Execution(1)


@dataclass(frozen=True)
class Account:
    """One made-up account under two made-up models: P&L in whole USD, floors, an agreement.

    Instruments are `cash` securities, then futures. `pnl` is that of each clearing house [I x S];
    a measure has a share of the scenarios from `start` on, and the k-th largest loss is its VaR.
    """

    pnl: dict[str, Float]
    measures: dict[str, tuple[tuple[int, float], ...]]
    weight: float
    value: Float
    rate: Float
    cap: float
    minimum: float
    cash: Integer
    crossed: Integer
    ordinary: Integer
    may: tuple[bool, ...]

    @property
    def models(self) -> Any:
        """Return what `movable` and `problem` need of prepared models."""
        incremental = {}
        for ccp, pnl in self.pnl.items():
            cube = Cube(pnl)
            measures = tuple(
                Measure(cube, level, slice(start, None)) for start, level in self.measures[ccp]
            )
            # Every measure of CME's but the first is a period of stress.
            shares = np.eye(len(measures) - 1) * (1.0 - self.weight)
            sums = None
            mixtures = tuple((self.weight, *share) for share in shares.tolist())
            if ccp == FICC:
                bucket = np.arange(self.value.size, dtype=np.int32) % self.rate.size
                sums = BucketSums(self.value, bucket, self.rate, UNIONS[FICC])
                mixtures = ((1.0, 0.0), (0.0, 1.0))
            incremental[ccp] = Incremental(measures, sums, lambda *_: (0.0,) * 5, mixtures)
        size = self.value.size
        kind = [TREASURY if i < self.cash.size else FUTURE for i in range(size)]
        return SimpleNamespace(
            universe=SimpleNamespace(kind=np.array(kind, dtype=object)),
            eligible=np.ones(size, dtype=bool),
            ccps={ccp: SimpleNamespace(incremental=own) for ccp, own in incremental.items()},
            policy=SimpleNamespace(
                agreement=SimpleNamespace(cap=self.cap, offset_method=LOWER_OF_MODELS)
            ),
        )

    def v(self, ccp: str, lots: Integer) -> Float:
        """Return V of portfolios [N x I] by the definition, [N]."""
        loss = -(lots @ self.pnl[ccp])
        tails = []
        for start, level in self.measures[ccp]:
            of_measure = -np.sort(-loss[:, start:], axis=1)
            k = max(1, int(np.ceil(round((1.0 - level) * of_measure.shape[1], 9))))
            tails.append(of_measure[:, k - 1])
        if ccp == CME:
            stressed = np.maximum.reduce(tails[1:])
            return np.maximum(self.weight * tails[0] + (1.0 - self.weight) * stressed, 0.0)
        value = lots * self.value
        net = [value[:, bucket :: self.rate.size].sum(axis=1) for bucket in range(self.rate.size)]
        floor = np.abs(np.column_stack(net)) @ self.rate
        return np.maximum.reduce([*tails, floor])

    def calls(self, choice: Integer) -> Float:
        """Return what the account pays after choices [N x F], USD, not rounded, [N]."""
        none = np.zeros((choice.shape[0], self.cash.size), dtype=np.int64)
        cash = np.concatenate([none + self.cash, np.zeros_like(choice)], axis=1)
        futures = np.concatenate([none, choice], axis=1)
        rest = np.concatenate([none, self.crossed + self.ordinary - choice], axis=1)
        rates = []
        for ccp in (FICC, CME):
            apart = self.v(ccp, cash) + self.v(ccp, futures)
            together = np.where(apart > 0.0, self.v(ccp, cash + futures), 1.0)
            rates.append(1.0 - together / np.where(apart > 0.0, apart, 1.0))
        rate = np.minimum(*rates)
        two_sided = self.cash.any() & choice.any(axis=1)
        rate = np.where((rate > 0.0) & (rate >= self.minimum) & two_sided, rate, 0.0)
        left = 1.0 - np.minimum(rate, self.cap)
        return self.v(CME, rest) + left * (self.v(FICC, cash) + self.v(CME, futures))

    def call(self, choice: Integer) -> float:
        """Return what the account pays after one choice, USD, not rounded."""
        return float(self.calls(choice[None])[0])

    def bounded(self, anchor: Integer | None = None) -> tuple[Problem, Integer]:
        """Return the problem, and the instruments of its lines."""
        futures = self.cash.size + np.arange(self.crossed.size)
        rows: list[tuple[int, Integer, Integer]] = [
            (FICC_XM, np.arange(self.cash.size), self.cash),
            (CME_XM, futures, self.crossed),
            (CME_OTHER, futures, self.ordinary),
        ]
        row = np.concatenate([np.full(held.size, segment) for segment, held, _ in rows])
        column = np.concatenate([held for _, held, _ in rows])
        lots = np.concatenate([own for *_, own in rows])
        order = np.lexsort((column, row))[lots[np.lexsort((column, row))] != 0]
        count = np.bincount(row[order], minlength=len(SEGMENTS))
        book = Book.from_arrays(
            np.concatenate([[0], np.cumsum(count)]), column[order], lots[order], self.value.size
        )
        one = np.ones(1)
        yes = np.ones(1, dtype=bool)
        batch = Batch(book, {}, Clients(yes, yes, one, 0 * one, 0 * one, np.zeros(1, np.int64)))
        may = np.array([True] * self.cash.size + list(self.may))
        models = self.models
        lines = movable(batch, models, may)
        cash = np.concatenate([self.cash, np.zeros_like(self.crossed)])[None]
        known = Known(np.zeros(1), self.v(FICC, cash), self.v(CME, cash))
        best = lines.crossed if anchor is None else anchor[lines.instrument - self.cash.size]
        best = np.clip(best, lines.lower, lines.upper)
        return (
            problem(lines, models, np.array([0]), best, known, ONE),
            lines.instrument - self.cash.size,
        )


def by_hand(**changes: Any) -> Account:
    """Return one security and two futures in four scenarios, all futures in the ordinary account.

    CME: the second worst of four scenarios (level 50%), all its weight on that. FICC likewise.
    """
    pnl = np.array(
        [
            [-100.0, -60.0, 40.0, 80.0],
            [90.0, 50.0, -30.0, -90.0],
            [20.0, -10.0, 10.0, -20.0],
        ]
    )
    two_of_four = ((0, 0.5), (0, 0.5))
    account = {
        "pnl": {FICC: pnl, CME: pnl},
        "measures": {FICC: two_of_four, CME: two_of_four},
        "weight": 1.0,
        "value": np.zeros(3),
        "rate": np.zeros(1),
        "cap": 0.8,
        "minimum": 0.0,
        "cash": np.array([1]),
        "crossed": np.array([0, 0]),
        "ordinary": np.array([1, 2]),
        "may": (True, True),
    }
    return Account(**(account | changes))


def test_a_form_is_smallest_at_an_end_of_each_range() -> None:
    # 10 + 2 up or 3 down a contract of line 0, -5 up or -1 down a contract of line 1.
    form = Form(np.array([10.0]), np.array([[2.0, -5.0]]), np.array([[3.0, -1.0]]))
    boxes = Boxes(np.array([0]), np.array([[-1, 0]]), np.array([[4, 2]]), np.array([[1, 0]]))
    # Line 0 steps from 1 by -2 to 3: -6 at the lower end. Line 1 by 0 to 2: -10 at the upper.
    assert form.least(boxes).tolist() == [10.0 - 6.0 - 10.0]
    assert form.scaled(0.5).least(boxes).tolist() == [-3.0]
    assert form.raised(1.0).plus(form).least(boxes).tolist() == [-11.0]


def test_a_cut_keeps_every_choice_and_the_anchor_where_it_fits() -> None:
    boxes = Boxes(np.array([7]), np.array([[-1, 0]]), np.array([[4, 2]]), np.array([[3, 1]]))
    halves = boxes.cut(np.array([0]))
    assert halves.account.tolist() == [7, 7]
    assert halves.lower.tolist() == [[-1, 0], [2, 0]]
    assert halves.upper.tolist() == [[1, 2], [4, 2]]
    assert halves.anchor.tolist() == [[1, 1], [3, 1]]
    assert not halves.single.any()
    assert halves.cut(np.array([1, 1])).upper[:, 1].tolist() == [1, 1, 2, 2]


def test_bounds_of_two_futures_by_hand() -> None:
    account = by_hand()
    whole, _ = account.bounded()
    assert whole.whole.upper.tolist() == [[1, 2]]
    # V of the cash is the second worst of (100, 60, -40, -80): 60 at both.
    assert whole.known.v_ficc.tolist() == whole.known.v_cme.tolist() == [60.0]
    house = whole.houses[CME]
    # V of the futures is at most the second worst of the largest loss of each scenario over the
    # box. Line 0 loses (-90, -50, 30, 90) a contract, line 1 twice (-20, 10, -10, 20): at most
    # (0, 20, 30, 130).
    assert house.most.tolist() == [30.0]
    # All futures lose (-90, -50, 30, 90) + 2 * (-20, 10, -10, 20) = (-130, -30, 10, 130). Two
    # seconds of each other: the sum of two V is at least the third worst of the sum of losses,
    # 2 * 2 - 1 = 3: -30. With the cash, (-30, 30, -30, 50): the third worst is -30 too.
    assert house.pooled.tolist() == [[-30.0], [-30.0]]
    # Nothing moved: V of the rest is the second worst of (-130, -30, 10, 130), 10, and the cash
    # pays 60. All moved: both pay 1 - p of 60 and 10. Combined it is the second worst of
    # (-30, 30, -30, 50), 30: p = 1 - 30 / 70, and the call is 70 * 30 / 70.
    assert account.call(np.array([0, 0])) == 70.0
    assert account.call(np.array([1, 2])) == pytest.approx(30.0)
    # One and one: the rest loses (-20, 10, -10, 20), V 10; the futures (-110, -40, 20, 110), V 20;
    # with the cash (-10, 20, -20, 30), V 20: 10 + 80 * 20 / 80.
    assert account.call(np.array([1, 1])) == pytest.approx(30.0)
    # A single choice is bounded by its own V, less the slack for roundings.
    for choice in product(range(2), range(3)):
        at = np.array([choice])
        least = least_call(whole, Boxes(np.array([0]), at, at, at))
        assert least[0] == pytest.approx(account.call(at[0]) - ROUNDING, abs=1e-9)


def test_the_proof_takes_the_calls_of_single_choices() -> None:
    account = by_hand()
    whole, _ = account.bounded()
    asked: list[tuple[int, ...]] = []

    def judge(_: Integer, choice: Integer) -> Float:
        asked.extend(tuple(row) for row in choice.tolist())
        return account.calls(choice)

    least = min(account.call(np.array(c)) for c in product(range(2), range(3)))
    worst = np.array([account.call(np.array([0, 0]))])
    risk = np.ones((1, 2))
    proved = prove(whole, worst, risk, judge, tolerance=0.0, boxes=100)
    assert least - 2.0 * ROUNDING <= proved[0] <= least
    assert asked
    # With one box there is nothing to cut.
    bound = least_call(whole, whole.whole)
    once = prove(whole, worst, risk, judge, tolerance=0.0, boxes=1)
    assert once.tolist() == bound.tolist()
    assert bound[0] <= least


@pytest.mark.parametrize("risk", [0.0, np.nan])
def test_a_box_is_cut_where_it_has_a_range_even_if_no_line_has_risk(risk: float) -> None:
    account = by_hand()
    whole, _ = account.bounded()

    def judge(_: Integer, choice: Integer) -> Float:
        return account.calls(choice)

    proved = prove(
        whole, np.array([1000.0]), np.full((1, 2), risk), judge, tolerance=0.0, boxes=100
    )
    assert 29.9 - 1e-9 <= proved[0] <= 30.0 + 1e-9


def test_all_but_a_few_moved_by_hand() -> None:
    """Two futures that lose together: what is taken out costs more than it saves."""
    pnl = np.array(
        [
            [50.0, 40.0, -40.0, -30.0],
            [-10.0, -10.0, 5.0, 5.0],
            [-20.0, -10.0, 5.0, 5.0],
        ]
    )
    account = by_hand(
        pnl={FICC: pnl, CME: pnl}, cap=0.5, crossed=np.array([1, 1]), ordinary=np.array([0, 0])
    )
    # Both lose (30, 20, -10, -10); V is 20, by scenarios 0 and 1. What is taken out, x, loses
    # (10, 10) and (20, 10) a contract there: in both at least half of what it loses in the other.
    # So V(x) is at least half of its largest loss L there, and 1 - cap of L is saved at most.
    whole, _ = account.bounded(np.array([1, 1]))
    cash = float(account.v(FICC, np.array([[1, 0, 0]]))[0])
    assert cash == 30.0
    call = np.array([0.5 * (20.0 + cash)])
    bound = everything_moved(whole, np.array([0]), call)
    assert bound.tolist() == [0.5 * (20.0 + cash) - ROUNDING]
    # With a cap of a quarter more is saved: then ten is not three quarters of twenty.
    tight = by_hand(
        pnl={FICC: pnl, CME: pnl}, cap=0.25, crossed=np.array([1, 1]), ordinary=np.array([0, 0])
    )
    whole, _ = tight.bounded(np.array([1, 1]))
    at = np.array([0])
    assert everything_moved(whole, at, np.array([0.75 * 50.0]))[0] < 0.75 * 50.0 - 1.0
    # It says nothing where something stays behind.
    whole, _ = account.bounded(np.array([1, 0]))
    assert everything_moved(whole, at, call).tolist() == [-np.inf]


def test_scenarios_that_stand_in_for_another_by_hand() -> None:
    # Two futures lose (10, 0), (6, -3) and (-1, -1) in three scenarios. Whatever is held of them,
    # four others lose at least half of what these do, or a larger share, or they do not:
    others = np.array([[10.0, 10.0, 5.0, 3.0], [0.0, -1.0, 3.0, -1.5]])
    loss = np.array([[10.0, 6.0, -1.0], [0.0, -3.0, -1.0]])
    # (10, 0): all of it in the first, half in the third. In the second and fourth the other future
    # gains. (6, -3): a share c of 6 is lost and at most c of 3 gained with c = 1/2 up to 5/3 in
    # the first, 1/3 to 5/3 in the second, -1 to 5/6 in the third, 1/2 in the fourth. In (-1, -1)
    # nothing can be lost, so that all of any number will do.
    stands = everything._stand_ins(loss, others, 0.5)
    assert stands.tolist() == [2, 4, np.iinfo(np.int64).max]
    # At three quarters the fourth does not for the second scenario, nor the third for the first.
    assert everything._stand_ins(loss, others, 0.75).tolist()[:2] == [1, 3]


def made_up(seed: int) -> Account:
    """Return an account of one or two securities and up to three futures."""
    rng = np.random.default_rng(seed)
    cash, futures = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    scenarios = int(rng.integers(3, 14))
    size = cash + futures
    unit = float(rng.choice([1.0, 100.0]))
    shape = (size, scenarios)
    common = rng.integers(-6, 7, scenarios) * rng.choice([1, 1, 0])
    # Ties are frequent; at times futures lose together, and hedge the cash.
    sign = np.where(np.arange(size) < cash, 1, rng.choice([-1, 1], size))[:, None]
    pnl = {
        ccp: unit * (sign * common + rng.integers(-3, 4, shape)).astype(np.float64)
        for ccp in (FICC, CME)
    }
    if rng.random() < 0.4:
        pnl[CME] = pnl[FICC]

    def measures() -> tuple[tuple[int, float], ...]:
        starts = (0, int(rng.integers(0, scenarios - 1)))
        return tuple((start, float(rng.choice([0.3, 0.5, 0.7, 0.8, 0.9]))) for start in starts)

    measured = {ccp: measures() for ccp in (FICC, CME)}
    if rng.random() < 0.4:
        measured[CME] += measures()
    if rng.random() < 0.3:
        for own in pnl.values():
            own[rng.random(shape) < 0.3] = 0.0
    total = rng.integers(-3, 4, futures)
    crossed = rng.integers(-3, 4, futures)
    if rng.random() < 0.8:
        crossed = np.where(rng.random(futures) < 0.5, 0, total)
    return Account(
        pnl=pnl,
        measures=measured,
        weight=float(rng.choice([0.0, 0.25, 0.75, 1.0])),
        value=rng.integers(-2, 8, size) * 10.0 * unit,
        rate=rng.choice([0.0, 0.01, 0.05], int(rng.integers(1, 3))),
        cap=float(rng.choice([0.1, 0.3, 0.5, 0.8, 1.0])),
        minimum=float(rng.choice([0.0, 0.0, 0.01, 0.3])),
        cash=rng.integers(-3, 4, cash),
        crossed=crossed,
        ordinary=total - crossed,
        may=tuple((rng.random(futures) < 0.85).tolist()),
    )


ACCOUNTS = st.builds(made_up, st.integers(0, 2**32 - 1))


def feasible(account: Account, whole: Problem, line: Integer) -> tuple[Integer, Float]:
    """Return every choice of the lines [N x D], and its call [N]."""
    inside = whole.whole
    ranges = [
        range(low, high + 1) for low, high in zip(inside.lower[0], inside.upper[0], strict=True)
    ]
    choices = np.array(list(product(*ranges)))
    every = np.repeat(account.crossed[None], choices.shape[0], axis=0)
    every[:, line] = choices
    return choices, account.calls(every)


@given(account=ACCOUNTS, seed=st.integers(0, 2**32 - 1))
@settings(PROPERTY, max_examples=150)
def test_no_choice_costs_less_than_a_bound(account: Account, seed: int) -> None:
    first, line = account.bounded()
    if not line.size:
        return
    rng = np.random.default_rng(seed)
    choices, calls = feasible(account, first, line)
    lowest = calls.min()
    # Around the best choice, and around others.
    best = int(calls.argmin()) if rng.random() < 0.6 else int(rng.integers(calls.size))
    anchor = account.crossed.copy()
    anchor[line] = choices[best]
    whole, _ = account.bounded(anchor)
    # The slack is for roundings to the cent, and nothing is rounded here.
    slack = 1e-9 * max(1.0, lowest) - ROUNDING
    assert least_call(whole, whole.whole)[0] <= lowest + slack
    moved = everything_moved(whole, np.array([0]), calls[best : best + 1])[0]
    assert moved <= lowest + slack
    ends = choices[rng.integers(calls.size, size=(5, 2))]
    lower, upper = ends.min(axis=1), ends.max(axis=1)
    boxes = Boxes(np.zeros(5, np.int64), lower, upper, np.clip(choices[best], lower, upper))
    for bound, low, high in zip(least_call(whole, boxes), lower, upper, strict=True):
        inside = ((low <= choices) & (choices <= high)).all(axis=1)
        assert bound <= calls[inside].min() + slack


@given(account=ACCOUNTS, boxes=st.sampled_from([1, 3, 10, 1000]))
@settings(PROPERTY, max_examples=60)
def test_a_proof_is_never_above_the_least_call(account: Account, boxes: int) -> None:
    whole, line = account.bounded()
    if not line.size:
        return
    choices, calls = feasible(account, whole, line)

    def judge(_: Integer, choice: Integer) -> Float:
        every = np.repeat(account.crossed[None], choice.shape[0], axis=0)
        every[:, line] = choice
        return account.calls(every)

    now = calls[(choices == whole.whole.anchor).all(axis=1)]
    risk = np.ones((1, line.size))
    proved = prove(whole, now, risk, judge, tolerance=0.0, boxes=boxes)[0]
    lowest = calls.min()
    assert proved <= lowest + 1e-9 * max(1.0, lowest)
    if boxes == 1000:
        assert proved >= lowest - 2.0 * ROUNDING - 1e-9
