"""A lower bound on what any choice of futures can cost, by branch and bound.

Methodology, section 9. A box says how many contracts of each line lie in the cross-margin account,
at least and at most. On a box every V is bounded by linear functions of the choice. Their smallest
values over the box bound the call of every choice in it. The boxes with the lowest bounds are cut
in two until all bounds are close to the best known call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.moves import FIXED, Movable
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS
from crossmargin.engine import Cube, Execution
from crossmargin.engine.boxes import box_tails
from crossmargin.margin.model import Incremental
from crossmargin.margin.portfolios import row_of
from crossmargin.policies.sections import LOWER_OF_MODELS

ROUNDING = 0.05
"""USD: more than the roundings of all components to the cent can add up to."""
TOGETHER = 256
"""Accounts bounded side by side."""
AT_ONCE = 8
"""Boxes of an account that are cut in a round."""
BLENDS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Known:
    """What no choice changes, USD, [A].

    Attributes
    ----------
    apart : ndarray of float64
        What the account pays whatever it chooses: other positions, other clearing firms and
        houses, charges on its cash.
    v_ficc, v_cme : ndarray of float64
        V of the cross-margined cash in both models.
    """

    apart: Float
    v_ficc: Float
    v_cme: Float


@dataclass(frozen=True)
class Form:
    """A function that V never falls below on a box: constant + sum over the lines of slope * step.

    A step leads from the box's anchor to the choice. Its slope is `up` where it is positive and
    `down` where it is negative, and `up` is at most `down`: the function is concave, so that it is
    smallest at an end of each line's range.

    Attributes
    ----------
    constant : ndarray of float64, [N]
        Its value at the anchor, USD.
    up, down : ndarray of float64, [N x D]
        USD a contract.
    """

    constant: Float
    up: Float
    down: Float

    def least(self, boxes: Boxes) -> Float:
        """Return the smallest value over each box, [N]."""
        rises, falls = boxes.room
        ends = np.minimum(self.up * rises, self.down * falls)
        return np.asarray(self.constant + ends.sum(axis=1))

    def scaled(self, factor: Float | float) -> Form:
        """Return this function times a factor, [N] or one, none negative."""
        column = factor[:, None] if isinstance(factor, np.ndarray) else factor
        return Form(self.constant * factor, self.up * column, self.down * column)

    def plus(self, other: Form) -> Form:
        """Return the sum of two functions."""
        return Form(
            self.constant + other.constant, self.up + other.up, self.down + other.down
        )

    def raised(self, amount: Float | float) -> Form:
        """Return this function plus a constant, [N] or one."""
        return Form(self.constant + amount, self.up, self.down)


@dataclass(frozen=True)
class Boxes:
    """N boxes: the account of each, and the range of each of up to D lines.

    Attributes
    ----------
    account : ndarray of int64, [N]
        Number within the accounts that are bounded together.
    lower, upper : ndarray of int64, [N x D]
        Contracts; zero beyond an account's lines.
    anchor : ndarray of int64, [N x D]
        A choice in the box.
    """

    account: Integer
    lower: Integer
    upper: Integer
    anchor: Integer

    @property
    def room(self) -> tuple[Float, Float]:
        """How far each line can rise above the anchor, and fall below it (negative), [N x D]."""
        return (self.upper - self.anchor) * 1.0, (self.lower - self.anchor) * 1.0

    @property
    def half(self) -> Float:
        """Half the width of each line's range, [N x D]."""
        return np.asarray((self.upper - self.lower) * 0.5)

    def take(self, at: Integer | Mask) -> Boxes:
        """Return some of the boxes."""
        return Boxes(self.account[at], self.lower[at], self.upper[at], self.anchor[at])

    def middle(self) -> Integer:
        """Return a choice near the middle of each box, [N x D]."""
        return self.lower + (self.upper - self.lower) // 2

    def cut(self, line: Integer) -> Boxes:
        """Return both parts of each box, cut along a line, [2N]: all lower ones first."""
        box = np.arange(line.size)
        middle = self.middle()[box, line]
        lower, upper = self.lower.copy(), self.upper.copy()
        upper[box, line] = middle
        lower[box, line] = middle + 1
        return joined(
            (
                Boxes(self.account, self.lower, upper, np.minimum(self.anchor, upper)),
                Boxes(self.account, lower, self.upper, np.maximum(self.anchor, lower)),
            )
        )


