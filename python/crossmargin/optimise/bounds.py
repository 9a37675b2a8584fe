"""A lower bound on what any choice of futures can cost, by branch and bound.

Methodology, section 9. A box says how many contracts of each line lie in the cross-margin account,
at least and at most. On a box every V is bounded by linear functions of the choice. Their smallest
values over the box bound the call of every choice in it. The boxes with the lowest bounds are cut
in two until all bounds are close to the best known call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from crossmargin.arrays import Float, Int32, Integer, Mask
from crossmargin.calculation.moves import FIXED, Movable, book_after
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS
from crossmargin.engine import Cube, Execution, Measure, segment_tails
from crossmargin.engine.boxes import box_tails
from crossmargin.margin.model import Incremental
from crossmargin.margin.portfolios import row_of, rows_of
from crossmargin.policies.sections import LOWER_OF_MODELS

ROUNDING = 0.05
"""USD: more than the rounding of three V to the cent can add up to."""
SMALLEST = 1e-9
"""USD: what a VaR that divides is at least."""
LOWEST = -1e15
"""USD: below any sum of an account. It is finite, so that no share of it is NaN."""
LOOKED_AT = 600
"""Scenarios among which others are looked for that stand in for one."""
AT_ONCE = 8
"""Boxes of an account that are cut in a round."""
NO_RISK = 1e-9
"""USD: the risk of a contract that moves no price of ours, for the order of the cuts."""
SHARES = (0.25, 0.5, 0.75)
"""The weights of one form in the mean of two."""


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
        return Form(self.constant + other.constant, self.up + other.up, self.down + other.down)

    def spread(self, at: Integer, size: int) -> Form:
        """Return forms of some boxes among `size`; those of the others are of no use."""
        constant = np.full(size, LOWEST)
        up, down = np.zeros((2, size, self.up.shape[1]))
        constant[at], up[at], down[at] = self.constant, self.up, self.down
        return Form(constant, up, down)

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
        return (
            (self.upper - self.anchor).astype(np.float64),
            (self.lower - self.anchor).astype(np.float64),
        )

    @property
    def single(self) -> Mask:
        """Whether a box holds one choice only, [N]."""
        return np.asarray((self.upper == self.lower).all(axis=1))

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
"""The margin portfolios that a choice changes."""
_AT = {FICC: (FUTURES, COMBINED), CME: (FUTURES, COMBINED, OTHER)}
_SEGMENTS = {FUTURES: [CME_XM], COMBINED: [FICC_XM, CME_XM], OTHER: [CME_OTHER]}


@dataclass(frozen=True)
class House:
    """What bounds V at one clearing house, for A accounts and P portfolios.

    Attributes
    ----------
    model : Incremental
    portfolios : tuple of int
    fixed : list of Cube, [P * A x S]
        For each cube, the P&L of each portfolio apart from the lines: a row is portfolio * A +
        account.
    worst : list of list of ndarray of int32, [P * A x k]
        For each measure, the scenarios of its tail at some choices.
    floor : ndarray of float64, [P * A x B], optional
        The fixed part of the floor's sums.
    most : ndarray of float64, [A]
        What V of the cross-margined futures is at most, USD.
    pooled : ndarray of float64, [2 x A]
        What two V are at least together, USD: of the combined and the ordinary portfolio, and of
        the cross-margined futures and the ordinary portfolio.
    """

    model: Incremental
    portfolios: tuple[int, ...]
    fixed: list[Cube]
    worst: list[list[Int32]]
    floor: Float | None
    most: Float
    pooled: Float


@dataclass(frozen=True)
class Bounded:
    """V of one portfolio on N boxes: at least each of `forms` and `least`; at most `most`."""

    forms: list[Form]
    least: Float
    most: Float


@dataclass(frozen=True)
class Problem:
    """The accounts that are bounded together.

    Attributes
    ----------
    whole : Boxes
        All choices of each account, [A]; the anchor is the best one known.
    instrument : ndarray of int64, [A x D]
    inside : ndarray of bool, [A x D]
        Whether the account has so many lines.
    houses : dict of str to House
        Of the clearing houses whose V can be bounded.
    known : Known
        Of these accounts.
    cap : float
    by_models : bool
        Whether the saving is the lower of the models'; else only the cap is known.
    execution : Execution
    """

    whole: Boxes
    instrument: Integer
    inside: Mask
    houses: dict[str, House]
    known: Known
    cap: float
    by_models: bool
    execution: Execution


def problem(
    lines: Movable,
    models: PreparedModels,
    accounts: Integer,
    best: Integer,
    known: Known,
    execution: Execution,
) -> Problem:
    """Return what bounds the calls of some accounts.

    Parameters
    ----------
    lines : Movable
    models : PreparedModels
    accounts : ndarray of int64, [A]
    best : ndarray of int64, [M]
        The best choice known of every line.
    known : Known
        Of all accounts.
    execution : Execution
    """
    count = lines.count[accounts]
    inside = np.arange(int(count.max(initial=1))) < count[:, None]
    at = lines.lines_of(accounts)
    instrument, lower, upper, anchor = np.zeros((4, *inside.shape), dtype=np.int64)
    for padded, own in (
        (instrument, lines.instrument),
        (lower, lines.lower),
        (upper, lines.upper),
        (anchor, best),
    ):
        padded[inside] = own[at]
    whole = Boxes(np.arange(accounts.size), lower, upper, anchor)
    houses = {}
    for ccp in _AT:
        model = models.ccps[ccp].incremental
        if model is None or not model.mixtures:
            continue
        if all(measure.cube.on_grid for measure in model.measures):
            houses[ccp] = _house(lines, model, ccp, accounts, best, execution)
    rules = models.policy.agreement
    return Problem(
        whole=whole,
        instrument=instrument,
        inside=inside,
        houses=houses,
        known=Known(known.apart[accounts], known.v_ficc[accounts], known.v_cme[accounts]),
        cap=rules.cap,
        by_models=rules.offset_method == LOWER_OF_MODELS,
        execution=execution,
    )


def _house(
    lines: Movable,
    model: Incremental,
    ccp: str,
    accounts: Integer,
    best: Integer,
    execution: Execution,
) -> House:
    """Return what bounds V at one clearing house."""
    size, portfolios = accounts.size, _AT[ccp]
    cash, futures, ordinary = _fixed(lines, accounts)
    least, most = _range(lines, accounts)
    everything = ordinary + _scattered(lines, accounts, lines.total)
    # Futures are few beside the securities.
    own = np.flatnonzero((futures != 0).any(0) | (everything != 0).any(0) | (least < most).any(0))
    futures, everything, least, most = (part[:, own] for part in (futures, everything, least, most))
    held = np.flatnonzero((cash != 0).any(0))
    pnl, highest, pools = [], [], []
    for cube in _cubes(model):
        of_futures = cube.pnl[own]
        in_cash = cash[:, held] @ cube.pnl[held]
        moved, rest = futures @ of_futures, everything @ of_futures
        of = {FUTURES: moved, COMBINED: in_cash + moved, OTHER: rest}
        pnl.append(Cube(np.concatenate([of[portfolio] for portfolio in portfolios])))
        pools.append((-(in_cash + moved + rest), -(moved + rest)))
        # The largest loss of each scenario on its own.
        highest.append(
            -(
                (futures + most) @ np.minimum(of_futures, 0.0)
                + (futures + least) @ np.maximum(of_futures, 0.0)
            )
        )
    pooled = np.zeros((2, size))
    vars_ = []
    for number, measure in enumerate(model.measures):
        at = _cubes(model).index(measure.cube)
        window = slice(measure.start, measure.start + measure.count)
        vars_.append(_ranked(highest[at][:, window], measure.k))
        if OTHER in portfolios and len(model.mixtures) == 1:
            for which, loss in enumerate(pools[at]):
                # At most k - 1 losses of each portfolio exceed its VaR. So at most 2 (k - 1) of
                # their sum exceed the sum of both VaRs.
                pooled[which] += model.mixtures[0][number] * _ranked(
                    loss[:, window], 2 * measure.k - 1
                )
    above = np.zeros(size)
    for weights in model.mixtures:
        above = np.maximum(above, sum(w * v for w, v in zip(weights, vars_, strict=True)))
    floor = None
    if model.sums is not None:
        sums = model.sums
        values = np.zeros((sums.value.size, sums.rate.size))
        values[np.arange(sums.value.size), sums.bucket] = sums.value
        own_values = values[own]
        of = {FUTURES: futures @ own_values, OTHER: everything @ own_values}
        of[COMBINED] = of[FUTURES] + cash @ values
        floor = np.concatenate([of[portfolio] for portfolio in portfolios])
        biggest = np.maximum(np.abs(futures + most), np.abs(futures + least))
        above = np.maximum(above, biggest @ (np.abs(own_values) @ sums.rate))
    return House(
        model=model,
        portfolios=portfolios,
        fixed=pnl,
        worst=_worst(lines, model, portfolios, accounts, best, execution),
        floor=floor,
        most=above,
        pooled=pooled,
    )


def _fixed(lines: Movable, accounts: Integer) -> tuple[Float, Float, Float]:
    """Return what stays: cross-margined cash and futures, and the ordinary account, [A x I]."""
    book = lines.places.book
    place = np.full(lines.ptr.size - 1, -1)
    place[accounts] = np.arange(accounts.size)
    row = row_of(book)
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    own = np.flatnonzero((group < place.size) & (lines.line == FIXED))
    own = own[place[group[own]] >= 0]
    lots = np.zeros((len(SEGMENTS), accounts.size, book.columns))
    lots[segment[own], place[group[own]], book.column[own]] = lines.lots[own]
    return lots[FICC_XM], lots[CME_XM], lots[CME_OTHER]


def _scattered(lines: Movable, accounts: Integer, choice: Integer) -> Float:
    """Return a choice of every line as lots of each instrument, [A x I]."""
    at = lines.lines_of(accounts)
    lots = np.zeros((accounts.size, lines.places.book.columns))
    row = np.repeat(np.arange(accounts.size), lines.count[accounts])
    lots[row, lines.instrument[at]] = choice[at]
    return lots


def _range(lines: Movable, accounts: Integer) -> tuple[Float, Float]:
    """Return the fewest and the most lots of each instrument, [A x I]."""
    return _scattered(lines, accounts, lines.lower), _scattered(lines, accounts, lines.upper)


def _ranked(loss: Float, rank: int) -> Float:
    """Return the loss of a rank in each row; LOWEST if there are fewer."""
    place = loss.shape[1] - rank
    if place < 0:
        return np.full(loss.shape[0], LOWEST)
    return np.asarray(np.partition(loss, place, axis=1)[:, place])


def _cubes(model: Incremental) -> list[Cube]:
    """Return the model's cubes, each once."""
    return list({id(measure.cube): measure.cube for measure in model.measures}.values())


