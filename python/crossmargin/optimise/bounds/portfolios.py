"""Bounds on V of each margin portfolio over boxes of choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine import Measure
from crossmargin.engine.boxes import box_tails
from crossmargin.optimise.bounds.forms import LOWEST, Boxes, Form
from crossmargin.optimise.bounds.problem import OTHER, House, Problem, cubes_of


@dataclass(frozen=True)
class Bounded:
    """V of one portfolio on N boxes: at least each of `forms` and `least`; at most `most`."""

    forms: list[Form]
    least: Float
    most: Float


def bounded(problem: Problem, ccp: str, boxes: Boxes) -> dict[int, Bounded]:
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
    for cube, fixed in zip(cubes_of(house.model), house.fixed, strict=True):
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
    fixed = house.fixed[cubes_of(house.model).index(cube)].pnl
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