def joined(parts: Sequence[Boxes]) -> Boxes:
    """Return all boxes as one."""
    return Boxes(
        np.concatenate([part.account for part in parts]),
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.anchor for part in parts]),
    )


FUTURES, COMBINED, OTHER = range(3)
"""The margin portfolios that a choice changes, as rows of a house's fixed P&L."""


@dataclass(frozen=True)
class House:
    """What bounds V at one clearing house, for A accounts.

    Attributes
    ----------
    model : Incremental
    fixed : list of ndarray of float64, [P * A x S]
        For each cube, the P&L of each portfolio apart from the lines: a row is portfolio * A +
        account.
    portfolios : tuple of int
        Those that this house margins.
    floor : ndarray of float64, [P * A x B]
        The same of the floor's values.
    pooled : ndarray of float64, [2 x A]
        V of two portfolios together is never below this: of cross-margined and ordinary positions,
        and of ordinary positions and cross-margined futures.
    """

    model: Incremental
    fixed: list[Float]
    portfolios: tuple[int, ...]
    floor: Float | None
    pooled: Float


@dataclass(frozen=True)
class Bounded:
    """V of one portfolio on N boxes: at least each of `forms` and zero; at most `most`."""

    forms: list[Linear]
    least: Float
    most: Float


@dataclass(frozen=True)
class Problem:
    """The accounts that are bounded together.

    Attributes
    ----------
    instrument : ndarray of int64, [A x D]
    count : ndarray of int64, [A]
        Lines of each account.
    houses : dict of str to House
        Of the clearing houses whose V can be bounded.
    known : Known
    cap : float
    by_models : bool
        Whether the saving is the lower of the models'; else only the cap is known.
    execution : Execution
    """

    instrument: Integer
    count: Integer
    houses: dict[str, House]
    known: Known
    cap: float
    by_models: bool
    execution: Execution


def problem(
    lines: Movable, models: PreparedModels, accounts: Integer, known: Known, execution: Execution
) -> Problem:
    """Return what bounds the calls of some accounts."""
    count = lines.count[accounts]
    most = int(count.max(initial=1))
    inside = np.arange(most) < count[:, None]
    instrument = np.zeros((accounts.size, most), dtype=np.int64)
    instrument[inside] = lines.instrument[lines.lines_of(accounts)]
    rules = models.policy.agreement
    houses = {}
    for ccp, portfolios in ((FICC, (FUTURES, COMBINED)), (CME, (FUTURES, COMBINED, OTHER))):
        model = models.ccps[ccp].incremental
        if model is None or not model.mixtures:
            continue
        if all(measure.cube.on_grid for measure in model.measures):
            houses[ccp] = _house(lines, model, accounts, portfolios)
    return Problem(
        instrument=instrument,
        count=count,
        houses=houses,
        known=Known(known.apart[accounts], known.v_ficc[accounts], known.v_cme[accounts]),
        cap=rules.cap,
        by_models=rules.offset_method == LOWER_OF_MODELS,
        execution=execution,
    )


def _house(
    lines: Movable, model: Incremental, accounts: Integer, portfolios: tuple[int, ...]
) -> House:
    """Return what bounds V at one clearing house."""
    held = _fixed(lines, accounts)
    cash, futures, ordinary = (held[segment] for segment in (FICC_XM, CME_XM, CME_OTHER))
    at = lines.lines_of(accounts)
    row = np.repeat(np.arange(accounts.size), lines.count[accounts])
    ordinary[row, lines.instrument[at]] += lines.total[at]
    of = {FUTURES: futures, COMBINED: cash + futures, OTHER: ordinary}
    fixed = np.concatenate([of[portfolio] for portfolio in portfolios])
    pnl = [fixed @ cube.pnl for cube in _cubes(model)]
    pooled = np.zeros((2, accounts.size))
    if OTHER in portfolios and len(model.mixtures) == 1:
        for which, whole in enumerate((cash + futures + ordinary, futures + ordinary)):
            for measure, weight in zip(model.measures, model.mixtures[0], strict=True):
                loss = -(whole @ measure.pnl[:, measure.start : measure.start + measure.count])
                pooled[which] += weight * _pooled(loss, measure.k)
    sums = model.sums
    floor = None
    if sums is not None:
        values = np.zeros((sums.value.size, sums.rate.size))
        values[np.arange(sums.value.size), sums.bucket] = sums.value
        floor = fixed @ values
    return House(model, pnl, portfolios, floor, pooled)


