"""CME's charge for the cost of closing out across the bid-ask spread."""

from __future__ import annotations

from functools import partial

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.margin.charges.amounts import (
    SingleGrossCost,
    gross_cost,
    gross_cost_per_lot,
    of_root,
)
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.policies.sections.charges import CmeLiquidity


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return the charge: USD a contract of each root times |contracts|.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
        Empty if the policy has no table `cme_liquidity`. A root it does not name costs nothing.
    """
    rules = inputs.policy.get(CmeLiquidity)
    if rules is None:
        return []
    each = of_root(rules.cost, inputs.universe)
    return [
        Charge(
            rules.name,
            rules.ccp,
            rules.reducible,
            partial(_amount, each),
            partial(_per_lot, each),
            partial(_single, SingleGrossCost(rules.ccp, each)),
        )
    ]


def _amount(each: Float, book: Book, margin: CcpMargin) -> Float:
    return gross_cost(book, margin.ccp, each)


def _single(gross: SingleGrossCost, held: Held, v: Portfolios) -> Portfolios:
    return gross(held)


def _per_lot(each: Float, book: Book, margin: CcpMargin, _: Float) -> Float:
    return gross_cost_per_lot(book, margin.ccp, each)