def _worst(
    lines: Movable,
    model: Incremental,
    portfolios: tuple[int, ...],
    accounts: Integer,
    best: Integer,
    execution: Execution,
) -> list[list[Int32]]:
    """Return for each measure two sets of k scenarios of every portfolio, [P * A x k].

    The first is the tail at the best choice. The second differs for the ordinary portfolio, where
    often nothing is left: the scenarios in which every step to it loses.
    """
    at = lines.lines_of(accounts)
    book = book_after(lines, accounts, best[at]).book
    tails = segment_tails(
        rows_of(book, np.arange(accounts.size * len(SEGMENTS))),
        list(model.measures),
        segments=len(SEGMENTS),
        unions=[_SEGMENTS[portfolio] for portfolio in portfolios],
        es=False,
        scenarios=True,
        **execution.kernels,
    )
    assert tails.scenario is not None
    found = []
    for measure, scenario in zip(model.measures, tails.scenario, strict=True):
        of_best = np.concatenate(list(scenario.transpose(1, 0, 2)))
        second = of_best
        if OTHER in portfolios:
            second = of_best.copy()
            first = portfolios.index(OTHER) * accounts.size
            second[first:] = _losing(lines, measure, accounts, best)
        found.append([of_best, second])
    return found


def _losing(lines: Movable, measure: Measure, accounts: Integer, best: Integer) -> Int32:
    """Return the scenarios in which every step to the ordinary account loses, [A x k].

    Each line's loss counts as a share of its VaR by itself; the scenarios are those whose smallest
    share is largest. A line that may step either way does not count.
    """
    at = lines.lines_of(accounts)
    count = lines.count[accounts]
    begin = np.cumsum(count) - count
    window = slice(measure.start, measure.start + measure.count)
    held, which = np.unique(lines.instrument[at], return_inverse=True)
    pnl = measure.pnl[held, window]
    # The shares of a contract bought, and of one sold.
    shares = [
        loss / np.maximum(_ranked(loss, measure.k), SMALLEST)[:, None] for loss in (-pnl, pnl)
    ]
    rises, falls = best[at] < lines.upper[at], best[at] > lines.lower[at]
    lowest = np.full((accounts.size, measure.count), np.inf)
    for place in range(int(count.max(initial=0))):
        has = np.flatnonzero(count > place)
        own = begin[has] + place
        for moves, share in zip((falls & ~rises, rises & ~falls), shares, strict=True):
            row, line = has[moves[own]], own[moves[own]]
            lowest[row] = np.minimum(lowest[row], share[which[line]])
    worst = np.argpartition(-lowest, measure.k - 1, axis=1)[:, : measure.k]
    return np.asarray(worst + measure.start, dtype=np.int32)