def _pooled(loss: Float, k: int) -> Float:
    """Return what two VaRs are at least together, if the losses of both add up to this, [A].

    At most k - 1 losses of either exceed its VaR, so at most 2 (k - 1) of the sum exceed both VaRs
    together: these are at least the sum's loss of rank 2 k - 1.
    """
    rank = 2 * k - 1
    if rank > loss.shape[1]:
        return np.full(loss.shape[0], -np.inf)
    return np.asarray(np.partition(loss, loss.shape[1] - rank, axis=1)[:, loss.shape[1] - rank])


def _cubes(model: Incremental) -> list[Cube]:
    """Return the model's cubes, each once."""
    return list({id(measure.cube): measure.cube for measure in model.measures}.values())


def _fixed(lines: Movable, accounts: Integer) -> Float:
    """Return the lots that stay where they are, [4 x A x I]."""
    book = lines.places.book
    place = np.full(lines.ptr.size - 1, -1)
    place[accounts] = np.arange(accounts.size)
    row = row_of(book)
    group = row // len(SEGMENTS)
    own = np.flatnonzero((group < place.size) & (lines.line == FIXED))
    own = own[place[group[own]] >= 0]
    lots = np.zeros((len(SEGMENTS), accounts.size, book.columns))
    lots[row[own] % len(SEGMENTS), place[group[own]], book.column[own]] = lines.lots[own]
    return lots


def _bounded(problem: Problem, ccp: str, boxes: Boxes) -> dict[int, Bounded]:
    """Return the bounds on V of each portfolio at a clearing house."""
    house = problem.houses[ccp]
    size, lines = boxes.lower.shape
    instrument = problem.instrument[boxes.account]
    inside = np.arange(lines) < problem.count[boxes.account][:, None]
    portfolios = len(house.portfolios)
    ptr = np.concatenate([[0], np.cumsum(np.tile(inside.sum(axis=1), portfolios))])
    number = np.repeat(np.arange(portfolios), size)
    sign = np.where(np.array(house.portfolios) == OTHER, -1, 1)[number]
    row = number * problem.count.size + np.tile(boxes.account, portfolios)
    lows, highs, gradients = [], [], []
    for cube, fixed in zip(_cubes(house.model), house.fixed, strict=True):
        measures = [measure for measure in house.model.measures if measure.cube is cube]
        tails = box_tails(
            measures,
            base=fixed,
            row=row,
            ptr=ptr,
            instrument=np.tile(instrument[inside], portfolios),
            lower=np.tile(boxes.lower[inside], portfolios),
            upper=np.tile(boxes.upper[inside], portfolios),
            sign=sign,
            want_upper=np.array(house.portfolios)[number] == FUTURES,
            **problem.execution.kernels,
        )
        for which in range(len(measures)):
            lows.append(tails.low[:, which])
            highs.append(tails.high[:, which])
            scenario = tails.scenario[:, which]
            pnl = cube.pnl[np.tile(instrument, (portfolios, 1)), scenario[:, None]]
            gradients.append(-sign[:, None] * pnl)
    half = boxes.half
    out = {}
    for place, portfolio in enumerate(house.portfolios):
        at = slice(place * size, (place + 1) * size)
        mixed = [
            tuple(_mixture(weights, part, gradients, at) for part in (lows, highs))
            for weights in house.model.mixtures
        ]
        forms = [low for low, _ in mixed]
        least, most = np.zeros(size), np.zeros(size)
        for low, high in mixed:
            least = np.maximum(least, low.least(half))
            most = np.maximum(most, high.most(half))
        if house.floor is not None:
            below, above = _floor(house, problem.instrument, boxes, place)
            least, most = np.maximum(least, below), np.maximum(most, above)
        out[portfolio] = Bounded(forms, least, most)
    return out


