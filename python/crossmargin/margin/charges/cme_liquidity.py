"""CME's charge for the cost of closing out across the bid-ask spread."""

from __future__ import annotations

from functools import partial

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.margin.charges.amounts import gross_cost, of_root
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.portfolios import CcpMargin
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
    amount = partial(_amount, of_root(rules.cost, inputs.universe))
    return [Charge(rules.name, rules.ccp, rules.reducible, amount)]


def _amount(each: Float, book: Book, margin: CcpMargin) -> Float:
    return gross_cost(book, margin.ccp, each)
