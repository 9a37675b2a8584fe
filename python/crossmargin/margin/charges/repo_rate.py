"""FICC's charge on the repo rate of forward cash legs, by term."""

from __future__ import annotations

from functools import partial

import numpy as np

from crossmargin.arrays import Float, bucket_of
from crossmargin.conventions import FICC
from crossmargin.engine import Book
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.universe import FORWARD_CASH
from crossmargin.margin.charges.amounts import (
    Exposures,
    SingleNetCost,
    net_cost,
    net_cost_per_lot,
)
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.ficc.haircuts import node_moves, worst_moves
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.market.curve import years_between
from crossmargin.policies.sections.charges import RepoRateRules


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return the charge: the sum over terms of |net exposure| times the move of the repo rate.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
        Empty if the policy has no table `repo_rate`.

    Raises
    ------
    HistoryShortError
        The history is too short to calibrate the rates.
    """
    rules = inputs.policy.get(RepoRateRules)
    if rules is None:
        return []
    held = exposures(inputs, rules)
    amount, per_lot = partial(_amount, held), partial(_per_lot, held)
    single = partial(_single, SingleNetCost(rules.ccp, held))
    return [Charge(rules.name, rules.ccp, False, amount, per_lot, single)]


def exposures(inputs: ChargeInputs, rules: RepoRateRules) -> Exposures:
    """Return present value times years of each forward cash leg, and the moves of its rate.

    Parameters
    ----------
    inputs : ChargeInputs
    rules : RepoRateRules
        From the policy.

    Returns
    -------
    Exposures
        A calibrated move is the size that 99% of the model's moves at the bucket's node stay
        within.
    """
    universe, market, policy = inputs.universe, inputs.market, inputs.policy
    cash = np.flatnonzero(universe.kind == FORWARD_CASH)
    due = np.array([name.removeprefix("USD ") for name in universe.name[cash]], "datetime64[D]")
    ends = add_months(market.as_of, rules.term_months)
    bucket = np.full(universe.name.size, -1)
    bucket[cash] = bucket_of(due, ends)
    value = np.zeros(universe.name.size)
    value[cash] = universe.price[cash] * np.maximum(years_between(market.as_of, due), 0.0)
    rate = rules.rates or worst_moves(
        node_moves(market, rules.nodes, policy.ficc, policy.scenarios_of(FICC), inputs.store),
        policy.ficc.level,
    )
    return Exposures(bucket, value, np.asarray(rate))


def _amount(held: Exposures, book: Book, margin: CcpMargin) -> Float:
    return net_cost(book, margin.ccp, held)


def _single(cost: SingleNetCost, held: Held, v: Portfolios) -> Portfolios:
    return cost(held)


def _per_lot(held: Exposures, book: Book, margin: CcpMargin, _: Float) -> Float:
    return net_cost_per_lot(book, margin.ccp, held)