def _mixture(
    weights: Sequence[float], constants: list[Float], gradients: list[Float], at: slice
) -> Linear:
    """Return the weighted sum of the measures' bounds."""
    total = Linear(np.zeros(at.stop - at.start), np.zeros_like(gradients[0][at]))
    for weight, constant, gradient in zip(weights, constants, gradients, strict=True):
        if weight:
            total = total.plus(Linear(constant[at], gradient[at]).scaled(weight))
    return total


def _floor(
    house: House, instrument: Integer, boxes: Boxes, place: int
) -> tuple[Float, Float]:
    """Return the least and the most that the floor can be on each box."""
    sums, floor = house.model.sums, house.floor
    assert sums is not None
    assert floor is not None
    accounts = instrument.shape[0]
    line = instrument[boxes.account]
    value = sums.value[line]
    net = floor[place * accounts + boxes.account].copy()
    room = np.zeros_like(net)
    box = np.arange(line.shape[0])[:, None]
    middle = (boxes.lower + boxes.upper) * 0.5
    np.add.at(net, (box, sums.bucket[line]), middle * value)
    np.add.at(room, (box, sums.bucket[line]), boxes.half * np.abs(value))
    below = np.maximum(np.abs(net) - room, 0.0) @ sums.rate
    return below, (np.abs(net) + room) @ sums.rate


def least_call(problem: Problem, boxes: Boxes) -> Float:
    """Return a bound that no choice in a box can go below, USD, [N]."""
    known, account, half = problem.known, boxes.account, boxes.half
    cash_ficc, cash_cme = known.v_ficc[account], known.v_cme[account]
    nothing = Linear(np.zeros(account.size), np.zeros_like(half))
    ordinary = futures = combined = [nothing]
    most_futures = np.full(account.size, np.inf)
    least_futures = np.zeros(account.size)
    pooled = np.zeros((2, account.size))
    if CME in problem.houses:
        cme = _bounded(problem, CME, boxes)
        ordinary = [nothing, *cme[OTHER].forms]
        futures = [nothing, *cme[FUTURES].forms]
        combined = [nothing, *cme[COMBINED].forms]
        most_futures, least_futures = cme[FUTURES].most, cme[FUTURES].least
        pooled = problem.houses[CME].pooled[:, account]
    # V(ordinary) + (1 - rate) * (V(futures) + V(cash)): the rate is at most the cap, and where it
    # is not zero at most what each model saves.
    left = 1.0 - problem.cap
    by_cap = [
        *(one.plus(two.scaled(left)).raised(left * cash_ficc) for one in ordinary for two in futures),
        *(one.scaled(1.0 - left).raised(left * (pooled[1] + cash_ficc)) for one in ordinary),
    ]
    by_models = []
    if problem.by_models and CME in problem.houses:
        # (V(futures) + V_F(cash)) / (V(futures) + V_C(cash)) falls with V(futures), or rises.
        at = np.where(cash_ficc >= cash_cme, most_futures, least_futures)
        share = _ratio(at + cash_ficc, at + cash_cme)
        beyond, within = np.maximum(share - 1.0, 0.0), np.minimum(share, 1.0)
        by_models.append(
            [
                *(one.plus(two.scaled(share)) for one in ordinary for two in combined),
                *(two.scaled(beyond).raised(within * pooled[0]) for two in combined),
            ]
        )
    if problem.by_models and FICC in problem.houses:
        ficc = _bounded(problem, FICC, boxes)
        share = _ratio(least_futures + cash_ficc, ficc[FUTURES].most + cash_ficc)
        least = Linear(ficc[COMBINED].least, nothing.gradient)
        parts = [part.scaled(share) for part in (*ficc[COMBINED].forms, least)]
        by_models.append([one.plus(two) for one in ordinary for two in parts])
    unsaved = [one.plus(two).raised(cash_ficc) for one in ordinary for two in futures]
    bound = _highest_least(by_cap, by_models, unsaved, half)
    return bound + (known.apart[account] - ROUNDING)


def _ratio(numerator: Float, denominator: Float) -> Float:
    """Return a quotient; 0 where the denominator is zero or not finite."""
    fine = (denominator > 0.0) & np.isfinite(denominator)
    return np.where(fine, numerator, 0.0) / np.where(fine, denominator, 1.0)


