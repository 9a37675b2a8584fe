"""FICC's margin liquidity adjustment: the cost of selling, where it is large compared with V."""

from __future__ import annotations

from functools import partial

import numpy as np

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.margin.charges import _scalar
from crossmargin.margin.charges.amounts import (
    Exposures,
    SingleNetCost,
    net_cost,
    net_cost_per_lot,
)
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.charges.rule import above_share
from crossmargin.margin.ficc.haircuts import maturity_group
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.policies.sections.charges import LiquidityRules


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return the charge: the cost of selling where it is more than a share of V.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
        Empty if the policy has no table `liquidity`.
    """
    rules = inputs.policy.get(LiquidityRules)
    if rules is None:
        return []
    held = exposures(inputs, rules)
    return [
        Charge(
            rules.name,
            rules.ccp,
            False,
            partial(_amount, held, rules.threshold),
            partial(_per_lot, held, rules.threshold),
            partial(_single, SingleNetCost(rules.ccp, held), rules.threshold),
        )
    ]


def exposures(inputs: ChargeInputs, rules: LiquidityRules) -> Exposures:
    """Return the market value of each security, and the market impact of its maturity group.

    Parameters
    ----------
    inputs : ChargeInputs
    rules : LiquidityRules
        From the policy.

    Returns
    -------
    Exposures
    """
    universe, held = inputs.universe, inputs.held
    bucket = np.full(universe.name.size, -1)
    bucket[: held.cusip.size] = maturity_group(held, rules.groups, inputs.market.as_of)
    return Exposures(bucket, universe.market_value, np.asarray(rules.rates))


def _amount(held: Exposures, threshold: float, book: Book, margin: CcpMargin) -> Float:
    return above_share(net_cost(book, margin.ccp, held), margin.v, threshold)


def _single(cost: SingleNetCost, threshold: float, held: Held, v: Portfolios) -> Portfolios:
    return _scalar.above_share(cost(held), v, threshold)


def _per_lot(held: Exposures, threshold: float, book: Book, margin: CcpMargin, _: Float) -> Float:
    charged = _amount(held, threshold, book, margin) > 0.0
    return np.where(charged[:, :, None], net_cost_per_lot(book, margin.ccp, held), 0.0)