def _bounded(problem: Problem, ccp: str, boxes: Boxes) -> dict[int, Bounded]:
    """Return the bounds on V of each portfolio at a clearing house."""
    house = problem.houses[ccp]
    size = boxes.account.size
    width = len(house.portfolios)
    number = np.repeat(np.arange(width), size)
    sign = np.where(np.array(house.portfolios) == OTHER, -1.0, 1.0)[number]
    row = number * problem.whole.account.size + np.tile(boxes.account, width)
    instrument = np.tile(problem.instrument[boxes.account], (width, 1))
    anchor = np.tile(boxes.anchor, (width, 1))
    middle, highs = _middle_forms(problem, house, boxes, row, sign)
    # The sets of scenarios are those of the best choice: of use where a box holds it.
    holds_best = (boxes.anchor == problem.whole.anchor[boxes.account]).all(axis=1)
    near = np.flatnonzero(np.tile(holds_best, width))
    sets = [
        [
            _set_form(
                measure,
                house,
                scenario[row[near]],
                row[near],
                instrument[near],
                anchor[near],
                sign[near],
            ).spread(near, row.size)
            for scenario in scenarios
        ]
        for measure, scenarios in zip(house.model.measures, house.worst, strict=True)
    ]
    out = {}
    for place, portfolio in enumerate(house.portfolios):
        at = slice(place * size, (place + 1) * size)
        forms = []
        above = np.zeros(size)
        for weights in house.model.mixtures:
            forms.append(_mixture(weights, middle, at))
            forms += [_mixture(weights, list(parts), at) for parts in zip(*sets, strict=True)]
            high = sum(w * part[at] for w, part in zip(weights, highs, strict=True) if w)
            above = np.maximum(above, high)
        least = np.maximum.reduce([np.zeros(size), *(form.least(boxes) for form in forms)])
        if house.floor is not None:
            below, floor = _floor(house, problem.instrument, boxes, place)
            least, above = np.maximum(least, below), np.maximum(above, floor)
        out[portfolio] = Bounded(forms, least, np.fmin(above, house.most[boxes.account]))
    return out