def _highest_least(
    by_cap: list[Linear], by_models: list[list[Linear]], unsaved: list[Linear], half: Float
) -> Float:
    """Return the best bound of all functions, and of blends of two, [N].

    A bound by a model's saving holds where something is saved. Elsewhere `unsaved` does, so the
    lower one counts.
    """
    alone = _highest(unsaved, half)
    best = [(_highest(by_cap, half),), *((_highest(forms, half), alone) for forms in by_models)]
    bound = np.maximum.reduce(
        [np.minimum.reduce([form.least(half) for form in either]) for either in best]
    )
    for i, one in enumerate(best):
        for other in best[:i]:
            for share in BLENDS:
                blends = [
                    first.scaled(share).plus(second.scaled(1.0 - share)).least(half)
                    for first in one
                    for second in other
                ]
                bound = np.maximum(bound, np.minimum.reduce(blends))
    return np.asarray(bound)


def _highest(forms: list[Linear], half: Float) -> Linear:
    """Return for each box the function with the highest least value."""
    value = np.array([form.least(half) for form in forms])
    which = np.argmax(value, axis=0)
    box = np.arange(which.size)
    constant = np.array([form.constant for form in forms])[which, box]
    gradient = np.array([form.gradient for form in forms])[which, box]
    return Linear(constant, gradient)


def whole_boxes(lines: Movable, accounts: Integer, width: int) -> Boxes:
    """Return the box of all choices of each account; `width` is the largest number of lines."""
    inside = np.arange(width) < lines.count[accounts][:, None]
    lower, upper = np.zeros((2, *inside.shape), dtype=np.int64)
    at = lines.lines_of(accounts)
    lower[inside], upper[inside] = lines.lower[at], lines.upper[at]
    return Boxes(np.arange(accounts.size), lower, upper)


def prove(
    problem: Problem,
    whole: Boxes,
    call: Float,
    weight: Float,
    better: Callable[[Integer, Integer], Float],
    *,
    tolerance: float,
    boxes: int,
) -> Float:
    """Return a lower bound on the call of each account, by branch and bound.

    Parameters
    ----------
    problem : Problem
        Of A accounts.
    whole : Boxes
        All choices of each account, [A].
    call : ndarray of float64, [A]
        The best known call, USD.
    weight : ndarray of float64, [A x D]
        How much risk a contract of each line has, USD: boxes are cut where they are widest in it.
    better : callable
        Takes accounts [N] and a choice for each [N x D], and returns the best call now known of
        each, [N]: the middle of the box with the lowest bound is often a good choice.
    tolerance : float
        A bound that falls short of the call by this share of it is good enough.
    boxes : int
        The most boxes of an account.

    Returns
    -------
    ndarray of float64, [A]
        USD, never above `call`.
    """
    call = call.copy()
    accounts = call.size
    bound = least_call(problem, whole)
    made = np.ones(accounts, dtype=np.int64)
    # The lowest bound among boxes that are put aside: closed, or a single choice.
    aside = np.full(accounts, np.inf)
    open_boxes = whole
    while True:
        enough = call * (1.0 - tolerance) - 2.0 * ROUNDING
        single = (open_boxes.upper == open_boxes.lower).all(axis=1)
        closed = single | (bound >= enough[open_boxes.account])
        np.minimum.at(aside, open_boxes.account[closed], bound[closed])
        open_boxes, bound = open_boxes.take(~closed), bound[~closed]
        order = np.lexsort((bound, open_boxes.account))
        owner = open_boxes.account[order]
        rank = np.arange(owner.size) - np.searchsorted(owner, owner)
        cut = order[(rank < AT_ONCE) & (made[owner] < boxes)]
        if not cut.size:
            break
        chosen = open_boxes.take(cut)
        halves = chosen.cut(np.argmax(chosen.half * weight[chosen.account], axis=1))
        below = np.maximum(least_call(problem, halves), np.tile(bound[cut], 2))
        made += np.bincount(halves.account, minlength=accounts)
        rest = np.ones(bound.size, dtype=bool)
        rest[cut] = False
        open_boxes = joined((open_boxes.take(rest), halves))
        bound = np.concatenate([bound[rest], below])
        order = np.lexsort((below, halves.account))
        first = order[np.flatnonzero(np.diff(halves.account[order], prepend=-1))]
        tried = halves.take(first)
        call[tried.account] = better(tried.account, tried.middle())
    np.minimum.at(aside, open_boxes.account, bound)
    return np.minimum(aside, call)
