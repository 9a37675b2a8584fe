"""A bound on the call of every choice in a box."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float
from crossmargin.conventions import CME, FICC
from crossmargin.optimise.bounds.forms import Boxes, Form
from crossmargin.optimise.bounds.portfolios import bounded
from crossmargin.optimise.bounds.problem import COMBINED, FUTURES, OTHER, Problem

ROUNDING = 0.05
"""USD: more than the rounding of three V to the cent can add up to."""
SHARES = (0.25, 0.5, 0.75)
"""The weights of one form in the mean of two."""


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
        cme = bounded(problem, CME, boxes)
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
        ficc = bounded(problem, FICC, boxes)
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