def _middle_forms(
    problem: Problem, house: House, boxes: Boxes, row: Integer, sign: Float
) -> tuple[list[Form], list[Float]]:
    """Return for each measure a form by the tail in the middle of the boxes, and what V is at most.

    [P * N]; where sums might be rounded, of no use.
    """
    inside = problem.inside[boxes.account]
    width = len(house.portfolios)
    instrument = np.tile(problem.instrument[boxes.account], (width, 1))
    off_middle = np.tile(boxes.anchor - (boxes.lower + boxes.upper) * 0.5, (width, 1))
    half = np.tile((boxes.upper - boxes.lower) * 0.5, (width, 1))
    forms: list[Form] = []
    highs: list[Float] = []
    for cube, fixed in zip(_cubes(house.model), house.fixed, strict=True):
        measures = [measure for measure in house.model.measures if measure.cube is cube]
        tails = box_tails(
            measures,
            base=fixed,
            row=row,
            ptr=np.concatenate([[0], np.cumsum(np.tile(inside.sum(axis=1), width))]),
            instrument=np.tile(problem.instrument[boxes.account][inside], width),
            lower=np.tile(boxes.lower[inside], width),
            upper=np.tile(boxes.upper[inside], width),
            sign=sign.astype(np.int64),
            want_upper=row < problem.whole.account.size,
            **problem.execution.kernels,
        )
        for which in range(len(measures)):
            scenario = np.maximum(tails.scenario[:, which], 0)
            slope = -sign[:, None] * cube.pnl[instrument, scenario[:, None]]
            low = np.where(tails.exact, tails.low[:, which], LOWEST)
            constant = low + (slope * off_middle).sum(axis=1)
            forms.append(Form(constant, slope, slope))
            high = tails.high[:, which] + (np.abs(slope) * half).sum(axis=1)
            highs.append(np.where(np.isnan(high), np.inf, high))
    return forms, highs


