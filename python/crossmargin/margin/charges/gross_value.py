"""A rate on the gross market value: each entry `[[charge]]` of the policy."""

from __future__ import annotations

from functools import partial

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.margin.charges import _scalar
from crossmargin.margin.charges.amounts import SingleGrossCost, gross_cost, gross_cost_per_lot
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.charges.rule import rate_of
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return a charge for each entry `[[charge]]`; a ccp charges its own positions only.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
    """
    value = inputs.universe.market_value
    return [
        Charge(
            entry.name,
            entry.ccp,
            entry.reducible,
            partial(_amount, value, entry.rate),
            partial(_per_lot, value, entry.rate),
            partial(_single, SingleGrossCost(entry.ccp, value), entry.rate),
        )
        for entry in inputs.policy.charges
    ]


def _amount(value: Float, rate: float, book: Book, margin: CcpMargin) -> Float:
    return rate_of(gross_cost(book, margin.ccp, value), rate)


def _single(gross: SingleGrossCost, rate: float, held: Held, v: Portfolios) -> Portfolios:
    return _scalar.rate_of(gross(held), rate)


def _per_lot(value: Float, rate: float, book: Book, margin: CcpMargin, _: Float) -> Float:
    return rate * gross_cost_per_lot(book, margin.ccp, value)