def _set_form(
    measure: Measure,
    house: House,
    scenario: Int32,
    row: Integer,
    instrument: Integer,
    anchor: Integer,
    sign: Float,
) -> Form:
    """Return a form by k scenarios: VaR is never below the smallest loss of any k of them."""
    cube = measure.cube
    fixed = house.fixed[_cubes(house.model).index(cube)].pnl
    slope = -sign[:, None, None] * cube.pnl[instrument[:, :, None], scenario[:, None, :]]
    loss = -fixed[row[:, None], scenario] + (slope * anchor[:, :, None]).sum(axis=1)
    return Form(loss.min(axis=1), slope.min(axis=2), slope.max(axis=2))


def _mixture(weights: Sequence[float], forms: list[Form], at: slice) -> Form:
    """Return the weighted sum of forms, of some of their boxes."""
    parts = [
        Form(form.constant[at], form.up[at], form.down[at]).scaled(weight)
        for weight, form in zip(weights, forms, strict=True)
        if weight
    ]
    return reduce(Form.plus, parts)


def _floor(house: House, instrument: Integer, boxes: Boxes, place: int) -> tuple[Float, Float]:
    """Return the least and the most that the floor can be on each box."""
    sums, floor = house.model.sums, house.floor
    assert sums is not None
    assert floor is not None
    accounts = instrument.shape[0]
    line = instrument[boxes.account]
    value, bucket = sums.value[line], sums.bucket[line]
    net = floor[place * accounts + boxes.account].copy()
    room = np.zeros_like(net)
    box = np.arange(line.shape[0])[:, None]
    np.add.at(net, (box, bucket), (boxes.lower + boxes.upper) * 0.5 * value)
    np.add.at(room, (box, bucket), (boxes.upper - boxes.lower) * 0.5 * np.abs(value))
    below = np.maximum(np.abs(net) - room, 0.0) @ sums.rate
    return below, (np.abs(net) + room) @ sums.rate


def least_call(problem: Problem, boxes: Boxes) -> Float:
    """Return a bound that no choice in a box can go below, USD, [N]."""
    known, account = problem.known, boxes.account
    cash_ficc, cash_cme = known.v_ficc[account], known.v_cme[account]
    flat = np.zeros(boxes.lower.shape)
    nothing = Form(np.zeros(account.size), flat, flat)
    ordinary = futures = combined = [nothing]
    most_futures = np.full(account.size, np.inf)
    least_futures = np.zeros(account.size)
    pooled = np.zeros((2, account.size))
    if CME in problem.houses:
        cme = _bounded(problem, CME, boxes)
        ordinary, futures, combined = (
            [nothing, *cme[portfolio].forms] for portfolio in (OTHER, FUTURES, COMBINED)
        )
        most_futures, least_futures = cme[FUTURES].most, cme[FUTURES].least
        pooled = problem.houses[CME].pooled[:, account]
    # V(ordinary) + (1 - rate) * (V(futures) + V(cash)): the rate is at most the cap, and where it
    # is not zero at most what each model saves.
    left = 1.0 - problem.cap
    by_cap = [
        *(
            one.plus(two.scaled(left)).raised(left * cash_ficc)
            for one in ordinary
            for two in futures
        ),
        *(one.scaled(1.0 - left).raised(left * (pooled[1] + cash_ficc)) for one in ordinary),
    ]
    kinds = [by_cap]
    if problem.by_models and CME in problem.houses:
        # (V(futures) + V_F(cash)) / (V(futures) + V_C(cash)) falls with V(futures), or rises.
        at = np.where(cash_ficc >= cash_cme, most_futures, least_futures)
        share = _ratio(at + cash_ficc, at + cash_cme)
        beyond, within = np.maximum(share - 1.0, 0.0), np.minimum(share, 1.0)
        kinds.append(
            [
                *(one.plus(two.scaled(share)) for one in ordinary for two in combined),
                *(two.scaled(beyond).raised(within * pooled[0]) for two in combined),
            ]
        )
    if problem.by_models and FICC in problem.houses:
        ficc = _bounded(problem, FICC, boxes)
        share = _ratio(least_futures + cash_ficc, ficc[FUTURES].most + cash_ficc)
        least = Form(ficc[COMBINED].least, flat, flat)
        parts = [part.scaled(share) for part in (*ficc[COMBINED].forms, least)]
        kinds.append([one.plus(two) for one in ordinary for two in parts])
    bound = _blended([_highest(kind, boxes) for kind in kinds], boxes)
    if problem.by_models:
        # Where a model saves nothing, nothing is taken off.
        unsaved = [one.plus(two).raised(cash_ficc) for one in ordinary for two in futures]
        bound = np.minimum(bound, _highest(unsaved, boxes).least(boxes))
    return np.asarray(bound + (known.apart[account] - ROUNDING))


def _ratio(numerator: Float, denominator: Float) -> Float:
    """Return a quotient; 0 where the denominator is zero or not finite."""
    fine = (denominator > 0.0) & np.isfinite(denominator)
    return np.where(fine, numerator, 0.0) / np.where(fine, denominator, 1.0)


def _blended(forms: list[Form], boxes: Boxes) -> Float:
    """Return what a function that is never below any form is at least on each box, [N].

    The mean of two forms is a form too, and often higher where it is lowest.
    """
    bound = np.maximum.reduce([form.least(boxes) for form in forms])
    for i, one in enumerate(forms):
        for other in forms[:i]:
            for share in SHARES:
                mean = one.scaled(share).plus(other.scaled(1.0 - share))
                bound = np.maximum(bound, mean.least(boxes))
    return np.asarray(bound)


def _highest(forms: list[Form], boxes: Boxes) -> Form:
    """Return for each box the form with the highest least value."""
    best, least = forms[0], forms[0].least(boxes)
    for form in forms[1:]:
        value = form.least(boxes)
        higher = value > least
        least = np.where(higher, value, least)
        column = higher[:, None]
        best = Form(
            np.where(higher, form.constant, best.constant),
            np.where(column, form.up, best.up),
            np.where(column, form.down, best.down),
        )
    return best


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
    if CME not in problem.houses or len(problem.houses[CME].model.mixtures) != 1:
        return bound
    house, known = problem.houses[CME], problem.known
    weights = house.model.mixtures[0]
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
            fixed = house.fixed[_cubes(house.model).index(measure.cube)].pnl
            window = slice(measure.start, measure.start + measure.count)
            pnl = measure.cube.pnl[instrument, window]
            rest = fixed[ordinary + account, window] - anchor @ pnl
            if np.any(rest != 0.0):
                break
            losses.append(-(sign[:, None] * pnl))
            whole.append(-(fixed[row + account, window] + anchor @ pnl))
        else:
            v = _all_but(losses, whole, [m.k for m in house.model.measures], weights, left)
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
